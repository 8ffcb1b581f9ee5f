//! The parameters, each once: id, name, range, curve, default, what hosts and the editor show, and
//! the hint. Host and editor read them here. Ids are in every saved project and never change.

use std::sync::{Arc, LazyLock};

use nice_plug::prelude::*;

use crate::{
    key::{KEYS, Key},
    shape::{Attribute, REACH},
    slots::{SLOTS, SlotId},
    sound::{Mix, PARTS, Part, PartMix, SOUND_NAMES},
};

/// How a control's way turns into values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// Evenly.
    Linear,
    /// By the square: small values get most of the way.
    Square,
}

/// A parameter with a range of numbers.
#[derive(Debug)]
pub struct Number {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The smallest value.
    pub min: f32,
    /// The largest value.
    pub max: f32,
    /// The value of a new project, which a double click brings back.
    pub default: f32,
    /// How its way turns into values.
    pub curve: Curve,
    /// Decimals that hosts show.
    pub decimals: usize,
    /// What the editor shows.
    pub shown: fn(f32) -> String,
    /// What the editor's tooltip teaches.
    pub hint: &'static str,
}

impl Number {
    /// The value at a share of the way, in `0..=1`.
    pub fn at(&self, share: f32) -> f32 {
        let span = self.max - self.min;
        let above = match self.curve {
            Curve::Linear => span * share,
            Curve::Square => span * share * share,
        };
        (self.min + above).clamp(self.min, self.max)
    }

    /// The share of the way at a value, in `0..=1`; 0 for what is no number.
    pub fn share(&self, value: f32) -> f32 {
        let share = (value - self.min) / (self.max - self.min);
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        match self.curve {
            Curve::Linear => share,
            Curve::Square => share.sqrt(),
        }
    }

    /// A value brought into the range.
    pub fn clamp(&self, value: f32) -> f32 {
        value.clamp(self.min, self.max)
    }

    /// The parameter for hosts.
    pub fn param(&self) -> FloatParam {
        let (min, max) = (self.min, self.max);
        let range = match self.curve {
            Curve::Linear => FloatRange::Linear { min, max },
            Curve::Square => FloatRange::Skewed { min, max, factor: FloatRange::skew_factor(-1.0) },
        };
        FloatParam::new(self.name, self.default, range)
            .with_value_to_string(formatters::v2s_f32_rounded(self.decimals))
    }
}

/// A parameter of whole numbers.
#[derive(Debug)]
pub struct Whole {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The smallest value.
    pub min: i32,
    /// The largest value.
    pub max: i32,
    /// The value of a new project.
    pub default: i32,
}

impl Whole {
    /// A value brought into the range.
    pub fn clamp(&self, value: i32) -> i32 {
        value.clamp(self.min, self.max)
    }

    /// The parameter for hosts.
    pub fn param(&self) -> IntParam {
        IntParam::new(self.name, self.default, IntRange::Linear { min: self.min, max: self.max })
    }
}

/// A parameter that takes one of some names.
#[derive(Debug)]
pub struct Choice {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The names, in the order of its values.
    pub names: &'static [&'static str],
    /// The value of a new project, a position among the names.
    pub default: usize,
}

impl Choice {
    /// The parameter for hosts, which show and read the names.
    pub fn param(&self) -> IntParam {
        let names = self.names;
        let count = |number: usize| i32::try_from(number).unwrap_or(0);
        let range = IntRange::Linear { min: 0, max: count(names.len().saturating_sub(1)) };
        let name = |index: i32| usize::try_from(index).ok().and_then(|index| names.get(index));
        let find = move |text: &str| {
            let text = text.trim();
            let named = names.iter().position(|name| name.eq_ignore_ascii_case(text));
            named.map(count).or_else(|| text.parse().ok())
        };
        IntParam::new(self.name, count(self.default), range)
            .with_value_to_string(Arc::new(move |index| {
                name(index).map_or_else(|| index.to_string(), |name| (*name).to_owned())
            }))
            .with_string_to_value(Arc::new(find))
    }
}

