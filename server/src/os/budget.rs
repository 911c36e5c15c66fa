//! The memory that frames may take, all connections of one kind together. A connection that finds none waits and reads nothing.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit, so that any frame fits the semaphore's counters.
const UNIT_BYTES: usize = 1024;

/// What is left of the budget; clones share it.
#[derive(Debug, Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    units: u32,
}

/// Memory taken; given back when dropped.
#[derive(Debug)]
pub struct Charge(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Budget {
    /// A budget of so many bytes, at least 1 KiB.
    pub fn new(bytes_max: usize) -> Self {
        let units = u32::try_from(bytes_max / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        Self { free: Arc::new(Semaphore::new(units as usize)), units }
    }

    /// Takes memory for a frame, first come first served. A frame above the whole budget takes all of it.
    pub async fn charge(&self, bytes: usize) -> Option<Charge> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units);
        // it fails only for a closed semaphore, and nobody closes it
        self.free.clone().acquire_many_owned(units).await.ok().map(Charge)
    }

    /// Whether memory may lie around to be used again.
    pub fn is_calm(&self) -> bool {
        self.free.available_permits() > self.units as usize / 2
    }

    /// What nobody has taken.
    pub fn free_bytes(&self) -> usize {
        self.free.available_permits() * UNIT_BYTES
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_frame_waits_for_room_and_a_giant_one_takes_all() {
        let budget = Budget::new(10 * UNIT_BYTES);
        let first = budget.charge(6 * UNIT_BYTES).await;
        assert!(!budget.is_calm());
        assert!(budget.charge(5 * UNIT_BYTES).now_or_never().is_none());
        drop(first);
        let giant = budget.charge(usize::MAX).await;
        assert_eq!(budget.free_bytes(), 0);
        drop(giant);
        assert!(budget.is_calm());
    }
}
