//! How many voters have an entry, beyond the majority that commits it: what `min.insync.replicas` above a majority asks for. Not
//! here: the setting.

use std::{sync::Arc, time::Duration};

use openraft::async_runtime::watch::WatchReceiver;

use super::{
    super::{replica::Replica, role::Role},
    groups::{Group, Groups},
};

/// Who falls behind for good is noticed by the clock alone.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Why an entry is not known to be where it shall be. It is committed all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpreadError {
    /// Another member leads by now.
    #[error("the leadership was lost")]
    NotLeader,
    /// Fewer than needed are in sync.
    #[error("{in_sync} replicas in sync, {needed} needed")]
    TooFew {
        /// In sync.
        in_sync: usize,
        /// Needed.
        needed: usize,
    },
}

impl Groups {
    /// How many voters are in sync within `within_ms`, as far as it matters for `needed`; 0 where this member does not lead.
    pub fn in_sync_count(&self, replica: &Replica, within_ms: u64, needed: usize) -> usize {
        let (Some(group), Role::Leader { epoch }) = (replica.group.load_full(), replica.role()) else { return 0 };
        let known = group.in_sync.for_need((epoch, group.now_ms()), needed);
        known.unwrap_or_else(|| self.in_sync(replica, within_ms).map_or(0, |in_sync| in_sync.len()))
    }

    /// Waits until so many voters have the entry at this index.
    ///
    /// # Errors
    /// They will not, as things are.
    pub async fn spread(
        &self,
        replica: &Replica,
        index: u64,
        (within_ms, needed): (u64, usize),
    ) -> Result<(), SpreadError> {
        let group = replica.group.load_full().ok_or(SpreadError::NotLeader)?;
        let mut moved = group.raft.data_metrics();
        loop {
            if holders(&group, index).ok_or(SpreadError::NotLeader)? >= needed {
                return Ok(());
            }
            let in_sync = self.in_sync_count(replica, within_ms, needed);
            if in_sync < needed {
                return Err(SpreadError::TooFew { in_sync, needed });
            }
            // a group that stops wakes nobody
            let _ = tokio::time::timeout(LOOK_EVERY, moved.changed()).await;
        }
    }
}

/// How many voters have the entry, as the leader knows.
fn holders(group: &Arc<Group>, index: u64) -> Option<usize> {
    let members = group.raft.server_metrics().borrow_watched().membership_config.clone();
    let metrics = group.raft.data_metrics();
    let known = metrics.borrow_watched();
    let matched = known.replication.as_ref()?;
    let has = |node| matched.get(&node).is_some_and(|matched| matched.as_ref().is_some_and(|last| last.index >= index));
    Some(members.voter_ids().filter(|node| has(*node)).count())
}
