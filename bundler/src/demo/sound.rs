//! The sound of the demo as a file.

use std::io::Cursor;

use anyhow::Result;
use hound::{SampleFormat, WavSpec, WavWriter};

use super::performance::SAMPLE_RATE;

/// Two channels as a WAV file of 16 bits.
///
/// # Errors
/// When the file would be larger than the format allows, 4 GB.
pub(super) fn wav([left, right]: &[Vec<f32>; 2]) -> Result<Vec<u8>> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a usual rate")]
    let sample_rate = SAMPLE_RATE as u32;
    let spec =
        WavSpec { channels: 2, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec)?;
    for sample in left.iter().zip(right).flat_map(|(left, right)| [left, right]) {
        #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
        let sample = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
        writer.write_sample(sample)?;
    }
    writer.finalize()?;
    Ok(file.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file has the samples in turn, and what is too loud is cut off at full scale.
    #[test]
    fn samples_are_written() {
        let bytes = wav(&[vec![0.0, 0.5, 2.0], vec![-0.5, -1.0, 0.25]]).expect("small");
        let mut reader = hound::WavReader::new(Cursor::new(bytes)).expect("a WAV file");
        assert_eq!((reader.spec().channels, reader.spec().sample_rate), (2, 48_000));
        let samples: Vec<i16> = reader.samples().map(|sample| sample.expect("whole")).collect();
        assert_eq!(samples, [0, -16_384, 16_384, -32_767, 32_767, 8192]);
    }
}
