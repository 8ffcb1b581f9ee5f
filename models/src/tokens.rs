//! Clips to steps of a model and back.
//!
//! [`extract`] finds the windows of a file as the original does, [`from_clip`] takes one from a
//! clip, [`to_clip`] goes back. [`Tokens::input_rows`] and its like are the numbers that networks
//! see.

mod drums;
mod melody;
mod order;
mod quantise;
mod rows;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::clip::{BEATS_PER_STEP, Clip, STEPS_PER_BAR};
use crate::config::{Config, DrumMap, Scheme};
use crate::midi::{NoteSequence, SequenceNote};

/// Velocity of notes that are made from tokens without one.
pub const OUTPUT_VELOCITY: u8 = 80;
/// Windows that are looked at in one sequence. No piece of music has as many; the bound keeps
/// time and memory small for files made to exhaust them.
const MAX_WINDOWS: usize = 1 << 20;
/// Different windows that are kept of one sequence.
const MAX_UNIQUE_WINDOWS: usize = 1 << 16;

/// One window of a model's input or output: the same music for all schemes, as compact as each
/// allows. The outer length is the number of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tokens {
    /// Melody tokens: 0 no event, 1 note off, `p − 19` for pitch `p` in `21..=108`.
    Melody(Vec<u8>),
    /// Bit `k` is set when drum class `k` sounds (9 or 61 classes).
    Drums(Vec<u64>),
    /// Melody token, bass token, and the drum classes as bits.
    Trio(Vec<[u16; 3]>),
    /// 9 hits (0 or 1), 9 velocities (`0..=1`), 9 offsets (`-1..=1`, early positive).
    Groove(Vec<[f32; 27]>),
}

/// What a model is told beside the music, one entry for each step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controls {
    /// Chord: 0 none, then 12 each of major (1 is C), minor, augmented, diminished.
    Chords(Vec<u8>),
    /// Bit `k` is set when drum class `k` is hit.
    Hits(Vec<u16>),
}

/// One window of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The music.
    pub tokens: Tokens,
    /// Its controls, for configurations with controls.
    pub controls: Option<Controls>,
}

/// How many windows to take from a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// All different windows in the order of their appearance (at most 65,536).
    All,
    /// At most this many, picked and ordered as the original does when it does not train; its own
    /// limit is [`Limit::ORIGINAL`].
    First(usize),
}

impl Limit {
    /// The limit of the original for one file.
    pub const ORIGINAL: Self = Self::First(5);

    fn count(self) -> usize {
        match self {
            Self::All => MAX_UNIQUE_WINDOWS,
            Self::First(count) => count.min(MAX_UNIQUE_WINDOWS),
        }
    }
}

/// Why music has no tokens.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    /// No note at all.
    #[error("there is no note in it; choose music with notes")]
    Empty,
    /// No note that the configuration can express.
    #[error("`{config}` finds no note it can use: it reads {wanted}")]
    NoUsableNote {
        /// The configuration's name.
        config: String,
        /// What it reads.
        wanted: &'static str,
    },
    /// No stretch of 16-step bars.
    #[error("no part of it is in 4/4; `{config}` knows bars of four quarter notes only")]
    NoCommonTime {
        /// The configuration's name.
        config: String,
    },
    /// Not long enough.
    #[error(
        "no passage in 4/4 is long enough: `{config}` needs {bars} bars without a change of tempo \
         or time signature, and less than a bar of silence between notes"
    )]
    TooShort {
        /// The configuration's name.
        config: String,
        /// Bars of one window.
        bars: usize,
    },
    /// Numbers that do not belong to the configuration.
    #[error("these are not steps of `{config}`: {what}")]
    Shape {
        /// The configuration's name.
        config: String,
        /// What is wrong.
        what: String,
    },
}

/// The windows of a sequence, found as the original finds them.
///
/// # Errors
/// [`TokenError`] says why there is none.
pub fn extract(
    config: &Config,
    sequence: &NoteSequence,
    limit: Limit,
) -> Result<Vec<Window>, TokenError> {
    if sequence.notes.is_empty() {
        return Err(TokenError::Empty);
    }
    let windows = match config.scheme {
        Scheme::Melody { melodic_programs_only } => {
            melody_windows(config, sequence, melodic_programs_only, limit)
        }
        Scheme::Drums => drum_windows(config, sequence, DrumMap::Reduced, limit),
        Scheme::DrumRoll(map) => drum_windows(config, sequence, map, limit),
        _ => Vec::new(),
    };
    if windows.is_empty() { Err(reason(config, sequence)) } else { Ok(windows) }
}

