//! What one process has under way and has seen so far.

use std::collections::HashMap;

use super::line::{Function, Operation};

/// What a process knew of a key when it asked for an offset.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Marks {
    /// Highest offset that it was told is stored.
    pub(super) acked: Option<i64>,
    /// Highest answer to LATEST.
    pub(super) latest: Option<i64>,
    /// Highest last stable offset.
    pub(super) last_stable: Option<i64>,
}

/// An operation under way.
#[derive(Debug)]
pub(super) struct Open {
    /// Index of its line.
    pub(super) invoke: u64,
    pub(super) function: Function,
    /// Its values in `Sends`: the first, and how many.
    pub(super) sends: (u32, u32),
    pub(super) txn: u32,
    /// Per key asked for: what the process knew, and what anybody knew.
    pub(super) known: Vec<(u32, Marks, Marks)>,
    /// A commit's parts: number of its entry in `GroupOffsets`.
    pub(super) commits: Vec<u64>,
}

/// One process.
#[derive(Debug, Default)]
pub(super) struct Process {
    open: Vec<Open>,
    /// Last polled offset per key, as long as the next poll must go on behind it.
    pub(super) positions: HashMap<u32, i64>,
    pub(super) marks: HashMap<u32, Marks>,
}

impl Process {
    pub(super) fn begin(&mut self, open: Open) {
        self.open.push(open);
    }

    /// Takes the operation that a line ends.
    pub(super) fn end(&mut self, operation: &Operation) -> Result<Open, String> {
        let place = match operation.invoke {
            Some(invoke) => self.open.iter().position(|open| open.invoke == invoke),
            None if self.open.len() > 1 => {
                return Err(format!(
                    "process {} has {} operations under way, and the line does not say which ends",
                    operation.process,
                    self.open.len()
                ));
            }
            None => (!self.open.is_empty()).then_some(0),
        };
        let place =
            place.ok_or_else(|| format!("process {} ends an operation that it did not begin", operation.process))?;
        let open = self.open.swap_remove(place);
        if open.function != operation.function {
            return Err(format!("a {} ends as a {}", open.function.name(), operation.function.name()));
        }
        Ok(open)
    }
}
