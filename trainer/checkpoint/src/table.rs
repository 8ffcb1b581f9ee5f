//! Sorted string tables in LevelDB's format, which hold the index of a TensorFlow checkpoint.
//!
//! A table ends in a footer that says where its index block lies; the index block says where the
//! data blocks lie; a block holds entries whose keys share prefixes with their predecessors. Each
//! block carries a checksum and may be compressed with Snappy. Source: LevelDB's
//! `doc/table_format.md`.

use thiserror::Error;

/// Last eight bytes of every table.
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
/// Two block handles, padded, and the magic number.
const FOOTER_BYTES: usize = 48;
/// Compression type and checksum behind each block.
const TRAILER_BYTES: usize = 5;
/// Names of variables are far shorter; the bound keeps shared prefixes from multiplying memory.
const MAX_KEY_BYTES: usize = 1024;
/// A training checkpoint of the largest model has about 200 entries.
const MAX_ENTRIES: usize = 65_536;
/// Bound of one uncompressed block; TensorFlow writes blocks of 256 KiB.
const MAX_BLOCK_BYTES: usize = 16 << 20;

/// Why bytes are not a table.
#[derive(Debug, Error, PartialEq)]
pub(crate) enum TableError {
    #[error(
        "the file ends too early or is no checkpoint index (its last bytes are not those of one)"
    )]
    Footer,
    #[error("the block at byte {offset} reaches beyond the file; the file is cut off or damaged")]
    BlockOutside { offset: u64 },
    #[error("the block at byte {offset} does not match its checksum; the file is damaged")]
    Checksum { offset: u64 },
    #[error("the block at byte {offset} is compressed in an unknown or damaged way")]
    Compression { offset: u64 },
    #[error("the block at byte {offset} is malformed; the file is damaged")]
    Malformed { offset: u64 },
    #[error("it has more than {MAX_ENTRIES} entries, far beyond any model")]
    TooMany,
}

/// Keys and values.
pub(crate) type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Where a block lies in the file, without its trailer.
#[derive(Clone, Copy)]
struct Handle {
    offset: u64,
    bytes: u64,
}

/// All entries of the table in `file`, in ascending order of their keys.
///
/// # Errors
/// [`TableError`] when any byte range, checksum or order is wrong. Memory stays within a small
/// multiple of the file's size whatever the file says.
pub(crate) fn entries(file: &[u8]) -> Result<Rows, TableError> {
    let start = file.len().checked_sub(FOOTER_BYTES).ok_or(TableError::Footer)?;
    let (handles, magic) = file[start..].split_at(FOOTER_BYTES - 8);
    if magic != MAGIC.to_le_bytes() {
        return Err(TableError::Footer);
    }
    let mut rest = handles;
    let _meta_index = handle(&mut rest).ok_or(TableError::Footer)?;
    let index = handle(&mut rest).ok_or(TableError::Footer)?;

    let mut found: Rows = Vec::new();
    for (_, value) in block(file, index)? {
        let data =
            handle(&mut value.as_slice()).ok_or(TableError::Malformed { offset: index.offset })?;
        let entries = block(file, data)?;
        // No writer makes empty blocks; refused, since an index could name one over and over.
        if entries.is_empty() {
            return Err(TableError::Malformed { offset: data.offset });
        }
        for (key, value) in entries {
            // The order also keeps an index from naming one block many times.
            if found.last().is_some_and(|(last, _)| *last >= key) {
                return Err(TableError::Malformed { offset: data.offset });
            }
            if found.len() == MAX_ENTRIES {
                return Err(TableError::TooMany);
            }
            found.push((key, value));
        }
    }
    Ok(found)
}

