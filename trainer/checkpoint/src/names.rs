//! Names of variables in checkpoints of different ages.

/// Name of the variable that counts training steps.
pub(crate) const GLOBAL_STEP: &str = "global_step";

/// A name as [`interlude_models::network::variables`] has it, and what the stored one says besides.
#[derive(Debug, PartialEq)]
pub(crate) struct Canonical {
    pub(crate) name: String,
    /// Belongs to training, not to the model.
    pub(crate) training: bool,
    /// The tensor is a bias that has the +1 of the forget gate in it.
    pub(crate) forget_bias_included: bool,
}

/// Translates a name of a checkpoint.
///
/// Known variants: cells trained with cuDNN (`cudnn_compatible_lstm_cell`, whose stacks are called
/// `stack_bidirectional_rnn/cell_K/bidirectional_rnn/{fw,bw}` and `rnn/multi_rnn_cell/cell_K`;
/// their forget gates get no +1 at run time), other names of the cell with the same layout, and
/// `weights` and `biases` instead of `kernel` and `bias` before TensorFlow 1.2.
pub(crate) fn canonical(stored: &str) -> Canonical {
    let mut parts: Vec<&str> = stored.split('/').collect();
    let mut cudnn = false;
    parts.retain(|part| !matches!(*part, "stack_bidirectional_rnn" | "rnn"));
    for part in &mut parts {
        match *part {
            "cudnn_compatible_lstm_cell" => {
                cudnn = true;
                *part = "lstm_cell";
            }
            "basic_lstm_cell" | "lstm_block_cell" => *part = "lstm_cell",
            "weights" => *part = "kernel",
            "biases" => *part = "bias",
            _ => {}
        }
    }
    let direction =
        parts.windows(2).position(|pair| matches!(pair[0], "fw" | "bw") && pair[1] == "lstm_cell");
    if let Some(direction) = direction {
        parts.splice(direction + 1..direction + 1, ["multi_rnn_cell", "cell_0"]);
    }
    let last = parts.last().copied().unwrap_or_default();
    Canonical {
        training: matches!(last, "Adam" | "Adam_1" | "ExponentialMovingAverage")
            || matches!(stored, "beta1_power" | "beta2_power" | GLOBAL_STEP),
        forget_bias_included: cudnn && last == "bias",
        name: parts.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(stored: &str) -> String {
        canonical(stored).name
    }

    // Names of the current original stay as they are and need no correction.
    #[test]
    fn current_names_stay() {
        for stored in [
            "encoder/cell_1/bidirectional_rnn/bw/multi_rnn_cell/cell_0/lstm_cell/bias",
            "decoder/multi_rnn_cell/cell_2/lstm_cell/kernel",
            "decoder/hierarchical_level_0/cell_0/lstm_cell/bias",
            "core_decoder/core_decoder_2/decoder/output_projection/kernel",
            "decoder/nade/w_dec_t",
        ] {
            let canonical = canonical(stored);
            assert_eq!(canonical.name, stored);
            assert!(!canonical.training && !canonical.forget_bias_included, "{stored}");
        }
    }

    // Cells trained with cuDNN get today's names; only their biases need a correction.
    #[test]
    fn cudnn_names_are_translated() {
        let bias = canonical(
            "encoder/stack_bidirectional_rnn/cell_0/bidirectional_rnn/fw/cudnn_compatible_lstm_cell/bias",
        );
        assert_eq!(
            bias.name,
            "encoder/cell_0/bidirectional_rnn/fw/multi_rnn_cell/cell_0/lstm_cell/bias"
        );
        assert!(bias.forget_bias_included);
        let kernel =
            canonical("decoder/rnn/multi_rnn_cell/cell_1/cudnn_compatible_lstm_cell/kernel");
        assert_eq!(kernel.name, "decoder/multi_rnn_cell/cell_1/lstm_cell/kernel");
        assert!(!kernel.forget_bias_included);
        let cell = "encoder/cell_0/bidirectional_rnn/bw/multi_rnn_cell/cell_0";
        assert_eq!(
            name(&format!("{cell}/cudnn_compatible_lstm_cell/bias")),
            format!("{cell}/lstm_cell/bias")
        );
    }

    // What the optimiser keeps is told from the model, under the translated variable's name.
    #[test]
    fn training_slots_are_told_apart() {
        assert!(canonical("global_step").training);
        assert!(canonical("beta2_power").training);
        let slot = canonical("decoder/multi_rnn_cell/cell_0/basic_lstm_cell/biases/Adam_1");
        assert!(slot.training && !slot.forget_bias_included);
        assert_eq!(slot.name, "decoder/multi_rnn_cell/cell_0/lstm_cell/bias/Adam_1");
    }
}
