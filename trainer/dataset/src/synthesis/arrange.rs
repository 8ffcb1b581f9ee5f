//! Arranged trios: melody, bass and drums by rule, from music that lacks some of them.
//!
//! Scores of several parts give their highest part as melody and their lowest as bass. Lead sheets
//! give their melody, and a bass that is made from the chords. Drums are made as drum tracks of songs
//! are: a bar or two of a performance over and over, another of its bars before each new section,
//! all moved onto the 16th notes of the piece's own bars.

use std::collections::BTreeMap;

use interlude_models::config;
use interlude_models::families::percussion::{self, CLASSES, DrumMap};
use interlude_models::midi::{NoteSequence, SequenceNote};
use interlude_models::tokens::{self, Limit, Tokens};
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Split, monophony};

/// Steps of a bar.
const BAR: usize = 16;
/// Bars of a groove that is repeated, at most.
const GROOVE_BARS: usize = 2;
/// Bars from one change of groove to the next.
const SECTION_BARS: [usize; 2] = [8, 16];
/// Bars from one fill to the next.
const FILL_BARS: [usize; 3] = [4, 8, 16];
/// Seconds in a minute.
const MINUTE: f64 = 60.0;
/// Lowest pitch of a bass that is made: E1.
const LOWEST: u8 = 28;
/// Highest mean pitch of a part that serves as bass.
const BASS_BELOW: f64 = 60.0;
/// Minimum distance of the mean pitches of melody and bass, in semitones.
const APART: f64 = 7.0;
/// Programs of melody and bass.
const MELODY_PROGRAM: u8 = 0;
const BASS_PROGRAM: u8 = 33;
/// Velocity of arranged notes.
const VELOCITY: u8 = 80;
/// Most bars that are given drums.
const MOST_BARS: usize = 1024;

/// Two bars of drums: class bits of each step.
type Groove = Vec<u64>;

/// Drum performances by split: the different pairs of neighbouring bars of each.
#[derive(Clone, Debug, Default)]
pub struct Drums {
    performances: BTreeMap<Split, Vec<Vec<Groove>>>,
}

impl Drums {
    /// Adds a performance, of which there may be several recordings.
    ///
    /// # Panics
    /// Never: the configuration whose windows are grooves is one of the table.
    pub fn add(&mut self, split: Split, recordings: &[NoteSequence]) {
        let mut config = config::by_name("cat-drums_2bar_small").expect("it is in the table");
        config.hparams.max_seq_len = BAR * GROOVE_BARS;
        let windows = recordings
            .iter()
            .flat_map(|music| tokens::extract(&config, music, Limit::All).unwrap_or_default());
        let steps = windows.filter_map(|window| match window.tokens {
            Tokens::Drums(steps) => Some(steps),
            _ => None,
        });
        let grooves: Vec<Groove> = steps.collect();
        if !grooves.is_empty() {
            self.performances.entry(split).or_default().push(grooves);
        }
    }

    /// Number of performances of a split.
    pub fn count(&self, split: Split) -> usize {
        self.performances.get(&split).map_or(0, Vec::len)
    }

