//! The engine on small models of every configuration: what it promises, and what it does with
//! files and values that are wrong.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use interlude_models::config;
use interlude_models::engine::{DecodeSettings, EngineError, Repeats, Taste};
use interlude_models::network::Part;
use interlude_models::package::{INFO_FILE, ModelInfo, Package, PackageError};
use interlude_models::runtime::Provider;
use interlude_models::steering::{Kept, Lock, Steering};
use interlude_models::tokens::{Controls, Tokens};

mod small;

use small::{Model, decode, runtime, weights};

// Every configuration decodes whole windows that its own encoder reads again.
#[test]
fn every_configuration_decodes_and_encodes() {
    for config in config::all() {
        let model = Model::new(&config.name);
        let mut engine = model.engine().expect("loaded");
        let settings = model.settings(1.0, &[0, 1]);
        let windows = decode(&mut engine, &model.codes(2), &settings);
        assert_eq!(windows.len(), 2, "{}", config.name);
        assert!(windows.iter().all(|window| window.len() == config.hparams.max_seq_len));
        let posteriors = engine.encode(&windows, settings.controls.as_deref()).expect("encoded");
        assert_eq!(posteriors.len(), 2);
        for posterior in posteriors {
            assert_eq!((posterior.mu.len(), posterior.sigma.len()), (6, 6));
            assert!(posterior.sigma.iter().all(|&sigma| sigma > 0.0 && sigma.is_finite()));
        }
    }
}

// Every configuration warms up, and decodes afterwards what it decodes without.
#[test]
fn every_configuration_warms_up() {
    for config in config::all() {
        let model = Model::new(&config.name);
        let (codes, settings) = (model.codes(1), model.settings(1.0, &[3]));
        let mut cold = model.engine().expect("loaded");
        let mut warm = model.engine().expect("loaded");
        warm.warm_up().expect("it runs");
        let decoded = [&mut cold, &mut warm].map(|engine| decode(engine, &codes, &settings));
        assert_eq!(decoded[0], decoded[1], "{}", config.name);
    }
}

// The same keys give the same music, alone or in a batch; other keys, other music.
#[test]
fn keys_decide_the_music() {
    for name in ["cat-mel_2bar_small", "nade-drums_2bar_reduced", "hierdec-trio_16bar"] {
        let model = Model::new(name);
        let mut engine = model.engine().expect("loaded");
        let z = vec![model.codes(1).remove(0); 3];
        let batch = decode(&mut engine, &z, &model.settings(1.0, &[4, 5, 4]));
        assert_eq!(batch[0], batch[2], "{name}");
        assert_ne!(batch[0], batch[1], "{name}");
        let alone = decode(&mut engine, &z[..1], &model.settings(1.0, &[5]));
        assert_eq!(alone[0], batch[1], "{name}");
    }
}

// A decoding can be stopped after any step, and what it made is the beginning of the whole.
#[test]
fn decoding_can_be_stopped() {
    let model = Model::new("hierdec-mel_16bar");
    let mut engine = model.engine().expect("loaded");
    let (z, settings) = (model.codes(1), model.settings(1.0, &[0]));
    let Tokens::Melody(whole) = &decode(&mut engine, &z, &settings)[0] else { panic!("a melody") };
    let stop =
        &mut |step| if step == 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let stopped = engine.decode(&z, &settings, stop).expect("decoded");
    assert_eq!(stopped, [Tokens::Melody(whole[..21].to_vec())]);
    let few = DecodeSettings { steps: Some(7), ..settings };
    assert_eq!(decode(&mut engine, &z, &few), [Tokens::Melody(whole[..7].to_vec())]);
}

// In the middle of a morph a melody keeps to the scale and range of its ends, at any temperature; at
// the ends it is what it would be without.
#[test]
fn tastes_hold_scale_and_range() {
    let model = Model::new("cat-mel_2bar_small");
    let mut engine = model.engine().expect("loaded");
    let z = model.codes(4);
    // C major from C4 to C5.
    let scale = Tokens::Melody([60u8, 62, 64, 65, 67, 69, 71, 72].map(|pitch| pitch - 19).to_vec());
    let taste = Taste::of(&[&scale, &scale]).expect("a key");
    for temperature in [0.0, 0.7] {
        let plain = model.settings(temperature, &[0, 1, 2, 3]);
        let at = |t| DecodeSettings { tastes: vec![taste.at(t); 4], ..plain.clone() };
        assert_eq!(decode(&mut engine, &z, &at(0.0)), decode(&mut engine, &z, &plain));
        for tokens in decode(&mut engine, &z, &at(0.5)) {
            let Tokens::Melody(tokens) = tokens else { panic!("a melody") };
            let mut pitches = tokens.iter().filter(|&&token| token > 1).map(|token| token + 19);
            let held =
                |pitch: u8| (60..=72).contains(&pitch) && ![1, 3, 6, 8, 10].contains(&(pitch % 12));
            assert!(pitches.all(held), "{tokens:?}");
        }
    }
    let drums = Model::new("cat-drums_2bar_small");
    let mut engine = drums.engine().expect("loaded");
    let settings = DecodeSettings { tastes: vec![taste], ..drums.settings(0.0, &[0]) };
    let error = engine.decode(&drums.codes(1), &settings, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(error, Err(EngineError::Settings(_))), "drums have no scale");
}

