//! What the host automates and what a project remembers.

use nice_plug::prelude::*;

use crate::{
    editor::{DEFAULT_SIZE, MINIMUM_SIZE},
    player::Settings,
    shape::{Attribute, REACH},
    state::Song,
    surface::Extent,
};

/// Temperatures offered; lower ones are indistinguishable from always taking the likeliest token.
pub const TEMPERATURES: (f32, f32) = (0.05, 2.0);
/// Largest seed.
pub const LAST_SEED: i32 = 9999;
/// Largest count of changes of the project; after it the count begins again.
pub const LAST_CHANGE: i32 = 9999;
/// The ids of the parameters that arm slots.
pub const ARMING: [&str; 2] = ["capture_a", "capture_b"];
/// The id of [`InterludeParams::changes`].
pub const CHANGES: &str = "changes";

/// The parameters. Their ids are in every saved project and never change.
#[derive(Params)]
pub struct InterludeParams {
    /// Clips, latents and the model.
    #[persist = "song"]
    pub song: Song,
    /// The size of the editor's window.
    #[persist = "editor"]
    pub editor: Extent,
    /// Position between slot A (0) and slot B (1).
    #[id = "morph"]
    pub morph: FloatParam,
    /// Temperature of the sampling.
    #[id = "temperature"]
    pub temperature: FloatParam,
    /// More or fewer notes.
    #[id = "density"]
    pub density: FloatParam,
    /// Higher or lower notes.
    #[id = "pitch"]
    pub pitch: FloatParam,
    /// A wider or narrower range of notes.
    #[id = "range"]
    pub range: FloatParam,
    /// Larger or smaller leaps.
    #[id = "interval"]
    pub interval: FloatParam,
    /// More or fewer notes off the beat.
    #[id = "syncopation"]
    pub syncopation: FloatParam,
    /// Seed of the noise.
    #[id = "seed"]
    pub seed: IntParam,
    /// Whether each cycle has its own noise.
    #[id = "evolve"]
    pub evolve: BoolParam,
    /// Whether generated notes go out.
    #[id = "output"]
    pub output: BoolParam,
    /// Whether incoming notes are passed on.
    #[id = "thru"]
    pub thru: BoolParam,
    /// What the host's own bypass button switches: nothing is generated and all that comes in is
    /// passed on. Without it hosts stop calling the plug-in, and notes that sound would not end.
    #[id = "bypass"]
    pub bypass: BoolParam,
    /// Whether slot A is armed.
    #[id = "capture_a"]
    pub capture_a: BoolParam,
    /// Whether slot B is armed.
    #[id = "capture_b"]
    pub capture_b: BoolParam,
    /// Counts the changes that the user makes to what no other parameter shows: clips, style, model.
    /// A host sees by it that the project has to be saved. Nothing depends on its value, so it may
    /// be automated and recalled without harm.
    #[id = "changes"]
    pub changes: IntParam,
}

impl Default for InterludeParams {
    fn default() -> Self {
        let (coldest, hottest) = TEMPERATURES;
        Self {
            song: Song::default(),
            editor: Extent::new(DEFAULT_SIZE, MINIMUM_SIZE),
            morph: FloatParam::new("Morph", 0.0, FloatRange::Linear { min: 0.0, max: 1.0 })
                .with_value_to_string(formatters::v2s_f32_rounded(3)),
            temperature: FloatParam::new(
                "Temperature",
                0.5,
                FloatRange::Skewed {
                    min: coldest,
                    max: hottest,
                    factor: FloatRange::skew_factor(-1.0),
                },
            )
            .with_value_to_string(formatters::v2s_f32_rounded(3)),
            density: attribute(Attribute::Density),
            pitch: attribute(Attribute::Pitch),
            range: attribute(Attribute::Range),
            interval: attribute(Attribute::Interval),
            syncopation: attribute(Attribute::Syncopation),
            seed: IntParam::new("Seed", 1, IntRange::Linear { min: 0, max: LAST_SEED }),
            evolve: BoolParam::new("Evolve", false),
            output: BoolParam::new("Output", true),
            thru: BoolParam::new("Thru", true),
            bypass: BoolParam::new("Bypass", false).make_bypass(),
            capture_a: BoolParam::new("Capture A", false),
            capture_b: BoolParam::new("Capture B", false),
            changes: IntParam::new(
                "Project changes",
                0,
                IntRange::Linear { min: 0, max: LAST_CHANGE },
            ),
        }
    }
}

fn attribute(attribute: Attribute) -> FloatParam {
    let range = FloatRange::Linear { min: -REACH, max: REACH };
    FloatParam::new(attribute.entry().name, 0.0, range)
        .with_value_to_string(formatters::v2s_f32_rounded(2))
}

impl InterludeParams {
    /// What a pattern is made from, as the parameters are now.
    pub fn settings(&self) -> Settings {
        Settings {
            morph: self.morph.value().clamp(0.0, 1.0),
            temperature: self.temperature.value().clamp(TEMPERATURES.0, TEMPERATURES.1),
            shape: Attribute::ALL
                .map(|attribute| self.attribute(attribute).value().clamp(-REACH, REACH)),
            seed: self.seed.value().clamp(0, LAST_SEED).unsigned_abs(),
            evolve: self.evolve.value(),
        }
    }

    /// How much more of an attribute there shall be.
    pub fn attribute(&self, attribute: Attribute) -> &FloatParam {
        match attribute {
            Attribute::Density => &self.density,
            Attribute::Pitch => &self.pitch,
            Attribute::Range => &self.range,
            Attribute::Interval => &self.interval,
            Attribute::Syncopation => &self.syncopation,
        }
    }

    /// Whether generated notes go out.
    pub fn generates(&self) -> bool {
        self.output.value() && !self.bypass.value()
    }

    /// Whether incoming notes are passed on.
    pub fn passes_on(&self) -> bool {
        self.thru.value() || self.bypass.value()
    }

    /// Which slots are armed.
    pub fn armed(&self) -> [bool; 2] {
        [self.capture_a.value(), self.capture_b.value()]
    }
}