/// The entries of one block.
fn block(file: &[u8], handle: Handle) -> Result<Rows, TableError> {
    let offset = handle.offset;
    let outside = TableError::BlockOutside { offset };
    let Some((start, bytes)) = usize::try_from(offset).ok().zip(usize::try_from(handle.bytes).ok())
    else {
        return Err(outside);
    };
    let stored = start
        .checked_add(bytes)
        .and_then(|end| end.checked_add(TRAILER_BYTES))
        .and_then(|end| file.get(start..end));
    let Some(stored) = stored else { return Err(outside) };
    let (checked, checksum) = stored.split_at(bytes + 1);
    if masked_crc(crc32c::crc32c(checked)).to_le_bytes() != checksum {
        return Err(TableError::Checksum { offset });
    }
    let (contents, kind) = checked.split_at(bytes);
    match kind[0] {
        0 => parse(contents),
        1 => {
            let broken = TableError::Compression { offset };
            match snap::raw::decompress_len(contents) {
                Ok(len) if len <= MAX_BLOCK_BYTES => {}
                _ => return Err(broken),
            }
            let plain = snap::raw::Decoder::new().decompress_vec(contents).map_err(|_| broken)?;
            parse(&plain)
        }
        _ => return Err(TableError::Compression { offset }),
    }
    .ok_or(TableError::Malformed { offset })
}

/// The entries of an uncompressed block, or nothing when it is malformed.
fn parse(contents: &[u8]) -> Option<Rows> {
    let (body, count) = contents.split_last_chunk::<4>()?;
    let restarts = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    // Restart points speed up searching; reading everything in order only skips them.
    let mut rest = body.get(..body.len().checked_sub(restarts.checked_mul(4)?)?)?;
    let mut entries = Vec::new();
    let mut key: Vec<u8> = Vec::new();
    while !rest.is_empty() {
        let shared = length(&mut rest)?;
        let unshared = length(&mut rest)?;
        let value_bytes = length(&mut rest)?;
        if shared > key.len() || shared.checked_add(unshared)? > MAX_KEY_BYTES {
            return None;
        }
        if entries.len() > MAX_ENTRIES {
            return None;
        }
        key.truncate(shared);
        key.extend_from_slice(rest.split_off(..unshared)?);
        entries.push((key.clone(), rest.split_off(..value_bytes)?.to_vec()));
    }
    Some(entries)
}

fn handle(rest: &mut &[u8]) -> Option<Handle> {
    Some(Handle { offset: varint(rest)?, bytes: varint(rest)? })
}

fn length(rest: &mut &[u8]) -> Option<usize> {
    usize::try_from(varint(rest)?).ok()
}

/// A number in base 128, least significant group first.
fn varint(rest: &mut &[u8]) -> Option<u64> {
    prost::encoding::decode_varint(rest).ok()
}

/// TensorFlow stores checksums rotated and shifted so that data which holds checksums does not
/// weaken them.
pub fn masked_crc(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A table of `rows`, whose keys must ascend, in one uncompressed block without shared prefixes.
pub(crate) fn build(rows: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut file = Vec::new();
    let data = append_block(&mut file, rows);
    let meta_index = append_block(&mut file, &[]);
    let last = rows.last().map(|(key, _)| key.clone()).unwrap_or_default();
    let index = append_block(&mut file, &[(last, data)]);
    let mut footer = [meta_index, index].concat();
    footer.resize(FOOTER_BYTES - 8, 0);
    file.extend(footer);
    file.extend(MAGIC.to_le_bytes());
    file
}

/// Appends a block with its trailer and returns its handle.
fn append_block(file: &mut Vec<u8>, rows: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (key, value) in rows {
        prost::encoding::encode_varint(0, &mut block);
        prost::encoding::encode_varint(key.len() as u64, &mut block);
        prost::encoding::encode_varint(value.len() as u64, &mut block);
        block.extend_from_slice(key);
        block.extend_from_slice(value);
    }
    // One restart point, at the start.
    block.extend(0u32.to_le_bytes());
    block.extend(1u32.to_le_bytes());
    let mut handle = Vec::new();
    prost::encoding::encode_varint(file.len() as u64, &mut handle);
    prost::encoding::encode_varint(block.len() as u64, &mut handle);
    block.push(0);
    let checksum = masked_crc(crc32c::crc32c(&block));
    file.extend(block);
    file.extend(checksum.to_le_bytes());
    handle
}
