//! Imports a checkpoint of MusicVAE: prints what it holds and writes the model's folder.
//!
//! ```text
//! cargo run -p interlude-trainer --example import -- cat-mel_2bar_big.tar models/mel-big
//! ```

use std::path::Path;

use interlude_checkpoint::{Checkpoint, configure};
use interlude_models::package::{ModelInfo, Package};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, out] = arguments.as_slice() else {
        return Err("usage: import CHECKPOINT MODEL-FOLDER".into());
    };

    // Opening reads the index only; tensors are read one by one.
    let checkpoint = Checkpoint::open(Path::new(source))?;
    for (name, entry) in checkpoint.variables() {
        println!("{name} {:?}", entry.shape);
    }
    // Configuration and sizes follow from names and shapes; a name and overrides could be given.
    let config = configure(&checkpoint, None, "")?;
    let mut info = ModelInfo::new(config, source);
    info.provenance.step = checkpoint.global_step()?;
    let package = Package::write(Path::new(out), &info, &checkpoint.weights()?)?;
    println!("{}: wrote {}", package.info.config.name, package.dir.display());
    Ok(())
}
