//! Trios by rule: a melody, a bass and drums from music that lacks some of them.
//!
//! Scores of several parts give their highest part as melody and their lowest as bass. Lead sheets
//! give their melody, and a bass that is made from the chords. Drums come from performances, 16 bars
//! of one at a time, moved onto the 16th notes of the piece's own bars.

use std::collections::BTreeMap;

use interlude_models::config;
use interlude_models::midi::{NoteSequence, SequenceNote};
use interlude_models::tokens::{self, Limit, Tokens};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Split, monophony, splits};

/// Steps of a bar, and bars of a stretch of drums.
const BAR: usize = 16;
const BARS: usize = 16;
/// Seconds in a minute.
const MINUTE: f64 = 60.0;
/// Lowest pitch of a bass that is made: E1.
const LOWEST: u8 = 28;
/// Highest mean pitch of a part that serves as bass.
const BASS_BELOW: f64 = 60.0;
/// Least distance of the mean pitches of melody and bass, in semitones.
const APART: f64 = 7.0;
/// Programs of melody and bass.
const MELODY_PROGRAM: u8 = 0;
const BASS_PROGRAM: u8 = 33;
/// Velocity of what is made.
const VELOCITY: u8 = 80;
/// Most bars that are given drums.
const MOST_BARS: usize = 1024;

/// Sixteen bars of drums: class bits of each step.
type Stretch = Vec<u64>;

/// Drum performances by split.
#[derive(Clone, Debug, Default)]
pub struct Drums {
    stretches: BTreeMap<Split, Vec<Stretch>>,
}

impl Drums {
    /// The configuration whose windows are stretches of drums.
    ///
    /// # Panics
    /// Never: it is one of the table.
    pub fn config() -> config::Config {
        let mut config = config::by_name("cat-drums_2bar_small").expect("it is in the table");
        config.hparams.max_seq_len = BAR * BARS;
        config
    }

    /// Adds the stretches of a performance.
    pub fn add(&mut self, split: Split, sequence: &NoteSequence) {
        let windows = tokens::extract(&Self::config(), sequence, Limit::All).unwrap_or_default();
        let steps = windows.into_iter().filter_map(|window| match window.tokens {
            Tokens::Drums(steps) => Some(steps),
            _ => None,
        });
        self.stretches.entry(split).or_default().extend(steps);
    }

    /// Number of stretches of a split.
    pub fn count(&self, split: Split) -> usize {
        self.stretches.get(&split).map_or(0, Vec::len)
    }

    /// The piece as a trio with drums of its own split; equal names and seeds give equal trios.
    ///
    /// # Errors
    /// A reason why it cannot be one.
    pub fn arrange(
        &self,
        piece: &NoteSequence,
        name: &str,
        split: Split,
        seed: u64,
    ) -> Result<NoteSequence, String> {
        let key = crc32c::crc32c(splits::last(name).as_bytes());
        let mut generator = ChaCha8Rng::seed_from_u64(seed ^ u64::from(key) << 32);
        let stretches = self.stretches.get(&split).filter(|all| !all.is_empty());
        let stretches = stretches
            .ok_or_else(|| format!("no drum performance of 16 bars is for {}", split.name()))?;
        let qpm = piece.tempos.first().map_or(120.0, |tempo| tempo.qpm);
        if piece.tempos.iter().any(|tempo| tempo.qpm != qpm) {
            return Err("its tempo changes".to_owned());
        }
        let (melody, bass) = if piece.chords.is_empty() {
            outer_parts(piece)?
        } else {
            let mut bass = Vec::new();
            let style = generator.random_range(0..STYLES);
            for bar in bars(piece, qpm) {
                bass.extend(bass_of(piece, bar, style));
            }
            (piece.notes.iter().filter(|note| !note.is_drum).copied().collect(), bass)
        };
        let mut drums = Vec::new();
        let all: Vec<Bar> = bars(piece, qpm).collect();
        if all.is_empty() {
            return Err("no part of it is in 4/4".to_owned());
        }
        // A stretch begins anew with each passage in 4/4.
        let mut stretch = stretches.choose(&mut generator);
        let mut at = 0;
        for (index, bar) in all.iter().enumerate() {
            let follows = index > 0 && (bar.start - all[index - 1].end).abs() < bar.step / 2.0;
            if index > 0 && (!follows || at == BARS) {
                stretch = stretches.choose(&mut generator);
                at = 0;
            }
            let steps = stretch.map_or(&[][..], |stretch| &stretch[at * BAR..(at + 1) * BAR]);
            for (step, &bits) in (0u8..).zip(steps) {
                let start = bar.start + f64::from(step) * bar.step;
                drums.extend(hits(bits, start, bar.step));
            }
            at += 1;
        }
        let as_part = |notes: Vec<SequenceNote>, instrument: u32, program: u8| {
            notes.into_iter().map(move |note| SequenceNote {
                instrument,
                program,
                is_drum: instrument == 2,
                ..note
            })
        };
        let notes: Vec<SequenceNote> = as_part(melody, 0, MELODY_PROGRAM)
            .chain(as_part(bass, 1, BASS_PROGRAM))
            .chain(as_part(drums, 2, 0))
            .collect();
        let total_time = notes.iter().map(|note| note.end).fold(0.0, f64::max);
        Ok(NoteSequence { notes, total_time, chords: Vec::new(), ..piece.clone() })
    }
}

