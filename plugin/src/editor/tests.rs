//! The editor as a user and as assistive technology meet it.

use egui::accesskit::Role;
use egui::{Event, Key, Modifiers, MouseWheelUnit, Pos2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use interlude_models::clip::{Clip, Note};
use interlude_models::runtime::Provider;
use proptest::prelude::*;

use super::*;
use crate::{shape::Shape, sound::Mix, table};

mod numbers;
mod saving;
mod shaping;
mod sliders;
mod strip;
mod style;

/// An editor whose view follows the user's actions, as a plug-in's would.
struct Bench {
    view: View,
    state: EditorState,
    actions: Vec<Action>,
}

impl Bench {
    fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }
}

fn open(view: View) -> Harness<'static, Bench> {
    open_at(view, DEFAULT_SIZE)
}

fn open_at(view: View, size: [f32; 2]) -> Harness<'static, Bench> {
    let bench = Bench { view, state: EditorState::default(), actions: Vec::new() };
    let mut harness =
        Harness::builder().with_size(Vec2::from(size)).with_step_dt(0.05).build_ui_state(
            |ui, bench: &mut Bench| {
                let actions = draw(ui, &bench.view, &mut bench.state);
                for action in &actions {
                    match *action {
                        Action::Morph(Gesture::Set(value)) => bench.view.parameters.morph = value,
                        Action::Temperature(Gesture::Set(value)) => {
                            bench.view.parameters.temperature = value;
                        }
                        Action::Shape(attribute, Gesture::Set(value)) => {
                            bench.view.parameters.shape[attribute.index()] = value;
                        }
                        Action::Seed(Gesture::Set(value)) => bench.view.parameters.seed = value,
                        _ => {}
                    }
                }
                bench.actions.extend(actions);
            },
            bench,
        );
    harness.run_steps(2);
    harness
}

fn note(pitch: u8, start: f64, end: f64) -> Note {
    Note { start, end, pitch, velocity: 100, channel: 0, program: 0 }
}

fn full() -> View {
    let clip = Clip::new(vec![note(60, 0.0, 1.0), note(64, 1.0, 2.0)], 8.0);
    let slot = SlotView {
        clip: Some(clip.clone()),
        source: "tune.mid".into(),
        capture: Capture::Idle,
        can_undo: true,
        ..SlotView::default()
    };
    View {
        slots: std::array::from_fn(|_| slot.clone()),
        pattern: PatternView { clip: Some(clip), ..PatternView::default() },
        models: vec!["mel-2bar".into(), "another".into()],
        model: Some(0),
        attributes: [true; Attribute::ALL.len()],
        parameters: ParameterView { morph: 0.0, ..ParameterView::default() },
        engine: EngineView {
            provider: "CPU".into(),
            runtime: "1.32.0".into(),
            decode_ms: Some(5.0),
            ..EngineView::default()
        },
        ..View::default()
    }
}

fn click(harness: &mut Harness<'_, Bench>, label: &str) -> Vec<Action> {
    harness.get_by_label(label).click();
    harness.run_steps(3);
    harness.state_mut().take()
}

fn morph_values(actions: &[Action]) -> Vec<f32> {
    let set = |action: &Action| match action {
        Action::Morph(Gesture::Set(value)) => Some(*value),
        _ => None,
    };
    actions.iter().filter_map(set).collect()
}

/// Panics unless every `Set` of the morph lies between a `Begin` and an `End`.
fn assert_gestures(actions: &[Action]) {
    let mut held = false;
    for action in actions {
        match action {
            Action::Morph(Gesture::Begin) => assert!(!std::mem::replace(&mut held, true)),
            Action::Morph(Gesture::Set(_)) => assert!(held),
            Action::Morph(Gesture::End) => assert!(std::mem::replace(&mut held, false)),
            _ => {}
        }
    }
    assert!(!held, "{actions:?}");
}

