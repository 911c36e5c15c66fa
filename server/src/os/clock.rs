//! Wall time through one door, so that a test can move it. Durations and timeouts come from tokio's clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::SystemTime,
};

/// A wall clock; clones share it.
#[derive(Debug, Clone)]
pub struct Clock(Kind);

#[derive(Debug, Clone)]
enum Kind {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Kind::System)
    }

    /// A clock that stands still at `now_ms` until it is set.
    pub fn manual(now_ms: i64) -> Self {
        Self(Kind::Manual(Arc::new(AtomicI64::new(now_ms))))
    }

    /// Milliseconds since 1970. May jump either way: nothing that must only grow is built on it.
    #[allow(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn wall_ms(&self) -> i64 {
        match &self.0 {
            Kind::System => match SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) {
                Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
                Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
            },
            Kind::Manual(now_ms) => now_ms.load(Ordering::Relaxed),
        }
    }

    /// Moves a manual clock; the machine's clock stays as it is.
    pub fn set(&self, now_ms: i64) {
        if let Kind::Manual(at) = &self.0 {
            at.store(now_ms, Ordering::Relaxed);
        }
    }
}
