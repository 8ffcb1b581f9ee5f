//! What a host receives from saved projects, and the parameters that it sees, against golden files.
//!
//! See `golden.rs` for how the files are made anew.

use std::fs;

use interlude_bundler::{
    host::{Instance, PluginFile, Session, Settings, hanging, spans},
    runtime,
};
use interlude_models::clip::Clip;
use interlude_tests::{
    golden::{self, Cases, SHIPPED, Shipped},
    in_host::{PLUGIN, framed, plugin_with_shipped_models},
};
use serde_json::{Value, json};

fn session(instance: Instance) -> Session {
    let settings = Settings { sample_rate: 48_000.0, block: 512, offline: true };
    let mut session = Session::new(instance, settings).unwrap();
    session.set_tempo(240.0);
    session
}

/// A new instance's state with another song in it.
fn with_song(new: &[u8], song: &Value) -> Vec<u8> {
    let mut state: Value = serde_json::from_slice(&new[8..]).unwrap();
    *state.pointer_mut("/fields/song").unwrap() = song.to_string().into();
    framed(&serde_json::to_vec(&state).unwrap())
}

/// What an instance saves with a model's clips, once they are encoded.
fn saved_project(plugin: &PluginFile, model: &Shipped) -> Vec<u8> {
    let mut instance = plugin.instantiate(PLUGIN).unwrap();
    let slot = |clip: &Clip| json!({"clip": clip, "source": "Captured", "latent": null});
    let slots: Vec<Value> = model.clips().iter().map(slot).collect();
    let song = json!({"model": model.name, "slots": slots});
    let state = with_song(&instance.save_state().unwrap(), &song);
    instance.load_state(&state).unwrap();
    let mut session = session(instance);
    for (name, text) in [("Thru", "Off"), ("Temperature", "0.7"), ("Seed", "5"), ("Morph", "0.4")] {
        session.set_text(name, text).unwrap();
    }
    session.set_text("Evolve", "On").unwrap();
    session.set_text("Density", "0.5").unwrap();
    session.play();
    session.run_to(4.0).unwrap();
    let saved = session.instance().save_state().unwrap();
    saved[8..].to_vec()
}

/// Fails unless a state holds all parameters and fields of an older one with their values. What later
/// versions add may stand beside them. Gives the state.
fn assert_kept(older: &[u8], state: &[u8]) -> Value {
    let [older, state] = [older, state]
        .map(|state| -> Value { serde_json::from_slice(state).expect("a state is JSON") });
    for part in ["params", "fields"] {
        for (name, value) in older[part].as_object().expect("an object") {
            assert_eq!(&state[part][name], value, "{name}");
        }
    }
    state
}

/// What a host receives in two cycles of 2 bars or one of 16.
fn heard(plugin: &PluginFile, state: &[u8]) -> String {
    let mut instance = plugin.instantiate(PLUGIN).unwrap();
    instance.load_state(&framed(state)).unwrap();
    let loaded = instance.save_state().unwrap();
    let kept = assert_kept(state, &loaded[8..]);
    assert_eq!(kept["params"]["sound"], json!({"bool": false}), "another instrument plays these");
    instance.load_state(&loaded).unwrap();
    assert!(instance.save_state().unwrap() == loaded, "loading changes the state");
    let mut session = session(instance);
    session.seek(-4.0);
    session.play();
    session.run_to(16.0).unwrap();
    session.stop();
    session.run(4800).unwrap();
    assert_eq!(hanging(session.events()), 0);
    assert!(session.instance().save_state().unwrap() == loaded, "playing changes the state");
    let words = spans(session.events()).into_iter().map(|span| {
        let end = span.end.unwrap();
        format!("{}-{end}/{}/{}/{}", span.start, span.channel, span.key, span.velocity)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_host_receives_the_same_notes_and_parameters() {
    // Contract: the host's parameters are those of the golden file in order, id, name, range, default,
    // texts of values and values of texts, on every machine. The saved project of each shipped model loads,
    // is saved again with all that it held, and from then on with the same bytes; in four bars it gives the notes of the golden file, byte
    // for byte on a processor with the instruction sets that the file names, half of the onsets on another.
    let plugin = PluginFile::load(&plugin_with_shipped_models()).unwrap();
    let states = golden::folder().join("states");

    let mut instance = plugin.instantiate(PLUGIN).unwrap();
    let new = states.join("new.json");
    if golden::writes() && !new.exists() {
        fs::write(&new, &instance.save_state().unwrap()[8..]).unwrap();
    }
    assert_kept(&fs::read(&new).unwrap(), &instance.save_state().unwrap()[8..]);
    let mut parameters = Cases::new();
    for (place, parameter) in instance.parameters().to_vec().into_iter().enumerate() {
        let texts: Vec<String> = ["-1.25", "0.05", "0.3", "1", "2", "77", "Off", "On"]
            .into_iter()
            .map(|text| {
                let value = instance.value_of(&parameter.name, text);
                value.map_or_else(|_| format!("{text}=?"), |value| format!("{text}={value}"))
            })
            .collect();
        let shares = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| share * parameter.maximum);
        let shown = shares.map(|value| instance.text_of(&parameter.name, value).unwrap());
        parameters.push((
            format!("{place} {}", parameter.name),
            format!(
                "id {} from {} to {} default {} shown {} {}",
                parameter.id,
                parameter.minimum,
                parameter.maximum,
                parameter.default,
                shown.join(" "),
                texts.join(" ")
            ),
        ));
    }
    let about = "The parameters that a host sees: ids, ranges, defaults, texts of values and back";
    golden::check("parameters.txt", about, "any machine", 1.0, &parameters);

    let mut cases = Cases::new();
    for model in &SHIPPED {
        let file = states.join(format!("{}.json", model.name));
        if golden::writes() && !file.exists() {
            fs::write(&file, saved_project(&plugin, model)).unwrap();
        }
        cases.push((model.name.to_owned(), heard(&plugin, &fs::read(&file).unwrap())));
    }
    let about =
        "Notes that a host receives: frames from-to/channel/key/velocity at 48 kHz, 240 BPM";
    golden::check("host.txt", about, &golden::arithmetic(runtime::VERSION), 3000.0, &cases);
}