/// Each button gives its action, once.
#[test]
fn buttons_give_their_actions() {
    let mut harness = open(full());
    for (label, action) in [
        ("Capture A", Action::Capture(SlotId::A, true)),
        ("Capture B", Action::Capture(SlotId::B, true)),
        ("Clear A", Action::Clear(SlotId::A)),
        ("Clear B", Action::Clear(SlotId::B)),
        ("Undo A", Action::Undo(SlotId::A)),
        ("Undo B", Action::Undo(SlotId::B)),
        ("New idea for A", Action::Draw(SlotId::A)),
        ("New idea for B", Action::Draw(SlotId::B)),
        ("Swap A and B", Action::Swap),
        ("Evolve", Action::Evolve(true)),
        ("Output", Action::Output(false)),
        ("Thru", Action::Thru(false)),
    ] {
        assert_eq!(click(&mut harness, label), [action], "{label}");
    }
}

/// The same buttons are there and work in the smallest window, with a message in it.
#[test]
fn buttons_work_in_the_smallest_window() {
    let view = View { message: Some("Something is wrong. Mend it.".into()), ..full() };
    let mut harness = open_at(view, MINIMUM_SIZE);
    for (label, action) in [
        ("Capture B", Action::Capture(SlotId::B, true)),
        ("Clear B", Action::Clear(SlotId::B)),
        ("Undo A", Action::Undo(SlotId::A)),
        ("New idea for B", Action::Draw(SlotId::B)),
        ("Thru", Action::Thru(false)),
    ] {
        assert_eq!(click(&mut harness, label), [action], "{label}");
    }
}

/// An armed capture is disarmed by the same button, and one that has had its take is armed again.
#[test]
fn capture_is_disarmed() {
    for (capture, arms) in [
        (Capture::Armed, false),
        (Capture::Recording { progress: 0.4 }, false),
        (Capture::Done, true),
    ] {
        let mut view = full();
        view.slots[0].capture = capture;
        let mut harness = open(view);
        assert_eq!(click(&mut harness, "Capture A"), [Action::Capture(SlotId::A, arms)]);
    }
}

/// What cannot be done cannot be pressed.
#[test]
fn empty_slots_cannot_be_cleared_or_undone() {
    let mut harness = open(View::default());
    for label in ["Clear A", "Undo A", "New idea for A", "Swap A and B", "Save MIDI"] {
        assert_eq!(click(&mut harness, label), [], "{label}");
    }
    assert!(harness.state().state.browser.is_none());
}

/// The round buttons go all the way to A and to B.
#[test]
fn ends_are_one_click_away() {
    let mut harness = open(full());
    assert_eq!(morph_values(&click(&mut harness, "Morph to B")), [1.0]);
    assert_eq!(morph_values(&click(&mut harness, "Morph to A")), [0.0]);
}

/// The dice change the seed within one gesture.
#[test]
fn dice_change_the_seed() {
    let mut harness = open(full());
    let actions = click(&mut harness, "New seed");
    let [Action::Seed(Gesture::Begin), Action::Seed(Gesture::Set(seed)), end] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(*end, Action::Seed(Gesture::End));
    assert!(*seed != 1 && (table::SEED.min..=table::SEED.max).contains(seed));
}

/// Another model is chosen from the menu.
#[test]
fn models_are_chosen_from_the_menu() {
    let mut harness = open(full());
    assert_eq!(click(&mut harness, "Model: mel-2bar"), []);
    assert_eq!(click(&mut harness, "another"), [Action::ChooseModel(1)]);
}

/// What computes is chosen below the models, where there is something to choose; it is no change of
/// the model.
#[test]
fn providers_are_chosen_below_the_models() {
    let mut harness = open(full());
    click(&mut harness, "Model: mel-2bar");
    assert!(harness.query_by_label("Automatic").is_none(), "there is nothing to choose");
    click(&mut harness, "mel-2bar");
    let cuda = Choice::Only(Provider::Cuda);
    let engine = &mut harness.state_mut().view.engine;
    engine.choices = vec![Choice::Automatic, Choice::Only(Provider::Cpu), cuda];
    harness.run_steps(2);
    assert_eq!(click(&mut harness, "Model: mel-2bar"), []);
    assert_eq!(click(&mut harness, "CUDA"), [Action::Compute(cuda)]);
}

