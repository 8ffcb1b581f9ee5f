//! The plug-in as hosts see it: ties parameters, capture, player and worker to nice-plug.

use std::{sync::Arc, time::Instant};

use nice_plug::{
    midi::{Channel, Key, VoiceID},
    prelude::*,
};

use crate::{
    capture::{Capture, Take},
    headway::{Headway, LONGEST_WAIT},
    host::HostLink,
    keyboard::{KeyEvent, Keyboard},
    link::{AudioEnd, Pace, link},
    memory::room_for,
    params::InterludeParams,
    player::{Conditions, Event, MOST_EVENTS, Player},
    shared::Shared,
    slots::SLOTS,
    sound::Instrument,
    state,
    surface::Surface,
    transport::{Block, Grid, HostTransport, Timeline},
    window::{self, Window},
    worker::WorkerThread,
};

/// Bars in a cycle while no model is loaded.
const DEFAULT_BARS: u32 = 2;
/// Most incoming events that are passed on in a block.
const MOST_PASSED: usize = 2048;
/// Most note events of single keys that are looked at in a block.
const MOST_KEYS: usize = 2048;

/// A turn of the host's main thread, in which it is told what has changed.
pub struct Turn;

/// The plug-in.
pub struct Interlude {
    params: Arc<InterludeParams>,
    shared: Arc<Shared>,
    worker: Arc<WorkerThread>,
    host: Arc<HostLink>,
    link: AudioEnd,
    keyboard: Keyboard,
    capture: Capture,
    player: Player,
    timeline: Timeline,
    headway: Headway,
    /// Whether the host said at its activation that it renders offline.
    offline: bool,
    sample_rate: f64,
    release: bool,
    keys: Vec<KeyEvent>,
    outgoing: Outgoing,
    /// The preview, once the worker has made it.
    sound: Option<Box<Instrument>>,
}

impl Default for Interlude {
    fn default() -> Self {
        let params = Arc::new(InterludeParams::default());
        let host = HostLink::new(Arc::clone(&params));
        let shared = Shared::new(params.song.clone());
        let (audio, end) = link(Arc::clone(&shared.signals));
        let worker = WorkerThread::new(Arc::clone(&shared), end);
        let any = KeyEvent { offset: 0, channel: 0, pitch: 0, velocity: None };
        let mut capture = Capture::default();
        for _ in 0..SLOTS {
            capture.supply(Box::new(Take::new()));
        }
        Self {
            params,
            shared,
            worker,
            host,
            link: audio,
            keyboard: Keyboard::default(),
            capture,
            player: Player::default(),
            timeline: Timeline::default(),
            headway: Headway::default(),
            offline: false,
            sample_rate: 48_000.0,
            release: false,
            keys: room_for(MOST_KEYS, any),
            outgoing: Outgoing::default(),
            sound: None,
        }
    }
}

impl Drop for Interlude {
    fn drop(&mut self) {
        self.worker.stop();
    }
}

impl Plugin for Interlude {
    const NAME: &'static str = "Interlude";
    const VENDOR: &'static str = "Interlude";
    const URL: &'static str = "https://interlude.studio";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    // The preview's; hosts such as Live refuse an instrument without an audio output.
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[AudioIOLayout {
        main_input_channels: None,
        main_output_channels: NonZeroU32::new(2),
        ..AudioIOLayout::const_default()
    }];
    // With CCs as input the VST3 would have 2080 more parameters.
    const MIDI_INPUT: MidiConfig = MidiConfig::Basic;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::Basic;
    // Split blocks get wrong positions after a transport event, see docs/architecture.md.
    const SAMPLE_ACCURATE_AUTOMATION: bool = false;

    type Editor = Surface<Window>;
    type SysExMessage = ();
    type BackgroundTask = Turn;

    fn params(&self) -> Arc<dyn Params> {
        Arc::clone(&self.params) as Arc<dyn Params>
    }

    fn filter_state(state: &mut PluginState) {
        state::prepare(state);
    }

    fn task_executor(&mut self) -> TaskExecutor<Self> {
        let host = Arc::clone(&self.host);
        Box::new(move |Turn| host.take_turn())
    }

    fn editor(&mut self, executor: AsyncExecutor<Self>) -> Option<Self::Editor> {
        self.host.ask_by(move || executor.execute_gui(Turn));
        window::editor(Arc::clone(&self.params), Arc::clone(&self.worker))
    }

    fn activate(
        &mut self,
        _layout: &AudioIOLayout,
        config: &BufferConfig,
        context: &mut impl ActivateContext<Self>,
    ) -> bool {
        self.sample_rate = f64::from(config.sample_rate);
        // As VST3, nice-plug gives the mode that the host said the time before; there the entry
        // point reads what it says with each block.
        self.offline =
            config.process_mode == ProcessMode::Offline && context.plugin_api() != PluginApi::Vst3;
        self.headway.reset();
        self.worker.start();
        true
    }

