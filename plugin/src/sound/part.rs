//! The parts of what is heard, and the sounds that each may have.

/// Number of parts.
pub const PARTS: usize = Part::ALL.len();

/// The sounds of melody and bass.
pub const SOUND_NAMES: [&str; 8] = [
    "Piano",
    "Electric piano",
    "Vibraphone",
    "Nylon guitar",
    "Finger bass",
    "Square lead",
    "Saw lead",
    "Warm pad",
];
/// Their General MIDI programs in the font.
const PROGRAMS: [u8; SOUND_NAMES.len()] = [0, 4, 11, 24, 33, 80, 81, 89];

/// Zero-based MIDI channel of drums.
const DRUM_CHANNEL: u8 = 9;
/// Zero-based MIDI channel of the bass.
const BASS_CHANNEL: u8 = 1;
/// Controller value of a channel at 0 dB.
const UNITY: f32 = 100.0;

/// A part, told by the MIDI channel of its notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All other channels.
    Melody,
    /// Channel 2, counted from 1.
    Bass,
    /// Channel 10, counted from 1.
    Drums,
}

impl Part {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Melody, Self::Bass, Self::Drums];

    /// Its position in [`Part::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Melody => "Melody",
            Self::Bass => "Bass",
            Self::Drums => "Drums",
        }
    }

    /// The sound of a new project, a position in [`SOUND_NAMES`]; `None` for drums, which have one kit.
    pub const fn default_sound(self) -> Option<usize> {
        match self {
            Self::Melody => Some(1),
            Self::Bass => Some(4),
            Self::Drums => None,
        }
    }

    /// The part of a zero-based MIDI channel.
    pub(super) const fn of(channel: u8) -> Self {
        match channel {
            DRUM_CHANNEL => Self::Drums,
            BASS_CHANNEL => Self::Bass,
            _ => Self::Melody,
        }
    }

    /// The program of a sound.
    pub(super) fn program(self, sound: usize) -> u8 {
        match self {
            Self::Drums => 0,
            _ => PROGRAMS.get(sound).copied().unwrap_or(0),
        }
    }
}

/// The controller value of a level in decibels. A channel's gain is the square of its volume.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 127; what is no number becomes 0"
)]
pub(super) fn volume(level: f32) -> u8 {
    (UNITY * 10.0_f32.powf(level / 40.0)).round().clamp(0.0, 127.0) as u8
}