// What repeats a loop is one, whatever the code and the temperature, and feeds back into the rest; an
// example that keeps some of a pattern, or repeats nothing, is decoded as ever.
#[test]
fn repeated_bars_are_equal() {
    let model = Model::new("hierdec-trio_16bar");
    let mut engine = model.engine().expect("loaded");
    let z = model.codes(3);
    let step = |step: u16| [2 + step % 16, 2 + step % 32, 1 + step / 16];
    let clip = Tokens::Trio((0..256).map(step).collect());
    let repeats = Repeats::of(&model.config, &[&clip]);
    let plain = model.settings(0.8, &[0, 1, 2]);
    let kept = Kept { pattern: clip, locks: vec![Lock::Rhythm(0.5)], seed: 1 };
    let kept = Steering { kept: Some(kept), ..Steering::default() };
    let steering = vec![Steering::default(), Steering::default(), kept];
    let without = DecodeSettings { steering, ..plain };
    let with = DecodeSettings { repeats: vec![repeats.clone(), None, repeats], ..without.clone() };
    let (without, with) = (decode(&mut engine, &z, &without), decode(&mut engine, &z, &with));
    assert_eq!((&without[1], &without[2]), (&with[1], &with[2]));
    assert_ne!(without[0], with[0]);
    let Tokens::Trio(steps) = &with[0] else { panic!("a trio") };
    // Before its first note a voice is as silent as after the end of one.
    let onsets = |voice: usize, bar: usize| -> Vec<u16> {
        let bar = &steps[16 * bar..16 * (bar + 1)];
        bar.iter().map(|step| if step[voice] > 1 { step[voice] } else { 0 }).collect()
    };
    for bar in 0..16 {
        assert_eq!(onsets(0, bar), onsets(0, 0), "{bar}");
        assert_eq!(onsets(1, bar), onsets(1, bar % 2), "{bar}");
    }
    let drums = |bar: usize| steps[16 * bar..16 * (bar + 1)].iter().map(|step| step[2]);
    assert!((1..16).any(|bar| !drums(bar).eq(drums(0))), "drums that do not repeat are free");
    let few = DecodeSettings { repeats: vec![None], ..model.settings(0.0, &[0, 1, 2]) };
    let error = engine.decode(&z, &few, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(error, Err(EngineError::Settings(_))), "one for each");
}

// An empty batch is an empty answer.
#[test]
fn nothing_in_nothing_out() {
    let mut engine = Model::new("cat-mel_2bar_small").engine().expect("loaded");
    assert_eq!(engine.encode(&[], None).expect("encoded"), []);
    assert_eq!(decode(&mut engine, &[], &DecodeSettings::default()), []);
}

// A window without steps encodes to the posterior of a zero embedding: finite, like any other.
#[test]
fn a_window_without_steps_has_a_posterior() {
    let mut engine = Model::new("flat-mel_16bar").engine().expect("loaded");
    let windows = [Tokens::Melody(vec![]), Tokens::Melody(vec![40; 16])];
    let alone = engine.encode(&windows[..1], None).expect("encoded");
    let batch = engine.encode(&windows, None).expect("encoded");
    assert!(alone[0].mu.iter().chain(&alone[0].sigma).all(|value| value.is_finite()));
    for (a, b) in alone[0].mu.iter().zip(&batch[0].mu) {
        assert!((a - b).abs() < 1e-5);
    }
}

