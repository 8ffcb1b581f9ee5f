//! What computes: chosen for the machine, given up for the CPU when it cannot be used or fails.

use interlude_models::{
    engine::{Engine, EngineOptions},
    network::Part,
    runtime::{Provider, Runtime},
};
use interlude_onnx::{Attribute, Graph};

use super::{
    super::compute::{Compute, Spare},
    *,
};
use crate::provider::Choice;

const CUDA: Choice = Choice::Only(Provider::Cuda);

/// A worker on a machine where this was remembered.
fn with_preferences(name: &str, text: &str) -> Steps {
    Steps::with(name, |model| {
        let user = model.parent().expect("a folder around it").join("user");
        fs::create_dir_all(&user).expect("it can be made");
        fs::write(Preferences::file(&user), text).expect("written");
    })
}

/// The provider that computes, and what the user is told.
fn told(steps: &Steps) -> (String, Option<String>) {
    let status = steps.worker.shared.status.lock();
    (status.provider.clone(), status.message())
}

fn plays(steps: &mut Steps, id: u64) {
    let pattern = steps.ask(id, 3).expect("an answer");
    assert_eq!((pattern.id(), pattern.notes().is_empty()), (id, false));
    steps.audio.discard(pattern);
}

fn filled(steps: &mut Steps) {
    steps.perform(Command::Draw(SlotId::A, 7));
    while steps.worker.turn() {}
}

