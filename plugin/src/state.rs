//! What a project remembers besides the parameters: the slots' clips, their latents, the model.
//!
//! nice-plug saves it as JSON within the plug-in's state. Numbers are written so that they read back
//! to the same bits, hence a saved, loaded and saved state has the same bytes. Anything may stand in
//! a state that comes from outside: [`reading`] leaves unusable parts out and tells which.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use interlude_models::{
    clip::Clip,
    latent::personal::{Personal, PersonalError},
    tokens::Controls,
};
use nice_plug::params::persist::PersistentField;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::slots::{SLOTS, SlotId};

mod reading;

pub use reading::prepare;

/// The field of a saved state that holds the [`Song`].
pub const SONG: &str = "song";

/// The model of a new instance.
pub const DEFAULT_MODEL: &str = "mel-2bar";

/// A point in a model's latent space.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latent {
    /// The model that it belongs to, as [`SongState::model`] names it.
    pub model: String,
    /// Posterior mean, one value for each dimension.
    pub mu: Vec<f32>,
}

/// A slot: a clip and where it lies in the latent space.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// The clip; `None` in an empty slot.
    pub clip: Option<Clip>,
    /// Where the clip came from, for people: a file name or "Captured".
    pub source: String,
    /// Chords or hits that came with the clip, one for each step; most clips have none and models
    /// find them in the notes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controls: Option<Controls>,
    /// The clip's latent; `None` until a worker with a model has encoded it.
    pub latent: Option<Latent>,
}

/// A style: a personal model learnt from clips.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "SavedStyle", into = "SavedStyle")]
pub struct Style {
    /// What it was learnt from, for people: "3 files".
    pub source: String,
    /// The model; it says to which latent space it belongs.
    pub personal: Arc<Personal>,
}

/// A style as text.
#[derive(Serialize, Deserialize)]
struct SavedStyle {
    source: String,
    /// The personal model's file in base 64.
    weights: String,
}

impl From<Style> for SavedStyle {
    fn from(style: Style) -> Self {
        let weights = BASE64_STANDARD.encode(style.personal.to_bytes());
        Self { source: style.source, weights }
    }
}

impl TryFrom<SavedStyle> for Style {
    type Error = PersonalError;

    fn try_from(saved: SavedStyle) -> Result<Self, PersonalError> {
        let bytes = BASE64_STANDARD.decode(saved.weights);
        let bytes = bytes.map_err(|error| PersonalError::Format(error.to_string()))?;
        let personal = Arc::new(Personal::from_bytes(&bytes)?);
        let mut source = saved.source;
        if source.len() > reading::LONGEST_TEXT {
            source.clear();
        }
        Ok(Self { source, personal })
    }
}

/// All that is saved. Reading it back from any JSON gives something usable: what is not is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "serde_json::Value")]
pub struct SongState {
    /// The model: the name of one of the installed models, or the absolute path of a model folder.
    pub model: String,
    /// The slots, in order.
    pub slots: Vec<Slot>,
    /// What new ideas are drawn from; `None` for all that the model knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub style: Option<Style>,
    /// What was left out when this was read, in sentences; not saved.
    #[serde(skip)]
    pub left_out: Vec<String>,
}

impl Default for SongState {
    fn default() -> Self {
        let slots = vec![Slot::default(); SLOTS];
        Self { model: DEFAULT_MODEL.to_owned(), slots, style: None, left_out: Vec::new() }
    }
}

impl SongState {
    /// The model for a song that nobody has put anything into, where the default model is not
    /// installed: the first one that is.
    pub fn model_instead(&self, installed: impl IntoIterator<Item = String>) -> Option<String> {
        let untouched =
            self.model == DEFAULT_MODEL && self.slots.iter().all(|slot| slot.clip.is_none());
        let mut installed = installed.into_iter().peekable();
        let first = installed.peek().filter(|_| untouched).cloned()?;
        installed.all(|model| model != DEFAULT_MODEL).then_some(first)
    }
}

/// The state of the running plug-in, shared by host, editor and worker. The audio thread never
/// touches it. Clones are the same state.
#[derive(Clone, Debug, Default)]
pub struct Song(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<SongState>,
    /// What each slot held before its last change; not saved.
    before: Mutex<[Option<Slot>; SLOTS]>,
    revision: AtomicU64,
    /// How often a host has loaded a state.
    loads: AtomicU64,
    /// Whether a state has been loaded that no block has followed yet.
    fresh: AtomicBool,
    /// What was wrong with the state that was loaded last.
    problem: Mutex<Option<String>>,
    on_edit: OnceLock<OnEdit>,
}

