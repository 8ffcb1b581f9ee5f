//! What the host automates and what a project remembers. What each parameter is stands in [`table`].

use std::collections::BTreeMap;

use nice_plug::{
    params::persist::{PersistentField, deserialize_field, serialize_field},
    prelude::*,
};

use crate::{
    editor::{DEFAULT_SIZE, MINIMUM_SIZE},
    key::Key,
    player::{Sampling, Settings, Source},
    shape::Attribute,
    slots::{Position, SLOTS, SlotId},
    sound::{Mix, PARTS, PartMix},
    state::{SONG, Song},
    surface::Extent,
    table::{self, Choice},
};

/// The field of a saved state that holds [`InterludeParams::editor`].
const EDITOR: &str = "editor";

/// The parameters of the preview.
pub struct SoundParams {
    /// Whether it sounds.
    pub on: BoolParam,
    /// Which sound each part has; `None` where there is one alone.
    pub sounds: [Option<IntParam>; PARTS],
    /// How loud each part is, in decibels.
    pub levels: [FloatParam; PARTS],
    /// Whether each part is silent.
    pub mutes: [BoolParam; PARTS],
}

impl Default for SoundParams {
    fn default() -> Self {
        Self {
            on: table::SOUND.param(),
            sounds: table::SOUND_OF.each_ref().map(|choice| choice.as_ref().map(Choice::param)),
            levels: table::SOUND_LEVEL.each_ref().map(table::Number::param),
            mutes: table::SOUND_MUTE.each_ref().map(table::Switch::param),
        }
    }
}

impl SoundParams {
    /// What the preview plays, as the parameters are now.
    pub fn mix(&self) -> Mix {
        Mix {
            on: self.on.value(),
            parts: std::array::from_fn(|part| PartMix {
                sound: self.sounds[part]
                    .as_ref()
                    .map_or(0, |sound| usize::try_from(sound.value()).unwrap_or(0)),
                level: table::SOUND_LEVEL[part].clamp(self.levels[part].value()),
                muted: self.mutes[part].value(),
            }),
        }
    }
}

/// The parameters.
pub struct InterludeParams {
    /// Clips, latents and the model.
    pub song: Song,
    /// The size of the editor's window.
    pub editor: Extent,
    /// Position between the slots.
    pub morph: FloatParam,
    /// Temperature of the sampling.
    pub temperature: FloatParam,
    /// More or less of each attribute.
    pub shape: [FloatParam; Attribute::ALL.len()],
    /// The key that notes keep to.
    pub key: IntParam,
    /// Seed of the noise.
    pub seed: IntParam,
    /// Whether each cycle has its own noise.
    pub evolve: BoolParam,
    /// Whether generated notes go out.
    pub output: BoolParam,
    /// Whether incoming notes are passed on.
    pub thru: BoolParam,
    /// What the host's own bypass button switches: nothing is generated and all that comes in is
    /// passed on. Without it hosts stop calling the plug-in, and notes that sound would not end.
    pub bypass: BoolParam,
    /// Whether each slot is armed.
    pub capture: [BoolParam; SLOTS],
    /// The preview.
    pub sound: SoundParams,
    /// Counts the changes that the user makes to what no other parameter shows: clips, style, model.
    /// A host sees by it that the project has to be saved. Nothing depends on its value, so it may
    /// be automated and recalled without harm.
    pub changes: IntParam,
}

impl Default for InterludeParams {
    fn default() -> Self {
        Self {
            song: Song::default(),
            editor: Extent::new(DEFAULT_SIZE, MINIMUM_SIZE),
            morph: table::MORPH.param(),
            temperature: table::TEMPERATURE.param(),
            shape: table::SHAPE.each_ref().map(table::Number::param),
            key: table::KEY.param(),
            seed: table::SEED.param(),
            evolve: table::EVOLVE.param(),
            output: table::OUTPUT.param(),
            thru: table::THRU.param(),
            bypass: table::BYPASS.param().make_bypass(),
            capture: SlotId::ALL.map(|slot| table::capture(slot).param()),
            changes: table::CHANGES.param(),
            sound: SoundParams::default(),
        }
    }
}