/// The notes of class bits.
fn hits(bits: u64, start: f64, length: f64) -> impl Iterator<Item = SequenceNote> {
    /// The pitch that stands for each class.
    const PITCHES: [u8; 9] = [36, 38, 42, 46, 45, 48, 50, 49, 51];
    let heard = PITCHES.into_iter().enumerate().filter(move |(class, _)| bits >> class & 1 == 1);
    heard.map(move |(_, pitch)| note(pitch, start, start + length))
}

fn note(pitch: u8, start: f64, end: f64) -> SequenceNote {
    SequenceNote {
        start,
        end,
        instrument: 0,
        pitch,
        velocity: VELOCITY,
        program: 0,
        is_drum: false,
    }
}

/// A bar of 4/4 in seconds.
#[derive(Clone, Copy, Debug)]
struct Bar {
    start: f64,
    end: f64,
    /// Length of a 16th note.
    step: f64,
}

/// The bars of 16 steps up to the end of the piece.
fn bars(piece: &NoteSequence, qpm: f64) -> impl Iterator<Item = Bar> {
    let step = MINUTE / qpm / 4.0;
    let length = step * 16.0;
    let mut changes: Vec<(f64, bool)> = piece
        .time_signatures
        .iter()
        .map(|meter| (meter.time, meter.numerator == meter.denominator))
        .collect();
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));
    if changes.first().is_none_or(|first| first.0 > 0.0) {
        changes.insert(0, (0.0, true));
    }
    changes.push((piece.total_time, false));
    let passages: Vec<(f64, f64)> =
        changes.windows(2).filter(|pair| pair[0].1).map(|pair| (pair[0].0, pair[1].0)).collect();
    let of_passage = move |(start, end): (f64, f64)| {
        let bar = (0u32..).map(move |bar| start + f64::from(bar) * length);
        bar.take_while(move |&bar| bar < end - step / 2.0).map(move |start| Bar {
            start,
            end: start + length,
            step,
        })
    };
    passages.into_iter().flat_map(of_passage).take(MOST_BARS)
}

/// The highest and the lowest part of a score.
fn outer_parts(piece: &NoteSequence) -> Result<(Vec<SequenceNote>, Vec<SequenceNote>), String> {
    let mut piece = piece.clone();
    monophony::keep_melodies(&mut piece);
    let mut parts: BTreeMap<u32, Vec<SequenceNote>> = BTreeMap::new();
    for note in &piece.notes {
        parts.entry(note.instrument).or_default().push(*note);
    }
    let mut parts: Vec<(f64, Vec<SequenceNote>)> =
        parts.into_values().map(|notes| (mean_pitch(&notes), notes)).collect();
    parts.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (Some((high, melody)), Some((low, bass))) = (parts.pop(), parts.into_iter().next()) else {
        return Err("it has no two parts that play one note at a time".to_owned());
    };
    if low > BASS_BELOW || high - low < APART {
        return Err("none of its parts is low enough for a bass".to_owned());
    }
    Ok((melody, bass))
}

fn mean_pitch(notes: &[SequenceNote]) -> f64 {
    let sum: f64 = notes.iter().map(|note| f64::from(note.pitch)).sum();
    sum / f64::from(u32::try_from(notes.len().max(1)).unwrap_or(u32::MAX))
}

/// Ways to play a chord on the bass.
const STYLES: u8 = 4;