/// What is called when the user's music has changed.
struct OnEdit(Box<dyn Fn() + Send + Sync>);

impl fmt::Debug for OnEdit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OnEdit")
    }
}

impl Song {
    /// A copy of the state and its revision.
    pub fn snapshot(&self) -> (SongState, u64) {
        let state = self.0.state.lock();
        (state.clone(), self.0.revision.load(Ordering::Acquire))
    }

    /// Changes with each change of the state.
    pub fn revision(&self) -> u64 {
        self.0.revision.load(Ordering::Acquire)
    }

    /// Reads the state.
    pub fn read<R>(&self, read: impl FnOnce(&SongState) -> R) -> R {
        read(&self.0.state.lock())
    }

    /// Sets what is called after each [`Song::edit`], on its thread; the first call counts.
    pub fn on_edit(&self, call: impl Fn() + Send + Sync + 'static) {
        // Of an instance with a host already, that host goes on being told.
        let _ = self.0.on_edit.set(OnEdit(Box::new(call)));
    }

    /// Changes what the user has made: the host is told that the project has changed. What only
    /// follows from the user's music, as a clip's latent, is written by [`Song::change`].
    pub fn edit(&self, change: impl FnOnce(&mut SongState)) -> u64 {
        let revision = self.change(change);
        *self.0.problem.lock() = None;
        // No lock is held: a host may save at once.
        if let Some(OnEdit(call)) = self.0.on_edit.get() {
            call();
        }
        revision
    }

    /// How often a host has loaded a state.
    pub fn loads(&self) -> u64 {
        self.0.loads.load(Ordering::Acquire)
    }

    /// Whether a state has been loaded that no block has followed yet: what it says of the arming of
    /// slots is of an earlier day then, and does not count.
    pub fn is_fresh(&self) -> bool {
        self.0.fresh.load(Ordering::Acquire)
    }

    /// Whether a state has been loaded since the last call; for the audio thread, which disarms the
    /// slots then.
    pub fn take_fresh(&self) -> bool {
        self.0.fresh.swap(false, Ordering::AcqRel)
    }

    /// What was wrong with the state that was loaded last, until the user changes something.
    pub fn problem(&self) -> Option<String> {
        self.0.problem.lock().clone()
    }

    /// Notes that the host had a state that could not be read at all.
    pub fn refuse(&self) {
        *self.0.problem.lock() = Some(reading::UNREADABLE.to_owned());
    }

    /// Changes the state and returns its new revision.
    pub fn change(&self, change: impl FnOnce(&mut SongState)) -> u64 {
        let mut state = self.0.state.lock();
        change(&mut state);
        self.0.revision.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Puts a slot's new content in its place and keeps the old one to be had back.
    pub fn replace(&self, slot: SlotId, content: Slot) {
        self.edit(|state| {
            if let Some(place) = state.slots.get_mut(slot.index()) {
                let old = std::mem::replace(place, content);
                self.0.before.lock()[slot.index()] = Some(old);
            }
        });
    }

    /// Exchanges a slot's content with what it held before.
    pub fn undo(&self, slot: SlotId) {
        let before = self.0.before.lock()[slot.index()].take();
        if let Some(before) = before {
            self.replace(slot, before);
        }
    }

    /// Exchanges the slots, and what can be had back of them.
    pub fn swap(&self) {
        self.edit(|state| {
            state.slots.reverse();
            self.0.before.lock().reverse();
        });
    }

    /// Whether a slot's content from before its last change can be had back.
    pub fn can_undo(&self, slot: SlotId) -> bool {
        self.0.before.lock()[slot.index()].is_some()
    }

    /// Changes the state if it still has this revision, and returns the new one.
    pub fn change_if(&self, revision: u64, change: impl FnOnce(&mut SongState)) -> Option<u64> {
        let mut state = self.0.state.lock();
        if self.0.revision.load(Ordering::Acquire) != revision {
            return None;
        }
        change(&mut state);
        Some(self.0.revision.fetch_add(1, Ordering::AcqRel) + 1)
    }
}

impl<'a> PersistentField<'a, SongState> for Song {
    fn set(&self, mut new_value: SongState) {
        let left_out = std::mem::take(&mut new_value.left_out);
        self.0.loads.fetch_add(1, Ordering::AcqRel);
        self.change(|state| *state = new_value);
        *self.0.before.lock() = Default::default();
        *self.0.problem.lock() = (!left_out.is_empty()).then(|| left_out.join("\n"));
        self.0.fresh.store(true, Ordering::Release);
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&SongState) -> R,
    {
        self.read(|state| f(state))
    }
}

/// A small personal model, made without training.
#[cfg(test)]
pub(crate) fn small_style(space: &str) -> Style {
    use interlude_models::weights::{Tensor, Weights};

    let mut weights = Weights::default();
    let shapes: [(&str, &[usize]); 10] = [
        ("mean", &[3]),
        ("scale", &[]),
        ("encoder/0/kernel", &[3, 2]),
        ("encoder/0/bias", &[2]),
        ("encoder/1/kernel", &[2, 2]),
        ("encoder/1/bias", &[2]),
        ("decoder/0/kernel", &[1, 2]),
        ("decoder/0/bias", &[2]),
        ("decoder/1/kernel", &[2, 3]),
        ("decoder/1/bias", &[3]),
    ];
    for (name, shape) in shapes {
        let data = vec![0.1; shape.iter().product()];
        weights.insert(name, Tensor { shape: shape.to_vec(), data });
    }
    let personal = Personal::of(space.to_owned(), weights).expect("a personal model");
    Style { source: "3 files".to_owned(), personal: Arc::new(personal) }
}

#[cfg(test)]
mod tests {
    use interlude_models::clip::Note;
    use nice_plug::prelude::Params;
    use proptest::prelude::*;

