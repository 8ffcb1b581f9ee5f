//! Capture: records armed slots from the notes of the host, on its bar grid.
//!
//! While a slot is armed and the transport rolls, recording starts at the next bar start and takes
//! the bars of one cycle. Notes get positions in beats from that bar start; what is still held when
//! the window ends is cut there. The recording is handed over half a step before: no note that comes
//! later is on a step of the window, and the encoder is done when its music is to play. A seek, a stop
//! or disarming throws the recording away. A take ends it: the slot records again when it is armed
//! anew. A window without a note is no take.

use interlude_models::clip::{Clip, Note};

use crate::{
    keyboard::KeyEvent,
    memory::room_for,
    slots::SLOTS,
    transport::{Grid, Motion, PATTERN_BAR_BEATS, Segment},
};

/// Most notes in a recording; later ones are left out.
pub(crate) const MOST_NOTES: usize = 1024;

/// A key pressed this many beats before the recording starts and still held then is its first note:
/// half a step, so it would be quantised onto the bar line. For the same reason it is none of the
/// window that ends there.
const EARLY: f64 = 0.125;

/// A finished recording on its way to the worker, which returns the memory for reuse.
#[derive(Debug)]
pub struct Take {
    slot: usize,
    notes: Vec<Note>,
    length: f64,
    ends: f64,
}

impl Take {
    /// A take with capacity for [`MOST_NOTES`] notes.
    pub fn new() -> Self {
        let any = Note { start: 0.0, end: 0.0, pitch: 0, velocity: 0, channel: 0, program: 0 };
        Self { slot: 0, notes: room_for(MOST_NOTES, any), length: 0.0, ends: 0.0 }
    }

    /// A take of a clip.
    #[cfg(test)]
    pub(crate) fn of(slot: usize, clip: &Clip) -> Self {
        Self { slot, notes: clip.notes.clone(), length: clip.length, ends: 0.0 }
    }

    /// The slot it is for.
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// Song position in beats at which its window ends.
    pub fn ends(&self) -> f64 {
        self.ends
    }

    /// The recording as a clip.
    pub fn clip(&self) -> Clip {
        Clip::new(self.notes.clone(), self.length)
    }
}

impl Default for Take {
    fn default() -> Self {
        Self::new()
    }
}

/// State of a slot's recorder.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Phase {
    /// Not armed.
    #[default]
    Idle,
    /// Armed, before a bar start.
    Waiting,
    /// Recording; the share of the window that is done, in `0..=1`.
    Recording(f32),
}

/// A pressed key.
#[derive(Clone, Copy, Debug)]
struct Pressed {
    channel: u8,
    pitch: u8,
    velocity: u8,
    /// Song position of the note-on, in beats.
    since: f64,
    /// Index of its note in each slot's take.
    notes: [Option<usize>; SLOTS],
}

/// Most keys followed at once.
const MOST_PRESSED: usize = 256;

#[derive(Debug, Default)]
struct Recorder {
    take: Option<Box<Take>>,
    /// Song position of the window's first bar start, in beats.
    start: Option<f64>,
    /// Whether a take has come of this arming.
    done: bool,
}

/// Records the slots.
#[derive(Debug)]
pub struct Capture {
    recorders: [Recorder; SLOTS],
    pressed: Vec<Pressed>,
    grid: Option<Grid>,
}

impl Default for Capture {
    fn default() -> Self {
        let any = Pressed { channel: 0, pitch: 0, velocity: 0, since: 0.0, notes: [None; SLOTS] };
        Self { recorders: Default::default(), pressed: room_for(MOST_PRESSED, any), grid: None }
    }
}

impl Capture {
    /// Provides an empty take to record into. Returns it when none is missing.
    pub fn supply(&mut self, mut take: Box<Take>) -> Option<Box<Take>> {
        let Some((slot, recorder)) =
            self.recorders.iter_mut().enumerate().find(|(_, recorder)| recorder.take.is_none())
        else {
            return Some(take);
        };
        take.slot = slot;
        take.notes.clear();
        recorder.take = Some(take);
        None
    }

