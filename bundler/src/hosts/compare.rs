//! Compares what a host played with what Interlude plays in the headless host.

use std::ops::Range;

use anyhow::Result;

use super::{
    jack::SAMPLE_RATE,
    music::{Beat, Note, Recording},
};

/// Tolerance of a note's position, in samples: host and plug-in each round to a whole one.
const TOLERANCE: f64 = 1.0;
/// Number of faults that are listed individually.
const MOST_TOLD: usize = 4;
/// Tolerance between two computations of a beat.
const SLACK: f64 = 1e-4;

/// A tempo that holds from a beat on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tempo {
    /// Quarter notes from the song's start.
    pub(super) from: f64,
    /// Quarter notes in a minute.
    pub(super) bpm: f64,
}

/// The tempos of a song, the first from beat 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tempos(pub(super) Vec<Tempo>);

impl Tempos {
    /// One tempo for the whole song.
    pub(super) fn steady(bpm: f64) -> Self {
        Self(vec![Tempo { from: 0.0, bpm }])
    }

    /// Frames from the song's start to a beat.
    pub(super) fn frames(&self, beats: f64) -> f64 {
        let mut frames = 0.0;
        for (index, tempo) in self.0.iter().enumerate() {
            let next = self.0.get(index + 1).map_or(f64::INFINITY, |next| next.from);
            let share = beats.min(next) - tempo.from;
            if share > 0.0 || index == 0 {
                frames += share * 60.0 / tempo.bpm * f64::from(SAMPLE_RATE);
            }
        }
        frames
    }
}

/// A stretch of song that is played without a jump.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Roll {
    /// Beat on which it begins.
    pub(super) from: f64,
    /// Beat before which it ends, when that is known to the sample.
    pub(super) to: Option<f64>,
}

impl Roll {
    /// A stretch that ends when somebody stops or moves on.
    pub(super) fn from(beat: f64) -> Self {
        Self { from: beat, to: None }
    }

    /// A pass of a loop.
    pub(super) fn pass(range: Range<f64>) -> Self {
        Self { from: range.start, to: Some(range.end) }
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Findings {
    /// Notes that are as they should be.
    pub(super) right: usize,
    /// Largest distance of a note's beginning from its place, in samples.
    pub(super) worst: f64,
    /// What is wrong, in words.
    pub(super) wrong: Vec<String>,
    /// Whether the host's own track of beats is not what it was told to play, so that nothing can be
    /// measured against it.
    pub(super) stumbled: bool,
}

impl Findings {
    /// Adds what another comparison found.
    pub(super) fn add(&mut self, other: Self) {
        self.right += other.right;
        self.worst = self.worst.max(other.worst);
        self.wrong.extend(other.wrong);
        self.stumbled |= other.stumbled;
    }

    /// A summary in one line.
    pub(super) fn sentence(&self) -> String {
        let Self { right, worst, wrong, .. } = self;
        if wrong.is_empty() {
            return format!("{right} notes, at most {worst:.2} samples beside their place");
        }
        let told: Vec<_> = wrong.iter().take(MOST_TOLD).cloned().collect();
        let rest = wrong.len() - told.len();
        let rest = if rest > 0 { format!("; and {rest} more") } else { String::new() };
        format!("{}{rest} ({right} notes right)", told.join("; "))
    }
}

/// How often a case is played while the host itself stumbles, as it does when the machine has no time
/// for it.
const TRIES: usize = 3;

/// Plays a case, once more where the host itself stumbled.
pub(super) fn steadily(mut play: impl FnMut() -> Result<Findings>) -> Result<Findings> {
    for _ in 1..TRIES {
        let findings = play()?;
        if !findings.stumbled {
            return Ok(findings);
        }
        println!("hosts: played once more: {}", findings.sentence());
    }
    play()
}

/// Compares a recording, in which the host played these stretches one after the other, with the
/// notes of the whole song in beats.
pub(super) fn compare(
    recording: &Recording,
    rolls: &[Roll],
    song: &[Note<f64>],
    tempos: &Tempos,
) -> Findings {
    let mut findings = Findings::default();
    let stretches = stretches(&recording.beats, tempos);
    if stretches.len() != rolls.len() {
        let seen: Vec<_> = stretches
            .iter()
            .map(|beats| format!("{}–{}", beats[0].number, beats[beats.len() - 1].number))
            .collect();
        findings.wrong.push(format!(
            "the host was to play {} stretches and played {}: beats {}",
            rolls.len(),
            stretches.len(),
            seen.join(", ")
        ));
        findings.stumbled = true;
        return findings;
    }
    let begins: Vec<f64> =
        rolls.iter().zip(&stretches).map(|(roll, beats)| frame(roll.from, beats, tempos)).collect();
    let mut notes = recording.notes.iter().peekable();
    for (index, (roll, beats)) in rolls.iter().zip(&stretches).enumerate() {
        let next = begins.get(index + 1).map_or(f64::INFINITY, |begin| begin - TOLERANCE - 0.5);
        let mut heard = Vec::new();
        while let Some(note) = notes.next_if(|note| float(note.start) < next) {
            heard.push(*note);
        }
        findings.add(stretch(&heard, roll, beats, song, tempos));
    }
    findings
}

/// The beats without the jumps between them. A beat that the host itself delivers late is no jump.
fn stretches<'a>(beats: &'a [Beat], tempos: &Tempos) -> Vec<&'a [Beat]> {
    beats
        .chunk_by(|one, two| {
            let length =
                tempos.frames(f64::from(two.number)) - tempos.frames(f64::from(one.number));
            i32::from(two.number) == i32::from(one.number) + 1
                && (float(two.frame - one.frame) - length).abs() < 0.25 * length
        })
        .collect()
}

