//! Chord inference: the most likely path through keys and chords of music without chord symbols.
//!
//! A hidden Markov model as in note-seq's `chord_inference.py`: its states are pairs of a major key
//! and a chord, one for each half bar of 4/4 (each bar of 2/2). A frame's pitch classes, weighted
//! by how long they sound, are likely under a chord as far as they point in its direction; chords
//! are likely in a key as far as their pitches belong to it.

use std::sync::LazyLock;

use crate::families::quantise::Stretch;

/// Semitones above the root, and the kind that the models know a chord by (0 major, 1 minor,
/// 2 augmented, 3 diminished).
const KINDS: [(&[usize], u8); 8] = [
    (&[0, 4, 7], 0),
    (&[0, 3, 7], 1),
    (&[0, 4, 8], 2),
    (&[0, 3, 6], 3),
    (&[0, 4, 7, 10], 0),
    (&[0, 4, 7, 11], 0),
    (&[0, 3, 7, 10], 1),
    (&[0, 3, 6, 10], 3),
];
/// Pitch classes of C major.
const KEY: [usize; 7] = [0, 2, 4, 5, 7, 9, 11];
/// Keys.
const KEYS: usize = 12;
/// Chords: none, and each kind on each root.
const CHORDS: usize = 1 + 12 * KINDS.len();
/// Longest sequence whose chords are found, in frames.
const MAX_FRAMES: usize = 1000;

const KEY_CHANGE: f64 = 0.001;
const CHORD_CHANGE: f64 = 0.5;
const OUT_OF_KEY: f64 = 0.01;
const CONCENTRATION: f64 = 100.0;

type Pitches = [f64; 12];

/// Steps of a frame, by time signature.
fn steps_per_frame(part: &Stretch) -> Option<u32> {
    match (part.numerator, part.denominator) {
        (4, 4) => Some(8),
        (2, 2) => Some(16),
        _ => None,
    }
}

fn seconds_per_frame(part: &Stretch) -> Option<f64> {
    Some(f64::from(steps_per_frame(part)?) / part.steps_per_second())
}

/// Number of frames of a part, at most 1,000. `None` where the original finds no chords: a time
/// signature without a rule, or more frames.
pub(in crate::families) fn frames(part: &Stretch) -> Option<usize> {
    let frames = (part.total_time / seconds_per_frame(part)?).ceil();
    if !(1.0..=1000.0).contains(&frames) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 1000"
    )]
    let frames = (frames as usize).min(MAX_FRAMES);
    Some(frames)
}

/// A chord class for each frame of a part, with the steps of a frame. `None` as for [`frames`].
pub(in crate::families) fn infer(part: &Stretch) -> Option<(u64, Vec<u8>)> {
    let (frames, seconds_per_frame) = (frames(part)?, seconds_per_frame(part)?);
    let observed = frame_pitches(part, seconds_per_frame, frames);
    let path = viterbi(&observed);
    Some((u64::from(steps_per_frame(part)?), path.into_iter().map(chord_class).collect()))
}

/// Pitch classes of a chord by its index; none for no chord.
fn chord_pitches(chord: usize) -> impl Iterator<Item = usize> {
    let chord = chord.checked_sub(1);
    let offsets = chord.map_or(&[] as &[usize], |index| KINDS[index % KINDS.len()].0);
    let root = chord.map_or(0, |index| index / KINDS.len());
    offsets.iter().map(move |offset| (root + offset) % 12)
}

/// The models' class of a chord by its index.
fn chord_class(chord: usize) -> u8 {
    let Some(index) = chord.checked_sub(1) else { return 0 };
    let root = u8::try_from(index / KINDS.len()).expect("a root is below 12");
    1 + 12 * KINDS[index % KINDS.len()].1 + root
}

/// Whether a program is unpitched: effects and percussion.
fn is_unpitched(program: u8) -> bool {
    (96..104).contains(&program) || program >= 112
}

/// Seconds that each pitch class sounds in each frame, as vectors of length 1 (or 0).
fn frame_pitches(part: &Stretch, seconds_per_frame: f64, frames: usize) -> Vec<Pitches> {
    let boundary = |index: usize| {
        #[expect(clippy::cast_precision_loss, reason = "at most 1000")]
        let boundary = seconds_per_frame * (index + 1) as f64;
        boundary
    };
    let boundaries: Vec<f64> = (0..frames - 1).map(boundary).collect();
    let mut sums = vec![[0.0; 12]; frames];
    for note in &part.notes {
        if note.is_drum || is_unpitched(note.program) {
            continue;
        }
        let first = boundaries.partition_point(|boundary| *boundary <= note.start);
        let last = boundaries.partition_point(|boundary| *boundary < note.end);
        let class = usize::from(note.pitch % 12);
        if first >= last {
            sums[first][class] += note.end - note.start;
            continue;
        }
        sums[first][class] += boundaries[first] - note.start;
        for frame in first + 1..last {
            sums[frame][class] += boundaries[frame] - boundaries[frame - 1];
        }
        sums[last][class] += note.end - boundaries[last - 1];
    }
    for sum in &mut sums {
        let norm = sum.iter().map(|value| value * value).sum::<f64>().sqrt();
        if norm > 0.0 {
            sum.iter_mut().for_each(|value| *value /= norm);
        }
    }
    sums
}

