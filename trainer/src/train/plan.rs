//! What a run follows: how the options of a training decide about its schedule, its steps and the size
//! of its batches.

pub(crate) mod delay;
pub mod growing;
pub mod schedule;

use std::path::Path;

use interlude_models::config::{Config, SamplingSchedule};
use thiserror::Error;

use schedule::{Schedule, ScheduleError};

/// Name of the schedule whose windows grow.
pub const GROWING: &str = "growing";
/// Name of the original's rates.
pub const ORIGINAL: &str = "original";

/// A training cannot be planned.
#[derive(Debug, Error)]
pub enum PlanError {
    /// The file of the schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// Nothing says when to end.
    #[error("--steps is missing: give the number of steps, or --schedule a file with phases")]
    Endless,
    /// Batches of no size, or of one that has no place in a step.
    #[error("the batch size must be between 1 and 65535, it is {0}")]
    BatchSize(usize),
}

/// What rates and length of windows follow.
#[derive(Clone, Debug, PartialEq)]
pub enum Course {
    /// Short windows first, for a number of steps.
    Growing,
    /// The hyper-parameters, as the original computes them.
    Original,
    /// Phases of a file.
    Given(Schedule),
}

impl Course {
    /// The course that `schedule` names. If it names none: the original's for a run that begins with
    /// weights of another or whose configuration has other rates than the one of its name, `named`;
    /// else windows that grow.
    ///
    /// # Errors
    /// [`PlanError::Schedule`] when the file cannot be used, [`PlanError::Endless`] when neither it
    /// nor `steps` says when to end.
    pub fn choose(
        schedule: Option<&Path>,
        steps: Option<u64>,
        begins_with_weights: bool,
        config: &Config,
        named: &Config,
    ) -> Result<Self, PlanError> {
        let course = match schedule {
            Some(path) if path.as_os_str() == GROWING => Self::Growing,
            Some(path) if path.as_os_str() == ORIGINAL => Self::Original,
            Some(path) => Self::Given(Schedule::read(path, config)?),
            None if begins_with_weights || rates(config) != rates(named) => Self::Original,
            None => Self::Growing,
        };
        match course {
            Self::Growing | Self::Original if steps.is_none() => Err(PlanError::Endless),
            course => Ok(course),
        }
    }

    /// The plan of a run on so many windows. Where nobody chose the size of the batches, windows that
    /// grow take more and smaller steps, with as many examples together.
    ///
    /// # Errors
    /// [`PlanError::BatchSize`] for a size beyond what a step takes.
    pub fn plan(
        self,
        config: &Config,
        steps: Option<u64>,
        batch: BatchSize,
        windows: usize,
    ) -> Result<Plan, PlanError> {
        let BatchSize { examples, is_chosen } = batch;
        if examples == 0 || examples > usize::from(u16::MAX) {
            return Err(PlanError::BatchSize(examples));
        }
        Ok(match self {
            Self::Growing => {
                let asked = steps.unwrap_or(0);
                let (count, examples) = match is_chosen {
                    true => (asked, examples),
                    false => growing::smaller(asked, examples),
                };
                let there = examples.min(windows);
                let schedule = Some(growing::schedule(config, count, there));
                Plan { schedule, steps: None, batch_size: examples, grows: Some((count, there)) }
            }
            Self::Original => Plan { schedule: None, steps, batch_size: examples, grows: None },
            Self::Given(schedule) => {
                Plan { schedule: Some(schedule), steps, batch_size: examples, grows: None }
            }
        })
    }
}

/// Examples in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSize {
    /// How many.
    pub examples: usize,
    /// Whether somebody asked for this number; else it is the configuration's.
    pub is_chosen: bool,
}

/// What a run does.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Phases; without any the hyper-parameters are followed as the original does.
    pub schedule: Option<Schedule>,
    /// Steps, where the schedule does not say when to end.
    pub steps: Option<u64>,
    /// Examples in a batch.
    pub batch_size: usize,
    /// Steps and the windows in each, of a run whose windows grow.
    pub grows: Option<(u64, usize)>,
}

/// The hyper-parameters that only the original's course obeys.
fn rates(config: &Config) -> ([f64; 6], SamplingSchedule) {
    let hparams = &config.hparams;
    let numbers = [
        hparams.learning_rate,
        hparams.decay_rate,
        hparams.min_learning_rate,
        hparams.max_beta,
        hparams.beta_rate,
        hparams.sampling_rate,
    ];
    (numbers, hparams.sampling_schedule)
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    const NAME: &str = "cat-mel_2bar_small";

    fn choose(schedule: Option<&str>, hparams: &str, from: bool) -> Result<Course, PlanError> {
        let named = config::by_name(NAME).expect("known");
        let mut config = named.clone();
        config.override_hparams(hparams).expect("valid");
        Course::choose(schedule.map(Path::new), Some(100), from, &config, &named)
    }

    // A schedule that is asked for is taken, whatever else is; without one weights to begin with and
    // changed rates, and nothing else, call for the original's.
    #[test]
    fn what_is_asked_for_comes_first() {
        let course = |schedule, hparams, from| choose(schedule, hparams, from).expect("a course");
        assert_eq!(course(Some(GROWING), "max_beta=0.1", true), Course::Growing);
        assert_eq!(course(Some(ORIGINAL), "", false), Course::Original);
        assert_eq!(course(None, "", false), Course::Growing);
        assert_eq!(course(None, "z_size=8,enc_rnn_size=[16]", false), Course::Growing);
        assert_eq!(course(None, "max_beta=0.1", false), Course::Original);
        assert_eq!(course(None, "", true), Course::Original);
        let missing = choose(Some("no/such.json"), "", false).expect_err("no file");
        assert!(missing.to_string().contains("no/such.json"), "{missing}");
    }

    // Without a file of phases there must be a number of steps.
    #[test]
    fn a_run_has_an_end() {
        let config = config::by_name(NAME).expect("known");
        for schedule in [None, Some(Path::new(GROWING)), Some(Path::new(ORIGINAL))] {
            let found = Course::choose(schedule, None, false, &config, &config);
            assert!(matches!(found, Err(PlanError::Endless)), "{schedule:?}");
        }
    }

    // Windows that grow come in more and smaller steps, unless the size of the batches was chosen, and
    // never more at once than there are; other courses take steps and size as they are.
    #[test]
    fn batches_shrink_only_where_nobody_chose_them() {
        let config = config::by_name(NAME).expect("known");
        let plan = |course: Course, examples, is_chosen, windows| {
            let batch = BatchSize { examples, is_chosen };
            course.plan(&config, Some(100), batch, windows).expect("a plan")
        };
        let shrunk = plan(Course::Growing, 512, false, 1000);
        assert_eq!((shrunk.batch_size, shrunk.grows), (64, Some((800, 64))));
        assert_eq!(shrunk.steps, None);
        let chosen = plan(Course::Growing, 512, true, 1000);
        assert_eq!((chosen.batch_size, chosen.grows), (512, Some((100, 512))));
        assert_eq!(plan(Course::Growing, 64, true, 20).grows, Some((100, 20)));
        let original = plan(Course::Original, 512, false, 1000);
        assert_eq!((original.batch_size, original.steps), (512, Some(100)));
        assert_eq!(original.schedule, None);
        for examples in [0, 65_536] {
            let batch = BatchSize { examples, is_chosen: true };
            let refused = Course::Original.plan(&config, Some(1), batch, 10);
            assert!(matches!(refused, Err(PlanError::BatchSize(size)) if size == examples));
        }
    }
}
