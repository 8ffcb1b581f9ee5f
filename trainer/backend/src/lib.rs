//! A step of training: the graph of a model with its gradients, and the ways to run it.
//!
//! [`gradient`] writes the graph; [`stepper`] runs it on a [`batch`] and a [`state`]:
//!
//! | module | is |
//! | --- | --- |
//! | [`gradient`] | forward pass, backward pass, clipping and Adam as an ONNX graph |
//! | [`batch`], [`inputs`] | inputs and report of a step; the tensors that a batch fills |
//! | [`setup`], [`state`] | what a back end is built for; variables and moments |
//! | [`program`], [`update`] | a graph in a session, bound to the state; an update in a session of its own |
//! | [`parallel`], [`distributed`], [`ranks`] | parts of a batch on threads, in processes under MPI |
//! | [`device`] | a state in the memory of a graphics card |
//! | [`training_api`], [`hosted`] | ONNX Runtime's training API, and the build that has it |
//! | [`stepper`] | all back ends behind one type |
//! | [`error`] | errors |
//!
//! ```
//! use interlude_backend::gradient::{model, shape::Shape};
//!
//! let mut config = interlude_models::config::by_name("cat-mel_2bar_small")?;
//! config.override_hparams("enc_rnn_size=[8],dec_rnn_size=[8],z_size=4")?;
//! let built = model::training(&config, Shape::new(32, 16, false), 0.999)?;
//! assert!(built.updates.len() > built.variables.len(), "each variable has its moments");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod batch;
pub mod device;
pub mod distributed;
pub mod error;
pub mod gradient;
pub mod hosted;
pub mod inputs;
pub mod parallel;
pub mod program;
pub mod ranks;
pub mod setup;
pub mod state;
pub mod stepper;
pub mod training_api;
pub mod update;