/// A parameter that is on or off.
#[derive(Debug)]
pub struct Switch {
    /// Its id.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The value of a new project.
    pub default: bool,
    /// What the editor's tooltip teaches, where the editor shows it as a switch.
    pub hint: &'static str,
}

impl Switch {
    /// The parameter for hosts.
    pub fn param(&self) -> BoolParam {
        BoolParam::new(self.name, self.default)
    }
}

/// Position between the slots, 0 at the first and 1 at the last.
pub static MORPH: Number = Number {
    id: "morph",
    name: "Morph",
    min: 0.0,
    max: 1.0,
    default: 0.5,
    curve: Curve::Linear,
    decimals: 3,
    shown: |value| format!("{:.1} %", value * 100.0),
    hint: "Where between A and B the next cycle is generated. Drag, scroll or use the arrow keys, \
           with Shift for small steps; double-click for the middle. Hosts can automate it.",
};

/// Temperature of the sampling; values below its range are indistinguishable from always taking the
/// likeliest token.
pub static TEMPERATURE: Number = Number {
    id: "temperature",
    name: "Temperature",
    min: 0.05,
    max: 2.0,
    default: 0.5,
    curve: Curve::Square,
    decimals: 3,
    shown: |value| format!("{value:.2}"),
    hint: "How freely notes are chosen. Low keeps to the likeliest notes, high takes risks. \
           Double-click for 0.5.",
};

/// Requested change of each attribute, in standard deviations.
pub static SHAPE: LazyLock<[Number; Attribute::ALL.len()]> =
    LazyLock::new(|| Attribute::ALL.map(shape));

fn shape(attribute: Attribute) -> Number {
    let entry = attribute.entry();
    Number {
        id: entry.id,
        name: entry.name,
        min: -REACH,
        max: REACH,
        default: 0.0,
        curve: Curve::Linear,
        decimals: 2,
        shown: signed,
        hint: entry.hint.unwrap_or_default(),
    }
}

/// A number with its sign, and 0 without.
fn signed(amount: f32) -> String {
    match format!("{amount:+.1}").as_str() {
        "+0.0" | "-0.0" => "0".to_owned(),
        number => number.replace('-', "\u{2212}"),
    }
}

/// Seed of the noise.
pub const SEED: Whole = Whole { id: "seed", name: "Seed", min: 0, max: 9999, default: 1 };

/// The key that notes keep to.
pub const KEY: Choice =
    Choice { id: "key", name: "Key", names: &KEYS, default: Key::CLIPS.index() };

/// Whether each cycle has its own noise.
pub const EVOLVE: Switch = Switch {
    id: "evolve",
    name: "Evolve",
    default: false,
    hint: "Off: every cycle at the same place plays the same notes. On: each cycle is a new \
           variation.",
};

/// Whether generated notes go out.
pub const OUTPUT: Switch = Switch {
    id: "output",
    name: "Output",
    default: true,
    hint: "Send the generated notes to the host.",
};

/// Whether incoming notes are passed on.
pub const THRU: Switch = Switch {
    id: "thru",
    name: "Thru",
    default: true,
    hint: "Pass on the notes that come in, so that you hear what you play.",
};

/// Whether the preview sounds.
pub const SOUND: Switch = Switch {
    id: "sound",
    name: "Sound",
    default: true,
    hint: "Play the notes with sounds of Interlude's own. Turn it off when another instrument plays \
           them.",
};

/// Which sound each part of the preview has; drums have one kit, and none to choose.
pub const SOUND_OF: [Option<Choice>; PARTS] = [
    choice(Part::Melody, "melody_sound", "Melody sound"),
    choice(Part::Bass, "bass_sound", "Bass sound"),
    choice(Part::Drums, "drums_sound", "Drum kit"),
];

