//! An instance under a transport that rolls, loops, seeks and stops as in a DAW.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use clack_host::{
    events::{
        EventFlags, EventHeader,
        event_types::{TransportEvent, TransportFlags},
    },
    prelude::EventBuffer,
    utils::{BeatTime, SecondsTime},
};

use super::{EventKind, HostError, Input, Instance, OutputEvent, Settings};

/// Tempo, time signature, loop, and whether the song rolls.
#[derive(Clone, Debug, PartialEq)]
pub struct Transport {
    /// Whether the song position advances.
    pub playing: bool,
    /// Beats (quarter notes) in a minute, `> 0`.
    pub tempo: f64,
    /// Numerator of the time signature.
    pub numerator: u16,
    /// Denominator of the time signature.
    pub denominator: u16,
    /// Range in beats that repeats while the song position is within it.
    pub looping: Option<Range<f64>>,
}

impl Default for Transport {
    fn default() -> Self {
        Self { playing: false, tempo: 120.0, numerator: 4, denominator: 4, looping: None }
    }
}

/// Behaviours that differ between hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct Manners {
    /// Whether a block ends where the loop ends, as most hosts do it. Otherwise the block runs over
    /// the end and the next one starts as far into the loop.
    pub split_at_loop: bool,
    /// Frames that are played before the start position, as a host with latency compensation does.
    pub lead: u32,
    /// Parts of a beat to which positions are rounded; `None` for all that fixed-point beats hold.
    pub ticks: Option<u16>,
    /// Whether a plug-in is called while the transport stands. Otherwise events wait.
    pub processes_standing: bool,
    /// Lengths of blocks in frames, used in turn and as far as activated; whole blocks when empty.
    pub blocks: Vec<u32>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            split_at_loop: true,
            lead: 0,
            ticks: None,
            processes_standing: true,
            blocks: Vec::new(),
        }
    }
}

impl Manners {
    /// What Ardour 7 does with a VST3 plug-in.
    pub fn ardour() -> Self {
        Self { lead: 512, ticks: Some(1920), ..Self::default() }
    }
}

/// An active instance with a transport, a frame clock and a queue of input.
pub struct Session {
    instance: Instance,
    transport: Transport,
    manners: Manners,
    /// Frame at which the lead of a start ends.
    lead_end: u64,
    /// Blocks processed, which choose the next one's length.
    blocks: usize,
    /// Song position of `anchor_frame`. Positions are counted from here, so that rounding does not
    /// add up over blocks.
    anchor_beats: f64,
    anchor_frame: u64,
    frame: u64,
    queue: BTreeMap<u64, Vec<Input>>,
    input: EventBuffer,
    events: Vec<OutputEvent>,
    times: Vec<Duration>,
    /// What was put out since somebody listens.
    audio: Option<[Vec<f32>; 2]>,
}

impl Session {
    /// Activates an instance, with the transport stopped at beat 0.
    ///
    /// # Errors
    /// [`HostError::Refused`].
    pub fn new(mut instance: Instance, settings: Settings) -> Result<Self, HostError> {
        instance.activate(settings)?;
        Ok(Self {
            instance,
            transport: Transport::default(),
            manners: Manners::default(),
            lead_end: 0,
            blocks: 0,
            anchor_beats: 0.0,
            anchor_frame: 0,
            frame: 0,
            queue: BTreeMap::new(),
            input: EventBuffer::with_capacity(1024),
            events: Vec::new(),
            times: Vec::new(),
            audio: None,
        })
    }

    /// The instance, for state and parameter values.
    pub fn instance(&mut self) -> &mut Instance {
        &mut self.instance
    }

    /// Gives the instance back, still active.
    pub fn into_instance(self) -> Instance {
        self.instance
    }

    /// The transport as the next block sees it.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Frames processed since the session began.
    pub fn frame(&self) -> u64 {
        self.frame
    }

    /// Frames in one beat at the present tempo.
    pub fn frames_per_beat(&self) -> f64 {
        self.instance.settings().sample_rate * 60.0 / self.transport.tempo
    }

    /// Song position of the next block, in beats (quarter notes).
    pub fn beats(&self) -> f64 {
        if !self.transport.playing {
            return self.anchor_beats;
        }
        self.anchor_beats + frames(self.frame - self.anchor_frame) / self.frames_per_beat()
    }

    /// Behaves as a certain host from here on.
    pub fn behave(&mut self, manners: Manners) {
        self.manners = manners;
    }

    /// Starts the transport where it stands, or as far before as the host's manners have it.
    pub fn play(&mut self) {
        let lead = u64::from(self.manners.lead);
        self.seek(self.beats() - frames(lead) / self.frames_per_beat());
        self.lead_end = self.frame + lead;
        self.transport.playing = true;
    }

