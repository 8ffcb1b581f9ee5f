//! Writes inputs to begin with into `fuzz/corpus`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use interlude_checkpoint::Writer;
use interlude_fuzz::{bundle, magenta_js, prefixed};
use interlude_models::clip::{Clip, Note};
use interlude_models::config::{self, Config};
use interlude_models::midi::to_bytes;
use interlude_models::network::variables;
use interlude_models::package::ModelInfo;
use interlude_models::weights::Tensor;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = |target: &str| -> std::io::Result<PathBuf> {
        let folder = root.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    };

    let midi = corpus("midi")?;
    for (name, bars, steps) in [("notes", 2, 8), ("bars", 16, 1), ("pieces", 18, 1)] {
        fs::write(midi.join(name), to_bytes(&trio(bars, steps), 120.0))?;
    }
    // Small ones only: what is found does not depend on length.
    for entry in fs::read_dir(root.join("../tests/fixtures/converters"))? {
        let path = entry?.path();
        let bytes = fs::read(&path)?;
        if let (true, Some(name)) =
            (bytes.starts_with(b"MThd") && bytes.len() < 512, path.file_name())
        {
            fs::write(midi.join(name), bytes)?;
        }
    }

    let package = corpus("package")?;
    for config in config::all() {
        let text = serde_json::to_vec(&ModelInfo::new(config.clone(), "a seed"))?;
        fs::write(package.join(&config.name), text)?;
    }

    let (bundles, folders) = (corpus("bundle")?, corpus("magenta_js")?);
    for name in [
        "cat-mel_2bar_small",
        "nade-drums_2bar_reduced",
        "groovae_2bar_humanize",
        "hierdec-mel_16bar",
    ] {
        let config = tiny(name);
        let (index, shard, archive) = checkpoint(&config)?;
        let files = [prefixed(&index), prefixed(&shard), STATE.to_vec()].concat();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&archive)?;
        let gzipped = gzip.finish()?;
        for (kind, content) in
            [(bundle::FILES, &files), (bundle::ARCHIVE, &archive), (bundle::GZIPPED, &gzipped)]
        {
            for kind in [kind, kind + bundle::REPAIRED] {
                fs::write(
                    bundles.join(format!("{name}-{kind}")),
                    [&[kind], &content[..]].concat(),
                )?;
            }
        }
        for bits in [8, 16, 32] {
            fs::write(folders.join(format!("{name}-{bits}")), magenta(&config, bits)?)?;
        }
    }
    Ok(())
}

const STATE: &[u8] = b"model_checkpoint_path: \"model\"\n";

/// Melody, bass and drums with so many notes in each bar.
fn trio(bars: u8, notes: u8) -> Clip {
    let length = 4.0 / f64::from(notes);
    let mut all = Vec::new();
    for index in 0..bars * notes {
        for (channel, program, pitch) in [(0, 0, 60), (1, 33, 40), (9, 0, 36)] {
            let start = f64::from(index) * length;
            let pitch = pitch + index % 5;
            all.push(Note { start, end: start + length, pitch, velocity: 80, channel, program });
        }
    }
    Clip::new(all, f64::from(bars) * 4.0)
}

/// A configuration with the smallest layers.
fn tiny(name: &str) -> Config {
    let mut config = config::by_name(name).expect("a known name");
    config.hparams.z_size = 1;
    config.hparams.nade_num_hidden = 1;
    config.hparams.enc_rnn_size.fill(1);
    config.hparams.dec_rnn_size.fill(1);
    config
}

/// Index, shard, and both as an archive.
fn checkpoint(config: &Config) -> std::io::Result<(Vec<u8>, Vec<u8>, Vec<u8>)> {
    let folder = tempfile::tempdir()?;
    let mut writer = Writer::create(&folder.path().join("model"))?;
    for variable in variables(config) {
        writer.add(&variable.name, &Tensor::zeros(&variable.shape))?;
    }
    writer.finish(3)?;
    let mut archive = tar::Builder::new(Vec::new());
    let mut read = |name: &str| {
        archive.append_path_with_name(folder.path().join(name), name)?;
        fs::read(folder.path().join(name))
    };
    let (index, shard) = (read("model.index")?, read("model.data-00000-of-00001")?);
    Ok((index, shard, archive.into_inner()?))
}

/// A folder of Magenta.js, its weights stored in so many bits.
fn magenta(config: &Config, bits: usize) -> std::io::Result<Vec<u8>> {
    let mut elements = 0;
    let mut weights = Vec::new();
    for variable in variables(config) {
        elements += variable.shape.iter().product::<usize>();
        let mut weight = serde_json::json!({
            "name": variable.name, "shape": variable.shape, "dtype": "float32",
        });
        if bits < 32 {
            weight["quantization"] =
                serde_json::json!({ "dtype": format!("uint{bits}"), "scale": 0.1, "min": -1.0 });
        }
        weights.push(weight);
    }
    let manifest = serde_json::json!([{ "paths": magenta_js::SHARDS, "weights": weights }]);
    let description = serde_json::json!({
        "type": "MusicVAE",
        "dataConverter": { "type": "MelodyConverter", "args": { "numSteps": 32 } },
    });
    Ok([
        prefixed(&serde_json::to_vec(&manifest)?),
        prefixed(&serde_json::to_vec(&description)?),
        vec![0; elements * bits / 8],
    ]
    .concat())
}