const fn choice(part: Part, id: &'static str, name: &'static str) -> Option<Choice> {
    match part.default_sound() {
        Some(default) => Some(Choice { id, name, names: &SOUND_NAMES, default }),
        None => None,
    }
}

/// How loud each part of the preview is.
pub static SOUND_LEVEL: [Number; PARTS] = [
    level("melody_level", "Melody level"),
    level("bass_level", "Bass level"),
    level("drums_level", "Drums level"),
];

const fn level(id: &'static str, name: &'static str) -> Number {
    Number {
        id,
        name,
        min: -36.0,
        max: 4.0,
        default: 0.0,
        curve: Curve::Linear,
        decimals: 1,
        shown: decibels,
        hint: "How loud Interlude's own sound of this part is. Double-click for 0 dB.",
    }
}

/// Whether each part of the preview is silent.
pub const SOUND_MUTE: [Switch; PARTS] = [
    mute("melody_mute", "Melody mute"),
    mute("bass_mute", "Bass mute"),
    mute("drums_mute", "Drums mute"),
];

const fn mute(id: &'static str, name: &'static str) -> Switch {
    Switch { id, name, default: false, hint: "" }
}

/// The preview of a new project.
pub fn mix() -> Mix {
    let parts = Part::ALL.map(|part| PartMix {
        sound: part.default_sound().unwrap_or(0),
        level: SOUND_LEVEL[part.index()].default,
        muted: SOUND_MUTE[part.index()].default,
    });
    Mix { on: SOUND.default, parts }
}

fn decibels(level: f32) -> String {
    format!("{level:+.0} dB").replace('-', "\u{2212}").replace("+0", "0")
}

/// What the host's own bypass button switches.
pub const BYPASS: Switch = Switch { id: "bypass", name: "Bypass", default: false, hint: "" };

/// The parameter that arms a slot.
pub const fn capture(slot: SlotId) -> Switch {
    Switch { id: slot.capture_id(), name: slot.capture_name(), default: false, hint: "" }
}

/// Counts the changes of the project; after the largest value the count begins again.
pub const CHANGES: Whole =
    Whole { id: "changes", name: "Project changes", min: 0, max: 9999, default: 0 };

/// All ids, in the order in which hosts list them.
pub fn ids() -> Vec<&'static str> {
    let shape = SHAPE.iter().map(|number| number.id);
    let captures: [&str; SLOTS] = SlotId::ALL.map(SlotId::capture_id);
    [MORPH.id, TEMPERATURE.id]
        .into_iter()
        .chain(shape)
        .chain([SEED.id, EVOLVE.id, OUTPUT.id, THRU.id, BYPASS.id])
        .chain(captures)
        .chain([CHANGES.id, SOUND.id])
        .chain(SOUND_OF.iter().flatten().map(|choice| choice.id))
        .chain(SOUND_LEVEL.iter().map(|level| level.id))
        .chain(SOUND_MUTE.iter().map(|mute| mute.id))
        .chain([KEY.id])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way of a handle and the value are each other's inverse, and are those of the host.
    #[test]
    fn values_go_both_ways() {
        for number in SHAPE.iter().chain([&MORPH, &TEMPERATURE]) {
            let param = number.param();
            for step in 0..=20_u8 {
                let share = f32::from(step) / 20.0;
                let value = number.at(share);
                assert!((number.share(value) - share).abs() < 1e-5, "{} {share}", number.id);
                assert!((param.preview_plain(share) - value).abs() < 1e-5, "{} {share}", number.id);
            }
            assert_eq!(number.share(f32::NAN), 0.0);
        }
    }

    /// Amounts have a sign, except one that is nothing.
    #[test]
    fn amounts_have_a_sign() {
        let cases = [(0.0, "0"), (-0.04, "0"), (0.26, "+0.3"), (-2.0, "\u{2212}2.0")];
        for (amount, text) in cases {
            assert_eq!(signed(amount), text);
        }
    }
}
