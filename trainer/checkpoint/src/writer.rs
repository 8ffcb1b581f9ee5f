//! Writing TensorFlow V2 checkpoints, so that models can go back to the original and tests can
//! make checkpoints of any size.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use interlude_models::weights::Tensor;
use prost::Message;

use super::bundle::{BundleEntry, BundleHeader, Dimension, TensorShape, Version};
use super::{ElementType, names, table};

/// Writes a checkpoint, tensor by tensor, into one shard and an index.
///
/// The files are `PREFIX.data-00000-of-00001` and `PREFIX.index`. The index is written by
/// [`Writer::finish`]; without it there is no checkpoint.
#[derive(Debug)]
pub struct Writer {
    prefix: PathBuf,
    shard: BufWriter<File>,
    offset: i64,
    entries: BTreeMap<String, BundleEntry>,
}

impl Writer {
    /// Creates the shard of the checkpoint with a prefix.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(prefix: &Path) -> io::Result<Self> {
        let shard = BufWriter::new(File::create(with_suffix(prefix, ".data-00000-of-00001"))?);
        Ok(Self { prefix: prefix.to_owned(), shard, offset: 0, entries: BTreeMap::new() })
    }

    /// Adds a tensor of 32-bit floats.
    ///
    /// # Errors
    /// What the system says.
    pub fn add(&mut self, name: &str, tensor: &Tensor) -> io::Result<()> {
        let bytes = tensor.data.iter().map(|value| value.to_le_bytes());
        self.append(name, ElementType::F32, &tensor.shape, bytes)
    }

    /// Writes the index with the number of training steps, and ends the checkpoint.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(mut self, global_step: i64) -> io::Result<()> {
        let step = std::iter::once(global_step.to_le_bytes());
        self.append(names::GLOBAL_STEP, ElementType::I64, &[], step)?;
        self.shard.flush()?;
        let header =
            BundleHeader { num_shards: 1, endianness: 0, version: Some(Version { producer: 1 }) };
        let mut rows = vec![(Vec::new(), header.encode_to_vec())];
        for (name, entry) in self.entries {
            rows.push((name.into_bytes(), entry.encode_to_vec()));
        }
        std::fs::write(with_suffix(&self.prefix, ".index"), table::build(&rows))
    }

    fn append<const N: usize>(
        &mut self,
        name: &str,
        element_type: ElementType,
        shape: &[usize],
        elements: impl Iterator<Item = [u8; N]>,
    ) -> io::Result<()> {
        let mut checksum = 0;
        let mut size = 0;
        let mut piece = Vec::with_capacity(1 << 16);
        let mut elements = elements.peekable();
        while elements.peek().is_some() {
            piece.clear();
            elements.by_ref().take(8192).for_each(|element| piece.extend_from_slice(&element));
            checksum = crc32c::crc32c_append(checksum, &piece);
            self.shard.write_all(&piece)?;
            size += signed(piece.len())?;
        }
        let dim = shape
            .iter()
            .map(|&extent| Ok(Dimension { size: signed(extent)? }))
            .collect::<io::Result<_>>()?;
        let entry = BundleEntry {
            dtype: element_type.to_tensorflow(),
            shape: Some(TensorShape { dim, unknown_rank: false }),
            shard_id: 0,
            offset: self.offset,
            size,
            crc32c: table::masked_crc(checksum),
            slices: Vec::new(),
        };
        self.offset += size;
        self.entries.insert(name.to_owned(), entry);
        Ok(())
    }
}

fn signed(count: usize) -> io::Result<i64> {
    i64::try_from(count).map_err(io::Error::other)
}

fn with_suffix(prefix: &Path, suffix: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
