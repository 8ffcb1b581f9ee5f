//! Whether what random hosts hear is what they should: on time, nothing lost, nothing wrong.

use std::collections::HashMap;

/// A note-on that is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// In samples of the clock, with a fraction.
    pub(super) at: f64,
    pub(super) channel: u8,
    pub(super) key: u8,
    pub(super) strictness: Strictness,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Strictness {
    /// It is on its sample.
    OnTime,
    /// Its pattern could not be known before the jump of this number: it may come late, and of all
    /// with this number the last before the pattern came is heard.
    Late(usize),
    /// Two samples are as near, one of them on the other side of an edge of what is played; or it
    /// lies before a cycle that is heard next and asked for first.
    Open,
}

/// A note-on that was heard: when, in samples of the clock, channel and key.
pub(super) type Heard = (f64, u8, u8);

/// What a run has shown.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) notes: usize,
    pub(super) jumps: usize,
    pub(super) off: usize,
    pub(super) lost: usize,
    pub(super) wrong: usize,
    pub(super) firsts_lost: usize,
    pub(super) hanging: usize,
    pub(super) farthest: f64,
    /// Of the first fault: when it was due and when heard.
    pub(super) fault: Option<(Due, Option<f64>)>,
}

impl Counts {
    /// Compares what is due with what was heard, in order of time. `patience` is how many samples a
    /// note may be late whose pattern could not be known in time.
    pub(super) fn judge(&mut self, mut due: Vec<Due>, heard: Vec<Heard>, patience: f64) {
        self.notes += heard.len();
        let mut used = vec![false; heard.len()];
        // Whether of the notes of a jump that may be late one has been heard.
        let mut firsts: HashMap<usize, bool> = HashMap::new();
        let mut open = Vec::new();
        // What must be on time has its choice first.
        due.sort_by_key(|due| match due.strictness {
            Strictness::OnTime => 0,
            Strictness::Late(_) => 1,
            Strictness::Open => 2,
        });
        for due in &due {
            let before = if due.strictness == Strictness::OnTime { 1000.0 } else { 1.5 };
            let from = heard.partition_point(|note| note.0 < due.at - before);
            let until =
                due.at + if due.strictness == Strictness::OnTime { 1000.0 } else { patience };
            let found = (from..heard.len())
                .take_while(|&index| heard[index].0 < until)
                .filter(|&index| {
                    !used[index] && (heard[index].1, heard[index].2) == (due.channel, due.key)
                })
                .min_by(|&a, &b| {
                    (heard[a].0 - due.at).abs().total_cmp(&(heard[b].0 - due.at).abs())
                });
            if let Some(index) = found {
                used[index] = true;
                let off = heard[index].0 - due.at;
                if due.strictness == Strictness::OnTime || off < -1.0 {
                    self.farthest = self.farthest.max(off.abs());
                    self.off += usize::from(off.abs() > 1.0);
                }
            }
            match due.strictness {
                Strictness::OnTime => {
                    let heard = found.map(|index| heard[index].0);
                    if heard.is_none_or(|heard| (heard - due.at).abs() > 1.0) {
                        self.fault.get_or_insert((*due, heard));
                    }
                    self.lost += usize::from(found.is_none());
                }
                Strictness::Late(jump) => {
                    *firsts.entry(jump).or_default() |= found.is_some();
                }
                Strictness::Open => open.extend(found.map(|_| due.at)),
            }
        }
        // Where the first note is over when its pattern comes, a later one is the first that is heard.
        for due in &due {
            if let Strictness::Late(jump) = due.strictness {
                let is_later = |at: &f64| (due.at..due.at + patience).contains(at);
                *firsts.entry(jump).or_default() |= open.iter().any(is_later);
            }
        }
        for (jump, _) in firsts.iter().filter(|(_, heard)| !**heard) {
            self.firsts_lost += 1;
            let late = Strictness::Late(*jump);
            let due = due.iter().find(|due| due.strictness == late);
            self.fault = self.fault.or(due.map(|due| (*due, None)));
        }
        // The pattern before may stand in for one that could not be asked for in time.
        let stands_in = |note: &(f64, u8, u8)| {
            due.iter().any(|due| {
                due.strictness == Strictness::Open
                    && due.key == note.2
                    && (due.at - note.0).abs() <= 1.0
            })
        };
        let unused = heard.iter().zip(&used).filter(|(_, used)| !**used);
        self.wrong += unused.filter(|(note, _)| !stands_in(note)).count();
    }
}
