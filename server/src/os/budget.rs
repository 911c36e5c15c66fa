//! The memory that frames may take: all connections together, and those of one address at most a part of it, so that slow
//! peers at one place hold up nobody elsewhere. A connection that finds none waits and reads nothing.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of one permit, so that any frame fits the semaphore's counters.
const UNIT_BYTES: usize = 1024;

/// One address may take this part of the whole.
const PART_OF_ONE: u32 = 4;

/// What is left of the budget; clones share it.
#[derive(Debug, Clone)]
pub struct Budget {
    free: Arc<Semaphore>,
    units: u32,
    /// What this one is a part of.
    whole: Option<Arc<Budget>>,
}

/// Memory taken; given back when dropped.
#[derive(Debug)]
pub struct Charge(#[allow(dead_code, reason = "held for its drop")] [Option<OwnedSemaphorePermit>; 2]);

impl Budget {
    /// A budget of so many bytes, at least 1 KiB.
    pub fn new(bytes_max: usize) -> Self {
        let units = u32::try_from(bytes_max / UNIT_BYTES).unwrap_or(u32::MAX).max(1);
        Self { free: Arc::new(Semaphore::new(units as usize)), units, whole: None }
    }

    /// What one address may take of this.
    pub fn part_of_one(&self) -> Self {
        let units = (self.units / PART_OF_ONE).max(1);
        Self { free: Arc::new(Semaphore::new(units as usize)), units, whole: Some(Arc::new(self.clone())) }
    }

    /// Takes memory for a frame, first come first served. A frame above the whole budget takes all of it.
    ///
    /// Waiting for the whole while holding of the part blocks nobody for ever: who has of the whole waits for nothing.
    pub async fn charge(&self, bytes: usize) -> Charge {
        let own = self.acquire(bytes).await;
        let whole = match &self.whole {
            Some(whole) => whole.acquire(bytes).await,
            None => None,
        };
        Charge([own, whole])
    }

    async fn acquire(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.units);
        // it fails only for a closed semaphore, and nobody closes it
        self.free.clone().acquire_many_owned(units).await.ok()
    }

    /// Whether memory may lie around to be used again.
    pub fn is_calm(&self) -> bool {
        let calm = |budget: &Self| budget.free.available_permits() > budget.units as usize / 2;
        calm(self) && self.whole.as_deref().is_none_or(calm)
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

    #[tokio::test]
    async fn one_address_takes_its_part_and_no_more() {
        let budget = Budget::new(40 * UNIT_BYTES);
        let [one, other] = [budget.part_of_one(), budget.part_of_one()];
        let held = one.charge(usize::MAX).await;
        assert_eq!(budget.free_bytes(), 0, "a frame above the whole takes all of it, wherever it comes from");
        drop(held);
        let held = one.charge(10 * UNIT_BYTES).await;
        assert!(!one.is_calm() && other.is_calm() && budget.is_calm());
        assert!(one.charge(1).now_or_never().is_none());
        let others = other.charge(10 * UNIT_BYTES).now_or_never();
        assert_eq!(budget.free_bytes(), 20 * UNIT_BYTES);
        drop((held, others));
        assert!(one.charge(10 * UNIT_BYTES).now_or_never().is_some());
        assert_eq!(budget.free_bytes(), 40 * UNIT_BYTES);
    }
}
