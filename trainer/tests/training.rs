//! `interlude train` as a program: killed, interrupted, resumed, and with things that go wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use interlude_checkpoint::Writer;
use interlude_dataset::{Split, store};
use interlude_models::package::Package;
use interlude_trainer::train::snapshot;
use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = "cat-mel_2bar_small";
/// Sizes that make a step short.
const SMALL: &str = "enc_rnn_size=[16],dec_rnn_size=[16,16],z_size=8";
/// Longest wait for something that a run does.
const PATIENCE: Duration = Duration::from_secs(120);

/// A place with a dataset of repeated scales.
struct Place(TempDir);

impl Place {
    fn new(windows: u16) -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        let window = |number: u16| -> Vec<u16> {
            (0..32).map(|step| if step % 4 == 0 { 30 + (number + step) % 24 } else { 0 }).collect()
        };
        let all: Vec<Vec<u16>> = (0..windows).map(window).collect();
        let rows: Vec<store::Row<'_>> = all.iter().map(|window| (&**window, "a.mid")).collect();
        fs::create_dir(place.dataset()).expect("a folder");
        for split in Split::ALL {
            store::write(&place.dataset(), split, 32, &rows).expect("a dataset");
        }
        place
    }

    fn dataset(&self) -> PathBuf {
        self.0.path().join("dataset")
    }

    fn run(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command for a run of so many steps in a folder.
    fn command(&self, run: &Path, steps: u64, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlude"));
        command
            .args(["train", "--config", CONFIG, "--threads", "1", "--evaluate-windows", "8"])
            .args(["--log-every", "1", "--steps", &steps.to_string()])
            .arg("--dataset")
            .arg(self.dataset())
            .arg("--out")
            .arg(run)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// Losses and norms by step, as bits.
fn losses(run: &Path) -> Vec<(u64, u64, u64)> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let numbers = lines.filter_map(|line| {
        let loss = line["loss"].as_f64()?.to_bits();
        Some((line["step"].as_u64()?, loss, line["global_norm"].as_f64()?.to_bits()))
    });
    numbers.collect()
}

/// Waits until a run has logged a step, or has ended.
fn wait_for_step(child: &mut Child, run: &Path, step: u64) {
    let begin = Instant::now();
    while child.try_wait().expect("a child").is_none()
        && losses(run).last().is_none_or(|last| last.0 < step)
    {
        assert!(begin.elapsed() < PATIENCE, "step {step} does not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Trains `steps` steps, killed after each of the steps `kills` counted from the last resumption,
/// and compares with an unbroken run.
fn kill_and_compare(steps: u64, kills: &[u64], hparams: &str) {
    let place = Place::new(40);
    let more = ["--hparams", hparams, "--batch-size", "8", "--save-every", "0"];
    let unbroken = place.run("unbroken");
    let output = place.command(&unbroken, steps, &more).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let broken = place.run("broken");
    let mut done = 0;
    for &kill in kills {
        let mut child = place.command(&broken, steps, &more).spawn().expect("starts");
        wait_for_step(&mut child, &broken, (done + kill).min(steps - 1));
        child.kill().expect("a child");
        child.wait().expect("a child");
        done = losses(&broken).last().map_or(0, |last| last.0);
    }
    let output = place.command(&broken, steps, &more).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let expected = losses(&unbroken);
    assert_eq!(expected.len() as u64, steps);
    assert_eq!(losses(&broken), expected);
    let last = |run: &Path| snapshot::read(&snapshot::path(run, steps)).expect("a checkpoint");
    let ((progress, weights), (same, others)) = (last(&unbroken), last(&broken));
    assert_eq!(weights, others);
    assert_eq!((progress.step, progress.examples), (same.step, same.examples));
    let leftovers = fs::read_dir(&broken)
        .expect("the run")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    let leftovers: Vec<_> = leftovers.map(|entry| entry.file_name()).collect();
    assert!(leftovers.is_empty(), "half written: {leftovers:?}");
}

// A run that is killed at several moments and resumed has the losses and weights of an unbroken
// one, bit by bit, with windows that grow and with scheduled sampling.
#[test]
fn killed_runs_go_on_as_if_unbroken() {
    kill_and_compare(14, &[1, 3, 2, 4], SMALL);
    let sampling = format!("{SMALL},sampling_schedule=constant,sampling_rate=0.5");
    kill_and_compare(14, &[1, 3, 2, 4], &sampling);
}

// A run that is only told its steps begins with short windows and goes through all phases; where a
// hyper-parameter sets a rate, or on request, the rates are the original's; without steps there is
// no course.
#[test]
fn windows_grow_unless_the_originals_rates_are_asked_for() {
    let place = Place::new(8);
    let faster = format!("{SMALL},learning_rate=0.002");
    let cases: [(&str, &str, &[&str], &[u64]); 3] = [
        ("growing", SMALL, &[], &[1, 2, 2, 3]),
        ("original", SMALL, &["--schedule", "original"], &[0; 4]),
        ("by-rate", &faster, &[], &[0; 4]),
    ];
    for (name, hparams, more, phases) in cases {
        let run = place.run(name);
        let more = [&["--hparams", hparams, "--batch-size", "4"], more].concat();
        let output = place.command(&run, 4, &more).output().expect("runs");
        assert!(output.status.success(), "{}", stderr(&output));
        let text = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let found: Vec<u64> = lines.filter_map(|line| line["phase"].as_u64()).collect();
        assert_eq!(found, phases, "{name}");
    }
    // Without a batch size, two steps of the configuration's 512 examples are made of smaller ones.
    let place = Place::new(70);
    let run = place.run("smaller");
    let output = place.command(&run, 2, &["--hparams", SMALL]).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(losses(&run).last().map(|last| last.0), Some(2 * 512 / 64));
    let mut command = Command::new(env!("CARGO_BIN_EXE_interlude"));
    command.args(["train", "--config", CONFIG, "--dataset"]).arg(place.dataset());
    let output = command.arg("--out").arg(place.run("none")).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("--steps"), "{}", stderr(&output));
}

// The same, at full length: 20 kills in 200 steps.
#[test]
#[ignore = "takes minutes; its command and result are in docs/benchmarks.md"]
fn twenty_kills_in_two_hundred_steps() {
    let kills: Vec<u64> = (0..20).map(|kill| 1 + kill * 7919 % 17).collect();
    kill_and_compare(200, &kills, SMALL);
}

// Ctrl-C lets the step end, saves it and exits with 130; the run goes on from there.
#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_exits_130() {
    let place = Place::new(16);
    let run = place.run("run");
    let more = ["--hparams", SMALL, "--batch-size", "4"];
    let mut child = place.command(&run, 1_000_000, &more).spawn().expect("starts");
    wait_for_step(&mut child, &run, 2);
    let signal = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(signal.expect("kill is there").success());
    let output = child.wait_with_output().expect("ends");
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let logged = losses(&run).last().expect("lines").0;
    let saved = snapshot::list(&run).expect("a run").last().expect("a checkpoint").0;
    assert_eq!(saved, logged);
    let output = place.command(&run, logged + 1, &more).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(losses(&run).len() as u64, logged + 1);
}

// A loss that is no number ends the run, names its step, and leaves a checkpoint from before.
#[test]
fn a_loss_that_is_no_number_stops_the_run() {
    let place = Place::new(16);
    let run = place.run("run");
    let hparams = format!("{SMALL},learning_rate=1e30,grad_clip=1e30");
    let more = ["--hparams", &hparams, "--batch-size", "4", "--save-every", "0"];
    let output = place.command(&run, 100, &more).output().expect("runs");
    assert!(!output.status.success());
    let message = stderr(&output);
    let logged = losses(&run).last().map_or(0, |last| last.0);
    assert!(message.contains(&format!("not a number at step {logged}")), "{message}");
    let kept = snapshot::list(&run).expect("a run");
    if let Some((step, path)) = kept.last() {
        assert!(*step < logged || kept.len() == 1, "the state that gave no number is gone");
        assert!(message.contains(path.to_str().expect("Unicode")), "{message}");
        snapshot::read(path).expect("it is whole");
    }
}

// Fewer examples than a batch are said so and used.
#[test]
fn fewer_examples_than_a_batch_are_used() {
    let place = Place::new(3);
    let run = place.run("run");
    let output = place
        .command(&run, 2, &["--hparams", SMALL, "--batch-size", "512"])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("3 windows, fewer than a batch of 512"),
        "{}",
        stderr(&output)
    );
    let (_, last) = snapshot::list(&run).expect("a run").pop().expect("a checkpoint");
    assert_eq!(snapshot::read(&last).expect("whole").0.examples, 6);
    assert!(run.join("best/model.json").is_file());
}

// An empty dataset, one of another scheme, hyper-parameters out of range and a provider that is not
// there are refused in a sentence before anything is written.
#[test]
fn what_cannot_be_trained_is_refused() {
    let place = Place::new(0);
    let run = place.run("run");
    let refused = |place: &Place, more: &[&str], words: &[&str]| {
        let output = place.command(&run, 2, more).output().expect("runs");
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        for word in words {
            assert!(stderr(&output).contains(word), "{word}: {}", stderr(&output));
        }
        assert!(!run.exists());
    };
    refused(&place, &[], &["no window to train on"]);
    let place = Place::new(2);
    refused(&place, &["--hparams", "max_seq_len=64"], &["32 numbers", "64 steps"]);
    refused(&place, &["--hparams", "learning_rate=-1"], &["learning_rate", "-1"]);
    refused(&place, &["--hparams", "z_size=0"], &["z_size"]);
    let on_a_card = ["--provider", "cuda", "--backend"];
    refused(&place, &[&on_a_card[..], &["onnx"]].concat(), &["CUDA cannot be used"]);
    refused(&place, &[&on_a_card[..], &["training-api"]].concat(), &["--backend onnx"]);
    let output = place.command(&run, 2, &["--batch-size", "0"]).output().expect("runs");
    assert_eq!(output.status.code(), Some(2), "what clap refuses");
    assert!(stderr(&output).contains("from 1 to 65535"), "{}", stderr(&output));
}

// A finished run leaves a page with curves and music, and event files; a batch size that the program
// chose is kept when the run goes on.
#[test]
fn a_run_reports_and_keeps_the_batch_size_it_chose() {
    let place = Place::new(40);
    let run = place.run("run");
    let more = ["--hparams", SMALL, "--batch-size", "auto"];
    let output = place.command(&run, 2, &more).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("batches of 32 examples"), "{}", stderr(&output));
    let progress = |step| snapshot::read(&snapshot::path(&run, step)).expect("whole").0;
    assert_eq!((progress(2).batch_size, progress(2).examples), (Some(32), 64));
    let page = fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(page.matches("<svg").count() == 4 && page.contains("free-running"));
    for folder in ["train", "eval"] {
        let files = fs::read_dir(run.join(folder)).expect("events").flatten();
        assert!(files.count() == 1, "{folder}");
    }
    let output = place.command(&run, 3, &more).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(!stderr(&output).contains("batches of"), "{}", stderr(&output));
    assert_eq!(progress(3).examples, 96);
}

