//! What `interlude import` and `interlude generate` say of files that cannot be used: one sentence
//! with the file, the tensor where there is one, and what is expected; an exit code that is not 0;
//! nothing left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use interlude_checkpoint::Writer;
use interlude_models::clip::{Clip, Note};
use interlude_models::config::{Config, by_name};
use interlude_models::midi::{NoteSequence, to_bytes};
use interlude_models::network::variables;
use interlude_models::package::{ModelInfo, Package};
use interlude_models::weights::{Tensor, Weights};

/// A configuration with the smallest layers.
fn tiny(name: &str) -> Config {
    let mut config = by_name(name).expect("known name");
    config.override_hparams("z_size=3,enc_rnn_size=2,dec_rnn_size=[2,2]").expect("fits");
    config
}

/// Writes a checkpoint `NAME.ckpt`; `change` may alter a tensor, or leave it out.
fn checkpoint(
    folder: &Path,
    name: &str,
    change: impl Fn(&str, Tensor) -> Option<Tensor>,
) -> PathBuf {
    let prefix = folder.join(format!("{name}.ckpt"));
    let mut writer = Writer::create(&prefix).expect("created");
    for variable in variables(&tiny(name)) {
        if let Some(tensor) = change(&variable.name, Tensor::zeros(&variable.shape)) {
            writer.add(&variable.name, &tensor).expect("added");
        }
    }
    writer.finish(5).expect("finished");
    prefix
}

/// Runs the program and returns its sentence: it must fail, write one line and no `out`.
fn refused(arguments: &[&str], out: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_interlude"));
    let arguments = [arguments, &["--out", out.to_str().expect("Unicode")]].concat();
    let output = command.args(&arguments).output().expect("runs");
    let message = String::from_utf8(output.stderr).expect("text").trim_end().to_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {message}");
    assert!(message.starts_with("interlude: ") && !message.contains('\n'), "{message}");
    assert!(!out.exists(), "{arguments:?} left something");
    message
}

// Every bad checkpoint is refused in a sentence that tells where and what, and no folder is left.
#[test]
fn bad_checkpoints_are_refused() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let name = "cat-mel_2bar_small";
    let out = place.path().join("out");
    let import = |source: &Path, more: &[&str], words: &[&str]| {
        let source = source.to_str().expect("Unicode");
        let message = refused(&[&["import", source], more].concat(), &out);
        for word in words {
            assert!(message.contains(word), "no {word} in {message}");
        }
    };
    let folder = |number: u8| {
        let folder = place.path().join(number.to_string());
        fs::create_dir(&folder).expect("made");
        folder
    };
    let folder_of = |name: &str| {
        let folder = place.path().join(name);
        fs::create_dir(&folder).expect("made");
        folder
    };
    let same = |_: &str, tensor: Tensor| Some(tensor);
    let kernel = "encoder/mu/kernel";

    // Of another configuration; with hyper-parameters that are none or do not fit.
    let good = checkpoint(&folder(0), name, same);
    let other = ["--config", "hierdec-mel_16bar"];
    import(&good, &other, &[name, "decoder/hierarchical_level_0", "missing", "hierdec-mel_16bar"]);
    import(&good, &["--config", "mel"], &["unknown configuration `mel`", "cat-mel_2bar_small"]);
    import(&good, &["--hparams", "size=3"], &["no `size`", "z_size"]);
    import(&good, &["--hparams", "z_size=0"], &["z_size cannot be `0`", "1 to 65536"]);
    import(&good, &["--hparams", "z_size=4"], &[".ckpt", "encoder/mu", "instead of"]);

    // Tensors that are missing, misshapen, or no numbers.
    let absent = |found: &str, tensor| (found != kernel).then_some(tensor);
    let absent = checkpoint(&folder(1), name, absent);
    import(&absent, &[], &[".ckpt", kernel, "[4, 3]", "missing"]);
    let misshapen =
        |found: &str, tensor| Some(if found == kernel { Tensor::zeros(&[3, 4]) } else { tensor });
    let misshapen = checkpoint(&folder(2), name, misshapen);
    import(&misshapen, &[], &[".ckpt", kernel, "[3, 4] instead of [4, 3]"]);
    let damaged = |found: &str, mut tensor: Tensor| {
        if found == kernel {
            tensor.data[5] = f32::NAN;
        }
        Some(tensor)
    };
    let damaged = checkpoint(&folder(3), name, damaged);
    import(&damaged, &[], &[".ckpt", kernel, "NaN at element 5"]);

    // A shard that is cut off, a file that is none, and an archive that leaves its folder.
    let cut = checkpoint(&folder(4), name, same);
    let shard = cut.with_extension("ckpt.data-00000-of-00001");
    let bytes = fs::read(&shard).expect("reads");
    fs::write(&shard, &bytes[..bytes.len() / 2]).expect("written");
    import(&cut, &[], &["data-00000-of-00001: tensor `", "cut off"]);
    fs::remove_file(&shard).expect("removed");
    import(&cut, &[], &["data-00000-of-00001 is missing"]);
    let text = folder(5).join("model.tar");
    fs::write(&text, "no archive").expect("written");
    import(&text, &[], &["model.tar"]);
    // An archive of another kind is called so, and no bytes of it are shown.
    for (head, kind) in [(&b"PK\x03\x04\x14\0\x08\0"[..], "zip"), (b"Rar!\x1a\x07\x01\0", "rar")] {
        let packed = folder_of(kind).join("model");
        fs::write(&packed, [head, &[0x81; 2000]].concat()).expect("written");
        import(&packed, &[], &[&format!("model is a {kind} archive; unpack it")]);
    }
    let noise = folder_of("noise").join("model");
    fs::write(&noise, [0x81; 2000]).expect("written");
    let message = refused(&["import", noise.to_str().expect("Unicode")], &out);
    assert!(message.is_ascii() && !message.contains("\\u"), "{message}");
    let escaping = folder(6).join("model.tar");
    let mut archive = tar::Builder::new(fs::File::create(&escaping).expect("created"));
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..10].copy_from_slice(b"../m.index");
    header.set_size(0);
    header.set_cksum();
    archive.append(&header, std::io::empty()).expect("appended");
    archive.finish().expect("finished");
    import(&escaping, &[], &["model.tar: member `../m.index`", "outside"]);
    import(&place.path().join("nothing"), &[], &["nothing", "no such file"]);

    // A folder that is no model is not replaced.
    let mut command = Command::new(env!("CARGO_BIN_EXE_interlude"));
    command.arg("import").arg(&good).arg("--out").arg(good.parent().expect("a folder"));
    assert!(!command.output().expect("runs").status.success());
    assert!(good.with_extension("ckpt.index").is_file());
}

