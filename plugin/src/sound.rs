//! The preview: an instrument inside the plug-in that plays the notes which go out of it, so that
//! something is heard before they are routed anywhere. A SoundFont, through `rustysynth`.

use std::sync::Arc;

use rustysynth::{SoundFont, Synthesizer, SynthesizerSettings};

use crate::keyboard::KeyEvent;

mod font;
mod part;

pub use font::{FontError, font};
pub use part::{PARTS, Part, SOUND_NAMES};

/// Frames that the synthesiser computes at once: notes begin on such a line, so at most 0.34 ms late
/// at 48 kHz.
const GRAIN: usize = 16;
/// Most voices that sound at once; a trio at its densest needs a third of them.
const MOST_VOICES: usize = 64;
/// Frames that are mixed at once.
const CHUNK: usize = 256;
/// Factor of all that sounds, so that a piano alone peaks at about −12 dBFS.
const MASTER: f32 = 1.6;
/// Seconds in which the sound fades when it is turned off.
const FADE: f32 = 0.02;
/// Amplitude below which nothing is heard, −100 dBFS.
const SILENCE: f32 = 1e-5;
/// Seconds without anything heard after which nothing is computed until the next note.
const REST: f32 = 0.5;
/// MIDI channels.
const CHANNELS: u8 = 16;

/// What the user has chosen of the preview.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mix {
    /// Whether it sounds.
    pub on: bool,
    /// The choice of each part.
    pub parts: [PartMix; PARTS],
}

/// What the user has chosen of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PartMix {
    /// Position of the sound in [`SOUND_NAMES`]; drums have one kit.
    pub sound: usize,
    /// Level in decibels, 0 as the font has it.
    pub level: f32,
    /// Whether it is silent.
    pub muted: bool,
}

/// The instrument. It is made by the worker; nothing but [`Instrument::new`] allocates.
pub struct Instrument {
    synthesizer: Synthesizer,
    sample_rate: f32,
    /// What the channels are set to.
    mix: Option<Mix>,
    /// The share of the sound that is let through, which fades at a switch.
    gate: f32,
    /// Seconds in which nothing was heard.
    silent: f32,
    left: [f32; CHUNK],
    right: [f32; CHUNK],
}

impl std::fmt::Debug for Instrument {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Instrument").field("mix", &self.mix).finish_non_exhaustive()
    }
}

impl Instrument {
    /// An instrument that plays a font, at a rate in frames a second.
    ///
    /// # Errors
    /// [`FontError::Rate`] outside of 16 to 192 kHz.
    pub fn new(font: &Arc<SoundFont>, sample_rate: u32) -> Result<Self, FontError> {
        let rate = i32::try_from(sample_rate).map_err(|_| FontError::Rate(sample_rate))?;
        let mut settings = SynthesizerSettings::new(rate);
        settings.block_size = GRAIN;
        settings.maximum_polyphony = MOST_VOICES;
        let mut synthesizer =
            Synthesizer::new(font, &settings).map_err(|_| FontError::Rate(sample_rate))?;
        synthesizer.set_master_volume(MASTER);
        #[expect(clippy::cast_precision_loss, reason = "rates are below 2^24")]
        let sample_rate = sample_rate as f32;
        Ok(Self {
            synthesizer,
            sample_rate,
            mix: None,
            gate: 0.0,
            silent: REST,
            left: [0.0; CHUNK],
            right: [0.0; CHUNK],
        })
    }

    /// Whether it computes nothing until the next note.
    fn rests(&self) -> bool {
        self.silent >= REST
    }

    /// Ends all notes at once.
    pub fn stop(&mut self) {
        self.synthesizer.note_off_all(true);
    }

