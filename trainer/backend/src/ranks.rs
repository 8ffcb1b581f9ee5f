//! The processes of a run: one, or several under MPI that each take a part of every batch.
//!
//! With the feature `mpi` and under `mpirun`, sums go over all processes. Otherwise a run has one
//! process, and everything here does nothing.

use std::ops::Range;

use thiserror::Error;

/// Environment variable by which Open MPI tells a process how many there are.
const SIZE_VARIABLE: &str = "OMPI_COMM_WORLD_SIZE";

/// A process cannot join the others.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RanksError {
    /// MPI refuses.
    #[error("MPI does not start")]
    Start,
    /// There are several, and this build knows no MPI.
    #[error("this build trains in one process only; build it with --features mpi")]
    Build,
}

/// This process among those of the run.
pub struct Ranks {
    rank: usize,
    size: usize,
    #[cfg(feature = "mpi")]
    universe: Option<mpi::environment::Universe>,
}

impl std::fmt::Debug for Ranks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rank {} of {}", self.rank, self.size)
    }
}

impl Ranks {
    /// A run of one process.
    pub fn alone() -> Self {
        Self {
            rank: 0,
            size: 1,
            #[cfg(feature = "mpi")]
            universe: None,
        }
    }

    /// Joins the other processes that `mpirun` started; without it this is the only one.
    ///
    /// # Errors
    /// [`RanksError`] when there are several and this build lacks the feature `mpi`, or MPI does not start.
    pub fn join() -> Result<Self, RanksError> {
        let Some(size) = std::env::var(SIZE_VARIABLE).ok().and_then(|size| size.parse().ok())
        else {
            return Ok(Self::alone());
        };
        Self::join_of(size)
    }

    #[cfg(feature = "mpi")]
    fn join_of(_size: usize) -> Result<Self, RanksError> {
        use mpi::traits::Communicator;
        let universe = mpi::initialize().ok_or(RanksError::Start)?;
        let world = universe.world();
        let number = |number: i32| usize::try_from(number).unwrap_or_default();
        let (rank, size) = (number(world.rank()), number(world.size()));
        Ok(Self { rank, size, universe: Some(universe) })
    }

    #[cfg(not(feature = "mpi"))]
    fn join_of(size: usize) -> Result<Self, RanksError> {
        if size > 1 {
            return Err(RanksError::Build);
        }
        Ok(Self::alone())
    }

    /// Number of processes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Whether this process writes files, evaluates and talks.
    pub fn leads(&self) -> bool {
        self.rank == 0
    }

    /// The examples of a batch that fall to this process; parts differ by one example at most.
    pub fn share(&self, batch: usize) -> Range<usize> {
        share(self.rank, self.size, batch)
    }

    /// Replaces numbers by their sums over all processes.
    pub fn sum(&self, values: &mut Vec<f32>) {
        #[cfg(feature = "mpi")]
        if let Some(universe) = &self.universe {
            use mpi::traits::CommunicatorCollectives;
            let mut sums = vec![0.0; values.len()];
            let world = universe.world();
            world.all_reduce_into(
                &values[..],
                &mut sums[..],
                mpi::collective::SystemOperation::sum(),
            );
            *values = sums;
        }
        let _ = values;
    }

    /// Replaces bytes, of the same number everywhere, by those of the leading process.
    pub fn follow(&self, bytes: &mut [u8]) {
        #[cfg(feature = "mpi")]
        if let Some(universe) = &self.universe {
            use mpi::traits::{Communicator, Root};
            universe.world().process_at_rank(0).broadcast_into(bytes);
        }
        let _ = bytes;
    }

    /// Replaces numbers, as many everywhere, by those of the leading process.
    pub fn follow_numbers(&self, values: &mut [f32]) {
        let mut bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.follow(&mut bytes);
        for (value, bytes) in values.iter_mut().zip(bytes.as_chunks().0) {
            *value = f32::from_le_bytes(*bytes);
        }
    }

    /// Replaces text by that of the leading process.
    pub fn follow_text(&self, text: &mut String) {
        let mut length = (text.len() as u64).to_le_bytes();
        self.follow(&mut length);
        let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or_default();
        let mut bytes = std::mem::take(text).into_bytes();
        bytes.resize(length, 0);
        self.follow(&mut bytes);
        *text = String::from_utf8_lossy(&bytes).into_owned();
    }

    /// Leaves the other processes once all have come to the end.
    pub fn finish(self) {
        #[cfg(feature = "mpi")]
        drop(self.universe);
    }

    /// Ends all processes of the run when this one has failed; the others would wait for ever.
    pub fn give_up(&self) {
        #[cfg(feature = "mpi")]
        if let Some(universe) = &self.universe {
            use mpi::traits::Communicator;
            universe.world().abort(1);
        }
    }
}

/// The examples of a batch that fall to one of so many; parts differ by one example at most.
pub fn share(rank: usize, size: usize, batch: usize) -> Range<usize> {
    rank * batch / size..(rank + 1) * batch / size
}

#[cfg(test)]
mod tests {
    use super::*;

    // The parts of a batch follow each other, leave nothing out and differ by one example at most.
    #[test]
    fn batches_are_shared_evenly() {
        for (size, batch) in [(1, 5), (2, 5), (4, 64), (3, 64)] {
            let parts: Vec<_> = (0..size).map(|rank| share(rank, size, batch)).collect();
            assert_eq!(parts[0].start, 0);
            assert_eq!(parts[size - 1].end, batch);
            assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start));
            let lengths = || parts.iter().map(ExactSizeIterator::len);
            assert!(lengths().max() <= lengths().min().map(|least| least + 1));
        }
    }
}
