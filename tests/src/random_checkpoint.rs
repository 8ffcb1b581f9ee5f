//! Checkpoints of any configuration and size with random weights.

use std::io;
use std::path::Path;

use interlude_checkpoint::Writer;
use interlude_models::config::Config;
use interlude_models::network::variables;
use interlude_models::weights::Tensor;

/// Writes a TensorFlow checkpoint of a configuration, one tensor after the other, with weights
/// uniform in `±sqrt(3 / rows)`, which keeps activations at their size. The same seed gives the
/// same file.
///
/// # Errors
/// What the system says.
pub fn write(config: &Config, seed: u64, prefix: &Path) -> io::Result<()> {
    let mut writer = Writer::create(prefix)?;
    let mut state = seed;
    for variable in variables(config) {
        let mut tensor = Tensor::zeros(&variable.shape);
        let rows = variable.shape.first().copied().unwrap_or(1);
        #[expect(clippy::cast_precision_loss, reason = "rows are far below 2^24")]
        let scale = (3.0 / rows as f32).sqrt();
        tensor.data.iter_mut().for_each(|value| *value = scale * uniform(&mut state));
        writer.add(&variable.name, &tensor)?;
    }
    writer.finish(1)
}

/// The next number in `-1..1` of SplitMix64.
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
    let unit = (mixed >> 40) as f32 / (1 << 24) as f32;
    2.0 * unit - 1.0
}