    fn reset(&mut self) {
        self.timeline.reset();
        self.player.reset();
        self.capture.stop();
        self.release = true;
        if let Some(sound) = &mut self.sound {
            sound.stop();
        }
    }

    fn deactivate(&mut self) {
        self.shared.signals.set_pace(Pace::Idle);
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _aux: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        for channel in buffer.as_slice() {
            channel.fill(0.0);
        }
        let frames = u32::try_from(buffer.samples()).unwrap_or(u32::MAX);
        let block = Block::new(&host_transport(context.transport()), self.sample_rate, frames);
        self.headway.block(Instant::now(), f64::from(frames) / self.sample_rate);
        let offline = self.host.offline().unwrap_or(self.offline);
        let patience = if offline { LONGEST_WAIT } else { self.headway.patience() };
        self.link.begin_block(patience, block.rolling, block.frames);
        self.receive(context);
        self.play(&block);
        self.headway.waited(self.link.waited());
        self.publish(&block);
        self.outgoing.sort();
        self.sound(buffer);
        self.outgoing.send(|event| context.try_send_event(event).is_ok());
        ProcessStatus::KeepAlive
    }
}

impl Interlude {
    /// What an editor of this instance shows and changes.
    pub(crate) fn parts(&self) -> (&Arc<InterludeParams>, &Arc<WorkerThread>) {
        (&self.params, &self.worker)
    }

    /// Takes the incoming notes and passes them on.
    fn receive(&mut self, context: &mut impl ProcessContext<Self>) {
        let (keyboard, keys, outgoing) = (&mut self.keyboard, &mut self.keys, &mut self.outgoing);
        keys.clear();
        if std::mem::take(&mut self.release) {
            keyboard.release(|event| outgoing.push(event));
        }
        let thru = self.params.passes_on();
        while let Some(event) = context.next_event() {
            let key = |key| {
                if keys.len() < MOST_KEYS {
                    keys.push(key);
                }
            };
            keyboard.take(event, thru, key, |event| outgoing.push(event));
        }
        // Hosts send events in order; where one does not, recording needs them so.
        keys.sort_unstable_by_key(|key| key.offset);
    }

    /// Records, asks for patterns and plays them.
    fn play(&mut self, block: &Block) {
        let signals = &self.shared.signals;
        let bars = match signals.bars.load(std::sync::atomic::Ordering::Acquire) {
            0 => DEFAULT_BARS,
            bars => bars,
        };
        let conditions = Conditions {
            settings: self.params.settings(),
            model: signals.model.load(std::sync::atomic::Ordering::Acquire),
            contents: signals.contents.load(std::sync::atomic::Ordering::Acquire),
            output: self.params.generates(),
        };
        let grid = Grid { bar_beats: block.bar_beats, bars };
        if self.params.song.take_fresh() {
            // Armed when it was saved, or by what a host has kept, is no wish of today. The values are
            // loaded as they were saved, since hosts compare them.
            (0..SLOTS).for_each(|slot| self.host.disarm(slot));
        }
        let armed = self.params.armed();
        let (player, capture, link) = (&mut self.player, &mut self.capture, &mut self.link);
        while capture.wants_take()
            && let Some(take) = link.take()
        {
            capture.supply(take);
        }
        player.begin_block(grid, &conditions, link);
        let keys = &self.keys;
        let plays = self.timeline.follow(block, |segment| {
            player.segment(segment, &conditions, link);
            let mut ends = None;
            capture.segment(segment, grid, armed, keys, |take| {
                ends = Some(take.ends());
                link.captured(take);
            });
            if let Some(ends) = ends {
                player.take_ends(ends, &conditions, link);
            }
        });
        for slot in 0..SLOTS {
            if capture.take_done(slot) {
                self.host.disarm(slot);
            }
        }
        if !plays {
            capture.stop();
            player.stand(block, &conditions, link);
        }
        for event in player.events() {
            self.outgoing.push(note_event(event));
        }
    }

    /// Plays the preview of what goes out.
    fn sound(&mut self, buffer: &mut Buffer) {
        let mix = self.params.sound.mix();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate")]
        let rate = if mix.on { self.sample_rate as u32 } else { 0 };
        self.shared.signals.sound_rate.store(rate, std::sync::atomic::Ordering::Relaxed);
        if let Some(sound) = self.link.sound()
            && let Some(older) = self.sound.replace(sound)
        {
            self.link.replaced(older);
        }
        if let (Some(sound), [left, right]) = (&mut self.sound, buffer.as_slice()) {
            sound.block(&mix, self.outgoing.keys(), [left, right]);
        }
    }

