//! The plug-in without a host: driven block by block, with MIDI messages in and out.

use std::sync::Arc;

use nice_plug::midi::MidiResult;
use nice_plug::prelude::*;

use super::clock::{Clock, Controls};
use crate::Interlude;
use crate::memory::room_for;
use crate::plugin::Turn;

/// Longest block that the plug-in is given at once, in samples; longer ones are cut.
const LONGEST_BLOCK: u32 = 4096;
/// Most messages in or out of a block.
const MOST_MESSAGES: usize = 4096;

/// The plug-in, its transport and the notes that sound.
///
/// [`Engine::receive`] and [`Engine::run`] neither allocate nor block, as far as what they call
/// does not.
pub(super) struct Engine {
    plugin: Interlude,
    controls: Arc<Controls>,
    clock: Clock,
    sample_rate: f32,
    /// Messages for the next block.
    input: Vec<NoteEvent<()>>,
    output: Vec<NoteEvent<()>>,
    /// A bit for each key that sounds, by channel.
    sounding: [u128; 16],
}

impl Engine {
    /// A new instance of the plug-in; it runs once it is [started](Self::start).
    pub(super) fn new(controls: Arc<Controls>) -> Self {
        let any = NoteEvent::MidiChannelPressure { timing: 0, channel: 0, pressure: 0.0 };
        Self {
            plugin: Interlude::default(),
            controls,
            clock: Clock::default(),
            sample_rate: 48_000.0,
            input: room_for(MOST_MESSAGES, any),
            output: room_for(MOST_MESSAGES, any),
            sounding: [0; 16],
        }
    }

    /// The plug-in.
    pub(super) fn plugin(&self) -> &Interlude {
        &self.plugin
    }

    /// Prepares for blocks at `sample_rate` hertz. Not for the thread that runs the blocks.
    pub(super) fn start(&mut self, sample_rate: f32) {
        self.sample_rate = sample_rate;
        let layout = Interlude::AUDIO_IO_LAYOUTS.first().copied().unwrap_or_default();
        let config = BufferConfig {
            sample_rate,
            min_buffer_size: None,
            max_buffer_size: LONGEST_BLOCK,
            process_mode: ProcessMode::Realtime,
        };
        self.plugin.activate(&layout, &config, &mut Activation);
        self.plugin.reset();
    }

    /// Takes a MIDI message that belongs to sample `offset` of the next block. What is no MIDI
    /// message of a channel is ignored, and so is what exceeds the room.
    pub(super) fn receive(&mut self, offset: u32, message: &[u8]) {
        if self.input.len() < self.input.capacity()
            && let Ok(event) = NoteEvent::from_midi(offset, message)
        {
            self.input.push(event);
        }
    }

    /// Runs a block of `frames` samples and hands out its messages in order of their offsets.
    pub(super) fn run(&mut self, frames: u32, mut send: impl FnMut(u32, [u8; 3])) {
        if self.controls.must_end_notes() {
            self.end_notes(&mut send);
        }
        let mut first = 0;
        while first < frames {
            let length = LONGEST_BLOCK.min(frames - first);
            self.run_piece(first, length, &mut send);
            first += length;
        }
        self.input.clear();
    }

    fn run_piece(&mut self, first: u32, length: u32, send: &mut impl FnMut(u32, [u8; 3])) {
        let host = self.clock.next(&self.controls, f64::from(self.sample_rate), length);
        let mut transport = Transport::new(self.sample_rate);
        transport.playing = host.playing;
        transport.tempo = host.tempo;
        transport.pos_beats = host.beats;
        (transport.time_sig_numerator, transport.time_sig_denominator) = host.signature.unzip();
        let mut buffer = Buffer::default();
        // SAFETY: without channels there are no slices that could outlive their samples.
        unsafe { buffer.set_slices(length as usize, |_| {}) };
        let mut auxiliary = AuxiliaryBuffers { inputs: &mut [], outputs: &mut [] };
        self.output.clear();
        let mut processing = Processing {
            transport,
            input: &self.input,
            read: 0,
            first,
            end: first + length,
            output: &mut self.output,
        };
        self.plugin.process(&mut buffer, &mut auxiliary, &mut processing);
        for event in &self.output {
            if let Some(MidiResult::Basic(message)) = event.as_midi() {
                follow(&mut self.sounding, message);
                send(first + event.timing().min(length - 1), message);
            }
        }
    }

    /// Ends every note that was begun.
    fn end_notes(&mut self, send: &mut impl FnMut(u32, [u8; 3])) {
        for (channel, keys) in (0_u8..).zip(&mut self.sounding) {
            while *keys != 0 {
                let key = keys.trailing_zeros();
                *keys &= *keys - 1;
                send(0, [NOTE_OFF | channel, u8::try_from(key).unwrap_or(0), 0]);
            }
        }
    }
}

const NOTE_OFF: u8 = 0x80;
const NOTE_ON: u8 = 0x90;