// MIDI files that give no window, are damaged or missing, and models that are, end in a sentence
// with the file's name and an exit code, where the original says goodbye with 0.
#[test]
fn bad_midi_is_refused() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let model = place.path().join("model");
    let config = tiny("cat-mel_2bar_small");
    let mut weights = Weights::default();
    for variable in variables(&config) {
        weights.insert(variable.name, Tensor::zeros(&variable.shape));
    }
    Package::write(&model, &ModelInfo::new(config, "a test"), &weights).expect("written");
    let midi = |name: &str, channel: u8, beats: u8| {
        let note = |beat: u8| Note {
            start: beat.into(),
            end: f64::from(beat) + 0.5,
            pitch: 60 + beat,
            velocity: 90,
            channel,
            program: 0,
        };
        let clip = Clip::new((0..beats).map(note).collect(), beats.into());
        let path = place.path().join(name);
        fs::write(&path, to_bytes(&clip, 120.0)).expect("written");
        path
    };
    let good = midi("good.mid", 0, 8);
    let cut = place.path().join("cut.mid");
    fs::write(&cut, &fs::read(&good).expect("reads")[..40]).expect("written");
    let cases = [
        (midi("drums.mid", 9, 8), "needs notes"),
        (midi("short.mid", 0, 3), "needs 2 bars"),
        (midi("empty.mid", 0, 0), "no note"),
        (cut, "cut off"),
        (model.join("model.json"), "not a MIDI file"),
        (place.path().join("absent.mid"), "cannot read"),
        (model.clone(), "it is a folder"),
    ];
    let out = place.path().join("out");
    let [good, model] = [&good, &model].map(|path| path.to_str().expect("Unicode"));
    for (path, word) in &cases {
        let path = path.to_str().expect("Unicode");
        for modes in [&["interpolate", good][..], &["vary"], &["encode"]] {
            let words = [&["generate"], modes, &[path, "--model", model]].concat();
            let message = refused(&words, &out);
            assert!(message.contains(path) && message.contains(word), "{message}");
        }
    }
    let message = refused(&["generate", "sample", "--model", "nowhere"], &out);
    assert!(message.contains("no model folder `nowhere`"), "{message}");
    fs::write(place.path().join("model/decoder_step.onnx"), "nothing").expect("written");
    let message = refused(&["generate", "sample", "--model", model], &out);
    assert!(message.contains("decoder_step.onnx"), "{message}");
}

/// What the program writes on standard error, and whether it succeeds.
fn told(arguments: &[&str]) -> (String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_interlude")).args(arguments).output();
    let output = output.expect("runs");
    (String::from_utf8(output.stderr).expect("text"), output.status.success())
}