    use super::*;
    use crate::params::InterludeParams;

    fn note(start: f64, end: f64, pitch: u8) -> Note {
        Note { start, end, pitch, velocity: 90, channel: 3, program: 0 }
    }

    /// A state that is saved, loaded and saved again has the same bytes.
    #[test]
    fn saves_the_same_bytes_again() {
        let first = InterludeParams::default();
        first.song.change(|state| {
            state.model = "/somewhere/my model".to_owned();
            state.slots[0] = Slot {
                clip: Some(Clip::new(vec![note(0.1, 1.0 / 3.0, 60), note(2.0, 2.7, 64)], 8.0)),
                source: "tune.mid".to_owned(),
                controls: Some(Controls::Chords(vec![0, 1, 22])),
                latent: Some(Latent {
                    model: "mel-2bar".to_owned(),
                    mu: vec![0.1, -1.0e-7, f32::MIN_POSITIVE, 1.0 / 3.0, 3.402_823_5e38],
                }),
            };
        });
        let saved = first.serialize_fields();
        let second = InterludeParams::default();
        second.deserialize_fields(&saved);
        assert_eq!(second.serialize_fields(), saved);
        assert_eq!(second.song.snapshot().0, first.song.snapshot().0);
    }

    /// A style comes back to the same bits; one that is damaged is left out, and the rest is kept.
    #[test]
    fn styles_are_kept_or_left_out() {
        let song = Song::default();
        song.change(|state| state.style = Some(small_style("a model")));
        let saved = serde_json::to_value(song.snapshot().0).expect("it can be saved");
        let loaded: SongState = serde_json::from_value(saved.clone()).expect("it is JSON");
        assert_eq!(loaded.style, Some(small_style("a model")));
        assert_eq!(serde_json::to_value(&loaded).expect("it can be saved"), saved);
        let weights = saved["style"]["weights"].as_str().expect("text").to_owned();
        for damaged in ["", "AAAA", "no base 64", &weights[..weights.len() / 8 * 4]] {
            let mut damaged_state = saved.clone();
            damaged_state["style"]["weights"] = damaged.into();
            damaged_state["model"] = "another".into();
            let loaded: SongState = serde_json::from_value(damaged_state).expect("it is JSON");
            assert_eq!((loaded.style, loaded.model.as_str()), (None, "another"));
        }
    }

    /// Unusable notes, clips, latents and names are left out; the rest is kept.
    #[test]
    fn hostile_parts_are_left_out() {
        let song = Song::default();
        let json = r#"{
            "model": "",
            "slots": [
                {"clip": {"notes": [
                    {"start":0.0,"end":1.0,"pitch":200,"velocity":80,"channel":0,"program":0},
                    {"start":1.0,"end":0.5,"pitch":60,"velocity":80,"channel":0,"program":0},
                    {"start":1.0,"end":2.0,"pitch":60,"velocity":80,"channel":0,"program":0}
                 ], "length": 8.0},
                 "latent": {"model": "x", "mu": [1.0]}},
                {"clip": {"notes": [], "length": 1e300}, "latent": {"model": "x", "mu": [1.0]}},
                {}, {}, {}
            ],
            "unknown": 1
        }"#;
        song.set(serde_json::from_str(json).expect("is JSON of the right shape"));
        let (state, _) = song.snapshot();
        assert_eq!(state.model, DEFAULT_MODEL);
        assert_eq!(state.slots.len(), SLOTS);
        let clip = state.slots[0].clip.as_ref().expect("one note is usable");
        assert_eq!(clip.notes.len(), 1);
        assert!(state.slots[0].latent.is_some());
        assert_eq!(state.slots[1], Slot::default());
    }