    /// Shows the editor what goes on.
    fn publish(&self, block: &Block) {
        let signals = &self.shared.signals;
        signals.show_playhead(self.player.playhead(), block.rolling, block.bar_beats);
        let tempo = self.sample_rate * 60.0 / block.samples_per_beat;
        signals.tempo.store(tempo, std::sync::atomic::Ordering::Relaxed);
        for (slot, armed) in self.params.armed().into_iter().enumerate() {
            signals.show_phase(slot, self.capture.phase(slot, armed, block.beats));
            signals.sketches[slot].show(self.capture.notes(slot));
        }
    }
}

/// The events that go out in a block, sorted by time as hosts demand.
struct Outgoing {
    /// Events with the order in which they came, which holds among those of one sample.
    events: Vec<(u32, NoteEvent<()>)>,
}

/// Note-offs that find the host's queue full wait here for the next block.
const MOST_UNSENT: usize = 512;

impl Default for Outgoing {
    fn default() -> Self {
        let any = NoteEvent::Choke {
            timing: 0,
            voice_id: VoiceID::Wildcard,
            channel: Channel::Wildcard,
            key: Key::Wildcard,
        };
        Self { events: room_for(MOST_PASSED + MOST_EVENTS + MOST_UNSENT, (0, any)) }
    }
}

impl Outgoing {
    /// Adds an event. The last places are kept for note-offs, which are never left out before.
    fn push(&mut self, event: NoteEvent<()>) {
        let ends = matches!(event, NoteEvent::NoteOff { .. });
        let reserve = if ends { 0 } else { MOST_EVENTS };
        if self.events.len() + reserve < self.events.capacity() {
            let order = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
            self.events.push((order, event));
        }
    }

    /// Brings the events into the order of time.
    fn sort(&mut self) {
        self.events.sort_unstable_by_key(|(order, event)| (event.timing(), *order));
    }

    /// The notes that begin and end.
    fn keys(&self) -> impl Iterator<Item = KeyEvent> {
        self.events.iter().filter_map(|(_, event)| KeyEvent::of(event))
    }

    /// Sends all, in the order of [`Outgoing::sort`]. Note-offs that are refused are kept for the
    /// next block.
    fn send(&mut self, mut send: impl FnMut(NoteEvent<()>) -> bool) {
        let mut unsent = 0;
        for index in 0..self.events.len() {
            let (_, event) = self.events[index];
            if !send(event)
                && let NoteEvent::NoteOff { voice_id, channel, key, velocity, .. } = event
                && unsent < MOST_UNSENT
            {
                let order = u32::try_from(unsent).unwrap_or(u32::MAX);
                let event = NoteEvent::NoteOff { timing: 0, voice_id, channel, key, velocity };
                self.events[unsent] = (order, event);
                unsent += 1;
            }
        }
        self.events.truncate(unsent);
    }
}

fn note_event(event: &Event) -> NoteEvent<()> {
    let (timing, voice_id) = (event.offset, VoiceID::Wildcard);
    let (channel, key) = (Channel::Number(event.channel), Key::Number(event.pitch));
    match event.velocity {
        Some(velocity) => {
            let velocity = f32::from(velocity) / 127.0;
            NoteEvent::NoteOn { timing, voice_id, channel, key, velocity }
        }
        None => NoteEvent::NoteOff { timing, voice_id, channel, key, velocity: 0.0 },
    }
}

fn host_transport(transport: &Transport) -> HostTransport {
    HostTransport {
        playing: transport.playing,
        beats: transport.pos_beats(),
        // As the host says it, not as nice-plug reckons it from other parts.
        samples: match (transport.pos_samples, transport.pos_seconds) {
            (Some(samples), _) => Some(whole(samples)),
            (None, seconds) => seconds.map(|seconds| seconds * f64::from(transport.sample_rate)),
        },
        tempo: transport.tempo,
        signature: transport.time_sig_numerator.zip(transport.time_sig_denominator),
        cycle_range: transport.loop_range_beats(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 samples are six thousand years at 48 kHz")]
fn whole(samples: i64) -> f64 {
    samples as f64
}

impl ClapPlugin for Interlude {
    const CLAP_ID: &'static str = "studio.interlude.interlude";
    const CLAP_DESCRIPTION: Option<&'static str> =
        Some("Plays music between two clips, in time with the host");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] =
        &[ClapFeature::Instrument, ClapFeature::NoteEffect, ClapFeature::Stereo];
}

impl Vst3Plugin for Interlude {
    const VST3_CLASS_ID: [u8; 16] = *b"InterludeMorphVa";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] =
        &[Vst3SubCategory::Instrument, Vst3SubCategory::Generator];
}
