//! A plug-in that encodes the notes it receives in its audio, for tests in hosts whose MIDI cannot
//! be recorded: placed behind Interlude, an exported or recorded WAV file has every note at its
//! sample.
//!
//! How notes are written stands in `code.rs`, which the reader of those files shares.

use std::{collections::VecDeque, sync::Arc};

use code::{WORDS, encode};
use nice_plug::{
    midi::{Channel, Key},
    prelude::*,
};

#[path = "../../src/hosts/code.rs"]
mod code;

/// Most words that wait for their sample; sixteen notes at once need far fewer.
const MOST_WAITING: usize = 4096;

/// The plug-in: on the left channel notes begin, on the right one they end.
struct Ear {
    params: Arc<NoParams>,
    waiting: [VecDeque<f32>; 2],
}

#[derive(Params)]
struct NoParams {}

impl Default for Ear {
    fn default() -> Self {
        let waiting = || VecDeque::with_capacity(MOST_WAITING);
        Self { params: Arc::new(NoParams {}), waiting: [waiting(), waiting()] }
    }
}

impl Ear {
    fn hear(&mut self, event: &NoteEvent<()>) {
        let (side, channel, key, velocity) = match *event {
            NoteEvent::NoteOn {
                channel: Channel::Number(channel),
                key: Key::Number(key),
                velocity,
                ..
            } => (0, channel, key, velocity),
            NoteEvent::NoteOff {
                channel: Channel::Number(channel), key: Key::Number(key), ..
            } => (1, channel, key, 0.0),
            _ => return,
        };
        let waiting = &mut self.waiting[side];
        if waiting.len() + WORDS <= MOST_WAITING {
            waiting.extend(encode(channel, key, velocity, waiting.len()));
        }
    }
}

impl Plugin for Ear {
    const NAME: &'static str = "Ear";
    const VENDOR: &'static str = "Interlude";
    const URL: &'static str = "https://interlude.studio";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[AudioIOLayout {
        main_input_channels: None,
        main_output_channels: NonZeroU32::new(2),
        ..AudioIOLayout::const_default()
    }];
    const MIDI_INPUT: MidiConfig = MidiConfig::Basic;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::None;

    type Editor = ();
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        Arc::clone(&self.params) as Arc<dyn Params>
    }

    fn reset(&mut self) {
        self.waiting.iter_mut().for_each(VecDeque::clear);
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _aux: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let mut event = context.next_event();
        for index in 0..buffer.samples() {
            while let Some(heard) = event {
                if usize::try_from(heard.timing()).is_ok_and(|timing| timing > index) {
                    break;
                }
                self.hear(&heard);
                event = context.next_event();
            }
            for (side, waiting) in buffer.as_slice().iter_mut().zip(&mut self.waiting) {
                side[index] = waiting.pop_front().unwrap_or(0.0);
            }
        }
        ProcessStatus::KeepAlive
    }
}

impl ClapPlugin for Ear {
    const CLAP_ID: &'static str = "studio.interlude.ear";
    const CLAP_DESCRIPTION: Option<&'static str> = Some("Writes the notes it hears into audio");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[ClapFeature::Instrument, ClapFeature::Stereo];
}

impl Vst3Plugin for Ear {
    const VST3_CLASS_ID: [u8; 16] = *b"InterludeTestEar";
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] = &[Vst3SubCategory::Instrument];
}

nice_export_clap!(Ear);
nice_export_vst3!(Ear);
