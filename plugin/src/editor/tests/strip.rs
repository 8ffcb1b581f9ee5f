//! The strip of the stand-alone program as a user and as assistive technology meet it.

use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;

use super::super::strip::{PortsView, StripAction, StripView, Way, draw};

struct Bench {
    view: StripView,
    actions: Vec<StripAction>,
}

fn view() -> StripView {
    let ports = |own: &str, others: &[&str]| PortsView {
        own: Some(own.to_owned()),
        others: others.iter().map(|&name| name.to_owned()).collect(),
        chosen: None,
    };
    StripView {
        tempo: 120.0,
        tempos: (20.0, 300.0),
        clock: "JACK, 48 kHz".to_owned(),
        ports: [ports("Interlude:in", &[]), ports("Interlude:out", &["Synth:in", "Piano:in"])],
        ..StripView::default()
    }
}

fn open(view: StripView, width: f32) -> Harness<'static, Bench> {
    let mut harness =
        Harness::builder().with_size(egui::vec2(width, 460.0)).with_step_dt(0.05).build_ui_state(
            |ui, bench: &mut Bench| {
                let actions = draw(ui, &bench.view);
                bench.actions.extend(actions);
            },
            Bench { view, actions: Vec::new() },
        );
    harness.run_steps(2);
    harness
}

fn click(harness: &mut Harness<'_, Bench>, label: &str) -> Vec<StripAction> {
    harness.get_by_label(label).click();
    harness.run_steps(3);
    std::mem::take(&mut harness.state_mut().actions)
}

/// Play plays, and what plays can be stopped.
#[test]
fn the_button_plays_and_stops() {
    let mut harness = open(view(), 860.0);
    assert_eq!(click(&mut harness, "Play"), [StripAction::Play(true)]);
    harness.state_mut().view.playing = true;
    harness.state_mut().view.beat = 6;
    harness.run_steps(2);
    harness.get_by_label("Bar 2.3");
    assert_eq!(click(&mut harness, "Stop"), [StripAction::Play(false)]);
}

/// The tempo is written or dragged, and nothing is said while nobody touches it.
#[test]
fn the_tempo_is_set() {
    let mut harness = open(view(), 860.0);
    assert_eq!(harness.state().actions, []);
    harness.get_by_label("Tempo").click();
    harness.run_steps(2);
    harness.get_by_label("Tempo").type_text("93.5");
    harness.run_steps(2);
    harness.key_press(egui::Key::Enter);
    harness.run_steps(3);
    assert_eq!(harness.state().actions.last(), Some(&StripAction::Tempo(93.5)));
}

/// Opening a menu looks for ports again; one click chooses a port, or none.
#[test]
fn ports_are_listed_and_chosen() {
    let mut harness = open(view(), 860.0);
    assert_eq!(click(&mut harness, "MIDI out: own port"), [StripAction::Refresh]);
    let chosen = click(&mut harness, "Piano:in");
    assert_eq!(chosen, [StripAction::Choose(Way::Out, Some("Piano:in".to_owned()))]);
    harness.state_mut().view.ports[1].chosen = Some("Piano:in".to_owned());
    harness.run_steps(2);
    assert_eq!(click(&mut harness, "MIDI out: Piano:in"), [StripAction::Refresh]);
    assert_eq!(click(&mut harness, "Look again"), [StripAction::Refresh]);
    let none = click(&mut harness, "Only its own port, Interlude:out");
    assert_eq!(none, [StripAction::Choose(Way::Out, None)]);
}

/// Without ports the menus say so, and a notice is there for everyone to read.
#[test]
fn what_is_missing_is_told() {
    let notice = "The notes go nowhere.";
    let bare = StripView {
        ports: [PortsView::default(), PortsView::default()],
        notice: Some(notice.to_owned()),
        ..view()
    };
    assert!(bare.height() > view().height());
    let mut harness = open(bare, 640.0);
    harness.get_by_label(notice);
    click(&mut harness, "MIDI in: none");
    harness.get_by_label("No other program or device offers a port.");
}

/// At the smallest width nothing lies on anything else, or outside of the window.
#[test]
fn everything_fits_a_small_window() {
    let mut wide = view();
    wide.ports[1].chosen = Some("A port with a very long name indeed, as devices have".to_owned());
    for width in [640.0, 860.0, 1400.0] {
        let harness = open(wide.clone(), width);
        let label = format!("MIDI out: {}", wide.ports[1].chosen.as_ref().unwrap());
        let places = ["Play", "Bar 1.1", "Tempo", "MIDI in: own port", &label]
            .map(|label| harness.get_by_label(label).rect());
        for pair in places.windows(2) {
            assert!(pair[0].right() < pair[1].left(), "{width}: {pair:?}");
        }
        assert!(places[0].left() > 0.0 && places[4].right() < width);
    }
}
