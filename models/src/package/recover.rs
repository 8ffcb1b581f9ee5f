//! Recovers the weights that graphs were built from, so that a model's folder holds them once.
//!
//! Building a graph moves every element of a variable to one place of one weight or more, and adds
//! a constant to some (the forget bias). So graphs are built once more from variables whose elements
//! are their own addresses, which tells where each one went. No address is zero: of a kernel that is
//! nothing but zeros a graph may hold nothing.

use std::collections::BTreeMap;

use prost::Message;

use interlude_onnx::proto::ModelProto;
use interlude_onnx::stored;

use crate::config::Config;
use crate::network::{Part, SIGMA_KERNEL, build, variables};
use crate::weights::{Tensor, Weights};

/// An index is told by two numbers below this, which a float holds exactly.
const DIGIT: usize = 1 << 12;

/// Elements of the weights of a graph by name.
pub(super) type Stored = BTreeMap<String, Vec<f32>>;

/// The weights of a configuration whose graphs hold what `read` gives for each part.
///
/// What was added to an element is taken off again, so some differ in the last bit from those that
/// the graphs were built from.
///
/// # Errors
/// What `read` gives, and what `wrong` makes of a sentence about a weight that is missing or has
/// another size.
pub(super) fn recover<E>(
    config: &Config,
    mut read: impl FnMut(Part) -> Result<Stored, E>,
    wrong: impl Fn(String) -> E,
) -> Result<Weights, E> {
    let all = variables(config);
    let mut weights = Weights::default();
    let mut missing = Vec::new();
    for variable in &all {
        missing.push(vec![true; variable.shape.iter().product()]);
        weights.insert(variable.name.clone(), Tensor::zeros(&variable.shape));
    }
    for part in Part::all(config) {
        let template = |tag: fn(usize, usize) -> usize| template(config, part, tag);
        let ones = template(|_, _| 1);
        let owners = template(|variable, _| variable + 2);
        let low = template(|_, index| index % DIGIT + 1);
        let high = template(|_, index| index / DIGIT + 1);
        let mut found = read(part)?;
        if let Some(kernel) = ones.get(SIGMA_KERNEL) {
            found.entry(SIGMA_KERNEL.to_owned()).or_insert_with(|| vec![0.0; kernel.len()]);
        }
        for (name, ones) in &ones {
            let values = found.get(name).filter(|values| values.len() == ones.len());
            let values = values.ok_or_else(|| {
                wrong(format!("weight `{name}` does not have {} elements", ones.len()))
            })?;
            let (owners, low, high) = (&owners[name], &low[name], &high[name]);
            for (place, (value, one)) in values.iter().zip(ones).enumerate() {
                let tag = |tags: &[f32]| whole(tags[place] - one);
                let Some(owner) = tag(owners).checked_sub(1) else { continue };
                let index = tag(high) * DIGIT + tag(low);
                let tensor = weights.0.get_mut(&all[owner].name).expect("it was put there");
                tensor.data[index] = value - (one - 1.0);
                missing[owner][index] = false;
            }
        }
    }
    let incomplete = all.iter().zip(&missing).find(|(_, missing)| missing.contains(&true));
    match incomplete {
        Some((variable, _)) => Err(wrong(format!("no graph holds all of `{}`", variable.name))),
        None => Ok(weights),
    }
}

/// The weights of a graph built from variables whose elements are what `tag` makes of the position
/// of the variable and of the element.
fn template(config: &Config, part: Part, tag: fn(usize, usize) -> usize) -> Stored {
    let mut tagged = Weights::default();
    for (position, variable) in variables(config).into_iter().enumerate() {
        let count: usize = variable.shape.iter().product();
        #[expect(clippy::cast_precision_loss, reason = "tags are small whole numbers")]
        let data = (0..count).map(|index| tag(position, index) as f32).collect();
        let tensor = Tensor::new(variable.shape, data).expect("as many as the shape has");
        tagged.insert(variable.name, tensor);
    }
    let mut data = Vec::new();
    let graph = build(config, &tagged, part, &mut data).expect("memory can be written to");
    let graph = ModelProto::decode(graph.as_slice()).expect("a graph that was just written");
    stored::weights(graph, &mut std::io::Cursor::new(data)).expect("weights just written")
}

