//! For tests: songs with a tempo map, and how hosts round what they say of them.

/// Samples in a second.
pub(crate) const RATE: f64 = 48_000.0;

/// A song at 48 kHz: beats and tempo at a sample.
#[derive(Clone, Debug)]
pub(crate) struct Song {
    /// (first sample, its beat, tempo), in order.
    parts: Vec<(f64, f64, f64)>,
}

impl Song {
    /// Of tempos from a beat on, in order.
    pub(crate) fn new(tempos: &[(f64, f64)]) -> Self {
        let mut parts: Vec<(f64, f64, f64)> = Vec::new();
        for &(beat, tempo) in tempos {
            let sample = parts
                .last()
                .map_or(0.0, |&(at, from, tempo)| at + (beat - from) * RATE * 60.0 / tempo);
            parts.push((sample, beat, tempo));
        }
        Self { parts }
    }

    /// Position in beats and tempo at a sample; the first tempo also holds before the song.
    pub(crate) fn at(&self, sample: f64) -> (f64, f64) {
        let part = self.parts.iter().rev().find(|part| part.0 <= sample);
        let &(from, beat, tempo) = part.unwrap_or(&self.parts[0]);
        (beat + (sample - from) * tempo / (RATE * 60.0), tempo)
    }

    /// The sample, with its fraction, of a position in beats.
    pub(crate) fn sample(&self, beats: f64) -> f64 {
        let part = self.parts.iter().rev().find(|part| part.1 <= beats);
        let &(from, beat, tempo) = part.unwrap_or(&self.parts[0]);
        from + (beats - beat) * RATE * 60.0 / tempo
    }
}

/// Rounds as Ardour does.
pub(crate) fn to_ticks(beats: f64) -> f64 {
    (beats * 1920.0).round() / 1920.0
}

/// Rounds as qtractor does: to ticks of 1/15360, of which the odd ones are cut off, counted from
/// where the tempo changed and added to that in single precision.
pub(crate) fn to_fine_ticks(beats: f64) -> f64 {
    let ticks = (beats * 15_360.0).round().div_euclid(2.0);
    to_single(8.0 + to_single(ticks / 7680.0 - 8.0))
}

/// Rounds as hosts do that keep positions in single precision.
pub(crate) fn to_single(beats: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "what is tested")]
    let single = beats as f32;
    f64::from(single)
}
