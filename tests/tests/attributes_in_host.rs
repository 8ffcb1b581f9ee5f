//! The sliders of attributes in a host, with the melody model that Interlude ships.

use std::path::{Path, PathBuf};

use interlude_bundler::{
    bundle::BundleCommand,
    host::{PluginFile, Session, Settings, spans},
    workspace::{self, MODEL},
};

const PLUGIN: &str = "studio.interlude.interlude";
/// Beats of a cycle of two bars.
const CYCLE: f64 = 8.0;

fn plugin() -> PathBuf {
    let model = vec![workspace::root().join(MODEL)];
    let out = Some(workspace::target().join("bundled-attributes"));
    let bundle = BundleCommand { model, out, ..BundleCommand::checked() };
    bundle.run().unwrap().clap_binary
}

/// A session with a scale of eight notes in slot A, captured from the host.
fn session(plugin: &Path) -> Session {
    let instance = PluginFile::load(plugin).unwrap().instantiate(PLUGIN).unwrap();
    let settings = Settings { sample_rate: 48_000.0, block: 256, offline: true };
    let mut session = Session::new(instance, settings).unwrap();
    session.set_text("Thru", "Off").unwrap();
    session.play();
    session.run_to(2.0).unwrap();
    session.set_text("Capture A", "On").unwrap();
    let origin = session.frame() + session.frames_until(4.0);
    for (beat, key) in (0_u64..).zip([60, 62, 64, 65, 67, 69, 71, 72]) {
        session.schedule_note(origin + beat * 24_000, 20_000, 0, key, 0.7);
    }
    session.run_to(4.0 + CYCLE + 1.0).unwrap();
    session.set_text("Capture A", "Off").unwrap();
    session
}

/// Each slider moves its own attribute of what is played: more density has more notes in a cycle,
/// more pitch has higher ones, and 0 changes nothing.
#[test]
fn sliders_move_what_is_played() {
    let mut session = session(&plugin());
    let mut cycle = 3.0;
    let mut played = |name: &str, amounts: [&str; 3]| -> Vec<(usize, f64)> {
        let heard = amounts.map(|amount| {
            session.set_text(name, amount).unwrap();
            // The cycle after the next was decided upon with this amount.
            cycle += 2.0;
            let begin = cycle * CYCLE;
            session.run_to(begin + CYCLE).unwrap();
            let keys: Vec<f64> = spans(session.events())
                .iter()
                .filter(|span| (begin - 1e-3..begin + CYCLE - 1e-3).contains(&span.beats))
                .map(|span| f64::from(span.key))
                .collect();
            let count = u32::try_from(keys.len()).unwrap();
            (keys.len(), keys.iter().sum::<f64>() / f64::from(count.max(1)))
        });
        session.set_text(name, "0").unwrap();
        heard.to_vec()
    };
    let density = played("Density", ["-2", "0", "2"]);
    let pitch = played("Pitch", ["-2", "0", "2"]);
    assert!(density[0].0 < density[1].0 && density[1].0 < density[2].0, "{density:?}");
    assert!(pitch[0].1 < pitch[1].1 && pitch[1].1 < pitch[2].1, "{pitch:?}");
    assert_eq!(pitch[1], density[1]);
}