/// A bar of bass below the chords of a piece: steps at which a note begins, and which note of the
/// chord it is (0 root, 1 third, 2 fifth), by style.
fn bass_of(piece: &NoteSequence, bar: Bar, style: u8) -> Vec<SequenceNote> {
    let pattern: &[(u8, usize)] = match style {
        0 => &[(0, 0), (8, 2)],
        1 => &[(0, 0), (6, 0), (8, 2), (14, 2)],
        2 => &[(0, 0), (4, 1), (8, 2), (12, 1)],
        _ => &[(0, 0), (2, 0), (4, 0), (6, 0), (8, 0), (10, 0), (12, 2), (14, 2)],
    };
    let mut notes: Vec<SequenceNote> = Vec::new();
    for (index, &(step, which)) in pattern.iter().enumerate() {
        let start = bar.start + f64::from(step) * bar.step;
        let until = pattern.get(index + 1).map_or(16, |next| next.0);
        let end = bar.start + f64::from(until) * bar.step;
        let earlier = |time: f64| {
            let before = piece.chords.iter().filter(|change| change.time <= time + bar.step / 2.0);
            before.max_by(|a, b| a.time.total_cmp(&b.time)).map_or(0, |change| change.chord)
        };
        let chord = earlier(start);
        let Some(class) = chord.checked_sub(1) else { continue };
        // Where the chord is new, its root is played.
        let which = if index > 0 && earlier(start - bar.step) != chord { 0 } else { which };
        // Third and fifth of major, minor, augmented and diminished chords.
        let steps = [[0, 4, 7], [0, 3, 7], [0, 4, 8], [0, 3, 6]][usize::from(class / 12 % 4)];
        let root = LOWEST + (class % 12 + 12 - LOWEST % 12) % 12;
        notes.push(note(root + steps[which], start, end));
    }
    notes
}

#[cfg(test)]
mod tests {
    use interlude_models::midi::{ChordChange, TimeSignature};
    use interlude_models::tokens::Window;

    use super::*;

    fn drums() -> Drums {
        let mut performance = NoteSequence::default();
        for beat in 0..64u32 {
            let start = f64::from(beat) * 0.5;
            let pitch = if beat % 2 == 0 { 36 } else { 38 };
            let hit = SequenceNote { is_drum: true, ..note(pitch, start, start + 0.1) };
            performance.notes.push(hit);
        }
        performance.total_time = 32.0;
        let mut drums = Drums::default();
        drums.add(Split::Train, &performance);
        assert_eq!(drums.count(Split::Train), 1);
        drums
    }

    fn trios(piece: &NoteSequence) -> Vec<Window> {
        let arranged = drums().arrange(piece, "a.mid", Split::Train, 1).expect("a trio");
        let trio = config::by_name("hierdec-trio_16bar").expect("known");
        tokens::extract(&trio, &arranged, Limit::All).expect("windows")
    }

    fn song() -> NoteSequence {
        let notes: Vec<_> = (0..64u32)
            .map(|beat| note(72, 0.5 * f64::from(beat), 0.5 * f64::from(beat + 1)))
            .collect();
        let chords =
            vec![ChordChange { time: 0.0, chord: 1 }, ChordChange { time: 2.0, chord: 13 + 9 }];
        NoteSequence { notes, chords, total_time: 32.0, ..NoteSequence::default() }
    }

    // A lead sheet of 16 bars becomes one window: its melody, the roots of its chords at the
    // beginning of bars, and the drums on its beats.
    #[test]
    fn lead_sheets_become_trios() {
        let windows = trios(&song());
        let [Window { tokens: Tokens::Trio(steps), .. }] = &windows[..] else { panic!("a trio") };
        let pitch = |pitch: u16| pitch - 19;
        assert_eq!(steps[0], [pitch(72), pitch(36), 1]);
        assert_eq!(steps[4][2], 2);
        assert_eq!(steps[16][1], pitch(33), "A minor in the second bar");
    }

    // Scores give their highest and lowest parts; two high parts give nothing.
    #[test]
    fn scores_give_their_outer_parts() {
        let mut score = song();
        score.chords.clear();
        let low = |low: u8| {
            let mut score = score.clone();
            let part =
                score.notes.iter().map(|note| SequenceNote { pitch: low, instrument: 1, ..*note });
            let part: Vec<_> = part.collect();
            score.notes.extend(part);
            score
        };
        let windows = trios(&low(40));
        let Tokens::Trio(steps) = &windows[0].tokens else { panic!("a trio") };
        assert_eq!(steps[0], [72 - 19, 40 - 19, 1]);
        let error = drums().arrange(&low(70), "a", Split::Train, 1).expect_err("high");
        assert!(error.contains("bass"), "{error}");
    }

    // A piece gets drums of its own split only, the same each time, and none outside 4/4.
    #[test]
    fn drums_follow_split_and_meter() {
        assert!(drums().arrange(&song(), "a", Split::Test, 1).is_err());
        let once = drums().arrange(&song(), "a", Split::Train, 1);
        assert_eq!(once, drums().arrange(&song(), "a", Split::Train, 1));
        let mut waltz = song();
        waltz.time_signatures = vec![TimeSignature { time: 0.0, numerator: 3, denominator: 4 }];
        let error = drums().arrange(&waltz, "a", Split::Train, 1).expect_err("a waltz");
        assert!(error.contains("4/4"), "{error}");
    }
}
