//! Melody, bass and drums of one piece, distinguished by program and channel.

use std::ops::Range;

use super::{BASS, MAP};
use crate::clip::{Note, STEPS_PER_BAR};
use crate::families::line;
use crate::families::percussion;
use crate::families::quantise::{GridNote, Stretch, bar_at_or_after};
use crate::families::search::Cut;
use crate::midi::SequenceNote;

/// Instruments with a larger index are ignored.
const MAX_INSTRUMENT: u32 = 127;
/// Bars beyond this are ignored.
const MAX_BARS: u64 = 1024;
/// Bars next to covered ones that count as covered too.
const GAP_BARS: usize = 2;
/// Bars of a window.
const WINDOW_BARS: usize = 16;

/// Programs of basses.
pub(super) const BASS_PROGRAMS: Range<u8> = 32..40;
/// Program of the bass: electric bass, fingered.
const BASS_PROGRAM: u8 = 33;

/// Melody token, bass token, drum classes.
type Step = [u16; 3];

#[derive(Clone, Copy, PartialEq)]
enum Role {
    Melody,
    Bass,
    Drums,
}

impl Role {
    fn of(note: &SequenceNote) -> Option<Self> {
        if note.is_drum {
            Some(Self::Drums)
        } else if line::MELODIC_PROGRAMS.contains(&note.program) {
            Some(Self::Melody)
        } else {
            BASS_PROGRAMS.contains(&note.program).then_some(Self::Bass)
        }
    }
}

/// Whether there are notes for melody, bass and drums.
pub(super) fn has_all_roles(notes: &[SequenceNote]) -> bool {
    let has = |role| notes.iter().any(|note| Role::of(note) == Some(role));
    has(Role::Melody) && has(Role::Bass) && has(Role::Drums)
}

/// An instrument that can take part.
struct Candidate {
    role: Role,
    instrument: u32,
    /// A token for each step of the part.
    steps: Vec<u16>,
    /// Whether each bar has a note, in it or not more than [`GAP_BARS`] away.
    covered: Vec<bool>,
    /// Whether any of the first [`GAP_BARS`] bars is covered.
    covers_start: bool,
    /// Whether any of the last [`GAP_BARS`] bars is covered.
    covers_end: bool,
}

/// A window, its first step, and the instruments of its melody, bass and drums.
pub(super) type Found = (Vec<Step>, u64, [u32; 3]);

/// Budget of bars, of voices and of their combinations, that may still be examined in a sequence.
pub(super) struct Work(pub(super) usize);

impl Work {
    /// Takes a share of the budget, or nothing when less is left.
    fn take(&mut self, bars: usize) -> Option<()> {
        self.0 = self.0.checked_sub(bars)?;
        Some(())
    }
}

/// Windows of a part, at most `count`: for every melody, bass and drums, each bar from which on 16
/// bars are covered by all three. The outer bars need one of the three only, so that a window cut
/// out of a piece is found again. `None` if the part has no notes, no bars of 16 steps, or if `work`
/// does not suffice.
pub(super) fn windows(part: &Stretch, count: usize, work: &mut Work) -> Option<Vec<Found>> {
    let notes = part.grid_notes()?;
    let end = notes.iter().map(|grid| grid.end_step).max()?.max(part.step(part.total_time));
    let bars = (bar_at_or_after(end) / STEPS_PER_BAR as u64).min(MAX_BARS);
    let bars = usize::try_from(bars).ok()?;
    if bars < WINDOW_BARS {
        return None;
    }
    let voices = voices(notes, bars, work)?;
    let of = |role: Role| voices.iter().filter(move |voice| voice.role == role);
    let mut windows = Vec::new();
    for melody in of(Role::Melody) {
        for bass in of(Role::Bass) {
            for drums in of(Role::Drums) {
                if work.take(bars).is_none() {
                    return Some(windows);
                }
                add_windows(&[melody, bass, drums], bars, count, &mut windows);
                if windows.len() >= count {
                    return Some(windows);
                }
            }
        }
    }
    Some(windows)
}

fn add_windows(group: &[&Candidate; 3], bars: usize, count: usize, windows: &mut Vec<Found>) {
    let start = group.iter().any(|voice| voice.covers_start);
    let end = group.iter().any(|voice| voice.covers_end);
    // Consecutive covered bars that end at the current one.
    let mut run = 0;
    for bar in 0..bars {
        // The last bars are written after the first, as short pieces have bars that are both.
        let covered = if bar + GAP_BARS >= bars {
            end
        } else if bar < GAP_BARS {
            start
        } else {
            group.iter().all(|voice| voice.covered[bar])
        };
        run = if covered { run + 1 } else { 0 };
        if run >= WINDOW_BARS {
            let steps = (bar + 1 - WINDOW_BARS) * STEPS_PER_BAR..(bar + 1) * STEPS_PER_BAR;
            let first = steps.start as u64;
            let window = steps.map(|step| group.map(|voice| voice.steps[step])).collect();
            windows.push((window, first, group.map(|voice| voice.instrument)));
            if windows.len() >= count {
                return;
            }
        }
    }
}

