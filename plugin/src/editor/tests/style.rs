//! Learning a style by menu, browser and dropped files.

use super::*;

/// The menu of the style says what can be done with it, and nothing that cannot.
#[test]
fn styles_are_learnt_from_the_menu() {
    let mut harness = open(full());
    click(&mut harness, "Style: any");
    assert_eq!(click(&mut harness, "Forget the style"), []);
    click(&mut harness, "Style: any");
    assert_eq!(click(&mut harness, "Learn from A and B"), [Action::LearnSlots]);

    let style = &mut harness.state_mut().view.style;
    *style = StyleView { source: None, fits: false, learning: Some(0.42) };
    harness.run_steps(2);
    click(&mut harness, "Style: Learning 42 %");
    assert_eq!(click(&mut harness, "Learn from A and B"), []);
    click(&mut harness, "Style: Learning 42 %");
    assert_eq!(click(&mut harness, "Stop learning"), [Action::StopLearning]);

    let style = &mut harness.state_mut().view.style;
    *style = StyleView { source: Some("3 files".into()), fits: false, learning: None };
    harness.run_steps(2);
    assert!(harness.query_by_label("Style: of another model").is_some());
    harness.state_mut().view.style.fits = true;
    harness.run_steps(2);
    click(&mut harness, "Style: 3 files");
    assert_eq!(click(&mut harness, "Forget the style"), [Action::ForgetStyle]);
}

/// All files of a folder are learnt from, or those that were picked.
#[test]
fn files_to_learn_from_are_picked() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let [one, two, three] = ["one.mid", "two.mid", "three.mid"].map(|name| {
        let path = folder.path().join(name);
        std::fs::write(&path, []).expect("the file can be written");
        path
    });
    let mut harness = open(full());
    harness.state_mut().state.folder = Some(folder.path().to_path_buf());
    let browse = |harness: &mut Harness<'_, Bench>| {
        click(harness, "Style: any");
        click(harness, "Learn from MIDI files");
    };
    browse(&mut harness);
    let actions = click(&mut harness, "Learn from all 3 files");
    assert_eq!(actions, [Action::LearnFiles(vec![one.clone(), three.clone(), two])]);
    browse(&mut harness);
    for name in ["one.mid", "two.mid", "three.mid", "two.mid"] {
        assert_eq!(click(&mut harness, name), []);
    }
    let actions = click(&mut harness, "Learn from 2 files");
    assert_eq!(actions, [Action::LearnFiles(vec![one, three])]);
    assert!(harness.state().state.browser.is_none());
}

/// More files than there are slots are learnt from.
#[test]
fn many_dropped_files_are_learnt_from() {
    let mut harness = open(full());
    let names = ["one.mid", "two.mid", "three.mid"];
    for name in names {
        harness.input_mut().dropped_files.push(std::sync::Arc::new(Dropped(name.into())));
    }
    harness.step();
    let files = names.map(PathBuf::from).to_vec();
    assert_eq!(harness.state_mut().take(), [Action::LearnFiles(files)]);
}
