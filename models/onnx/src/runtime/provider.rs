//! The execution providers: their names, whether this build has them, and how a session gets them.
//!
//! This is the only file that lists them; where the runtime of each comes from stands in
//! `bundler/src/runtime/package.rs`.

use std::str::FromStr;

#[cfg(any(feature = "cuda", feature = "directml"))]
use ort::ep::ExecutionProvider as _;
use ort::memory::AllocationDevice;
use ort::session::builder::SessionBuilder;
use thiserror::Error;

/// An execution provider of ONNX Runtime: what computes a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Provider {
    /// The CPU; always available.
    #[default]
    Cpu,
    /// An NVIDIA GPU; needs the feature `cuda` and a runtime built with it.
    Cuda,
    /// A GPU on Windows; needs the feature `directml` and a runtime built with it.
    DirectMl,
}

/// A name that no provider has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no execution provider `{name}`; there are {}", list(Provider::ALL.map(Provider::name)))]
pub struct UnknownProvider {
    /// The name.
    pub name: String,
}

impl Provider {
    /// All of them, the CPU first.
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Cuda, Self::DirectMl];

    /// The name on command lines and in files: `cpu`. Of those that a build may lack, also the name
    /// of the feature.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::DirectMl => "directml",
        }
    }

    /// Whether this build has it.
    pub const fn is_built(self) -> bool {
        match self {
            Self::Cpu => true,
            Self::Cuda => cfg!(feature = "cuda"),
            Self::DirectMl => cfg!(feature = "directml"),
        }
    }

    /// Whether this build has it and the started runtime was built with it.
    pub(super) fn is_offered(self) -> bool {
        match self {
            Self::Cpu => true,
            #[cfg(feature = "cuda")]
            Self::Cuda => ort::ep::CUDA::is_available().unwrap_or(false),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => false,
            #[cfg(feature = "directml")]
            Self::DirectMl => ort::ep::DirectML::is_available().unwrap_or(false),
            #[cfg(not(feature = "directml"))]
            Self::DirectMl => false,
        }
    }

    /// Where its values lie, for memory that stays there.
    pub const fn memory(self) -> AllocationDevice<'static> {
        match self {
            Self::Cpu => AllocationDevice::CPU,
            Self::Cuda => AllocationDevice::CUDA,
            Self::DirectMl => AllocationDevice::DIRECTML,
        }
    }

    /// Lets sessions run on it, which are refused where it does not start. Without the feature they
    /// run on the CPU, so [`Provider::is_offered`] is asked first.
    pub(super) fn add_to(self, builder: SessionBuilder) -> Result<SessionBuilder, ort::Error> {
        match self {
            Self::Cpu => Ok(builder),
            #[cfg(feature = "cuda")]
            Self::Cuda => {
                let provider = ort::ep::CUDA::default().build().error_on_failure();
                Ok(builder.with_execution_providers([provider])?)
            }
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => Ok(builder),
            #[cfg(feature = "directml")]
            Self::DirectMl => {
                let provider = ort::ep::DirectML::default().build().error_on_failure();
                // Which it does not have, and would warn of.
                let builder = builder.with_memory_pattern(false)?;
                Ok(builder.with_execution_providers([provider])?)
            }
            #[cfg(not(feature = "directml"))]
            Self::DirectMl => Ok(builder),
        }
    }
}

impl std::fmt::Display for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Cpu => "CPU",
            Self::Cuda => "CUDA",
            Self::DirectMl => "DirectML",
        })
    }
}

impl FromStr for Provider {
    type Err = UnknownProvider;

    fn from_str(name: &str) -> Result<Self, UnknownProvider> {
        let found = Self::ALL.into_iter().find(|provider| provider.name() == name);
        found.ok_or_else(|| UnknownProvider { name: name.to_owned() })
    }
}

/// Words as they are listed in a sentence: "a, b and c".
pub fn list<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        words => words.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each name leads back to its provider; another name lists those that there are.
    #[test]
    fn names_lead_back() {
        for provider in Provider::ALL {
            assert_eq!(provider.name().parse(), Ok(provider));
        }
        for name in ["abacus", "", "CPU", "cuda "] {
            let message = name.parse::<Provider>().expect_err("no provider").to_string();
            assert!(message.contains(&format!("`{name}`")), "{message}");
            assert!(message.contains(&list(Provider::ALL.map(Provider::name))), "{message}");
        }
        let lists = [list([]), list(["one"]), list(["one", "two"]), list(["one", "two", "three"])];
        assert_eq!(lists, ["", "one", "one and two", "one, two and three"]);
    }

    // The CPU is in every build, the others where their feature is.
    #[test]
    fn builds_have_what_their_features_say() {
        let built = Provider::ALL.map(Provider::is_built);
        assert_eq!(built, [true, cfg!(feature = "cuda"), cfg!(feature = "directml")]);
    }
}
