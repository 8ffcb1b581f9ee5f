//! Small models of any configuration, with random weights.

#![allow(dead_code, reason = "each test program uses what it needs")]

use std::ops::ControlFlow;
use std::path::PathBuf;

use interlude_models::config::{self, Config};
use interlude_models::engine::{DecodeSettings, Engine, EngineError, EngineOptions, NoiseKey};
use interlude_models::latent;
use interlude_models::network;
use interlude_models::package::{ModelInfo, Package};
use interlude_models::runtime::Runtime;
use interlude_models::tokens::{Controls, Tokens};
use interlude_models::weights::{Tensor, Weights};

pub(crate) fn small(name: &str) -> Config {
    let mut config = config::by_name(name).expect("a configuration of the table");
    config.hparams.z_size = 6;
    config.hparams.enc_rnn_size.fill(5);
    config.hparams.dec_rnn_size.fill(7);
    config.hparams.nade_num_hidden = 4;
    config
}

pub(crate) fn weights(config: &Config) -> Weights {
    let mut weights = Weights::default();
    for (index, variable) in (0u64..).zip(network::variables(config)) {
        let count = variable.shape.iter().product();
        let data = latent::prior(3, index, count);
        weights.insert(variable.name, Tensor { shape: variable.shape, data });
    }
    weights
}

pub(crate) struct Model {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: Config,
}

impl Model {
    pub(crate) fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let config = small(name);
        let info = ModelInfo::new(config.clone(), "random numbers");
        Package::write(&folder.path().join("model"), &info, &weights(&config)).expect("written");
        Self { folder, config }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("model")
    }

    pub(crate) fn engine(&self) -> Result<Engine, EngineError> {
        let package = Package::open(&self.path()).expect("a model folder");
        Engine::load(runtime(), &package, &EngineOptions::default())
    }

    pub(crate) fn codes(&self, count: u64) -> Vec<Vec<f32>> {
        (0..count).map(|index| latent::prior(1, index, self.config.hparams.z_size)).collect()
    }

    pub(crate) fn settings(&self, temperature: f32, cycles: &[u64]) -> DecodeSettings {
        let none = Controls::none(&self.config, self.config.hparams.max_seq_len);
        DecodeSettings {
            temperature,
            keys: cycles.iter().map(|&cycle| NoiseKey { seed: 9, cycle }).collect(),
            controls: none.map(|none| vec![none; cycles.len()]),
            ..DecodeSettings::default()
        }
    }
}

pub(crate) fn runtime() -> &'static Runtime {
    Runtime::start(None).expect("an ONNX Runtime")
}

pub(crate) fn decode(
    engine: &mut Engine,
    z: &[Vec<f32>],
    settings: &DecodeSettings,
) -> Vec<Tokens> {
    engine.decode(z, settings, &mut |_| ControlFlow::Continue(())).expect("decoded")
}
