//! Sequences for tests.

use crate::midi::NoteSequence;

/// Parts of `seconds` seconds each, with one long note of each of these programs; 128 stands for
/// drums.
pub(crate) fn parts(count: u32, seconds: f64, programs: &[u8]) -> NoteSequence {
    let mut sequence = NoteSequence::default();
    for part in 0..count {
        let time = f64::from(part) * seconds;
        let qpm = 120.0 + f64::from(part % 2);
        sequence.tempos.push(crate::midi::Tempo { time, qpm });
        sequence.notes.extend((0u32..).zip(programs).map(|(instrument, program)| {
            crate::midi::SequenceNote {
                start: time,
                end: time + seconds,
                instrument,
                pitch: 36,
                velocity: 80,
                program: program % 128,
                is_drum: *program == 128,
            }
        }));
    }
    sequence.total_time = f64::from(count) * seconds;
    sequence
}
