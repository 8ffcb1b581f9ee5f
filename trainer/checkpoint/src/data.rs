//! The bytes of one tensor, in one file or spread over several.

use std::io::Read;

use interlude_models::weights::Tensor;

use super::files::Section;
use super::{CheckpointError, ElementType, table};

/// Elements read at a time.
const CHUNK: usize = 1 << 13;

/// A range of bytes of a file.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) section: Section,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
}

/// How elements are stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Coding {
    /// As they are.
    Plain,
    /// As 8-bit numbers `q`, the element being `q · scale + min`.
    Bytes { scale: f64, min: f64 },
    /// The same with 16-bit numbers.
    Words { scale: f64, min: f64 },
}

/// Where a tensor lies. The ranges lie within their files and together have just the bytes that the
/// tensor's shape needs.
#[derive(Clone, Debug)]
pub(crate) struct Data {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) coding: Coding,
    /// Masked, where the format has one.
    pub(crate) checksum: Option<u32>,
}

impl Data {
    /// Name of the file where it begins, for messages.
    pub(crate) fn file(&self) -> &str {
        self.pieces.first().map_or("", |piece| &piece.section.name)
    }

    /// The tensor as 32-bit floats.
    pub(crate) fn floats(&self, name: &str, shape: &[usize]) -> Result<Tensor, CheckpointError> {
        let mut data = Vec::with_capacity(shape.iter().product());
        // JavaScript computes in 64 bits and rounds once, when the result is stored.
        #[expect(clippy::cast_possible_truncation, reason = "rounding to 32 bits is intended")]
        let restore = |q: f64, scale: f64, min: f64| (q * scale + min) as f32;
        match self.coding {
            Coding::Plain => self.read(name, |bytes| data.push(f32::from_le_bytes(bytes)))?,
            Coding::Bytes { scale, min } => {
                self.read(name, |[byte]| data.push(restore(byte.into(), scale, min)))?;
            }
            Coding::Words { scale, min } => self.read(name, |bytes| {
                data.push(restore(u16::from_le_bytes(bytes).into(), scale, min));
            })?,
        }
        Ok(Tensor { shape: shape.to_vec(), data })
    }

    /// A scalar integer; the last element, should there be several.
    pub(crate) fn integer(&self, name: &str, kind: ElementType) -> Result<i64, CheckpointError> {
        let mut value = 0;
        match kind {
            ElementType::I64 => self.read(name, |bytes| value = i64::from_le_bytes(bytes))?,
            _ => self.read(name, |bytes| value = i32::from_le_bytes(bytes).into())?,
        }
        Ok(value)
    }

    /// Passes the bytes to `take`, `N` at a time, and checks them.
    fn read<const N: usize>(
        &self,
        tensor: &str,
        mut take: impl FnMut([u8; N]),
    ) -> Result<(), CheckpointError> {
        let failed = |reason: String| CheckpointError::Shard {
            file: self.file().to_owned(),
            tensor: tensor.to_owned(),
            reason,
        };
        let mut buffer = vec![0; N * CHUNK];
        let mut filled = 0;
        let mut checksum = 0;
        for piece in &self.pieces {
            let mut reader = piece.section.reader(piece.offset, piece.bytes)?;
            let mut left = piece.bytes;
            while left > 0 {
                let room = buffer.len() - filled;
                let count = usize::try_from(left).map_or(room, |left| left.min(room));
                let target = &mut buffer[filled..filled + count];
                reader.read_exact(target).map_err(|error| {
                    failed(format!("cannot be read ({error}); fetch the file again"))
                })?;
                checksum = crc32c::crc32c_append(checksum, target);
                left -= count as u64;
                filled += count;
                // An element may lie across the border of two files.
                let (elements, rest) = buffer[..filled].as_chunks::<N>();
                elements.iter().copied().for_each(&mut take);
                let rest = rest.len();
                buffer.copy_within(filled - rest..filled, 0);
                filled = rest;
            }
        }
        if self.checksum.is_some_and(|stored| stored != table::masked_crc(checksum)) {
            return Err(failed(
                "does not match its checksum; the file is damaged, fetch it again".to_owned(),
            ));
        }
        Ok(())
    }
}