    /// Whether a take is missing.
    pub fn wants_take(&self) -> bool {
        self.recorders.iter().any(|recorder| recorder.take.is_none())
    }

    /// Discards the current recordings, as on a stop.
    pub fn stop(&mut self) {
        for recorder in &mut self.recorders {
            recorder.start = None;
        }
        for pressed in &mut self.pressed {
            pressed.notes = [None; SLOTS];
            // A key held over a stop or a seek is not an early note of what comes after.
            pressed.since = f64::NEG_INFINITY;
        }
    }

    /// What a slot's recorder does at song position `beats`.
    pub fn phase(&self, slot: usize, armed: bool, beats: f64) -> Phase {
        match (self.recorders[slot].start, self.grid) {
            _ if !armed || self.recorders[slot].done => Phase::Idle,
            (Some(start), Some(grid)) => {
                let share = ((beats - start) / grid.cycle_beats()).clamp(0.0, 1.0);
                #[expect(clippy::cast_possible_truncation, reason = "a share for the eye")]
                Phase::Recording(share as f32)
            }
            _ => Phase::Waiting,
        }
    }

    /// The notes of the recording under way; one that still sounds has no end.
    pub fn notes(&self, slot: usize) -> &[Note] {
        match &self.recorders[slot] {
            Recorder { start: Some(_), take: Some(take), .. } => &take.notes,
            _ => &[],
        }
    }

    /// Whether a slot has had its take since the last call and is to be disarmed.
    pub fn take_done(&mut self, slot: usize) -> bool {
        std::mem::take(&mut self.recorders[slot].done)
    }

    /// Takes the notes of a stretch of a block. `keys` are all of the block, in order; `finish` is
    /// handed each recording that is complete.
    pub fn segment(
        &mut self,
        segment: &Segment,
        grid: Grid,
        armed: [bool; SLOTS],
        keys: &[KeyEvent],
        mut finish: impl FnMut(Box<Take>),
    ) {
        if segment.motion != Motion::Continue || self.grid != Some(grid) {
            self.stop();
            self.grid = Some(grid);
        }
        for (slot, armed) in armed.into_iter().enumerate() {
            if !armed {
                self.abandon(slot);
                self.recorders[slot].done = false;
            }
        }
        let mut at = segment.first;
        let mut keys = keys.iter().filter(|key| (segment.first..segment.end).contains(&key.offset));
        let mut key = keys.next();
        loop {
            // What comes first: a key, or the next start or end of a window?
            let edge = (0..SLOTS)
                .filter_map(|slot| self.edge(slot, armed[slot], segment, grid, at))
                .min_by_key(|edge| edge.offset);
            match (edge, key) {
                (Some(edge), key) if key.is_none_or(|key| edge.offset <= key.offset) => {
                    at = edge.offset;
                    if edge.ends {
                        self.finish(edge.slot, grid, &mut finish);
                    } else {
                        self.start(edge.slot, edge.beats, grid);
                    }
                }
                (_, Some(event)) => {
                    self.key(event, segment.position(event.offset), grid);
                    key = keys.next();
                }
                (_, None) => return,
            }
        }
    }

    /// The next start or end of a slot's window at or after `at`.
    fn edge(
        &self,
        slot: usize,
        armed: bool,
        segment: &Segment,
        grid: Grid,
        at: u32,
    ) -> Option<Edge> {
        let recorder = &self.recorders[slot];
        recorder.take.as_ref()?;
        let (beats, ends) = match recorder.start {
            Some(start) => (start + grid.cycle_beats() - EARLY, true),
            None if armed && !recorder.done => (grid.bar_from(segment, at), false),
            None => return None,
        };
        let offset = segment.offset(beats).max(i64::from(at));
        // A window may end with the segment, which a wrap may follow; a start on the sample after it
        // is the next segment's.
        let last = i64::from(segment.end) - i64::from(!ends);
        let offset = u32::try_from(offset).ok().filter(|&offset| i64::from(offset) <= last)?;
        Some(Edge { slot, offset, beats, ends })
    }