    /// Plays a block: notes in the order of their frames, into two channels of one length, which are
    /// overwritten while there is something to hear.
    pub fn block(
        &mut self,
        mix: &Mix,
        mut keys: impl Iterator<Item = KeyEvent>,
        [left, right]: [&mut [f32]; 2],
    ) {
        if !mix.on && self.gate <= 0.0 {
            return;
        }
        self.set(mix);
        if mix.on && self.rests() {
            self.gate = 1.0;
        }
        let frames = left.len().min(right.len());
        let mut next = keys.next();
        let mut done = 0;
        loop {
            while let Some(key) = next.filter(|key| key.offset as usize <= done) {
                self.play(key, mix);
                next = keys.next();
            }
            if done >= frames {
                break;
            }
            let until = next.map_or(frames, |key| frames.min(key.offset as usize));
            let end = until.min(done + CHUNK);
            self.render(mix.on, [&mut left[done..end], &mut right[done..end]]);
            done = end;
        }
        // What a host sends behind its block counts as its end.
        while let Some(key) = next {
            self.play(key, mix);
            next = keys.next();
        }
        if !mix.on && self.gate <= 0.0 {
            self.stop();
            self.silent = REST;
        }
    }

    /// Brings the channels to what was chosen.
    fn set(&mut self, mix: &Mix) {
        if self.mix.is_some_and(|set| set.parts == mix.parts) {
            return;
        }
        self.mix = Some(*mix);
        for channel in 0..CHANNELS {
            let part = Part::of(channel);
            let choice = &mix.parts[part.index()];
            let volume = if choice.muted { 0 } else { part::volume(choice.level) };
            self.send(channel, 0xB0, 7, volume);
            self.send(channel, 0xC0, part.program(choice.sound), 0);
        }
    }

    fn send(&mut self, channel: u8, command: i32, first: u8, second: u8) {
        let (channel, first, second) = (i32::from(channel), i32::from(first), i32::from(second));
        self.synthesizer.process_midi_message(channel, command, first, second);
    }

    fn play(&mut self, key: KeyEvent, mix: &Mix) {
        let (channel, pitch) = (i32::from(key.channel), i32::from(key.pitch));
        match key.velocity {
            Some(velocity) if mix.on => {
                self.silent = 0.0;
                self.synthesizer.note_on(channel, pitch, i32::from(velocity));
            }
            Some(_) => {}
            None => self.synthesizer.note_off(channel, pitch),
        }
    }

    /// Computes at most [`CHUNK`] frames.
    fn render(&mut self, on: bool, [left, right]: [&mut [f32]; 2]) {
        let frames = left.len();
        let goal = f32::from(u8::from(on));
        if self.rests() {
            self.gate = goal;
            return;
        }
        let (own_left, own_right) = (&mut self.left[..frames], &mut self.right[..frames]);
        self.synthesizer.render(own_left, own_right);
        let step = 1.0 / (FADE * self.sample_rate);
        let mut loudest = 0.0_f32;
        let samples = own_left.iter().zip(own_right.iter());
        for ((out_left, out_right), (own_left, own_right)) in
            left.iter_mut().zip(right.iter_mut()).zip(samples)
        {
            self.gate += (goal - self.gate).clamp(-step, step);
            *out_left = self.gate * own_left;
            *out_right = self.gate * own_right;
            loudest = loudest.max(own_left.abs()).max(own_right.abs());
        }
        #[expect(clippy::cast_precision_loss, reason = "a chunk is short")]
        let seconds = frames as f32 / self.sample_rate;
        self.silent = if loudest < SILENCE { self.silent + seconds } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const RATE: u32 = 48_000;

    fn instrument() -> Instrument {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sounds/preview.sf2");
        Instrument::new(&font(&path).expect("the font is whole"), RATE).expect("a usual rate")
    }

    fn on() -> Mix {
        Mix { on: true, ..Mix::default() }
    }

    fn note(offset: u32, channel: u8, pitch: u8) -> KeyEvent {
        KeyEvent { offset, channel, pitch, velocity: Some(90) }
    }

    /// The samples of a block of so many frames.
    fn play(instrument: &mut Instrument, mix: &Mix, keys: &[KeyEvent], frames: usize) -> Vec<f32> {
        let (mut left, mut right) = (vec![0.0; frames], vec![0.0; frames]);
        instrument.block(mix, keys.iter().copied(), [&mut left, &mut right]);
        left.iter().zip(&right).map(|(left, right)| left.abs().max(right.abs())).collect()
    }

    fn peak(samples: &[f32]) -> f32 {
        samples.iter().copied().fold(0.0, f32::max)
    }

    /// A note is heard from its frame on, within a grain, well above −30 dBFS and below full scale;
    /// after its end the instrument falls silent and rests.
    #[test]
    fn a_note_is_heard_from_its_frame_on() {
        let mut instrument = instrument();
        let heard = play(&mut instrument, &on(), &[note(1000, 0, 60)], 24_000);
        assert_eq!(peak(&heard[..1000]), 0.0);
        assert!(peak(&heard[..1000 + 480]) > 1e-4);
        let loudest = peak(&heard);
        assert!((0.1..1.0).contains(&loudest), "{loudest}");
        let end = KeyEvent { velocity: None, ..note(0, 0, 60) };
        play(&mut instrument, &on(), &[end], 48_000);
        for _ in 0..20 {
            play(&mut instrument, &on(), &[], 48_000);
        }
        assert!(instrument.rests());
        assert_eq!(peak(&play(&mut instrument, &on(), &[], 4800)), 0.0);
    }

    /// The same notes sound the same whatever the sizes of blocks.
    #[test]
    fn blocks_do_not_matter() {
        let keys = [note(0, 0, 60), note(3000, 1, 40), note(3000, 9, 36), note(7001, 9, 42)];
        let whole = play(&mut instrument(), &on(), &keys, 9600);
        let mut other = instrument();
        let mut pieces = Vec::new();
        for start in (0..9600).step_by(480) {
            let within = |key: &&KeyEvent| (start..start + 480).contains(&key.offset);
            let keys: Vec<KeyEvent> = keys
                .iter()
                .filter(within)
                .map(|key| KeyEvent { offset: key.offset - start, ..*key })
                .collect();
            pieces.extend(play(&mut other, &on(), &keys, 480));
        }
        let furthest = whole.iter().zip(&pieces).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest < 1e-6, "{furthest}");
    }