/// A provider that was chosen and cannot be used, in this build, with this runtime or without its
/// driver, is told with a remedy, and the CPU plays. Chosen by itself, the best that works says nothing
/// where there is nothing else.
#[test]
fn a_provider_that_is_missing_leaves_the_cpu() {
    let mut steps = with_preferences("missing-provider", r#"{"provider": "cuda"}"#);
    filled(&mut steps);
    if told(&steps).0 == "CUDA" {
        // A machine with such a card: nothing is missing.
        assert_eq!(told(&steps).1, None);
    } else {
        let (provider, message) = told(&steps);
        let message = message.expect("a message");
        for part in ["CUDA cannot", "The CPU plays instead."] {
            assert!(message.contains(part), "{part} in {message}");
        }
        if !steps
            .worker
            .model
            .as_ref()
            .expect("a model")
            .runtime()
            .available()
            .contains(&Provider::Cuda)
        {
            assert!(message.contains("cargo xtask install --provider cuda"), "{message}");
        }
        assert_eq!((provider.as_str(), message.lines().count()), ("CPU", 1));
    }
    plays(&mut steps, 1);

    let mut steps = Steps::with("automatic", |_| {});
    filled(&mut steps);
    if told(&steps).0 == "CPU" && !Provider::Cuda.is_built() && !Provider::DirectMl.is_built() {
        assert_eq!(told(&steps).1, None);
    }
    plays(&mut steps, 1);
}

/// A choice is made for the machine: it is remembered beside the others, the model in use plays on
/// until it is loaded anew, and the project has not changed.
#[test]
fn a_choice_is_the_machines() {
    let mut steps = with_preferences("choice", r#"{"folder": "/music"}"#);
    filled(&mut steps);
    let edits = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = Arc::clone(&edits);
    steps.worker.shared.song.on_edit(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let signal = steps.model_signal();
    steps.perform(Command::Compute(CUDA));
    assert!(steps.worker.turn() && steps.worker.loading.is_some());
    plays(&mut steps, 1);
    while steps.worker.turn() {}
    assert_eq!(steps.model_signal(), signal + 1, "it was loaded once");
    plays(&mut steps, 2);
    assert_eq!(edits.load(Ordering::Relaxed), 0);
    let status = steps.worker.shared.status.lock().provider_choice;
    let remembered = Preferences::read(&steps.folder.0.join("user"));
    assert_eq!((status, remembered.provider.as_str()), (CUDA, "cuda"));
    assert_eq!(remembered.folder.as_deref(), Some(Path::new("/music")));

    steps.perform(Command::Compute(Choice::Only(Provider::Cpu)));
    while steps.worker.turn() {}
    assert_eq!(told(&steps), ("CPU".to_owned(), None));
}

/// A choice that cannot be loaded is tried once; the model plays on as it was, and the choice before can
/// be made again.
#[test]
fn a_choice_that_fails_is_tried_once() {
    let mut steps = Steps::new("once");
    filled(&mut steps);
    let (name, signal) = (steps.model().expect("a model"), steps.model_signal());
    let (model, aside) = (Path::new(&name), steps.folder.0.join("aside"));
    fs::rename(model, &aside).expect("moved");
    steps.perform(Command::Compute(CUDA));
    let turns = (0..100_000).take_while(|_| steps.worker.turn()).count();
    assert!(turns < 100_000, "it is tried again and again");
    let message = told(&steps).1.expect("a message");
    assert!(message.contains("plays on"), "{message}");
    assert_eq!(steps.model_signal(), signal);
    plays(&mut steps, 1);
    fs::rename(&aside, model).expect("moved back");
    steps.perform(Command::Compute(Choice::Automatic));
    while steps.worker.turn() {}
    plays(&mut steps, 2);
}

/// A name that no provider has is told with those that there are and the file, until another choice is
/// made; the best that works computes.
#[test]
fn an_unknown_name_is_told() {
    let mut steps = with_preferences("abacus", r#"{"provider": "abacus"}"#);
    let message = told(&steps).1.expect("a message");
    let names = Provider::ALL.map(Provider::name);
    for part in ["`abacus`", "auto", "editor.json"].into_iter().chain(names) {
        assert!(message.contains(part), "{part} in {message}");
    }
    steps.perform(Command::Compute(Choice::Only(Provider::Cpu)));
    while steps.worker.turn() {}
    assert_eq!(told(&steps).1, None);
}

/// Makes the graph of a part one that loads, and fails when it runs: its outputs are to have more
/// elements than what they are made from.
fn break_graph(model: &Path, part: Part) {
    let package = Package::open(model).expect("a model");
    let interface = part.interface(&package.info.config);
    let mut graph = Graph::new("broken");
    let inputs: Vec<_> = interface
        .inputs
        .iter()
        .map(|port| graph.input(port.name, port.element, &port.shape))
        .collect();
    let size = graph.op("Size", &[&inputs[0]], &[]);
    let three = graph.int(3);
    let size = graph.mul(&size, &three);
    let size = graph.reshape(&size, &[1]);
    for port in &interface.outputs {
        let shape = graph.concat(&vec![&size; port.shape.len()], 0);
        let wrong = graph.op("Reshape", &[&inputs[0], &shape], &[]);
        let element = Attribute::Int(port.element as i64);
        let output = graph.op("Cast", &[&wrong], &[("to", element)]);
        graph.output(port.name, &output, port.element, &port.shape);
    }
    fs::write(package.graph(part), graph.into_model()).expect("written");
}

/// A provider that fails while it decodes or encodes costs no pattern: the same request is answered by
/// the CPU, which computes from then on, and that is told once, with how to try again.
#[test]
fn a_provider_that_fails_costs_no_pattern() {
    for part in [Part::Step, Part::Encoder] {
        let mut steps = Steps::new("dying");
        filled(&mut steps);
        let sizes = "z_size=6,enc_rnn_size=[4],dec_rnn_size=[4]";
        let broken = write_model(&steps.folder, "broken", sizes);
        break_graph(Path::new(&broken), part);
        let runtime = Runtime::start(None).expect("it runs already");
        let load = |package: &Package| Engine::load(runtime, package, &EngineOptions::default());
        let engine = load(&Package::open(Path::new(&broken)).expect("a model")).expect("it loads");
        let name = steps.model().expect("a model");
        let package = Package::open(Path::new(&name)).expect("a model");
        let spare = Spare { runtime, package, instead_of: Provider::Cuda };
        let model = steps.worker.model.as_mut().expect("a model");
        *model.compute() = Compute::on_trial(engine, spare);

        if part == Part::Encoder {
            let tune = steps.tune("one.mid", 60);
            steps.perform(Command::LoadFile(SlotId::A, tune));
            while steps.worker.turn() {}
            assert!(steps.song(|state| state.slots[0].latent.is_some()), "the clip is encoded");
        }
        plays(&mut steps, 1);
        let (provider, message) = told(&steps);
        let message = message.expect("a message");
        assert_eq!(provider, "CPU");
        for part in ["CUDA stopped while it worked (", "The CPU plays on", "choose the model again"]
        {
            assert!(message.contains(part), "{part} in {message}");
        }
        plays(&mut steps, 2);
        assert_eq!(told(&steps).1, Some(message));

        // Choosing the model again tries what was chosen anew.
        steps.perform(Command::Retry);
        while steps.worker.turn() {}
        assert_eq!(told(&steps).1, None);
        plays(&mut steps, 3);
    }
}

/// A graph that fails on the CPU too is the model's fault: the message names its file, and nothing is
/// tried again and again.
#[test]
fn a_model_that_fails_everywhere_is_told() {
    let mut steps = Steps::new("hopeless");
    filled(&mut steps);
    let name = steps.model().expect("a model");
    let package = Package::open(Path::new(&name)).expect("a model");
    break_graph(Path::new(&name), Part::Step);
    let runtime = Runtime::start(None).expect("it runs already");
    let load = || Engine::load(runtime, &package, &EngineOptions::default()).expect("it loads");
    let spare = Spare { runtime, package: package.clone(), instead_of: Provider::Cuda };
    *steps.worker.model.as_mut().expect("a model").compute() = Compute::on_trial(load(), spare);
    let pattern = steps.ask(1, 3).expect("an answer");
    assert!(pattern.notes().is_empty());
    steps.audio.discard(pattern);
    let message = told(&steps).1.expect("a message");
    assert!(message.contains(Part::Step.file()), "{message}");
}
