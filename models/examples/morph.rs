//! Morphs two MIDI clips: encodes both, decodes points on the way between their codes, and writes them one after
//! the other into one MIDI file.
//!
//! ```text
//! cargo run -p interlude-models --example morph -- models/pretrained/mel-2bar bundler/clips/a.mid bundler/clips/b.mid out.mid
//! ```

use std::ops::ControlFlow;
use std::path::Path;

use interlude_models::clip::{Clip, Note};
use interlude_models::engine::{DecodeSettings, Engine, EngineOptions, NoiseKey};
use interlude_models::files;
use interlude_models::latent::{flow::Place, slerp};
use interlude_models::midi;
use interlude_models::package::Package;
use interlude_models::runtime::Runtime;
use interlude_models::tokens::{self, Limit};

/// Positions between the first clip, 0, and the second, 1.
const POSITIONS: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];
/// Quarter notes per minute of the file.
const TEMPO: f64 = 120.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, first, second, out] = arguments.as_slice() else {
        return Err("usage: morph MODEL-FOLDER A.mid B.mid OUT.mid".into());
    };

    let runtime = Runtime::start(None)?;
    let package = Package::open(Path::new(model))?;
    let mut engine = Engine::load(runtime, &package, &EngineOptions::default())?;
    let config = package.info.config.clone();

    let mut windows = Vec::new();
    for clip in [first, second] {
        let (sequence, _) = midi::open(Path::new(clip))?;
        let mut found = tokens::extract(&config, &sequence, Limit::First(1))?;
        windows.push(found.pop().ok_or_else(|| format!("{clip} holds no window"))?);
    }
    // Chords or hits are not interpolated: those of the first clip are kept.
    let controls = windows[0].controls.clone();
    let both: Option<Vec<_>> = windows.iter().map(|window| window.controls.clone()).collect();
    let tokens: Vec<_> = windows.into_iter().map(|window| window.tokens).collect();
    let posteriors = engine.encode(&tokens, both.as_deref())?;
    let [a, b] = [&posteriors[0].mu, &posteriors[1].mu];

    // With a learned prior the way leads through noise, otherwise along a great circle.
    let codes: Vec<Vec<f32>> = match package.prior()?.filter(|learned| learned.blends()) {
        Some(learned) => {
            let mut learned = learned.start(runtime)?;
            let [a, b] = [learned.origin(a)?, learned.origin(b)?];
            let places: Vec<_> = POSITIONS.iter().map(|&t| Place::between(&a, &b, t)).collect();
            learned.visit(&places)?
        }
        None => POSITIONS.iter().map(|&t| slerp(a, b, t)).collect(),
    };
    let settings = DecodeSettings {
        temperature: 0.0,
        keys: vec![NoiseKey::default(); codes.len()],
        controls: controls.map(|controls| vec![controls; codes.len()]),
        ..DecodeSettings::default()
    };
    let decoded = engine.decode(&codes, &settings, &mut |_| ControlFlow::Continue(()))?;

    let mut notes = Vec::new();
    let mut begin = 0.0;
    for (position, tokens) in POSITIONS.iter().zip(&decoded) {
        let clip = tokens::to_clip(&config, tokens);
        println!("morph {position:.2}: {} notes", clip.notes.len());
        let later =
            |note: &Note| Note { start: note.start + begin, end: note.end + begin, ..*note };
        notes.extend(clip.notes.iter().map(later));
        begin += clip.length;
    }
    files::write(Path::new(out), &midi::to_bytes(&Clip::new(notes, begin), TEMPO))?;
    println!("wrote {out}");
    Ok(())
}