// Values that do not fit the model are errors that say so.
#[test]
fn values_that_do_not_fit_are_errors() {
    let model = Model::new("cat-mel_2bar_med_chords");
    let mut engine = model.engine().expect("loaded");
    let go = &mut |_| ControlFlow::Continue(());
    let window = Tokens::Melody(vec![0; 32]);
    let chords = Controls::Chords(vec![0; 32]);
    let mut encode = |window: &Tokens, controls: Option<&Controls>| {
        engine.encode(std::slice::from_ref(window), controls.map(std::slice::from_ref))
    };
    assert!(matches!(encode(&window, None), Err(EngineError::Controls { .. })));
    let short = Controls::Chords(vec![0; 31]);
    assert!(matches!(encode(&window, Some(&short)), Err(EngineError::Controls { .. })));
    let absurd = Controls::Chords(vec![49; 32]);
    assert!(matches!(encode(&window, Some(&absurd)), Err(EngineError::Tokens(_))));
    let drums = Tokens::Drums(vec![0; 32]);
    assert!(matches!(encode(&drums, Some(&chords)), Err(EngineError::Tokens(_))));
    let token = Tokens::Melody(vec![90; 32]);
    assert!(matches!(encode(&token, Some(&chords)), Err(EngineError::Tokens(_))));
    let long = Tokens::Melody(vec![0; 33]);
    let long_chords = Controls::Chords(vec![0; 33]);
    assert!(matches!(encode(&long, Some(&long_chords)), Err(EngineError::Steps { .. })));

    let settings = model.settings(1.0, &[0]);
    let error = engine.decode(&[vec![0.0; 5]], &settings, go);
    assert!(matches!(error, Err(EngineError::Latent { expected: 6, found: 5 })));
    let error = engine.decode(&[vec![f32::NAN; 6]], &settings, go);
    assert!(matches!(error, Err(EngineError::NotFinite { index: 0 })));
    for wrong in [
        DecodeSettings { temperature: f32::NAN, ..settings.clone() },
        DecodeSettings { temperature: -1.0, ..settings.clone() },
        DecodeSettings { keys: vec![], ..settings.clone() },
        DecodeSettings { steps: Some(33), ..settings.clone() },
        DecodeSettings { controls: Some(vec![]), ..settings.clone() },
    ] {
        let error = engine.decode(&[vec![0.0; 6]], &wrong, go);
        assert!(matches!(error, Err(EngineError::Settings(_))), "{wrong:?}");
    }
    let error = engine.decode(&[vec![0.0; 6]], &DecodeSettings { controls: None, ..settings }, go);
    assert!(matches!(error, Err(EngineError::Controls { .. })));
}

// A hierarchical encoder reads whole windows only.
#[test]
fn a_hierarchical_encoder_needs_whole_windows() {
    let mut engine = Model::new("hier-mel_16bar").engine().expect("loaded");
    let error = engine.encode(&[Tokens::Melody(vec![0; 255])], None).expect_err("too short");
    assert!(error.to_string().contains("exactly 256"), "{error}");
}

/// Puts bytes in place of a file while `check` runs.
fn with_bytes(path: &Path, bytes: &[u8], check: impl FnOnce()) {
    let original = fs::read(path).expect("a file of the model");
    fs::write(path, bytes).expect("replaced");
    check();
    fs::write(path, original).expect("restored");
}

// A file that is cut off anywhere gives an error that names it.
#[test]
fn every_truncated_file_is_named() {
    let model = Model::new("hierdec-mel_16bar");
    for part in Part::all(&model.config) {
        for name in [part.file().to_owned(), part.data_file()] {
            let path = model.path().join(&name);
            let whole = fs::read(&path).expect("a file of the model");
            for share in [0, 1, 10, 50, 90, 99] {
                let length = whole.len() * share / 100;
                with_bytes(&path, &whole[..length], || {
                    let message = model.engine().expect_err("cut off").to_string();
                    assert!(message.contains(&name), "{name} at {length}: {message}");
                    assert_eq!(message.lines().count(), 1, "one sentence: {message}");
                });
            }
            fs::remove_file(&path).expect("removed");
            let message = match Package::open(&model.path()) {
                Err(error) => error.to_string(),
                Ok(_) => model.engine().expect_err("missing").to_string(),
            };
            assert!(message.contains(part.file()), "{message}");
            fs::write(&path, whole).expect("restored");
        }
    }
    model.engine().expect("whole again");
}

// Damage within a graph's file is an error or harmless, never a crash; the weights' file has no
// structure to damage.
#[test]
fn damaged_graphs_do_not_crash() {
    let model = Model::new("nade-drums_2bar_reduced");
    let z = model.codes(1);
    for part in [Part::Encoder, Part::Step] {
        let path = model.path().join(part.file());
        let whole = fs::read(&path).expect("a file of the model");
        for place in (0..whole.len()).step_by(whole.len() / 120 + 1) {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x55;
            with_bytes(&path, &damaged, || {
                if let Ok(mut engine) = model.engine() {
                    let settings = DecodeSettings { steps: Some(2), ..model.settings(1.0, &[0]) };
                    let _ = engine.encode(&[Tokens::Drums(vec![0; 32])], None);
                    let _ = engine.decode(&z, &settings, &mut |_| ControlFlow::Continue(()));
                }
            });
        }
    }
}

