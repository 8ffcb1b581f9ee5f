//! What is to compute: a choice of the machine, not of the project.

use std::{fmt, str::FromStr};

use interlude_models::runtime::{Provider, list};
use thiserror::Error;

/// The choice of an execution provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Choice {
    /// The best that works: a graphics card before the CPU.
    #[default]
    Automatic,
    /// This one; the CPU where it does not work.
    Only(Provider),
}

/// The name of [`Choice::Automatic`].
const AUTOMATIC: &str = "auto";

/// A name that no choice has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "There is no execution provider `{name}`; there are {}.",
    list([AUTOMATIC].into_iter().chain(Provider::ALL.map(Provider::name)))
)]
pub struct UnknownChoice {
    /// The name.
    pub name: String,
}

impl Choice {
    /// The name in files: `auto`, or that of the provider.
    pub fn name(self) -> &'static str {
        match self {
            Self::Automatic => AUTOMATIC,
            Self::Only(provider) => provider.name(),
        }
    }

    /// The choices to offer while this one holds: those of this build. None where there is nothing to
    /// choose, since the build has the CPU only.
    pub fn offered(self) -> Vec<Self> {
        let built = Provider::ALL.into_iter().filter(|provider| provider.is_built());
        let mut offered: Vec<Self> =
            [Self::Automatic].into_iter().chain(built.map(Self::Only)).collect();
        if !offered.contains(&self) {
            // Chosen with another build, to be left here.
            offered.push(self);
        }
        let cpu = Self::Only(Provider::Cpu);
        let chosen = offered.iter().any(|choice| ![Self::Automatic, cpu].contains(choice));
        if chosen { offered } else { Vec::new() }
    }

    /// The providers to try, in order, of those that can be tried; the CPU is the last.
    pub fn order(self, available: &[Provider]) -> Vec<Provider> {
        let first = match self {
            Self::Automatic => available.to_vec(),
            Self::Only(provider) => vec![provider],
        };
        let others = first.into_iter().filter(|&provider| provider != Provider::Cpu);
        others.chain([Provider::Cpu]).collect()
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Automatic => formatter.write_str("Automatic"),
            Self::Only(provider) => provider.fmt(formatter),
        }
    }
}

impl FromStr for Choice {
    type Err = UnknownChoice;

    fn from_str(name: &str) -> Result<Self, UnknownChoice> {
        if name == AUTOMATIC {
            return Ok(Self::Automatic);
        }
        let provider = name.parse().map_err(|_| UnknownChoice { name: name.to_owned() })?;
        Ok(Self::Only(provider))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each name leads back to its choice; another one is told, with those that there are.
    #[test]
    fn names_lead_back() {
        let choices = [Choice::Automatic].into_iter().chain(Provider::ALL.map(Choice::Only));
        for choice in choices {
            assert_eq!(choice.name().parse(), Ok(choice));
        }
        let message = "abacus".parse::<Choice>().expect_err("no choice").to_string();
        for part in ["`abacus`", AUTOMATIC].into_iter().chain(Provider::ALL.map(Provider::name)) {
            assert!(message.contains(part), "{message}");
        }
    }

    /// What was chosen is tried first, and the CPU last, whatever is available.
    #[test]
    fn the_cpu_is_tried_last() {
        use Provider::{Cpu, Cuda, DirectMl};
        for (choice, available, expected) in [
            (Choice::Automatic, &[Cpu][..], &[Cpu][..]),
            (Choice::Automatic, &[Cpu, Cuda], &[Cuda, Cpu]),
            (Choice::Automatic, &[Cpu, Cuda, DirectMl], &[Cuda, DirectMl, Cpu]),
            (Choice::Only(Cpu), &[Cpu, Cuda], &[Cpu]),
            (Choice::Only(DirectMl), &[Cpu, Cuda], &[DirectMl, Cpu]),
        ] {
            assert_eq!(choice.order(available), expected, "{choice:?} of {available:?}");
        }
    }

    /// A build with nothing to choose offers nothing, unless something was chosen that is to be left.
    #[test]
    fn choices_are_those_of_the_build() {
        let more =
            Provider::ALL.into_iter().any(|other| other != Provider::Cpu && other.is_built());
        for plain in [Choice::Automatic, Choice::Only(Provider::Cpu)] {
            assert_eq!(plain.offered().len() > 2, more);
            assert_eq!(plain.offered().is_empty(), !more);
        }
        let other = Choice::Only(Provider::Cuda);
        assert_eq!(other.offered()[..2], [Choice::Automatic, Choice::Only(Provider::Cpu)]);
        assert!(other.offered().contains(&other));
    }
}