    /// Turned off it fades without a jump, computes nothing more, and forgets what sounded; a note
    /// played meanwhile is not heard later.
    #[test]
    fn off_is_silent_without_a_click() {
        let mut instrument = instrument();
        play(&mut instrument, &on(), &[note(0, 0, 48)], 12_000);
        let off = Mix::default();
        let fading = play(&mut instrument, &off, &[], 4800);
        assert!(peak(&fading[..100]) > 0.01 && peak(&fading[1000..]) == 0.0);
        assert_eq!(peak(&play(&mut instrument, &off, &[note(0, 0, 60)], 480)), 0.0);
        assert_eq!(peak(&play(&mut instrument, &on(), &[], 4800)), 0.0);
    }

    /// Each part has its own sound, level and mute.
    #[test]
    fn parts_are_mixed_apart() {
        let loudness = |change: fn(&mut Mix), channel, pitch| {
            let mut mix = on();
            change(&mut mix);
            peak(&play(&mut instrument(), &mix, &[note(0, channel, pitch)], 12_000))
        };
        for (part, channel, pitch) in
            [(Part::Melody, 0, 72), (Part::Bass, 1, 36), (Part::Drums, 9, 36)]
        {
            assert_eq!(Part::of(channel), part);
            let plain = loudness(|_| {}, channel, pitch);
            assert!((0.05..1.0).contains(&plain), "{part:?} {plain}");
        }
        let plain = loudness(|_| {}, 0, 72);
        let quiet = loudness(|mix| mix.parts[Part::Melody.index()].level = -12.0, 0, 72);
        assert!((0.2..0.3).contains(&(quiet / plain)), "{}", quiet / plain);
        let other = loudness(|mix| mix.parts[Part::Bass.index()].muted = true, 0, 72);
        assert!((other - plain).abs() < 1e-6);
        assert_eq!(loudness(|mix| mix.parts[Part::Drums.index()].muted = true, 9, 36), 0.0);
        let vibraphone = loudness(|mix| mix.parts[Part::Melody.index()].sound = 2, 0, 72);
        assert!((vibraphone - plain).abs() > 1e-3);
    }

    /// Rates that no host has are refused.
    #[test]
    fn odd_rates_are_refused() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("sounds/preview.sf2");
        let font = font(&path).expect("the font is whole");
        for rate in [0, 8000, 400_000, u32::MAX] {
            assert!(matches!(Instrument::new(&font, rate), Err(FontError::Rate(_))));
        }
    }
}
