//! The parts of what is heard, and the sounds that each may have.

/// Number of parts.
pub const PARTS: usize = Part::ALL.len();

/// The sounds of melody and bass: name and General MIDI program in the font.
pub const SOUNDS: [(&str, u8); 8] = [
    ("Piano", 0),
    ("Electric piano", 4),
    ("Vibraphone", 11),
    ("Nylon guitar", 24),
    ("Finger bass", 33),
    ("Square lead", 80),
    ("Saw lead", 81),
    ("Warm pad", 89),
];

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

    /// The sound of a new project, a position in [`SOUNDS`]; `None` for drums, which have one kit.
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
            _ => SOUNDS.get(sound).map_or(0, |(_, program)| *program),
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