    /// Stops the transport where it stands.
    pub fn stop(&mut self) {
        self.seek(self.beats());
        self.transport.playing = false;
    }

    /// Moves the song position; negative positions are pre-roll.
    pub fn seek(&mut self, beats: f64) {
        self.anchor_beats = beats;
        self.anchor_frame = self.frame;
    }

    /// Changes the tempo from the next block on.
    pub fn set_tempo(&mut self, tempo: f64) {
        self.seek(self.beats());
        self.transport.tempo = tempo;
    }

    /// Changes the time signature from the next block on.
    pub fn set_time_signature(&mut self, numerator: u16, denominator: u16) {
        self.transport.numerator = numerator;
        self.transport.denominator = denominator;
    }

    /// Repeats a range in beats, or stops repeating.
    pub fn set_loop(&mut self, looping: Option<Range<f64>>) {
        self.transport.looping = looping;
    }

    /// Puts an event at a frame of the session's clock; one in the past goes into the next block.
    pub fn schedule(&mut self, frame: u64, input: Input) {
        self.queue.entry(frame.max(self.frame)).or_default().push(input);
    }

    /// Puts a note at a frame, lasting `length` frames.
    pub fn schedule_note(&mut self, frame: u64, length: u64, channel: u8, key: u8, velocity: f64) {
        self.schedule(frame, Input::NoteOn { channel, key, velocity });
        self.schedule(frame + length, Input::NoteOff { channel, key });
    }

    /// Changes a parameter at the start of the next block, by its CLAP value.
    ///
    /// # Errors
    /// [`HostError::UnknownParameter`].
    pub fn set(&mut self, name: &str, value: f64) -> Result<(), HostError> {
        let id = self.instance.parameter(name)?.id;
        self.schedule(self.frame, Input::Parameter { id, value });
        Ok(())
    }

    /// Changes a parameter at the start of the next block, by the text a person would type.
    ///
    /// # Errors
    /// [`HostError::UnknownParameter`] or [`HostError::Value`].
    pub fn set_text(&mut self, name: &str, text: &str) -> Result<(), HostError> {
        let value = self.instance.value_of(name, text)?;
        self.set(name, value)
    }

    /// Processes `count` frames, in blocks of the activated length and a shorter last one.
    ///
    /// # Errors
    /// As [`Instance::process`].
    pub fn run(&mut self, count: u64) -> Result<(), HostError> {
        self.run_paced(count, |_| {})
    }

    /// Like [`Session::run`], calling `pace` with the frame of each block before it is processed.
    ///
    /// # Errors
    /// As [`Instance::process`].
    pub fn run_paced(&mut self, count: u64, mut pace: impl FnMut(u64)) -> Result<(), HostError> {
        let end = self.frame + count;
        while self.frame < end {
            let most = self.next_length().min(end - self.frame);
            let most = self.frames_to_loop_end().map_or(most, |left| most.min(left));
            let most = match self.lead_end.checked_sub(self.frame) {
                Some(left @ 1..) => most.min(left),
                _ => most,
            };
            pace(self.frame);
            self.block(u32::try_from(most).expect("a block is no longer than the u32 activated"))?;
        }
        Ok(())
    }

    /// Processes frames until the song position reaches `beats`, at the present tempo and without
    /// regard to a loop. Does nothing when the position is behind already.
    ///
    /// # Errors
    /// As [`Instance::process`].
    pub fn run_to(&mut self, beats: f64) -> Result<(), HostError> {
        self.run(self.frames_until(beats))
    }

    /// Frames until the song position reaches `beats` at the present tempo, rounded to the nearest.
    pub fn frames_until(&self, beats: f64) -> u64 {
        whole((beats - self.beats()) * self.frames_per_beat())
    }

    /// Everything the plug-in sent since the session began or [`Session::take_events`] was called.
    pub fn events(&self) -> &[OutputEvent] {
        &self.events
    }

    /// Takes the events out.
    pub fn take_events(&mut self) -> Vec<OutputEvent> {
        std::mem::take(&mut self.events)
    }

    /// Wall-clock times of the `process` calls since the session began or the times were taken.
    pub fn take_times(&mut self) -> Vec<Duration> {
        std::mem::take(&mut self.times)
    }

    /// Keeps the audio that is put out from now on.
    pub fn listen(&mut self) {
        self.audio = Some(Default::default());
    }

