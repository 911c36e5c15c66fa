//! What the guard of a connection and the service behind it tell each other.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, Ordering},
};

use super::Refusal;

/// One per connection.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    busy: AtomicBool,
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
    }
}