    fn start(&mut self, slot: usize, beats: f64, grid: Grid) {
        let recorder = &mut self.recorders[slot];
        let Some(take) = &mut recorder.take else { return };
        take.notes.clear();
        take.length = PATTERN_BAR_BEATS * f64::from(grid.bars);
        recorder.start = Some(beats);
        for pressed in &mut self.pressed {
            pressed.notes[slot] = (beats - pressed.since <= EARLY)
                .then(|| open_note(take, 0.0, pressed.channel, pressed.pitch, pressed.velocity))
                .flatten();
        }
    }

    fn finish(&mut self, slot: usize, grid: Grid, finish: &mut impl FnMut(Box<Take>)) {
        let recorder = &mut self.recorders[slot];
        let start = recorder.start.take();
        for pressed in &mut self.pressed {
            pressed.notes[slot] = None;
        }
        let length = PATTERN_BAR_BEATS * f64::from(grid.bars);
        let Some(take) = &mut recorder.take else { return };
        // Notes still open have an infinite end.
        for note in &mut take.notes {
            note.end = note.end.min(length);
        }
        take.notes.retain(|note| note.start < note.end);
        if take.notes.is_empty() {
            return;
        }
        take.slot = slot;
        recorder.done = true;
        take.ends = start.unwrap_or_default() + grid.cycle_beats();
        if let Some(take) = recorder.take.take() {
            finish(take);
        }
    }

    fn abandon(&mut self, slot: usize) {
        self.recorders[slot].start = None;
        for pressed in &mut self.pressed {
            pressed.notes[slot] = None;
        }
    }

    fn key(&mut self, event: &KeyEvent, beats: f64, grid: Grid) {
        let same = |key: &Pressed| key.channel == event.channel && key.pitch == event.pitch;
        if let Some(index) = self.pressed.iter().position(same) {
            let pressed = self.pressed.swap_remove(index);
            for (recorder, note) in self.recorders.iter_mut().zip(pressed.notes) {
                if let (Some(start), Some(take), Some(note)) =
                    (recorder.start, &mut recorder.take, note)
                    && let Some(note) = take.notes.get_mut(note)
                {
                    note.end = grid.pattern_beat((beats - start).max(0.0));
                }
            }
        }
        let Some(velocity) = event.velocity else { return };
        if self.pressed.len() == MOST_PRESSED {
            return;
        }
        let mut notes = [None; SLOTS];
        for (recorder, note) in self.recorders.iter_mut().zip(&mut notes) {
            if let (Some(start), Some(take)) = (recorder.start, &mut recorder.take) {
                let within = (beats - start).max(0.0);
                *note = open_note(
                    take,
                    grid.pattern_beat(within),
                    event.channel,
                    event.pitch,
                    velocity,
                );
            }
        }
        let (channel, pitch) = (event.channel, event.pitch);
        self.pressed.push(Pressed { channel, pitch, velocity, since: beats, notes });
    }
}

/// A start or an end of a slot's window.
struct Edge {
    slot: usize,
    offset: u32,
    beats: f64,
    ends: bool,
}