/// Where a beat of the song lies in the recording, as most beats of its stretch have it.
fn frame(beat: f64, beats: &[Beat], tempos: &Tempos) -> f64 {
    let mut origins: Vec<f64> =
        beats.iter().map(|at| float(at.frame) - tempos.frames(f64::from(at.number))).collect();
    origins.sort_by(f64::total_cmp);
    origins[(origins.len() - 1) / 2] + tempos.frames(beat)
}

fn stretch(
    heard: &[Note<i64>],
    roll: &Roll,
    beats: &[Beat],
    song: &[Note<f64>],
    tempos: &Tempos,
) -> Findings {
    let mut findings = Findings::default();
    let last = f64::from(beats[beats.len() - 1].number);
    // What begins after the last beat may or may not have been played.
    let sure = roll.to.unwrap_or(last);
    let possible = roll.to.unwrap_or(last + 1.0);
    let mut left: Vec<Note<i64>> = heard.to_vec();
    let due = song
        .iter()
        .filter(|note| note.start >= roll.from - SLACK && note.start < possible - SLACK)
        .map(|note| (note, frame(note.start, beats, tempos)));
    for (note, place) in due {
        let distance = |heard: &Note<i64>| float(heard.start) - place;
        let found = left
            .iter()
            .enumerate()
            .filter(|(_, heard)| {
                (heard.key, heard.velocity, heard.channel)
                    == (note.key, note.velocity, note.channel)
            })
            .map(|(index, heard)| (index, distance(heard)))
            .filter(|(_, distance)| distance.abs() < tempos.frames(0.5))
            .min_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
        let Some((index, distance)) = found else {
            if note.start < sure - SLACK {
                findings.wrong.push(format!("key {} at beat {} is missing", note.key, note.start));
            }
            continue;
        };
        let heard = left.remove(index);
        findings.worst = findings.worst.max(distance.abs());
        if distance.abs() > TOLERANCE + SLACK {
            findings.wrong.push(format!(
                "key {} at beat {} is {distance:+.1} samples off",
                note.key, note.start
            ));
        } else if let Some(fault) = end(note, &heard, roll, sure, beats, tempos) {
            findings.wrong.push(fault);
        } else {
            findings.right += 1;
        }
    }
    let origin = frame(0.0, beats, tempos);
    for note in left {
        let beat = (float(note.start) - origin) / tempos.frames(1.0);
        findings.wrong.push(format!("key {} at beat {beat:.3} should not be", note.key));
    }
    findings
}

/// What is wrong with the end of a note that began where it should.
fn end(
    note: &Note<f64>,
    heard: &Note<i64>,
    roll: &Roll,
    sure: f64,
    beats: &[Beat],
    tempos: &Tempos,
) -> Option<String> {
    let Some(ended) = heard.end else {
        return Some(format!("key {} at beat {} never ends", note.key, note.start));
    };
    let due = note.end.unwrap_or(f64::INFINITY).min(roll.to.unwrap_or(f64::INFINITY));
    let distance = float(ended) - frame(due, beats, tempos);
    let wrong = if due < sure + SLACK { distance.abs() } else { distance };
    (wrong > TOLERANCE + SLACK)
        .then(|| format!("key {} at beat {} ends {distance:+.1} samples off", note.key, note.start))
}

