//! A skip is seen although the harness shows nothing that a passing test prints.

use std::env;
use std::fs;
use std::process::Command;

/// What the test below skips itself for.
const REASON: &str = "this machine has no such thing";

// Contract: none; it is run by the next test only.
#[test]
#[ignore = "run by `a_skip_is_seen_and_listed`"]
fn skips_itself() {
    let Some(()) = interlude_skip::needs(None, REASON) else { return };
    panic!("what was not found is used");
}

// Contract: a test that skips itself passes, says so with its name, file and reason on standard error, and adds one
// line to the list; without a list it is seen as well.
#[test]
fn a_skip_is_seen_and_listed() {
    let folder = env::temp_dir().join(format!("interlude-skip-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let list = folder.join("skipped");
    let run = |list: Option<&std::path::Path>| {
        let mut command = Command::new(env::current_exe().expect("the test has a place"));
        // Two threads, so that the thread has the name of its test.
        command.args(["--exact", "skips_itself", "--include-ignored", "--test-threads", "2"]);
        command.env_remove(interlude_skip::LIST);
        command.envs(list.map(|list| (interlude_skip::LIST, list)));
        let output = command.output().expect("it starts");
        assert!(output.status.success());
        String::from_utf8(output.stderr).expect("text")
    };
    let expected = format!("skipped: skips_itself ({}): {REASON}\n", file!());
    assert_eq!(run(None), expected);
    for times in 1..=2 {
        assert_eq!(run(Some(&list)), expected);
        assert_eq!(fs::read_to_string(&list).expect("a list"), expected.repeat(times));
    }
    fs::remove_dir_all(&folder).expect("removed");
}