fn open_note(take: &mut Take, start: f64, channel: u8, pitch: u8, velocity: u8) -> Option<usize> {
    if take.notes.len() == MOST_NOTES {
        return None;
    }
    take.notes.push(Note { start, end: f64::INFINITY, pitch, velocity, channel, program: 0 });
    Some(take.notes.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Block, HostTransport, Timeline};

    const GRID: Grid = Grid { bar_beats: 4.0, bars: 2 };

    struct Desk {
        capture: Capture,
        timeline: Timeline,
        clips: Vec<(usize, Clip)>,
        ends: Vec<f64>,
        cycle_range: Option<(f64, f64)>,
    }

    impl Desk {
        fn new() -> Self {
            let mut capture = Capture::default();
            for _ in 0..SLOTS {
                capture.supply(Box::default());
            }
            Self {
                capture,
                timeline: Timeline::default(),
                clips: Vec::new(),
                ends: Vec::new(),
                cycle_range: None,
            }
        }

        /// Rolls from `beats` over whole blocks of 250 samples at 120 BPM; the slots `armed` are armed, `keys` have song beats.
        fn roll(&mut self, mut beats: f64, until: f64, armed: &[usize], keys: &[(f64, u8, bool)]) {
            let armed = std::array::from_fn(|slot| armed.contains(&slot));
            while beats < until - 1e-9 {
                let host = HostTransport {
                    playing: true,
                    beats: Some(beats),
                    tempo: Some(120.0),
                    signature: Some((4, 4)),
                    cycle_range: self.cycle_range,
                    ..HostTransport::default()
                };
                let block = Block::new(&host, 48_000.0, 250);
                let events: Vec<KeyEvent> = keys
                    .iter()
                    .filter(|key| key.0 >= beats - 1e-9 && key.0 < beats + 250.0 / 24_000.0 - 1e-9)
                    .map(|&(at, pitch, on)| {
                        #[expect(
                            clippy::cast_possible_truncation,
                            clippy::cast_sign_loss,
                            reason = "inside the block"
                        )]
                        let offset = ((at - beats) * 24_000.0).round() as u32;
                        KeyEvent { offset, channel: 0, pitch, velocity: on.then_some(100) }
                    })
                    .collect();
                let (capture, clips) = (&mut self.capture, &mut self.clips);
                let mut finished = Vec::new();
                self.timeline.follow(&block, |segment| {
                    capture.segment(segment, GRID, armed, &events, |take| finished.push(take));
                });
                for take in finished {
                    clips.push((take.slot(), take.clip()));
                    self.ends.push(take.ends());
                    capture.supply(take);
                }
                beats += 250.0 / 24_000.0;
            }
        }
    }

    fn near(clip: &Clip, expected: &[(f64, f64, u8)]) {
        assert_eq!(clip.notes.len(), expected.len(), "{clip:?}");
        for (note, &(start, end, pitch)) in clip.notes.iter().zip(expected) {
            assert_eq!(note.pitch, pitch);
            assert!((note.start - start).abs() < 1e-4, "{note:?}");
            assert!((note.end - end).abs() < 1e-4, "{note:?}");
        }
    }

    /// Recording waits for the bar start, takes two bars, and cuts what is held at their end.
    #[test]
    fn records_two_bars_from_a_bar_start() {
        let mut desk = Desk::new();
        let keys = [
            (1.0, 50, true),
            (1.5, 50, false),
            (4.0, 60, true),
            (5.0, 60, false),
            (5.0, 62, true),
            (5.25, 62, false),
            (11.0, 64, true),
            (13.0, 64, false),
        ];
        desk.roll(0.5, 12.5, &[0], &keys);
        assert_eq!(desk.clips.len(), 1);
        assert_eq!(desk.clips[0].0, 0);
        assert_eq!(desk.clips[0].1.length, 8.0);
        near(&desk.clips[0].1, &[(0.0, 1.0, 60), (1.0, 1.25, 62), (7.0, 8.0, 64)]);
    }

    /// A recording is handed over half a step before its end; a key that comes after that is an early
    /// first note of what follows.
    #[test]
    fn takes_come_before_their_end() {
        let mut desk = Desk::new();
        let keys = [(0.0, 60, true), (0.5, 60, false), (7.5, 62, true), (7.9, 64, true)];
        desk.roll(0.0, 7.85, &[0], &keys);
        assert!(desk.clips.is_empty());
        desk.roll(7.854_166_666_666_667, 7.9, &[0], &keys);
        assert_eq!(desk.clips.len(), 1);
        near(&desk.clips[0].1, &[(0.0, 0.5, 60), (7.5, 8.0, 62)]);
        assert!((desk.ends[0] - 8.0).abs() < 1e-4);
    }

    /// An empty window is no take, the first with notes is, and what comes after it is not recorded
    /// until the slot has been disarmed and armed again.
    #[test]
    fn a_take_ends_the_arming() {
        let mut desk = Desk::new();
        let keys = [(8.0, 60, true), (9.0, 60, false), (16.0, 62, true), (17.0, 62, false)];
        desk.roll(0.0, 24.5, &[1], &keys);
        assert_eq!(desk.clips.len(), 1);
        assert_eq!(desk.clips[0].0, 1);
        near(&desk.clips[0].1, &[(0.0, 1.0, 60)]);
        assert_eq!(desk.capture.phase(1, true, 24.5), Phase::Idle);
        assert!(desk.capture.take_done(1) && desk.capture.notes(1).is_empty());

        desk.roll(24.5, 25.0, &[], &[]);
        desk.roll(25.0, 36.5, &[1], &[(29.0, 64, true), (30.0, 64, false)]);
        assert_eq!(desk.clips.len(), 2);
        near(&desk.clips[1].1, &[(1.0, 2.0, 64)]);
    }

    /// What has been played so far can be seen while it is recorded.
    #[test]
    fn the_recording_can_be_seen() {
        let mut desk = Desk::new();
        let keys = [(4.5, 60, true), (5.0, 60, false), (5.5, 62, true)];
        desk.roll(3.0, 4.0, &[0], &[]);
        assert!(desk.capture.notes(0).is_empty());
        desk.roll(4.0, 6.0, &[0], &keys);
        let notes: Vec<_> =
            desk.capture.notes(0).iter().map(|note| (note.pitch, note.end)).collect();
        assert_eq!(notes.len(), 2);
        assert!((notes[0].1 - 1.0).abs() < 1e-4 && notes[0].0 == 60, "{notes:?}");
        assert_eq!(notes[1], (62, f64::INFINITY));
        assert!(desk.capture.notes(1).is_empty());
        desk.capture.stop();
        assert!(desk.capture.notes(0).is_empty());
    }

    /// A key pressed just before the bar line belongs to the window, one pressed long before not.
    #[test]
    fn early_notes_count() {
        let mut desk = Desk::new();
        let keys = [(2.0, 50, true), (3.9375, 60, true), (4.5, 60, false), (5.0, 50, false)];
        desk.roll(1.0, 12.5, &[0], &keys);
        near(&desk.clips[0].1, &[(0.0, 0.5, 60)]);
    }

    /// A seek or disarming throws the recording away.
    #[test]
    fn interruptions_abandon() {
        let mut desk = Desk::new();
        desk.roll(0.0, 4.0, &[0, 1], &[(1.0, 60, true), (2.0, 60, false)]);
        desk.roll(20.5, 23.0, &[0, 1], &[]);
        desk.roll(23.0, 23.5, &[], &[]);
        desk.roll(23.5, 31.0, &[0, 1], &[]);
        assert!(desk.clips.is_empty());
        assert_eq!(desk.capture.phase(0, false, 31.0), Phase::Idle);
        let Phase::Recording(share) = desk.capture.phase(0, true, 28.0) else {
            panic!("records since beat 24");
        };
        assert!((share - 0.5).abs() < 1e-6);
    }

    /// Both slots record the same window when both are armed, also over a loop of just that length;
    /// armed again they record its next pass.
    #[test]
    fn loops_of_one_window_record_a_pass() {
        let mut desk = Desk::new();
        desk.cycle_range = Some((0.0, 8.0));
        let keys = [(0.0, 60, true), (0.5, 60, false), (7.5, 62, true)];
        desk.roll(0.0, 8.0, &[0, 1], &keys);
        desk.roll(0.0, 7.5, &[0, 1], &[(0.0, 62, false), (3.0, 64, true), (4.0, 64, false)]);
        assert_eq!(desk.clips.len(), 2);
        desk.roll(7.5, 8.0, &[], &[]);
        desk.roll(0.0, 8.0, &[0, 1], &[(3.0, 64, true), (4.0, 64, false)]);
        let slots: Vec<_> = desk.clips.iter().map(|(slot, _)| *slot).collect();
        assert_eq!(slots, [0, 1, 0, 1]);
        near(&desk.clips[0].1, &[(0.0, 0.5, 60), (7.5, 8.0, 62)]);
        near(&desk.clips[3].1, &[(3.0, 4.0, 64)]);
    }
}