/// A model folder with weights that are all zero.
fn zeros(folder: &Path, name: &str) -> String {
    let config = tiny(name);
    let mut weights = Weights::default();
    for variable in variables(&config) {
        weights.insert(variable.name, Tensor::zeros(&variable.shape));
    }
    let path = folder.join(name);
    Package::write(&path, &ModelInfo::new(config, "a test"), &weights).expect("written");
    path.to_str().expect("Unicode").to_owned()
}

// A file that a model does not read by itself is refused with the option that makes it, which then
// does; messages about grooves and drums speak of those.
#[test]
fn refusals_name_the_option() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let [melody, drums, groove] =
        ["cat-mel_2bar_small", "cat-drums_2bar_small", "groovae_2bar_humanize"]
            .map(|name| zeros(place.path(), name));
    let midi = |name: &str, channel: u8, program: u8, beats: u8| {
        let note = |beat: u8| Note {
            start: beat.into(),
            end: f64::from(beat) + 0.5,
            pitch: 36 + beat,
            velocity: 90,
            channel,
            program,
        };
        let path = place.path().join(name);
        let clip = Clip::new((0..beats).map(note).collect(), beats.into());
        fs::write(&path, to_bytes(&clip, 120.0)).expect("written");
        path.to_str().expect("Unicode").to_owned()
    };
    let (lead, rack) = (midi("lead.mid", 0, 80, 8), midi("rack.mid", 0, 0, 8));
    let short = midi("short.mid", 9, 0, 4);
    let encode = |file: &str, model: &str, more: &[&str]| {
        told(&[&["generate", "encode", file, "--model", model], more].concat())
    };
    for (file, model, option) in [(&lead, &melody, "--any-program"), (&rack, &drums, "--drums")] {
        let (message, done) = encode(file, model, &[]);
        assert!(!done && message.contains(option), "{message}");
        let (message, done) = encode(file, model, &[option]);
        assert!(done, "{message}");
    }
    let (message, done) = encode(&lead, &groove, &[]);
    assert!(done, "a groove is read from any channel: {message}");
    let (message, _) = encode(&short, &groove, &[]);
    assert!(message.contains("the longest has 1 bar") && !message.contains("notes"), "{message}");
    let (message, _) = encode(&short, &drums, &[]);
    assert!(message.contains("less than a bar without a hit"), "{message}");

    // Hits on the drum channel without length, and the same with a melody beside them.
    let hits = [24, 0x99, 36, 90, 0, 0x89, 36, 0].repeat(8);
    for more in [&[][..], &[0, 0x90, 60, 90, 24, 0x80, 60, 0]] {
        let track = [&hits[..], more].concat();
        let length = u32::try_from(track.len()).expect("short").to_be_bytes();
        let header = b"MThd\0\0\0\x06\0\0\0\x01\0\x18MTrk";
        let path = place.path().join("hits.mid");
        fs::write(&path, [&header[..], &length, &track].concat()).expect("written");
        let (message, _) = encode(path.to_str().expect("Unicode"), &drums, &[]);
        assert!(message.contains("its 8 drum hits have no length"), "{message}");
    }

    // Windows to choose from have the velocities of the file, where they are to be kept.
    let long = midi("long.mid", 0, 0, 12);
    let out = place.path().join("windows");
    let vary = ["generate", "vary", &long, "--model", &melody, "--keep-velocities", "--out"];
    let (message, done) = told(&[&vary[..], &[out.to_str().expect("Unicode")]].concat());
    assert!(!done && message.contains("holds 2 windows"), "{message}");
    for file in fs::read_dir(&out).expect("the folder").flatten() {
        let notes = NoteSequence::open(&file.path()).expect("reads").notes;
        assert!(!notes.is_empty() && notes.iter().all(|note| note.velocity == 90));
    }

    // A damaged track is told, and the rest is read.
    let mut bytes = fs::read(&rack).expect("reads");
    bytes[11] = 3;
    fs::write(&rack, bytes).expect("written");
    let (message, done) = encode(&rack, &melody, &[]);
    assert!(done && message.contains("rack.mid: the header counts 3 tracks"), "{message}");

    // The folder of a file to write is made; where it cannot be, no name is told that nobody gave.
    let out = place.path().join("new/deep/codes.json");
    let (message, done) = encode(&rack, &melody, &["--out", out.to_str().expect("Unicode")]);
    assert!(done && out.is_file(), "{message}");
    let out = out.join("codes.json");
    let (message, done) = encode(&rack, &melody, &["--out", out.to_str().expect("Unicode")]);
    assert!(!done && !message.contains(".interlude-"), "{message}");
}