/// Log-likelihood of each chord given a frame's pitches, up to a constant.
fn chord_likelihoods(observed: &Pitches) -> [f64; CHORDS] {
    std::array::from_fn(|chord| {
        let (mut sum, mut pitches) = (0.0, 0u8);
        for pitch in chord_pitches(chord) {
            sum += observed[pitch];
            pitches += 1;
        }
        if pitches == 0 { 0.0 } else { CONCENTRATION * sum / f64::from(pitches).sqrt() }
    })
}

/// Probability of each chord in each key.
fn chords_in_keys() -> [[f64; CHORDS]; KEYS] {
    std::array::from_fn(|key| {
        let mut row: [f64; CHORDS] = std::array::from_fn(|chord| {
            let probability = |pitch: usize| {
                let in_key = KEY.contains(&((pitch + 12 - key) % 12));
                if in_key { 1.0 - OUT_OF_KEY } else { OUT_OF_KEY }
            };
            chord_pitches(chord).map(probability).product()
        });
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|value| *value /= sum);
        row
    })
}

/// Log-probabilities of changes.
struct Changes {
    in_key: [[f64; CHORDS]; KEYS],
    /// To a chord of another key.
    key_change: [[f64; CHORDS]; KEYS],
    same_chord: f64,
    /// From chord to chord within a key: `chord_change[key * CHORDS + to][from]`.
    chord_change: Vec<[f64; CHORDS]>,
}

impl Changes {
    fn new() -> Self {
        let in_key = chords_in_keys();
        let others = f64::from(u8::try_from(CHORDS - 1).expect("96 chords"));
        let mut chord_change = Vec::with_capacity(KEYS * CHORDS);
        for row in &in_key {
            for to in row {
                let change = |from: f64| (1.0 - KEY_CHANGE) * (CHORD_CHANGE * (to + from / others));
                chord_change.push(row.map(|from| change(from).ln()));
            }
        }
        Self {
            key_change: in_key.map(|row| row.map(|chord| (KEY_CHANGE / 11.0 * chord).ln())),
            in_key,
            same_chord: ((1.0 - KEY_CHANGE) * (1.0 - CHORD_CHANGE)).ln(),
            chord_change,
        }
    }
}

/// The chords of the most likely path, one for each frame.
fn viterbi(observed: &[Pitches]) -> Vec<usize> {
    // A hundred thousand logarithms, as much work as a bar.
    static CHANGES: LazyLock<Changes> = LazyLock::new(Changes::new);
    let Changes { in_key, key_change, same_chord, chord_change } = &*CHANGES;

    let mut scores: Vec<[f64; CHORDS]> =
        in_key.iter().map(|row| row.map(|chord| -f64::from(12u8).ln() + chord.ln())).collect();
    add_frame(&mut scores, &observed[0]);
    let mut parents: Vec<Vec<u16>> = Vec::with_capacity(observed.len());
    for frame in &observed[1..] {
        let best_of_key: Vec<f64> =
            scores.iter().map(|row| row.iter().copied().fold(f64::MIN, f64::max)).collect();
        let mut next = scores.clone();
        let mut parent = vec![0; KEYS * CHORDS];
        for key in 0..KEYS {
            for chord in 0..CHORDS {
                // The first of equal predecessors counts; keys are gone through in their order.
                let mut best = (f64::MIN, 0);
                for from_key in 0..KEYS {
                    if from_key == key {
                        for from in 0..CHORDS {
                            let change = if from == chord {
                                *same_chord
                            } else {
                                chord_change[key * CHORDS + chord][from]
                            };
                            let score = scores[key][from] + change;
                            if score > best.0 {
                                best = (score, key * CHORDS + from);
                            }
                        }
                    } else if best_of_key[from_key] + key_change[key][chord] > best.0 {
                        let score = best_of_key[from_key] + key_change[key][chord];
                        let from = scores[from_key]
                            .iter()
                            .position(|from| from + key_change[key][chord] == score)
                            .unwrap_or(0);
                        best = (score, from_key * CHORDS + from);
                    }
                }
                next[key][chord] = best.0;
                parent[key * CHORDS + chord] =
                    u16::try_from(best.1).expect("1164 states fit 16 bits");
            }
        }
        add_frame(&mut next, frame);
        scores = next;
        parents.push(parent);
    }

    let mut state = 0;
    for (index, score) in scores.as_flattened().iter().enumerate() {
        if *score > scores.as_flattened()[state] {
            state = index;
        }
    }
    let mut path = vec![state % CHORDS];
    for parent in parents.iter().rev() {
        state = usize::from(parent[state]);
        path.push(state % CHORDS);
    }
    path.reverse();
    path
}

fn add_frame(scores: &mut [[f64; CHORDS]], observed: &Pitches) {
    let likelihoods = chord_likelihoods(observed);
    for row in scores {
        for (score, likelihood) in row.iter_mut().zip(likelihoods) {
            *score += likelihood;
        }
    }
}
