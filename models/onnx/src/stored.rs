//! Reads the weights of a graph and of the file beside it, as floats.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};

use super::ElementType;
use super::proto::{ModelProto, TensorProto};
use super::quantise::{QuantiseError, ZERO_POINT, bytes, bytes_name, floats, scale_name};

/// The elements of all weights of 32 bits that lie in a file, and of those that
/// [`quantise`](super::quantise::quantise) brought to 8 bits, by the names they had before.
///
/// # Errors
/// [`QuantiseError`] names a weight that is not as the graph says.
pub fn weights(
    model: ModelProto,
    source: &mut (impl Read + Seek),
) -> Result<BTreeMap<String, Vec<f32>>, QuantiseError> {
    let end = source.seek(SeekFrom::End(0))?;
    let all = model.graph.unwrap_or_default().initializer;
    let outside = || all.iter().filter(|weight| weight.data_location != 0);
    let mut read = BTreeMap::new();
    for weight in outside().filter(|weight| weight.data_type == ElementType::F32 as i32) {
        read.insert(weight.name.clone(), floats(&bytes(weight, source, end)?));
    }
    let mark = bytes_name("");
    for weight in outside() {
        let Some(name) = weight.name.strip_suffix(&mark) else { continue };
        let Some(scales) = read.remove(&scale_name(name)) else { continue };
        let levels = bytes(weight, source, end)?;
        read.insert(name.to_owned(), scaled(weight, &levels, &scales)?);
    }
    Ok(read)
}

/// Dequantises bytes with one scale for each index along axis 1.
fn scaled(weight: &TensorProto, levels: &[u8], scales: &[f32]) -> Result<Vec<f32>, QuantiseError> {
    let extents = weight.dims.iter().skip(2).map(|&extent| usize::try_from(extent).unwrap_or(0));
    let inner = extents.fold(1, usize::saturating_mul);
    if inner == 0 || scales.is_empty() {
        let reason = "has no elements";
        return Err(QuantiseError::Weight { weight: weight.name.clone(), reason });
    }
    let unsigned = weight.data_type == ElementType::U8 as i32;
    let level = |byte: u8| {
        if unsigned { f32::from(byte) - ZERO_POINT } else { f32::from(byte.cast_signed()) }
    };
    let scale = |index: usize| scales[index / inner % scales.len()];
    Ok(levels.iter().enumerate().map(|(index, &byte)| level(byte) * scale(index)).collect())
}