// A graph of another model or another part is refused by what it lacks.
#[test]
fn graphs_of_other_models_are_refused() {
    let melody = Model::new("cat-mel_2bar_small");
    let drums = Model::new("cat-drums_2bar_small");
    for part in [Part::Encoder, Part::Step] {
        let other = fs::read(drums.path().join(part.file())).expect("a graph");
        with_bytes(&melody.path().join(part.file()), &other, || {
            let error = melody.engine().expect_err("another model");
            assert!(error.to_string().contains(part.file()), "{error}");
        });
    }
    let init = fs::read(melody.path().join("decoder_init.onnx")).expect("a graph");
    with_bytes(&melody.path().join("encoder.onnx"), &init, || {
        let error = melody.engine().expect_err("another part").to_string();
        assert!(error.contains("encoder.onnx"), "{error}");
    });
}

// A graph must not make the runtime read files outside the model's folder.
#[test]
fn weights_outside_the_folder_are_refused() {
    let model = Model::new("cat-mel_2bar_small");
    let path = model.path().join("encoder.onnx");
    let whole = fs::read(&path).expect("a graph");
    let name = b"encoder.onnx.data";
    for evil in [b"../../outside.dat", b"/etc/passwd/12345", b"..\\..\\outside.dat"] {
        let mut graph = whole.clone();
        let mut places = 0;
        for place in 0..graph.len() - name.len() {
            if &graph[place..place + name.len()] == name {
                graph[place..place + name.len()].copy_from_slice(evil);
                places += 1;
            }
        }
        assert!(places > 0);
        with_bytes(&path, &graph, || {
            let error = model.engine().expect_err("outside").to_string();
            assert!(error.contains("outside its folder"), "{error}");
        });
    }
}

// A damaged description, one with absurd sizes, and one from the future are told apart.
#[test]
fn bad_descriptions_are_errors() {
    let model = Model::new("cat-mel_2bar_small");
    let path = model.path().join(INFO_FILE);
    let text = fs::read_to_string(&path).expect("a description");
    let open = || Package::open(&model.path()).expect_err("a bad description");
    for length in (0..text.len() - 2).step_by(7) {
        with_bytes(&path, &text.as_bytes()[..length], || {
            assert!(open().to_string().contains(INFO_FILE));
        });
    }
    let future = text.replacen("\"format\": 1", "\"format\": 2", 1);
    with_bytes(&path, future.as_bytes(), || {
        assert!(matches!(open(), PackageError::Format { found: 2, .. }));
    });
    let absurd = text.replacen("\"z_size\": 6", "\"z_size\": 99999999999", 1);
    with_bytes(&path, absurd.as_bytes(), || {
        assert!(open().to_string().contains("z_size"));
    });
    with_bytes(&path, &vec![b' '; 2 << 20], || {
        assert!(open().to_string().contains("megabyte"));
    });
    assert!(matches!(
        Package::open(&model.path().join("nowhere")),
        Err(PackageError::Absent { .. })
    ));
}

// A model is written whole or not at all, and only over another model.
#[test]
fn writing_is_atomic_and_careful() {
    let model = Model::new("cat-mel_2bar_small");
    let info = ModelInfo::new(model.config.clone(), "again");
    let mut good = weights(&model.config);
    let again = Package::write(&model.path(), &info, &good).expect("replaced");
    assert_eq!(Package::open(&model.path()).expect("a model"), again);

    if let Some(tensor) = good.0.get_mut("encoder/mu/bias") {
        tensor.data[0] = f32::INFINITY;
    }
    let new = model.folder.path().join("new");
    let error = Package::write(&new, &info, &good).expect_err("damaged weights");
    assert!(error.to_string().contains("encoder/mu/bias"));
    assert!(!new.exists());

    let other = model.folder.path().join("other");
    fs::create_dir(&other).expect("a folder");
    fs::write(other.join("precious"), b"keep").expect("a file");
    let error = Package::write(&other, &info, &weights(&model.config)).expect_err("occupied");
    assert!(matches!(error, PackageError::Occupied { .. }));
    assert_eq!(fs::read(other.join("precious")).expect("still there"), b"keep");
    let left = fs::read_dir(model.folder.path()).expect("a folder").count();
    assert_eq!(left, 2, "no temporary folder is left");
}

// A build and a runtime without a provider say so, each with its own remedy; what is available is what
// a session can be asked for.
#[test]
fn a_provider_that_is_missing_is_an_error() {
    let available = runtime().available();
    assert_eq!(available.first(), Some(&Provider::Cpu));
    for provider in Provider::ALL {
        let missing = match runtime().session(provider, 1) {
            Ok(_) => {
                assert!(available.contains(&provider));
                continue;
            }
            // A provider whose driver is missing is offered all the same.
            Err(_) if available.contains(&provider) => continue,
            Err(error) => error.to_string(),
        };
        let remedy = if provider.is_built() { "cargo xtask runtime" } else { "--features" };
        for part in [&provider.to_string(), remedy, provider.name()] {
            assert!(missing.contains(part), "{part} in {missing}");
        }
    }
}