    /// The piece as a trio with drums of its own split; equal keys, which decide about splits, and
    /// seeds give equal trios.
    ///
    /// # Errors
    /// A reason why it cannot be one.
    pub fn arrange(
        &self,
        piece: &NoteSequence,
        key: &str,
        split: Split,
        seed: u64,
    ) -> Result<NoteSequence, String> {
        let key = crc32c::crc32c(key.as_bytes());
        let mut generator = ChaCha8Rng::seed_from_u64(seed ^ u64::from(key) << 32);
        let performances = self
            .performances
            .get(&split)
            .ok_or_else(|| format!("no drum performance of two bars is for {}", split.name()))?;
        let qpm = piece.tempos.first().map_or(120.0, |tempo| tempo.qpm);
        if piece.tempos.iter().any(|tempo| tempo.qpm != qpm) {
            return Err("its tempo changes".to_owned());
        }
        let understood = piece.chords.iter().any(|change| change.chord.is_some());
        let (melody, bass) = if !understood {
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
        // Drums begin anew with each passage in 4/4.
        let mut drummer = None;
        for (index, bar) in all.iter().enumerate() {
            let follows = index > 0 && (bar.start - all[index - 1].end).abs() < bar.step / 2.0;
            if !follows {
                drummer = performances.choose(&mut generator).map(|of| Drummer::new(of));
            }
            let steps = drummer.as_mut().map_or(&[][..], |drummer| drummer.bar(&mut generator));
            for (step, &bits) in (0u8..).zip(steps) {
                let start = bar.start + f64::from(step) * bar.step;
                drums.extend(hits(bits, start, bar.step));
            }
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

/// Plays the grooves of a performance bar by bar.
#[derive(Debug)]
struct Drummer<'a> {
    grooves: &'a [Groove],
    groove: &'a [u64],
    /// Bars that were played.
    played: usize,
    section: usize,
    fill: usize,
}

impl<'a> Drummer<'a> {
    fn new(grooves: &'a [Groove]) -> Self {
        Self { grooves, groove: &[], played: 0, section: SECTION_BARS[0], fill: FILL_BARS[0] }
    }

    /// The steps of the next bar; none when there is no groove.
    fn bar(&mut self, generator: &mut impl Rng) -> &'a [u64] {
        let one_of = |generator: &mut _| self.grooves.choose(generator).map_or(&[][..], |all| all);
        if self.played.is_multiple_of(self.section) {
            self.played = 0;
            self.section = *SECTION_BARS.choose(generator).unwrap_or(&SECTION_BARS[0]);
            self.fill = *FILL_BARS.choose(generator).unwrap_or(&FILL_BARS[0]);
            self.groove = one_of(generator);
            if generator.random() {
                self.groove = self.groove.get(..BAR).unwrap_or_default();
            }
        }
        self.played += 1;
        if self.played.is_multiple_of(self.fill) {
            return one_of(generator).get(..BAR).unwrap_or_default();
        }
        let bars = (self.groove.len() / BAR).max(1);
        let from = (self.played - 1) % bars * BAR;
        self.groove.get(from..from + BAR).unwrap_or_default()
    }
}

/// The notes of class bits.
fn hits(bits: u64, start: f64, length: f64) -> impl Iterator<Item = SequenceNote> {
    let heard = (0..CLASSES).filter(move |class| bits >> class & 1 == 1);
    let pitch = |class| percussion::class_pitch(DrumMap::Reduced, class);
    heard.map(move |class| note(pitch(class), start, start + length))
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
            before.max_by(|a, b| a.time.total_cmp(&b.time)).and_then(|change| change.chord)
        };
        let chord = earlier(start);
        let Some(class) = chord.and_then(|chord| chord.checked_sub(1)) else { continue };
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
        drums.add(Split::Train, &[performance]);
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
            [(0.0, 1), (2.0, 13 + 9)].map(|(time, chord)| ChordChange { time, chord: Some(chord) });
        NoteSequence { notes, chords: chords.to_vec(), total_time: 32.0, ..NoteSequence::default() }
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

    // Drums repeat a bar or two of one performance; at most one bar in four is another one of it.
    #[test]
    fn drums_repeat_a_groove() {
        let mut drums = Drums::default();
        for performance in 0..2u8 {
            let mut music = NoteSequence::default();
            for bar in 0..12u8 {
                // Each bar has a hit of its own.
                for step in [0, 1 + bar] {
                    let start = 2.0 * f64::from(bar) + 0.125 * f64::from(step);
                    let hit = note([36, 38][usize::from(performance)], start, start + 0.1);
                    music.notes.push(SequenceNote { is_drum: true, ..hit });
                }
            }
            music.total_time = 24.0;
            drums.add(Split::Train, &[music]);
        }
        for seed in 0..20 {
            let arranged = drums.arrange(&song(), "a.mid", Split::Train, seed).expect("a trio");
            let trio = config::by_name("hierdec-trio_16bar").expect("known");
            let windows = tokens::extract(&trio, &arranged, Limit::All).expect("windows");
            let Tokens::Trio(steps) = &windows[0].tokens else { panic!("a trio") };
            let bars: Vec<Vec<u16>> =
                steps.chunks(BAR).map(|bar| bar.iter().map(|step| step[2]).collect()).collect();
            for section in bars.chunks(8) {
                let same = (0..6).filter(|&bar| section[bar] == section[bar + 2]).count();
                assert!(same >= 2, "{bars:?}");
            }
            let sounds: u16 = bars.iter().flatten().fold(0, |all, bits| all | bits);
            assert!(sounds == 1 || sounds == 2, "one performance: {bars:?}");
            assert!(bars.iter().all(|bar| bar.iter().filter(|&&bits| bits > 0).count() == 2));
        }
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