/// A message is shown, closed by the user, and stays closed until another one comes.
#[test]
fn messages_are_dismissed() {
    let first = "No ONNX Runtime was found. Run `cargo xtask runtime`.";
    let view = View { message: Some(first.into()), ..full() };
    let mut harness = open(view);
    assert!(harness.query_by_label(first).is_some());
    assert_eq!(click(&mut harness, "Dismiss the message"), []);
    assert!(harness.query_by_label(first).is_none());
    harness.state_mut().view.message = Some("The model folder is incomplete.".into());
    harness.run_steps(2);
    assert!(harness.query_by_label("The model folder is incomplete.").is_some());
}

/// The status line says what runs, how fast, and how often it was late.
#[test]
fn status_line_tells_the_engine() {
    let mut view = full();
    view.engine.late_cycles = 3;
    let harness = open(view);
    let node = harness.get_by_role(Role::Status);
    let label = node.accesskit_node().label().unwrap_or_default();
    for part in ["CPU", "1.32.0", "5.0 ms", "3 late cycles"] {
        assert!(label.contains(part), "{part} in {label:?}");
    }
}

/// A clip is loaded through the browser: a folder, then a file in it.
#[test]
fn clips_are_loaded_through_the_browser() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let inner = folder.path().join("tunes");
    std::fs::create_dir(&inner).expect("the folder can be made");
    std::fs::write(inner.join("one.mid"), []).expect("the file can be written");
    let mut harness = open(full());
    harness.state_mut().state.folder = Some(folder.path().to_path_buf());
    click(&mut harness, "Load a MIDI file into B");
    click(&mut harness, "tunes");
    let actions = click(&mut harness, "one.mid");
    assert_eq!(actions, [Action::LoadFile(SlotId::B, inner.join("one.mid"))]);
    assert!(harness.query_by_label("Parent folder").is_none(), "the browser is closed");
    assert_eq!(harness.state().state.folder.as_deref(), Some(inner.as_path()));
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &std::path::Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

/// A dropped file goes to the slot on whose side it fell, a second one to the other slot.
#[test]
fn dropped_files_go_to_their_slots() {
    let mut harness = open(full());
    let place = harness.get_by_label("Capture B").rect().center();
    harness.hover_at(place);
    harness.step();
    for name in ["one.mid", "two.mid"] {
        harness.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(name.into())));
    }
    harness.step();
    assert_eq!(
        harness.state_mut().take(),
        [
            Action::LoadFile(SlotId::B, "one.mid".into()),
            Action::LoadFile(SlotId::A, "two.mid".into())
        ]
    );
}

/// Without a pointer, a dropped file goes to the first empty slot.
#[test]
fn dropped_files_fill_empty_slots_first() {
    let mut view = full();
    view.slots[1].clip = None;
    let mut harness = open(view);
    harness.input_mut().dropped_files.push(std::sync::Arc::new(Dropped("one.mid".into())));
    harness.step();
    assert_eq!(harness.state_mut().take(), [Action::LoadFile(SlotId::B, "one.mid".into())]);
}

/// Everything that can be touched has a name, in every state of the window.
#[test]
fn everything_has_a_name() {
    for view in [View::default(), full()] {
        let harness = open(view);
        assert_eq!(harness.unnamed_widgets(), Vec::<String>::new());
    }
}

fn clips() -> impl Strategy<Value = Option<Clip>> {
    let time = prop_oneof![0.0..70.0_f64, Just(0.0), Just(1e12), Just(f64::MAX)];
    let note = (time.clone(), time, any::<u8>(), any::<u8>(), any::<u8>()).prop_map(
        |(start, length, pitch, velocity, channel)| Note {
            start,
            end: start + length,
            pitch,
            velocity,
            channel,
            program: 0,
        },
    );
    let length = prop_oneof![Just(0.0), Just(8.0), Just(64.0), Just(f64::MAX), -5.0..500.0_f64];
    let clip = (proptest::collection::vec(note, 0..40), length)
        .prop_map(|(notes, length)| Clip::new(notes, length));
    proptest::option::of(clip)
}