fn whole(tag: f32) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small tag")]
    let tag = tag as usize;
    tag
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::package::{ModelInfo, Package};

    fn drawn(config: &Config) -> Weights {
        let mut weights = Weights::default();
        let mut state = 1_u32;
        for variable in variables(config) {
            let mut value = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from(u16::try_from(state >> 16).expect("16 bits")) / 65_536.0 - 0.5
            };
            let count: usize = variable.shape.iter().product();
            let data = (0..count).map(|_| value()).collect();
            weights.insert(variable.name, Tensor::new(variable.shape, data).expect("its shape"));
        }
        weights
    }

    // The weights of a model of any configuration come back from its folder, also when its codes have
    // the same noise everywhere; from one with weights of 8 bits within half a step of those.
    #[test]
    fn weights_come_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for mut config in config::all() {
            let hparams = &mut config.hparams;
            hparams.z_size = 40;
            hparams.enc_rnn_size.iter_mut().for_each(|size| *size = 24);
            hparams.dec_rnn_size.iter_mut().for_each(|size| *size = 20);
            if config.hierarchical_encoder {
                hparams.upper_enc_rnn_size = vec![28];
            }
            if config.hierarchical_decoder {
                hparams.conductor_rnn_size = vec![32];
            }
            let mut weights = drawn(&config);
            if config.hierarchical_encoder {
                weights.0.get_mut(SIGMA_KERNEL).expect("a variable").data.fill(0.0);
            }
            let info = ModelInfo::new(config.clone(), "drawn");
            let package =
                Package::write(&folder.path().join("m"), &info, &weights).expect("written");
            let apart = |package: &Package| -> f32 {
                let found = package.weights().expect("whole");
                assert!(
                    found.iter().map(|(name, _)| name).eq(weights.iter().map(|(name, _)| name))
                );
                let both = weights.iter().zip(found.iter());
                both.flat_map(|((_, a), (_, b))| a.data.iter().zip(&b.data))
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max)
            };
            assert!(apart(&package) < 1e-6, "{}", config.name);
            let small = package.quantise(&folder.path().join("q"), &info, "").expect("quantised");
            assert!((1e-6..0.5 / 127.0).contains(&apart(&small)), "{}", config.name);
        }
    }

    // Graphs that are damaged, or of other sizes than the description says, are refused by name.
    #[test]
    fn damaged_graphs_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let dir = folder.path().join("m");
        let mut config = config::by_name("cat-mel_2bar_small").expect("known");
        config.hparams.z_size = 3;
        config.hparams.enc_rnn_size = vec![2];
        config.hparams.dec_rnn_size = vec![4];
        let info = ModelInfo::new(config.clone(), "drawn");
        let mut other = Package::write(&dir, &info, &drawn(&config)).expect("written");
        let refused = |package: &Package| package.weights().expect_err("damaged").to_string();

        other.info.config.hparams.z_size = 4;
        assert!(refused(&other).contains("`encoder/mu/bias` does not have 4 elements"));
        let data = dir.join(Part::Step.data_file());
        let bytes = std::fs::read(&data).expect("weights");
        std::fs::write(&data, &bytes[..bytes.len() - 1]).expect("cut off");
        let found = Package { dir: dir.clone(), info: info.clone() };
        let told = refused(&found);
        assert!(told.contains("decoder_step.onnx") && told.contains("beyond the end"), "{told}");
        std::fs::write(dir.join(Part::Init.file()), b"no graph").expect("replaced");
        let told = refused(&found);
        assert!(told.contains("decoder_init.onnx") && told.contains("no whole ONNX"), "{told}");
    }
}
