//! TensorFlow checkpoints of format V2: an index table and shards of tensor data.
//!
//! The index maps the empty name to a header and each variable's name to its type, shape, place
//! and checksum. Source: `tensorflow/core/protobuf/tensor_bundle.proto` and
//! `tensorflow/core/util/tensor_bundle`.

use std::collections::BTreeMap;

use prost::Message;

use super::data::{Coding, Data, Piece};
use super::files::{Files, Section};
use super::table;
use super::{CheckpointError, ElementType, Entry};

/// Largest index that is read; that of the largest training checkpoint has 20 kB.
const MAX_INDEX_BYTES: u64 = 16 << 20;

/// First entry of the index.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BundleHeader {
    #[prost(int32, tag = "1")]
    pub(crate) num_shards: i32,
    /// 0 little, 1 big.
    #[prost(int32, tag = "2")]
    pub(crate) endianness: i32,
    #[prost(message, optional, tag = "3")]
    pub(crate) version: Option<Version>,
}

/// Version of the format.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Version {
    #[prost(int32, tag = "1")]
    pub(crate) producer: i32,
}

/// Where a tensor lies and what it is.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BundleEntry {
    #[prost(int32, tag = "1")]
    pub(crate) dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) shape: Option<TensorShape>,
    #[prost(int32, tag = "3")]
    pub(crate) shard_id: i32,
    #[prost(int64, tag = "4")]
    pub(crate) offset: i64,
    #[prost(int64, tag = "5")]
    pub(crate) size: i64,
    #[prost(fixed32, tag = "6")]
    pub(crate) crc32c: u32,
    #[prost(message, repeated, tag = "7")]
    pub(crate) slices: Vec<TensorSlice>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorShape {
    #[prost(message, repeated, tag = "2")]
    pub(crate) dim: Vec<Dimension>,
    #[prost(bool, tag = "3")]
    pub(crate) unknown_rank: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Dimension {
    #[prost(int64, tag = "1")]
    pub(crate) size: i64,
}

/// Part of a partitioned variable; only its presence matters here.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TensorSlice {}

/// Reads the index of the checkpoint with a prefix and opens its shards.
///
/// # Errors
/// [`CheckpointError`] names the file and, where there is one, the tensor.
pub(crate) fn open(
    files: &Files,
    prefix: &str,
) -> Result<BTreeMap<String, (Entry, Data)>, CheckpointError> {
    let index = files.open(&format!("{prefix}.index"))?;
    let damaged = |reason: String| CheckpointError::Index { file: index.name.clone(), reason };
    let content = index.read(MAX_INDEX_BYTES)?;
    let mut entries =
        table::entries(&content).map_err(|error| damaged(error.to_string()))?.into_iter();

    let header = match entries.next() {
        Some((key, value)) if key.is_empty() => BundleHeader::decode(value.as_slice()).ok(),
        _ => None,
    };
    let header = header.ok_or_else(|| {
        damaged("it has no header; the file is no index of a TensorFlow V2 checkpoint".to_owned())
    })?;
    if header.endianness != 0 {
        return Err(damaged("it holds big-endian data; save it on a little-endian machine".into()));
    }

    let mut shards: BTreeMap<i32, Section> = BTreeMap::new();
    let mut used = BTreeMap::new();
    let mut found = BTreeMap::new();
    for (key, value) in entries {
        let name = String::from_utf8(key)
            .map_err(|_| damaged("a tensor's name is no text; the file is damaged".to_owned()))?;
        let stored = BundleEntry::decode(value.as_slice())
            .map_err(|_| damaged(format!("the entry of tensor `{name}` is malformed")))?;
        if stored.shard_id < 0 || stored.shard_id >= header.num_shards {
            return Err(damaged(format!(
                "tensor `{name}` is said to lie in shard {} of {}",
                stored.shard_id, header.num_shards
            )));
        }
        let entry =
            describe(&stored).map_err(|reason| damaged(format!("tensor `{name}` {reason}")))?;
        let shard = match shards.get(&stored.shard_id) {
            Some(shard) => shard.clone(),
            None => {
                let file =
                    format!("{prefix}.data-{:05}-of-{:05}", stored.shard_id, header.num_shards);
                let shard = files.open(&file)?;
                shards.insert(stored.shard_id, shard.clone());
                shard
            }
        };
        let place = u64::try_from(stored.offset).ok().zip(u64::try_from(stored.size).ok());
        let Some((offset, bytes)) = place else {
            return Err(damaged(format!("tensor `{name}` has a negative offset or size")));
        };
        if offset.checked_add(bytes).is_none_or(|end| end > shard.bytes) {
            return Err(CheckpointError::Shard {
                file: shard.name,
                tensor: name,
                reason: format!(
                    "should lie at bytes {offset} to {}, but the file has only {}; it is cut off, \
                     fetch it again",
                    offset.saturating_add(bytes),
                    shard.bytes
                ),
            });
        }
        if let Some(element_bytes) = entry.element_type.bytes() {
            let expected = entry
                .shape
                .iter()
                .try_fold(element_bytes, |bytes, &extent| bytes.checked_mul(extent))
                .and_then(|bytes| u64::try_from(bytes).ok());
            if expected != Some(bytes) {
                return Err(damaged(format!(
                    "tensor `{name}` of shape {:?} cannot have {bytes} bytes",
                    entry.shape
                )));
            }
        }
        // Tensors never overlap, so that a small file cannot stand for a large model.
        let used = used.entry(stored.shard_id).or_insert(0u64);
        *used = used.saturating_add(bytes);
        if *used > shard.bytes {
            return Err(damaged("tensors overlap in the shards; the file is damaged".to_owned()));
        }
        let pieces = vec![Piece { section: shard, offset, bytes }];
        let data = Data { pieces, coding: Coding::Plain, checksum: Some(stored.crc32c) };
        found.insert(name, (entry, data));
    }
    Ok(found)
}

fn describe(stored: &BundleEntry) -> Result<Entry, &'static str> {
    if !stored.slices.is_empty() {
        return Err("is stored in slices; save the checkpoint without partitioned variables");
    }
    let shape = stored.shape.clone().unwrap_or_default();
    if shape.unknown_rank {
        return Err("has no shape");
    }
    let shape = shape
        .dim
        .iter()
        .map(|dim| usize::try_from(dim.size))
        .collect::<Result<_, _>>()
        .map_err(|_| "has a negative extent")?;
    Ok(Entry { shape, element_type: ElementType::from_tensorflow(stored.dtype) })
}
