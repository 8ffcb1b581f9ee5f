//! RIFF files of the kind RMID: a MIDI file as the chunk `data` of a RIFF file, as Windows programs
//! write it (`.rmi`).

/// Bytes of a chunk's name and length.
const HEAD: usize = 8;

/// Whether a file begins like a MIDI file, plain or within RIFF; the first 12 bytes are enough.
pub(super) fn is_midi(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MThd") || is_rmid(bytes)
}

/// The MIDI file in a RIFF file of the kind RMID; any other bytes as they are. A chunk whose length
/// goes beyond the end of the file is read as far as it is there: what is missing is told of the
/// MIDI file itself.
pub(super) fn unwrap(bytes: &[u8]) -> &[u8] {
    if !is_rmid(bytes) {
        return bytes;
    }
    let mut rest = &bytes[12..];
    while let Some((head, tail)) = rest.split_at_checked(HEAD) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if head.starts_with(b"data") {
            return &tail[..length.min(tail.len())];
        }
        // Chunks begin at even offsets.
        let next = length.saturating_add(length % 2).min(tail.len());
        rest = &tail[next..];
    }
    bytes
}

fn is_rmid(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"RMID")
}

#[cfg(test)]
mod tests {
    use crate::clip::{Clip, Note};
    use crate::midi::{NoteSequence, begins_like_midi, to_bytes};

    fn midi() -> Vec<u8> {
        let note = Note { start: 0.0, end: 1.0, pitch: 60, velocity: 80, channel: 0, program: 0 };
        to_bytes(&Clip::new(vec![note], 4.0), 120.0)
    }

    fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).expect("short").to_le_bytes();
        let pad: &[u8] = if content.len() % 2 == 1 { &[0] } else { &[] };
        [name, &length[..], content, pad].concat()
    }

    fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
        chunk(b"RIFF", &[b"RMID".to_vec(), chunks.concat()].concat())
    }

    /// A MIDI file within RIFF is read as it would be alone, wherever its chunk stands.
    #[test]
    fn files_within_riff_are_read() {
        let plain = NoteSequence::from_bytes(&midi()).unwrap();
        let data = chunk(b"data", &midi());
        let info = chunk(b"LIST", b"INFOx");
        for file in [riff(std::slice::from_ref(&data)), riff(&[info, data.clone()])] {
            assert!(begins_like_midi(&file[..12]));
            assert_eq!(NoteSequence::from_bytes(&file).unwrap(), plain);
        }
        // Some programs write lengths that are too large.
        let mut long = riff(&[data]);
        long[16] = 0xFF;
        assert_eq!(NoteSequence::from_bytes(&long).unwrap(), plain);
    }

    /// RIFF of another kind, and RIFF without a MIDI file or with the beginning of one, are errors.
    #[test]
    fn other_riff_files_are_refused() {
        let error = |bytes: &[u8]| NoteSequence::from_bytes(bytes).unwrap_err().to_string();
        let wave = [b"RIFF\x04\0\0\0WAVE".to_vec(), chunk(b"data", &midi())].concat();
        assert!(!begins_like_midi(&wave));
        assert!(error(&wave).contains("not a MIDI file"));
        assert!(error(&riff(&[])).contains("not a MIDI file"));
        let whole = riff(&[chunk(b"data", &midi())]);
        // Up to the end of the MIDI header.
        for length in 12..34 {
            assert!(NoteSequence::from_bytes(&whole[..length]).is_err(), "{length}");
        }
    }
}
