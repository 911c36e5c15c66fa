//! `min.insync.replicas`, for acks=all. A batch is refused up front where too few replicas are in sync. Up to a majority the
//! commit itself sees to the rest; above it the answer waits for the others. Not here: who is in sync (`raft`).

use std::sync::Arc;

use super::{append::AppendError, partition::Partition};
use crate::raft::{Groups, Replica, Role, SpreadError};

/// A group of two or more commits with two at least.
const ALWAYS_MET: usize = 2;

/// What an answer waits for behind the commit.
#[derive(Debug)]
pub struct Spread {
    replica: Arc<Replica>,
    groups: Groups,
    /// `replica.lag.time.max.ms`.
    lag_ms_max: u64,
    needed: usize,
}

impl Spread {
    /// Waits until enough replicas have the entry at this index.
    pub(super) async fn reach(self, index: u64) -> Result<(), AppendError> {
        let spread = self.groups.spread(&self.replica, index, (self.lag_ms_max, self.needed)).await;
        spread.map_err(|error| match error {
            SpreadError::NotLeader => AppendError::NotLeader,
            SpreadError::TooFew { in_sync, needed } => AppendError::NotEnoughReplicasAfterAppend { in_sync, needed },
        })
    }
}

impl Partition {
    /// Whether so many replicas are in sync.
    ///
    /// # Errors
    /// [`AppendError::NotEnoughReplicas`].
    pub(super) fn check_in_sync(&self, needed: usize) -> Result<(), AppendError> {
        let in_sync = match (self.role(), self.groups.get()) {
            (Role::Solo { .. }, _) => 1,
            (Role::Leader { .. }, Some(groups)) => groups.in_sync_count(&self.replica, self.lag_ms_max, needed),
            _ => 0,
        };
        if in_sync < needed { Err(AppendError::NotEnoughReplicas { in_sync, needed }) } else { Ok(()) }
    }

    /// What a batch of this group has to wait for, if the commit is not enough.
    pub(super) fn spread(&self, needed: usize) -> Option<Spread> {
        let groups = self.groups.get().filter(|_| needed > ALWAYS_MET)?.clone();
        Some(Spread { replica: self.replica.clone(), groups, lag_ms_max: self.lag_ms_max, needed })
    }
}