    /// Takes what was put out since [`Session::listen`] or the last call: two channels of one length,
    /// empty where nobody listens.
    pub fn take_audio(&mut self) -> [Vec<f32>; 2] {
        self.audio.as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn next_length(&mut self) -> u64 {
        let activated = self.instance.settings().block;
        let manners = &self.manners.blocks;
        let length = manners.get(self.blocks % manners.len().max(1)).copied();
        self.blocks += 1;
        u64::from(length.map_or(activated, |length| length.clamp(1, activated)))
    }

    fn block(&mut self, length: u32) -> Result<(), HostError> {
        let beats = self.beats();
        let end = self.frame + u64::from(length);
        if !self.transport.playing && !self.manners.processes_standing {
            self.frame = end;
            self.instance.idle();
            return Ok(());
        }
        self.input.clear();
        while let Some(entry) = self.queue.first_entry().filter(|entry| *entry.key() < end) {
            let time = u32::try_from(entry.key().saturating_sub(self.frame))
                .expect("queued frames lie within the block, whose length is a u32");
            for input in entry.remove() {
                input.push(time, &mut self.input);
            }
        }
        let transport = self.transport_event(beats);
        let block = self.instance.process(length, &self.input, &transport)?;
        self.times.push(block.elapsed);
        if let (Some(kept), Ok(frames)) = (&mut self.audio, usize::try_from(length)) {
            for (kept, heard) in kept.iter_mut().zip(self.instance.audio(frames)) {
                kept.extend_from_slice(heard);
            }
        }
        let per_frame = if self.transport.playing { 1.0 / self.frames_per_beat() } else { 0.0 };
        self.events.extend(block.events.into_iter().map(|(time, kind): (u32, EventKind)| {
            OutputEvent {
                frame: self.frame + u64::from(time),
                beats: beats + f64::from(time) * per_frame,
                kind,
            }
        }));
        self.frame = end;
        self.wrap(beats);
        Ok(())
    }

    /// Frames until the loop wraps, when the position is inside of it.
    fn frames_to_loop_end(&self) -> Option<u64> {
        let range = self.transport.looping.as_ref().filter(|_| self.transport.playing)?;
        let beats = self.beats();
        let inside = self.manners.split_at_loop && range.contains(&beats);
        inside.then(|| whole(((range.end - beats) * self.frames_per_beat() - 1e-6).ceil()).max(1))
    }

    fn wrap(&mut self, before: f64) {
        let Some(range) = self.transport.looping.clone().filter(|_| self.transport.playing) else {
            return;
        };
        let after = self.beats();
        // A thousandth of a frame short of the end counts as the end.
        let slack = 1e-3 / self.frames_per_beat();
        if range.contains(&before) && after >= range.end - slack {
            self.seek(range.start + (after - range.end).max(0.0));
        }
    }

    fn transport_event(&self, beats: f64) -> TransportEvent {
        let Transport { playing, tempo, numerator, denominator, looping } = &self.transport;
        let mut flags = TransportFlags::HAS_TEMPO
            | TransportFlags::HAS_BEATS_TIMELINE
            | TransportFlags::HAS_SECONDS_TIMELINE
            | TransportFlags::HAS_TIME_SIGNATURE;
        // Hosts that count in ticks know their seconds to the sample.
        let position = beats;
        let beats = self.manners.ticks.map_or(beats, |ticks| {
            let ticks = f64::from(ticks);
            (beats * ticks).round() / ticks
        });
        flags.set(TransportFlags::IS_PLAYING, *playing);
        flags.set(TransportFlags::IS_LOOP_ACTIVE, looping.is_some());
        let seconds = |beats: f64| SecondsTime::from_float(beats * 60.0 / tempo);
        let looping = looping.clone().unwrap_or(0.0..0.0);
        let bar_beats = f64::from(*numerator) * 4.0 / f64::from(*denominator);
        let bar = (beats / bar_beats).floor();
        #[expect(clippy::cast_possible_truncation, reason = "saturates; no song has 2^31 bars")]
        let bar_number = bar as i32;
        TransportEvent {
            header: EventHeader::new_core(0, EventFlags::empty()),
            flags,
            song_pos_beats: BeatTime::from_float(beats),
            song_pos_seconds: seconds(position),
            tempo: *tempo,
            tempo_inc: 0.0,
            loop_start_beats: BeatTime::from_float(looping.start),
            loop_end_beats: BeatTime::from_float(looping.end),
            loop_start_seconds: seconds(looping.start),
            loop_end_seconds: seconds(looping.end),
            bar_start: BeatTime::from_float(bar * bar_beats),
            bar_number,
            time_signature_numerator: *numerator,
            time_signature_denominator: *denominator,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 frames are six thousand years at 48 kHz")]
fn frames(count: u64) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates: a negative distance is no distance"
)]
fn whole(frames: f64) -> u64 {
    frames.round() as u64
}
