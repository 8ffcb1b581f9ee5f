//! Inference with a learned velocity field: integrating it carries noise to data, or data to noise.
//!
//! The ordinary differential equation is solved by Heun's method, second order with two evaluations
//! a step. With conditions, the velocity is `unconditional + w · (conditional − unconditional)`
//! with guidance w (classifier-free guidance, Ho and Salimans 2022).

use ort::session::Session;
use ort::value::Tensor;

use interlude_onnx::Graph;
use interlude_onnx::runtime::{Provider, Runtime};
use interlude_onnx::weights::Weights;

use super::fit::FitError;
use super::flow::{TIMES, tell_time};
use super::residual::{CONTEXT, INPUT, MODULATION, OUTPUT};
use super::velocity::Sizes;

/// A velocity network with its weights in sessions on the CPU.
#[derive(Debug)]
pub struct Field {
    sizes: Sizes,
    modulation: Session,
    evaluation: Session,
}

/// An integration interval with its number of steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// 0 is noise, 1 is data.
    pub from: f32,
    /// 0 is noise, 1 is data.
    pub to: f32,
    /// Steps, of two evaluations each.
    pub steps: usize,
}

impl Way {
    /// Where its steps begin and end.
    fn times(self) -> impl Iterator<Item = f32> + Clone {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let share = move |step: usize| step as f32 / self.steps.max(1) as f32;
        (0..=self.steps.max(1)).map(move |step| self.from + (self.to - self.from) * share(step))
    }
}

/// An integration interval with the modulation that contexts contribute at each of its times.
#[derive(Clone, Debug)]
pub struct Plan {
    stages: Vec<Stage>,
    guidance: f32,
    /// Number of conditioned points.
    told: usize,
}

#[derive(Clone, Debug)]
struct Stage {
    time: f32,
    /// The unconditional row, then one for each conditioned point.
    modulation: Vec<f32>,
}

impl Field {
    /// Loads weights; the sessions use one thread.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime refuses the graphs.
    pub fn new(runtime: &Runtime, sizes: Sizes, weights: &Weights) -> Result<Self, FitError> {
        let load = |graph: Graph| -> Result<Session, FitError> {
            let mut builder = runtime.session(Provider::Cpu, 1)?;
            Ok(builder.commit_from_memory(&graph.into_model())?)
        };
        Ok(Self {
            sizes,
            modulation: load(sizes.modulation_graph(weights))?,
            evaluation: load(sizes.evaluation_graph(weights))?,
        })
    }

    /// Sizes of the network.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The modulation of each of some contexts that include the time.
    ///
    /// # Errors
    /// [`FitError::Runtime`] when ONNX Runtime fails.
    pub fn modulation(&mut self, contexts: Vec<f32>) -> Result<Vec<f32>, FitError> {
        let rows = contexts.len() / self.sizes.context();
        let contexts = Tensor::from_array(([rows, self.sizes.context()], contexts))?;
        let outputs = self.modulation.run(ort::inputs![CONTEXT => contexts])?;
        Ok(outputs[MODULATION].try_extract_tensor::<f32>()?.1.to_vec())
    }

    /// The velocities of points, each with its modulation.
    ///
    /// # Errors
    /// [`FitError::Runtime`] when ONNX Runtime fails.
    pub fn velocity(
        &mut self,
        points: Vec<f32>,
        modulation: Vec<f32>,
    ) -> Result<Vec<f32>, FitError> {
        let rows = points.len() / self.sizes.size();
        let points = Tensor::from_array(([rows, self.sizes.size()], points))?;
        let modulation = Tensor::from_array(([rows, self.sizes.modulation()], modulation))?;
        let outputs =
            self.evaluation.run(ort::inputs![INPUT => points, MODULATION => modulation])?;
        Ok(outputs[OUTPUT].try_extract_tensor::<f32>()?.1.to_vec())
    }

    /// Prepares an integration. `told` has, for each point, its context after the time, or is empty
    /// for unconditional points.
    ///
    /// # Errors
    /// [`FitError::Runtime`] when ONNX Runtime fails.
    ///
    /// # Panics
    /// When what is told has another size than the network's.
    pub fn plan(&mut self, way: Way, told: &[Vec<f32>], guidance: f32) -> Result<Plan, FitError> {
        let width = self.sizes.context();
        let mut stages = Vec::with_capacity(way.steps + 1);
        for time in way.times() {
            let mut contexts = vec![0.0; width * (1 + told.len())];
            for (index, context) in contexts.chunks_exact_mut(width).enumerate() {
                tell_time(context, time);
                if let Some(told) = index.checked_sub(1).map(|index| &told[index]) {
                    context[TIMES..].copy_from_slice(told);
                }
            }
            stages.push(Stage { time, modulation: self.modulation(contexts)? });
        }
        Ok(Plan { stages, guidance, told: told.len() })
    }

    /// Moves points along a prepared integration interval.
    ///
    /// # Errors
    /// [`FitError::Runtime`] when ONNX Runtime fails.
    ///
    /// # Panics
    /// When a point has another size than the network's, or there are not as many points as are told
    /// something.
    pub fn follow(&mut self, points: &[Vec<f32>], plan: &Plan) -> Result<Vec<Vec<f32>>, FitError> {
        let rows = points.len();
        assert!(plan.told == 0 || plan.told == rows, "each point is told something");
        let mut points = points.concat();
        assert_eq!(points.len(), rows * self.sizes.size(), "points of the network's size");
        for pair in plan.stages.windows(2) {
            let step = pair[1].time - pair[0].time;
            let first = self.guided(&points, &pair[0].modulation, plan.guidance)?;
            let probe = moved(&points, &first, step);
            let second = self.guided(&probe, &pair[1].modulation, plan.guidance)?;
            points = moved(&moved(&points, &first, step / 2.0), &second, step / 2.0);
        }
        Ok(points.chunks_exact(self.sizes.size()).map(<[f32]>::to_vec).collect())
    }

    /// The velocities of points. The first row of the modulation is the unconditional one.
    fn guided(
        &mut self,
        points: &[f32],
        modulation: &[f32],
        guidance: f32,
    ) -> Result<Vec<f32>, FitError> {
        let rows = points.len() / self.sizes.size();
        let (free, told) = modulation.split_at(self.sizes.modulation());
        let free = free.repeat(rows);
        if told.is_empty() {
            return self.velocity(points.to_vec(), free);
        }
        let mut both = self.velocity(points.repeat(2), [&free, told].concat())?;
        let told = both.split_off(points.len());
        both.iter_mut().zip(told).for_each(|(free, told)| *free += guidance * (told - *free));
        Ok(both)
    }
}

fn moved(points: &[f32], velocity: &[f32], time: f32) -> Vec<f32> {
    points.iter().zip(velocity).map(|(point, velocity)| point + time * velocity).collect()
}