/// The instruments with one role and something to play, by number.
fn voices(notes: Vec<GridNote>, bars: usize, work: &mut Work) -> Option<Vec<Candidate>> {
    let mut by_number: Vec<Vec<GridNote>> = Vec::new();
    for grid in notes.into_iter().filter(|grid| grid.note.instrument <= MAX_INSTRUMENT) {
        let number = usize::try_from(grid.note.instrument).unwrap_or(0);
        if by_number.len() <= number {
            by_number.resize_with(number + 1, Vec::new);
        }
        by_number[number].push(grid);
    }
    work.take(by_number.len() * bars)?;
    Some(by_number.into_iter().filter_map(|notes| voice(notes, bars)).collect())
}

fn voice(notes: Vec<GridNote>, bars: usize) -> Option<Candidate> {
    let first = notes.first()?.note;
    let role = Role::of(&first)?;
    if notes.iter().any(|grid| Role::of(&grid.note) != Some(role)) {
        return None;
    }
    let played = covered_bars(&notes, bars);
    let steps = match role {
        Role::Drums => drum_steps(&notes, bars * STEPS_PER_BAR)?,
        Role::Melody | Role::Bass => melody_steps(notes, bars * STEPS_PER_BAR)?,
    };
    let covered: Vec<bool> = (0..bars)
        .map(|bar| {
            let near = bar.saturating_sub(GAP_BARS)..(bar + GAP_BARS + 1).min(bars);
            played[near].contains(&true)
        })
        .collect();
    Some(Candidate {
        role,
        instrument: first.instrument,
        steps,
        covers_start: covered.iter().take(GAP_BARS).any(|bar| *bar),
        covers_end: covered.iter().rev().take(GAP_BARS).any(|bar| *bar),
        covered,
    })
}

/// Whether any note sounds in each bar.
fn covered_bars(notes: &[GridNote], bars: usize) -> Vec<bool> {
    // Changes in the number of sounding notes: work for each note, not for each of its bars.
    let mut changes = vec![0i64; bars + 1];
    for grid in notes {
        let bar = |step: u64| usize::try_from(step).unwrap_or(usize::MAX).min(bars);
        changes[bar(grid.start_step / STEPS_PER_BAR as u64)] += 1;
        changes[bar(grid.end_step.div_ceil(STEPS_PER_BAR as u64))] -= 1;
    }
    let mut sounding = 0;
    changes.truncate(bars);
    changes
        .into_iter()
        .map(|change| {
            sounding += change;
            sounding > 0
        })
        .collect()
}

fn melody_steps(mut notes: Vec<GridNote>, steps: usize) -> Option<Vec<u16>> {
    notes.retain(|grid| line::has_token(grid.note.pitch));
    let length = u64::try_from(steps).unwrap_or(u64::MAX);
    let lines = line::lines(notes, Cut { gap_steps: u64::MAX, max_steps: length });
    let tokens = lines.first()?.tokens_of_part(length);
    Some(tokens.into_iter().map(u16::from).collect())
}

fn drum_steps(notes: &[GridNote], steps: usize) -> Option<Vec<u16>> {
    let mut tokens = vec![0; steps];
    let mut found = false;
    for grid in notes.iter().filter(|grid| grid.note.velocity > 0) {
        let Some(class) = percussion::class(MAP, grid.note.pitch) else { continue };
        found = true;
        let index = usize::try_from(grid.start_step).unwrap_or(usize::MAX);
        if let Some(token) = tokens.get_mut(index) {
            *token |= 1 << class;
        }
    }
    found.then_some(tokens)
}

/// The trio of a clip's notes, `steps` long; `None` if no note has a place in it.
///
/// Drums are the notes of the drum channel, the bass those of channel 1 or of a bass program, the
/// melody all others. Where a role has no note it rests.
pub(super) fn from_notes(notes: &[Note], steps: usize) -> Option<Vec<Step>> {
    let is_bass =
        |note: &Note| note.channel == BASS.channel || BASS_PROGRAMS.contains(&note.program);
    let pitched = |bass: bool| notes.iter().filter(move |note| is_bass(note) == bass);
    let melody = line::from_notes(pitched(false), steps);
    let bass = line::from_notes(pitched(true), steps);
    let drums = if notes.iter().any(Note::is_drum) {
        percussion::from_notes(notes, MAP, steps)
    } else {
        None
    };
    if melody.is_none() && bass.is_none() && drums.is_none() {
        return None;
    }
    let melody = melody.unwrap_or_else(|| vec![line::NO_EVENT; steps]);
    let bass = bass.unwrap_or_else(|| vec![line::NO_EVENT; steps]);
    let drums = drums.unwrap_or_else(|| vec![0; steps]);
    let voices = melody.into_iter().zip(bass).zip(drums);
    Some(
        voices
            .map(|((melody, bass), drums)| {
                [melody.into(), bass.into(), u16::try_from(drums).unwrap_or(0)]
            })
            .collect(),
    )
}

/// The notes of a trio: melody on channel 0, bass on channel 1, drums on their own.
pub(super) fn to_notes(steps: &[Step]) -> Vec<Note> {
    let voice = |index: usize| {
        steps.iter().map(move |step| u8::try_from(step[index]).unwrap_or(line::NO_EVENT))
    };
    let mut notes = line::to_notes(voice(0), 0, 0);
    notes.extend(line::to_notes(voice(1), BASS.channel, BASS_PROGRAM));
    notes.extend(percussion::to_notes(steps.iter().map(|step| step[2].into()), MAP));
    notes
}