/// Notes which keys sound.
fn follow(sounding: &mut [u128; 16], [status, key, velocity]: [u8; 3]) {
    let keys = &mut sounding[usize::from(status & 0x0f)];
    let key = 1_u128 << (key & 0x7f);
    match status & 0xf0 {
        NOTE_ON if velocity > 0 => *keys |= key,
        NOTE_ON | NOTE_OFF => *keys &= !key,
        _ => {}
    }
}

/// What the plug-in may ask for while it is activated.
struct Activation;

impl ActivateContext<Interlude> for Activation {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Standalone
    }

    fn execute(&self, _turn: Turn) {}

    fn set_latency_samples(&self, _samples: u32) {}

    fn set_current_voice_capacity(&self, _capacity: u32) {}
}

/// What the plug-in sees of one block.
struct Processing<'a> {
    transport: Transport,
    /// The messages of the whole block, of which this piece begins at `first` and ends at `end`.
    input: &'a [NoteEvent<()>],
    read: usize,
    first: u32,
    end: u32,
    output: &'a mut Vec<NoteEvent<()>>,
}

impl ProcessContext<Interlude> for Processing<'_> {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Standalone
    }

    // Turns are for telling a host, and there is none.
    fn execute_background(&self, _turn: Turn) {}

    fn execute_gui(&self, _turn: Turn) {}

    fn transport(&self) -> &Transport {
        &self.transport
    }

    fn next_event(&mut self) -> Option<NoteEvent<()>> {
        loop {
            let mut event = *self.input.get(self.read)?;
            self.read += 1;
            if (self.first..self.end).contains(&event.timing()) {
                event.subtract_timing(self.first);
                return Some(event);
            }
        }
    }

    fn try_send_event(
        &mut self,
        event: NoteEvent<()>,
    ) -> Result<(), (NoteEvent<()>, nice_plug::context::process::SendEventError)> {
        if self.output.len() == self.output.capacity() {
            return Err((event, nice_plug::context::process::SendEventError::HostBufferFull));
        }
        self.output.push(event);
        Ok(())
    }

    fn set_latency_samples(&self, _samples: u32) {}

    fn request_restart(&self) {}

    fn set_current_voice_capacity(&self, _capacity: u32) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> (Engine, Arc<Controls>) {
        let controls = Arc::new(Controls::default());
        let mut engine = Engine::new(Arc::clone(&controls));
        engine.start(48_000.0);
        (engine, controls)
    }

    fn run(engine: &mut Engine, frames: u32) -> Vec<(u32, [u8; 3])> {
        let mut sent = Vec::new();
        engine.run(frames, |offset, message| sent.push((offset, message)));
        sent
    }

    /// What is played passes through at its own sample, in blocks longer than the plug-in takes too.
    #[test]
    fn notes_pass_through_in_time() {
        let (mut engine, _) = engine();
        engine.receive(10, &[0x90, 60, 100]);
        engine.receive(9_000, &[0x80, 60, 0]);
        let sent = run(&mut engine, 10_000);
        assert_eq!(sent, [(10, [0x90, 60, 100]), (9_000, [0x80, 60, 0])]);
        assert_eq!(run(&mut engine, 64), [], "each message counts once");
    }

    /// Silence ends each key that sounds, once, and nothing else.
    #[test]
    fn silence_ends_what_sounds() {
        let (mut engine, controls) = engine();
        for (offset, message) in [
            (0, [0x90, 60, 100]),
            (1, [0x93, 0, 1]),
            (2, [0x9f, 127, 127]),
            (3, [0x90, 64, 9]),
            (4, [0x80, 64, 0]),
        ] {
            engine.receive(offset, &message);
        }
        assert_eq!(run(&mut engine, 64).len(), 5);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| controls.silence());
            let mut sent = Vec::new();
            while !waiting.is_finished() {
                sent.append(&mut run(&mut engine, 64));
            }
            let ends: Vec<[u8; 3]> = sent.into_iter().map(|(_, message)| message).collect();
            assert_eq!(ends, [[0x80, 60, 0], [0x83, 0, 0], [0x8f, 127, 0]]);
        });
    }

    /// Bytes that are no message of a channel, and more messages than there is room for, do no harm.
    #[test]
    fn nonsense_is_ignored() {
        let (mut engine, _) = engine();
        for message in [&[][..], &[0x90], &[0xf0, 1, 2, 0xf7], &[0xf8], &[0xff; 3]] {
            engine.receive(0, message);
        }
        assert_eq!(run(&mut engine, 64), []);
        for index in 0..2 * MOST_MESSAGES {
            let status = if index % 2 == 0 { 0x90 } else { 0x80 };
            engine.receive(0, &[status, 60, 1]);
        }
        let sent = run(&mut engine, 64);
        let ons = sent.iter().filter(|(_, message)| message[0] == 0x90).count();
        let offs = sent.iter().filter(|(_, message)| message[0] == 0x80).count();
        assert!(ons > 0 && offs >= ons, "{ons} begun, {offs} ended");
    }
}