/// Why a sequence with notes has no window.
fn reason(config: &Config, sequence: &NoteSequence) -> TokenError {
    let name = || config.name.clone();
    let usable = sequence.notes.iter().any(|note| is_usable(config.scheme, note));
    if !usable {
        return TokenError::NoUsableNote { config: name(), wanted: wanted(config.scheme) };
    }
    if !quantise::split_on_time_changes(sequence).iter().any(quantise::Part::has_common_bars) {
        return TokenError::NoCommonTime { config: name() };
    }
    TokenError::TooShort { config: name(), bars: config.bars() }
}

fn is_usable(scheme: Scheme, note: &SequenceNote) -> bool {
    match scheme {
        Scheme::Melody { melodic_programs_only } => {
            !note.is_drum
                && melody::has_token(note.pitch)
                && (!melodic_programs_only || note.program < 32)
        }
        Scheme::MelodyChords => !note.is_drum && melody::has_token(note.pitch),
        Scheme::Drums => note.is_drum && drums::class(DrumMap::Reduced, note.pitch).is_some(),
        Scheme::DrumRoll(map) => note.is_drum && drums::class(map, note.pitch).is_some(),
        Scheme::Groove(_) => drums::class(DrumMap::Reduced, note.pitch).is_some(),
        Scheme::Trio => true,
    }
}

fn wanted(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Melody { melodic_programs_only: true } => {
            "notes from A0 to C8 of programs 1 to 32 (pianos to guitars), not drums"
        }
        Scheme::Melody { .. } | Scheme::MelodyChords => "notes from A0 to C8, not drums",
        Scheme::Drums | Scheme::DrumRoll(_) | Scheme::Groove(_) => "drums on channel 10",
        Scheme::Trio => "a melody (programs 1 to 32), a bass (33 to 40) and drums (channel 10)",
    }
}

/// Different things in the order in which they came, up to the bounds.
struct Unique<T> {
    seen: HashSet<T>,
    items: Vec<T>,
    looked_at: usize,
}

impl<T: Clone + Eq + std::hash::Hash> Unique<T> {
    fn new() -> Self {
        Self { seen: HashSet::new(), items: Vec::new(), looked_at: 0 }
    }

    fn is_full(&self) -> bool {
        self.looked_at >= MAX_WINDOWS || self.items.len() >= MAX_UNIQUE_WINDOWS
    }

    fn push(&mut self, item: T) {
        self.looked_at += 1;
        if !self.seen.contains(&item) {
            self.seen.insert(item.clone());
            self.items.push(item);
        }
    }

    /// The items that `limit` lets through, in its order.
    fn limited(self, limit: Limit, hash: impl Fn(&T) -> u64) -> Vec<T> {
        match limit {
            Limit::All => self.items,
            Limit::First(count) => {
                let hashes: Vec<u64> = self.items.iter().map(hash).collect();
                let order = order::set_order(&hashes);
                order.into_iter().take(count).map(|index| self.items[index].clone()).collect()
            }
        }
    }
}

/// Calls `each` with every window of `steps` steps that begins on a bar and is complete.
fn for_each_window<T>(events: &[T], steps: usize, mut each: impl FnMut(&[T]) -> bool) {
    for start in (0..events.len()).step_by(STEPS_PER_BAR) {
        match events.get(start..start + steps) {
            Some(window) if each(window) => {}
            _ => break,
        }
    }
}

fn melody_windows(
    config: &Config,
    sequence: &NoteSequence,
    melodic_programs_only: bool,
    limit: Limit,
) -> Vec<Window> {
    let steps = config.hparams.max_seq_len;
    let mut windows = Vec::new();
    for part in quantise::split_on_time_changes(sequence) {
        if windows.len() >= limit.count() {
            break;
        }
        let Some(notes) = melody::usable_notes(&part, melodic_programs_only) else { continue };
        let mut unique = Unique::new();
        'lines: for instrument in melody::by_instrument(notes) {
            for line in melody::lines(instrument, melody::Cut::DEFAULT) {
                for_each_window(&line.tokens(line.length), steps, |window| {
                    let mut window = window.to_vec();
                    melody::clean(&mut window);
                    unique.push(window);
                    !unique.is_full()
                });
                if unique.is_full() {
                    break 'lines;
                }
            }
        }
        let unique = unique.limited(limit, |window| melody::window_hash(window));
        windows.extend(
            unique
                .into_iter()
                .map(|tokens| Window { tokens: Tokens::Melody(tokens), controls: None }),
        );
    }
    windows.truncate(limit.count());
    windows
}

