//! What the guard of a connection and the service behind it tell each other.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
};

use futures_util::task::AtomicWaker;

use super::Refusal;

/// One per connection.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    busy: AtomicBool,
    /// The guard, where it was asked for more while an answer was being made.
    waits: AtomicWaker,
    refusal: OnceLock<Refusal>,
}

impl Exchange {
    /// A head was handed on: no other one follows before [`Self::answered`].
    pub(super) fn begin(&self) {
        self.busy.store(true, Ordering::Release);
    }

    /// Whether an answer is being made.
    pub(super) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    /// As [`Self::is_busy`]; if so, [`Self::answered`] wakes the task.
    pub(super) fn is_busy_until(&self, context: &Context<'_>) -> bool {
        if !self.is_busy() {
            return false;
        }
        self.waits.register(context.waker());
        self.is_busy()
    }

    /// The request that is handed on next stands for one that was refused.
    pub(super) fn refuse(&self, refusal: Refusal) {
        let _ = self.refusal.set(refusal);
    }

    /// Why the request at hand is refused, if it is. Nothing follows a refusal.
    pub(crate) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get().copied()
    }

    /// The answer is made.
    pub(crate) fn answered(&self) {
        self.busy.store(false, Ordering::Release);
        self.waits.wake();
    }
}