fn slots() -> impl Strategy<Value = SlotView> {
    let capture = prop_oneof![
        Just(Capture::Idle),
        Just(Capture::Armed),
        any::<f32>().prop_map(|progress| Capture::Recording { progress }),
        Just(Capture::Done),
    ];
    (clips(), "[ -~]{0,60}", capture, any::<bool>()).prop_map(
        |(clip, source, capture, can_undo)| SlotView {
            recording: clip.clone(),
            unread: can_undo,
            clip,
            source,
            capture,
            can_undo,
        },
    )
}

fn patterns() -> impl Strategy<Value = PatternView> {
    (clips(), any::<usize>(), any::<f64>(), any::<f64>(), any::<i64>(), any::<bool>()).prop_map(
        |(clip, bars, beats_per_bar, position, cycle, playing)| PatternView {
            clip,
            bars,
            beats_per_bar,
            position,
            cycle,
            playing,
        },
    )
}

fn views() -> impl Strategy<Value = View> {
    let floats = any::<([f32; 2], Shape)>();
    let parameters = (floats, any::<i32>(), any::<[bool; 4]>()).prop_map(
        |(([morph, temperature], shape), seed, [evolve, output, thru, bypass])| ParameterView {
            morph,
            shape,
            temperature,
            seed,
            evolve,
            output,
            thru,
            bypass,
            key: crate::key::Key::at(seed.unsigned_abs() as usize % 30),
            sound: Mix { on: thru != bypass, ..table::mix() },
        },
    );
    let engine = ("[ -~]{0,20}", "[ -~]{0,20}", any::<bool>(), any::<Option<f32>>(), any::<u64>())
        .prop_map(|(provider, runtime, loading, decode_ms, late_cycles)| EngineView {
            choices: if loading { Choice::Only(Provider::Cuda).offered() } else { Vec::new() },
            chosen: Choice::default(),
            provider,
            runtime,
            loading,
            decode_ms,
            late_cycles,
            late_glow: decode_ms.unwrap_or(1.0),
        });
    let models = proptest::collection::vec("[ -~]{1,40}", 0..5);
    let message = proptest::option::of("[ -~]{1,400}");
    let style = (proptest::option::of("[ -~]{0,60}"), any::<bool>(), any::<Option<f32>>())
        .prop_map(|(source, fits, learning)| StyleView { source, fits, learning });
    let models = (models, any::<Option<usize>>());
    let slots = SlotId::ALL.map(|_| slots());
    let attributes = any::<[bool; Attribute::ALL.len()]>();
    (slots, patterns(), (parameters, attributes), models, style, engine, message).prop_map(
        |(slots, pattern, (parameters, attributes), (models, model), style, engine, message)| {
            let clips_key = style.source.clone();
            View {
                slots,
                pattern,
                clips_key,
                parameters,
                models,
                model,
                attributes,
                style,
                engine,
                message,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any view is drawn without a panic and without an action that nobody took, at any size.
    #[test]
    fn any_view_is_drawn(view in views(), width in 1.0..2000.0_f32, height in 1.0..1500.0_f32) {
        let mut harness = open_at(view, [width, height]);
        harness.step();
        prop_assert_eq!(harness.state_mut().take(), vec![]);
    }
}

/// A new window shows the folder that was chosen, and nothing of what was open or held.
#[test]
fn reopening_keeps_the_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut harness = open(full());
    harness.state_mut().state.suggest_folder(folder.path());
    click(&mut harness, "Load a MIDI file into A");
    let state = &mut harness.state_mut().state;
    assert!(state.browser.is_some());
    state.dismissed = Some("Something is wrong.".to_owned());
    state.reopen();
    assert!(state.browser.is_none() && !state.styled);
    assert_eq!(state.folder(), Some(folder.path()));
    assert_eq!(state.dismissed.as_deref(), Some("Something is wrong."));
}