fn drum_windows(
    config: &Config,
    sequence: &NoteSequence,
    map: DrumMap,
    limit: Limit,
) -> Vec<Window> {
    let steps = config.hparams.max_seq_len;
    let melody::Cut { gap_steps, max_steps } = melody::Cut::DEFAULT;
    let mut windows = Vec::new();
    for part in quantise::split_on_time_changes(sequence) {
        if windows.len() >= limit.count() {
            break;
        }
        let Some(hits) = drums::hits(&part, map) else { continue };
        let mut unique = Unique::new();
        drums::for_each_track(&hits, gap_steps, max_steps, |_, track| {
            for_each_window(track, steps, |window| {
                unique.push(window.to_vec());
                !unique.is_full()
            });
            !unique.is_full()
        });
        let unique = unique.limited(limit, |window| drums::window_hash(window));
        windows.extend(
            unique.into_iter().map(|bits| Window { tokens: Tokens::Drums(bits), controls: None }),
        );
    }
    windows.truncate(limit.count());
    windows
}

/// One window from the first beat of a clip, whatever programs its notes have.
///
/// Notes that do not fit the scheme are left out, as are those outside the window; a note held
/// beyond its end is cut there.
///
/// # Errors
/// [`TokenError`] when no note is left.
pub fn from_clip(config: &Config, clip: &Clip) -> Result<Tokens, TokenError> {
    if clip.is_empty() {
        return Err(TokenError::Empty);
    }
    let steps = config.hparams.max_seq_len;
    let tokens = match config.scheme {
        Scheme::Melody { .. } | Scheme::MelodyChords => {
            melody::from_notes(&clip.notes, steps).map(Tokens::Melody)
        }
        Scheme::Drums => drums::from_notes(&clip.notes, DrumMap::Reduced, steps).map(Tokens::Drums),
        Scheme::DrumRoll(map) => drums::from_notes(&clip.notes, map, steps).map(Tokens::Drums),
        _ => None,
    };
    tokens.ok_or_else(|| TokenError::NoUsableNote {
        config: config.name.clone(),
        wanted: wanted(config.scheme),
    })
}

/// The notes of a window: a melody on channel 0, a bass on channel 1 with program 33, drums on
/// channel 9, with velocity [`OUTPUT_VELOCITY`] unless the tokens have their own.
pub fn to_clip(config: &Config, tokens: &Tokens) -> Clip {
    let map = match config.scheme {
        Scheme::DrumRoll(map) => map,
        _ => DrumMap::Reduced,
    };
    let notes = match tokens {
        Tokens::Melody(tokens) => melody::to_notes(tokens.iter().copied(), 0, 0),
        Tokens::Drums(steps) => drums::to_notes(steps.iter().copied(), map),
        _ => Vec::new(),
    };
    Clip::new(notes, beats(tokens.len()))
}

/// Beats of a number of steps.
fn beats(steps: usize) -> f64 {
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    f64::from(steps) * BEATS_PER_STEP
}

/// The step nearest to a beat, halves up; `None` for what is no time in a clip.
fn step_of(beat: f64) -> Option<u64> {
    if !(0.0..1e9).contains(&beat) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 4e9, as checked above"
    )]
    let step = (beat / BEATS_PER_STEP + 0.5) as u64;
    Some(step)
}

/// Moves a chord of [`Controls::Chords`] by semitones; no chord stays none.
pub fn transpose_chord(chord: u8, semitones: i8) -> u8 {
    let Some(index) = chord.checked_sub(1) else { return 0 };
    let (kind, root) = (index / 12, i16::from(index % 12));
    let root = (root + i16::from(semitones)).rem_euclid(12);
    1 + kind * 12 + u8::try_from(root).expect("a remainder below 12")
}

/// The class of a drum pitch among the 9 of the reduced map; `None` for a pitch without one.
pub fn drum_class(pitch: u8) -> Option<usize> {
    drums::class(DrumMap::Reduced, pitch)
}
