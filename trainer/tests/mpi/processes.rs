//! Runs of one, two and four processes under `mpirun`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use interlude_dataset::{Split, store};

/// Steps of a window.
const STEPS: u16 = 32;

fn dataset(folder: &Path) {
    fs::create_dir(folder).expect("made");
    for split in [Split::Train, Split::Validation, Split::Test] {
        let windows: Vec<Vec<u16>> = (0..40)
            .map(|index| (0..STEPS).map(|step| 20 + (index * 7 + step * 5) % 36).collect())
            .collect();
        let rows: Vec<store::Row<'_>> =
            windows.iter().map(|window| (window.as_slice(), "scales")).collect();
        store::write(folder, split, STEPS.into(), &rows).expect("written");
    }
}

/// The command that trains a small model in `folder/name` with so many processes.
fn train(folder: &Path, name: &str, processes: &str, steps: &str) -> Command {
    let mut command = Command::new("mpirun");
    command
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
        .args(["--oversubscribe", "-n", processes, env!("CARGO_BIN_EXE_interlude"), "train"])
        .args(["--config", "cat-mel_2bar_small", "--batch-size", "10", "--threads", "1"])
        .args(["--hparams", "enc_rnn_size=[16],dec_rnn_size=[16],z_size=4"])
        .args(["--log-every", "1", "--save-every", "0", "--evaluate-windows", "4"])
        .args(["--schedule", "original", "--steps", steps, "--dataset"])
        .arg(folder.join("data"))
        .arg("--out")
        .arg(folder.join(name));
    command
}

fn run(folder: &Path, name: &str, processes: &str, steps: &str) {
    let output = train(folder, name, processes, steps).output().expect("mpirun starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn compare(folder: &Path, names: &[&str], tolerance: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_interlude"))
        .arg("compare")
        .args(names.iter().map(|name| folder.join(name)))
        .args(["--tolerance", tolerance])
        .output()
        .expect("it starts")
}

// Two and four processes give the losses of one with the whole batch, within 1e-4 of their size.
#[test]
fn losses_do_not_depend_on_the_number_of_processes() {
    let folder = tempfile::tempdir().expect("temporary folder");
    dataset(&folder.path().join("data"));
    for processes in ["1", "2", "4"] {
        run(folder.path(), processes, processes, "30");
    }
    let compared = compare(folder.path(), &["1", "2", "4"], "1e-4");
    println!("{}", String::from_utf8_lossy(&compared.stdout));
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stderr));
}

// When a process is killed the others end with a message, and the run goes on from its checkpoint
// as if nothing had happened.
#[cfg(target_os = "linux")]
#[test]
fn a_lost_process_ends_the_run_which_goes_on_later() {
    let folder = tempfile::tempdir().expect("temporary folder");
    dataset(&folder.path().join("data"));
    let mut command = train(folder.path(), "lost", "2", "100000");
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("starts");
    let metrics = folder.path().join("lost/metrics.jsonl");
    while fs::read_to_string(&metrics).map_or(0, |text| text.lines().count()) < 5 {
        if child.try_wait().expect("it can be asked").is_some() {
            let output = child.wait_with_output().expect("it ended");
            panic!("it ended early: {}", String::from_utf8_lossy(&output.stderr));
        }
        sleep(Duration::from_millis(20));
    }
    let lost = second_process(child.id()).expect("two processes run");
    let killed = Command::new("kill").args(["-9", &lost.to_string()]).status().expect("kill");
    assert!(killed.success());
    let output = child.wait_with_output().expect("it ends");
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(message.contains("go on from its last checkpoint"), "{message}");
    let lines = fs::read_to_string(&metrics).expect("metrics").lines().count();
    let steps = (lines + 10).to_string();
    run(folder.path(), "lost", "2", &steps);
    run(folder.path(), "whole", "2", &steps);
    let compared = compare(folder.path(), &["whole", "lost"], "0");
    assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stderr));
}

/// The child of `mpirun` that does not lead.
#[cfg(target_os = "linux")]
fn second_process(parent: u32) -> Option<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task")).ok()?.flatten();
    let children: String = threads
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .collect();
    children.split_whitespace().filter_map(|child| child.parse().ok()).find(|child: &u32| {
        let environment = fs::read(format!("/proc/{child}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == b"OMPI_COMM_WORLD_RANK=1")
    })
}