// A folder with a run of other sizes is refused with the checkpoint's name, and stays as it was.
#[test]
fn checkpoints_of_other_configurations_are_refused() {
    let place = Place::new(8);
    let run = place.run("run");
    let output = place.command(&run, 1, &["--hparams", SMALL]).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let before = snapshot::list(&run).expect("a run");
    let other = "enc_rnn_size=[8],dec_rnn_size=[8],z_size=8";
    let output = place.command(&run, 2, &["--hparams", other]).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    let path = before[0].1.to_str().expect("Unicode");
    assert!(stderr(&output).contains(path), "{}", stderr(&output));
    assert!(stderr(&output).contains("--out"), "{}", stderr(&output));
    assert_eq!(snapshot::list(&run).expect("a run"), before);
    // A file that is no checkpoint is named as well.
    fs::write(snapshot::path(&run, 99), b"not tensors").expect("writes");
    let output = place.command(&run, 2, &["--hparams", SMALL]).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("000000099"), "{}", stderr(&output));
}

// A run can begin with the weights of another, of a model, or of a checkpoint of the original; its own
// checkpoints come first. Wider layers keep its weights and get new ones beside them. What does not fit is named
// with the tensor and the remedy.
#[test]
fn a_run_begins_with_other_weights() {
    let place = Place::new(8);
    let (first, still) =
        (place.run("first"), format!("learning_rate=1e-12,min_learning_rate=1e-12,{SMALL}"));
    let output = place.command(&first, 2, &["--hparams", SMALL]).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let weights = |model: &str| Package::open(&first.join(model)).and_then(|it| it.weights());
    let best = weights("best").expect("weights");

    // The same as a checkpoint of the original.
    let prefix = place.run("model.ckpt-7");
    let mut writer = Writer::create(&prefix).expect("created");
    for (name, tensor) in &best.0 {
        writer.add(name, tensor).expect("added");
    }
    writer.finish(7).expect("finished");

    // The same as a model alone, and as a file of tensors.
    let model = place.run("model");
    let info = Package::open(&first.join("best")).expect("a model").info;
    Package::write(&model, &info, &best).expect("written");
    let file = first.join("mine.safetensors");
    best.write(&file).expect("written");
    for (index, from) in [&first, &file, &prefix, &model].into_iter().enumerate() {
        let (run, from) = (place.run(&format!("next{index}")), from.to_str().expect("Unicode"));
        let begun = ["--from", from, "--hparams", &still];
        let output = place.command(&run, 1, &begun).output().expect("runs");
        assert!(output.status.success(), "{}", stderr(&output));
        let (_, after) = snapshot::read(&snapshot::list(&run).expect("a run")[0].1).expect("reads");
        for (name, tensor) in &best.0 {
            let after = after.get(name).expect("the same variables");
            assert_eq!(after.shape, tensor.shape, "{from}: {name}");
            let moved = after.data.iter().zip(&tensor.data).map(|(a, b)| (a - b).abs());
            assert!(moved.fold(0.0, f32::max) < 1e-9, "{from}: {name}");
        }
    }

    let gone = place.run("gone");
    let begun = ["--from", gone.to_str().expect("Unicode"), "--hparams", &still];
    let output = place.command(&place.run("next0"), 2, &begun).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));

    let from = first.to_str().expect("Unicode");
    let (run, wider) = (place.run("wider"), "enc_rnn_size=[30],dec_rnn_size=[16,18],z_size=10");
    let wider = format!("learning_rate=1e-12,min_learning_rate=1e-12,{wider}");
    let output = place.command(&run, 1, &["--from", from, "--hparams", &wider]).output();
    assert!(output.expect("runs").status.success());
    let (_, after) = snapshot::read(&snapshot::list(&run).expect("a run")[0].1).expect("reads");
    let [before, after] = [&best, &after].map(|all| all.get("encoder/mu/bias").expect("there"));
    assert_eq!(after.shape, [10]);
    assert!(before.data.iter().zip(&after.data).all(|(a, b)| (a - b).abs() < 1e-9));

    let other = "enc_rnn_size=[8],dec_rnn_size=[8],z_size=8";
    let run = place.run("other");
    let output = place.command(&run, 1, &["--from", from, "--hparams", other]).output();
    let output = output.expect("runs");
    assert_eq!(output.status.code(), Some(1));
    for word in [from, "encoder/", "--hparams", "dec_rnn_size=["] {
        assert!(stderr(&output).contains(word), "{word}: {}", stderr(&output));
    }
    let nothing = place.run("nothing");
    let nothing = nothing.to_str().expect("Unicode");
    let output = place.command(&run, 1, &["--from", nothing, "--hparams", SMALL]).output();
    let output = output.expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(nothing), "{}", stderr(&output));
}