    /// An untouched song takes the first model where the default one is missing; a song with a clip
    /// or a model of its choice keeps it.
    #[test]
    fn another_model_stands_in() {
        let installed =
            |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut state = SongState::default();
        assert_eq!(state.model_instead(installed(&["a", "b"])), Some("a".to_owned()));
        assert_eq!(state.model_instead(installed(&["a", DEFAULT_MODEL])), None);
        assert_eq!(state.model_instead(installed(&[])), None);
        state.slots[1].clip = Some(Clip::new(vec![note(0.0, 1.0, 60)], 8.0));
        assert_eq!(state.model_instead(installed(&["a", "b"])), None);
        let chosen = SongState { model: "c".to_owned(), ..SongState::default() };
        assert_eq!(chosen.model_instead(installed(&["a", "b"])), None);
    }

    /// What a slot held before its last change comes back, also after the slots were exchanged, and
    /// goes again.
    #[test]
    fn changes_can_be_undone() {
        let song = Song::default();
        let named = |name: &str| Slot { source: name.to_owned(), ..Slot::default() };
        let names = || {
            song.read(|state| {
                state.slots.iter().map(|slot| slot.source.clone()).collect::<Vec<_>>()
            })
        };
        for (slot, name) in [(SlotId::A, "one"), (SlotId::B, "two"), (SlotId::A, "three")] {
            song.replace(slot, named(name));
        }
        song.swap();
        assert_eq!(names(), ["two", "three"]);
        song.undo(SlotId::B);
        assert_eq!(names(), ["two", "one"]);
        song.undo(SlotId::B);
        assert_eq!(names(), ["two", "three"]);
        song.undo(SlotId::A);
        assert_eq!(names(), ["", "three"]);
    }

    /// A change that was prepared from an older revision is refused.
    #[test]
    fn stale_changes_are_refused() {
        let song = Song::default();
        let (_, revision) = song.snapshot();
        song.set(SongState::default());
        assert_eq!(song.change_if(revision, |state| state.model.clear()), None);
        assert_eq!(song.snapshot().0.model, DEFAULT_MODEL);
    }

    /// JSON of any shape, often nearly the right one.
    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<f64>().prop_map(serde_json::Value::from),
            "\\PC{0,8}".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(6, 64, 6, |inner| {
            let key = prop::sample::select(vec![
                "model", "slots", "clip", "latent", "notes", "length", "mu", "source", "start",
                "end", "pitch", "velocity", "channel", "program", "style", "weights",
            ]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Any JSON as a state gives a usable one, and saving that is stable.
        #[test]
        fn any_json_is_survived(json in any_json()) {
            let params = InterludeParams::default();
            let fields = std::collections::BTreeMap::from([("song".to_owned(), json.to_string())]);
            params.deserialize_fields(&fields);
            prop_assert_eq!(params.song.read(|state| state.slots.len()), SLOTS);
            let saved = params.serialize_fields();
            let again = InterludeParams::default();
            again.deserialize_fields(&saved);
            prop_assert_eq!(again.serialize_fields(), saved);
        }

        /// Every value of a latent comes back to the same bits.
        #[test]
        fn latents_keep_their_bits(bits in any::<u32>()) {
            let value = f32::from_bits(bits);
            prop_assume!(value.is_finite());
            let params = InterludeParams::default();
            let latent = Latent { model: "m".to_owned(), mu: vec![value] };
            let clip = Some(Clip::new(vec![note(0.0, 1.0, 60)], 8.0));
            params.song.replace(SlotId::A, Slot { clip, latent: Some(latent), ..Slot::default() });
            let again = InterludeParams::default();
            again.deserialize_fields(&params.serialize_fields());
            let (state, _) = again.song.snapshot();
            let latent = state.slots[0].latent.as_ref().expect("it was saved");
            prop_assert_eq!(latent.mu[0].to_bits(), bits);
        }
    }
}
