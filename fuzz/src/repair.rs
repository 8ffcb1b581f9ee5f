//! Checksums put right after a mutation, so that what lies behind them is reached.

use interlude_checkpoint::masked_crc;

fn varint(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

fn handle(rest: &mut &[u8]) -> Option<(usize, usize)> {
    Some((varint(rest)?, varint(rest)?))
}

/// Puts the checksum behind a block right.
fn block(file: &mut [u8], (offset, bytes): (usize, usize)) -> Option<()> {
    let end = offset.checked_add(bytes)?.checked_add(1)?;
    let crc = masked_crc(crc32c::crc32c(file.get(offset..end)?));
    file.get_mut(end..end.checked_add(4)?)?.copy_from_slice(&crc.to_le_bytes());
    Some(())
}

/// Repairs the blocks of a table that its footer and an uncompressed index block name, as far as
/// they can be found.
pub(crate) fn table(file: &mut [u8]) {
    let mut repair = || -> Option<()> {
        let footer = file.len().checked_sub(48)?;
        file[footer + 40..].copy_from_slice(&0xdb47_7524_8b80_fb57u64.to_le_bytes());
        let handles = file[footer..].to_vec();
        let mut handles = handles.as_slice();
        handle(&mut handles)?;
        let index = handle(&mut handles)?;
        let content = file.get(index.0..index.0.checked_add(index.1)?)?.to_vec();
        let mut rest = content.as_slice();
        for _ in 0..16 {
            let Some((_, unshared)) = handle(&mut rest) else { break };
            let Some(value_bytes) = varint(&mut rest) else { break };
            let Some(mut value) = rest.get(unshared..).and_then(|rest| rest.get(..value_bytes))
            else {
                break;
            };
            rest = &rest[unshared + value_bytes..];
            if let Some(data) = handle(&mut value) {
                block(file, data);
            }
        }
        block(file, index)
    };
    // What cannot be found stays as it is.
    let _ = repair();
}

/// Repairs the checksums of headers in an archive, block by block as their sizes say.
pub(crate) fn archive(file: &mut [u8]) {
    let mut rest = file;
    while let Some((header, tail)) = rest.split_first_chunk_mut::<512>() {
        if header.iter().all(|byte| *byte == 0) {
            return;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits = String::from_utf8_lossy(&header[124..135]).into_owned();
        let bytes = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8).unwrap_or(0);
        let Some(next) = tail.get_mut(bytes.div_ceil(512).saturating_mul(512)..) else { return };
        rest = next;
    }
}