#[expect(clippy::cast_precision_loss, reason = "a recording has less than 2^53 frames")]
fn float(frames: i64) -> f64 {
    frames as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note<T>(start: T, end: T, key: u8) -> Note<T> {
        Note { start, end: Some(end), key, velocity: 80, channel: 0 }
    }

    fn beats(frame: i64, numbers: Range<u8>) -> Vec<Beat> {
        let first = numbers.start;
        let at = |number| frame + i64::from(number - first) * 24_000;
        numbers.map(|number| Beat { frame: at(number), number }).collect()
    }

    /// Two bars of quarter notes from beat 8 on.
    fn song() -> Vec<Note<f64>> {
        (8_u8..16).map(|beat| note(f64::from(beat), f64::from(beat) + 1.0, 50 + beat)).collect()
    }

    fn played(frame: i64, range: Range<u8>) -> Recording {
        let first = range.start;
        let at = |beat: u8| frame + i64::from(beat - first) * 24_000;
        let notes = range.clone().map(|beat| note(at(beat), at(beat) + 24_000, 50 + beat));
        Recording { notes: notes.collect(), beats: beats(frame, range) }
    }

    fn check(recording: &Recording, rolls: &[Roll]) -> Findings {
        compare(recording, rolls, &song(), &Tempos::steady(120.0))
    }

    #[test]
    fn a_performance_without_faults_is_right() {
        // Contract: notes within a sample of their place are right, and the distance is told.
        let mut recording = played(1000, 8..14);
        recording.notes[2].start += 1;
        let findings = check(&recording, &[Roll::from(8.0)]);
        assert_eq!((findings.right, findings.worst), (6, 1.0), "{:?}", findings.wrong);
        assert_eq!(findings.wrong, Vec::<String>::new());
    }

    #[test]
    fn each_kind_of_fault_is_told() {
        // Contract: a missing note, one that is late, one too many, one that ends elsewhere and one
        // that never ends are told, each alone.
        type Fault = (&'static str, fn(&mut Recording));
        let faults: [Fault; 5] = [
            ("key 58 at beat 8 is missing", |recording| {
                recording.notes.remove(0);
            }),
            ("key 60 at beat 10 is +2.0 samples off", |recording| recording.notes[2].start += 2),
            ("key 20 at beat 8.500 should not be", |recording| {
                recording.notes.insert(1, note(13_000, 14_000, 20));
            }),
            ("key 59 at beat 9 ends -12000.0 samples off", |recording| {
                recording.notes[1].end = Some(37_000);
            }),
            ("key 63 at beat 13 never ends", |recording| recording.notes[5].end = None),
        ];
        for (words, fault) in faults {
            let mut recording = played(1000, 8..14);
            fault(&mut recording);
            assert_eq!(check(&recording, &[Roll::from(8.0)]).wrong, [words]);
        }
    }

    #[test]
    fn loops_and_seeks_are_stretches() {
        // Contract: a pass of a loop has all its notes and cuts them at its end; a stop may cut
        // what sounds, and what would begin after the last beat may be missing.
        let mut recording = played(1000, 8..11);
        let second = played(1000 + 3 * 24_000, 8..10);
        recording.notes.extend(second.notes);
        recording.beats.extend(second.beats);
        recording.notes[4].end = Some(1000 + 4 * 24_000 + 500);
        let rolls = [Roll::pass(8.0..11.0), Roll::from(8.0)];
        let findings = check(&recording, &rolls);
        assert_eq!((findings.right, findings.wrong.len()), (5, 0), "{:?}", findings.wrong);
        recording.notes[2].end = Some(1000 + 3 * 24_000 + 5);
        assert_eq!(check(&recording, &rolls).wrong, ["key 60 at beat 10 ends +5.0 samples off"]);
        assert_eq!(check(&recording, &rolls[..1]).right, 0);
    }

    #[test]
    fn a_late_beat_of_the_host_moves_nothing() {
        // Contract: where the host delivers one of its own beats late, notes are measured against the
        // others.
        let mut recording = played(1000, 8..14);
        recording.beats[2].frame += 90;
        assert_eq!(check(&recording, &[Roll::from(8.0)]).sentence(), {
            "6 notes, at most 0.00 samples beside their place"
        });
    }

    #[test]
    fn tempos_change_on_their_beat() {
        // Contract: frames are counted with the tempo of each beat.
        let tempos = Tempos(vec![Tempo { from: 0.0, bpm: 120.0 }, Tempo { from: 4.0, bpm: 90.0 }]);
        assert_eq!(tempos.frames(4.0), 96_000.0);
        assert_eq!(tempos.frames(5.0), 128_000.0);
        assert_eq!(tempos.frames(-1.0), -24_000.0);
    }
}