// SAFETY: the pointers lead to fields of this object, which hosts' wrappers keep in an `Arc` beside
// them; the derived implementation does the same, but knows no arrays with ids of their own.
unsafe impl Params for InterludeParams {
    fn param_map(&self) -> Vec<(String, ParamPtr, String)> {
        let mut pointers = vec![self.morph.as_ptr(), self.temperature.as_ptr()];
        pointers.extend(self.shape.iter().map(Param::as_ptr));
        pointers.push(self.seed.as_ptr());
        pointers.extend([&self.evolve, &self.output, &self.thru, &self.bypass].map(Param::as_ptr));
        pointers.extend(self.capture.iter().map(Param::as_ptr));
        pointers.extend([self.changes.as_ptr(), self.sound.on.as_ptr()]);
        pointers.extend(self.sound.sounds.iter().flatten().map(Param::as_ptr));
        pointers.extend(self.sound.levels.iter().map(Param::as_ptr));
        pointers.extend(self.sound.mutes.iter().map(Param::as_ptr));
        pointers.push(self.key.as_ptr());
        let ids = table::ids().into_iter();
        ids.zip(pointers).map(|(id, pointer)| (id.to_owned(), pointer, String::new())).collect()
    }

    fn serialize_fields(&self) -> BTreeMap<String, String> {
        let song = self.song.map(serialize_field);
        let editor = self.editor.map(serialize_field);
        let fields = [(SONG, song), (EDITOR, editor)].into_iter();
        fields.filter_map(|(name, text)| Some((name.to_owned(), text.ok()?))).collect()
    }

    fn deserialize_fields(&self, serialized: &BTreeMap<String, String>) {
        if let Some(Ok(song)) = serialized.get(SONG).map(|text| deserialize_field(text)) {
            self.song.set(song);
        }
        if let Some(Ok(size)) = serialized.get(EDITOR).map(|text| deserialize_field(text)) {
            self.editor.set(size);
        }
    }
}

impl InterludeParams {
    /// What a pattern is made from, as the parameters are now.
    pub fn settings(&self) -> Settings {
        Settings {
            position: Position::new(self.morph.value()),
            source: Source::Between,
            amounts: Attribute::ALL.map(|attribute| {
                let index = attribute.index();
                table::SHAPE[index].clamp(self.shape[index].value())
            }),
            key: self.key(),
            sampling: Sampling {
                temperature: table::TEMPERATURE.clamp(self.temperature.value()),
                seed: table::SEED.clamp(self.seed.value()).unsigned_abs(),
                evolve: self.evolve.value(),
            },
        }
    }

    /// The key that notes keep to.
    pub fn key(&self) -> Key {
        Key::at(usize::try_from(self.key.value()).unwrap_or(0))
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
    pub fn armed(&self) -> [bool; SLOTS] {
        self.capture.each_ref().map(BoolParam::value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each id of the table leads to the parameter of its name.
    #[test]
    fn ids_lead_to_their_parameters() {
        let params = InterludeParams::default();
        let map = params.param_map();
        assert_eq!(map.len(), table::ids().len());
        let pointer = |id: &str| map.iter().find(|(known, ..)| known == id).map(|known| known.1);
        let arming = |slot: SlotId| params.capture[slot.index()].as_ptr();
        for slot in SlotId::ALL {
            assert!(pointer(slot.capture_id()) == Some(arming(slot)));
        }
        for (number, param) in table::SHAPE.iter().zip(&params.shape) {
            assert!(pointer(number.id) == Some(param.as_ptr()) && param.name() == number.name);
        }
        for (id, param) in [
            ("morph", params.morph.as_ptr()),
            ("temperature", params.temperature.as_ptr()),
            ("seed", params.seed.as_ptr()),
            ("evolve", params.evolve.as_ptr()),
            ("output", params.output.as_ptr()),
            ("thru", params.thru.as_ptr()),
            ("bypass", params.bypass.as_ptr()),
            ("changes", params.changes.as_ptr()),
            ("sound", params.sound.on.as_ptr()),
            ("key", params.key.as_ptr()),
            ("bass_level", params.sound.levels[1].as_ptr()),
            ("drums_mute", params.sound.mutes[2].as_ptr()),
        ] {
            assert!(pointer(id) == Some(param), "{id}");
        }
    }
}
