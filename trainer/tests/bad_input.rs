//! What `interlude import` and `interlude generate` say of files that cannot be used: one sentence
//! with the file, the tensor where there is one, and what is expected; an exit code that is not 0;
//! nothing left behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use interlude_models::clip::{Clip, Note};
use interlude_models::config::{Config, by_name};
use interlude_models::midi::to_bytes;
use interlude_models::network::variables;
use interlude_models::package::{ModelInfo, Package};
use interlude_models::weights::{Tensor, Weights};
use interlude_trainer::checkpoint::Writer;

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