// A place where no folder can be made is named.
#[test]
fn unwritable_folders_are_named() {
    let place = Place::new(4);
    let file = place.run("file");
    fs::write(&file, b"").expect("writes");
    let run = file.join("run");
    let output = place.command(&run, 1, &["--hparams", SMALL]).output().expect("runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains(run.to_str().expect("Unicode")), "{}", stderr(&output));
}

// A disk that is full at a checkpoint ends the run with the file's name; earlier checkpoints stay
// whole, and with room again the run goes on.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_whole_checkpoints() {
    let place = Place::new(8);
    let run = place.run("run");
    let more = ["--hparams", SMALL, "--batch-size", "4"];
    let output = place.command(&run, 2, &more).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let before = snapshot::list(&run).expect("a run");
    // No file may grow beyond 16 KiB, less than a checkpoint has.
    let command = place.command(&run, 4, &more);
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 32; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .expect("runs");
    assert_eq!(limited.status.code(), Some(1), "{}", stderr(&limited));
    assert!(stderr(&limited).contains(run.to_str().expect("Unicode")), "{}", stderr(&limited));
    assert_eq!(snapshot::list(&run).expect("a run"), before);
    snapshot::read(&before[0].1).expect("it is whole");
    let output = place.command(&run, 4, &more).output().expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(losses(&run).len(), 4);
}

// Training learns, with scheduled sampling too: the reconstruction loss of a few windows falls to
// less than half.
#[test]
fn scheduled_sampling_learns() {
    let place = Place::new(8);
    let run = place.run("run");
    let hparams = "enc_rnn_size=[32],dec_rnn_size=[32],z_size=8,learning_rate=0.02,beta_rate=0.99,\
                   max_beta=0.01,sampling_schedule=inverse_sigmoid,sampling_rate=20";
    let output = place
        .command(&run, 80, &["--hparams", hparams, "--batch-size", "8", "--transpose", "0"])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", stderr(&output));
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let loss = |line: &Value| line["r_loss"].as_f64();
    let losses: Vec<f64> = lines.iter().filter_map(loss).collect();
    assert!(losses[79] < 0.5 * losses[0], "{} to {}", losses[0], losses[79]);
}
