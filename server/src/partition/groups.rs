//! Starting the groups of this broker's members, and stopping them before their logs go. One task, woken when the metadata
//! changed what should be here. Not here: which replicas there should be (`partitions`).

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::{partition::Partition, partitions::Partitions, presence::Presence};
use crate::raft::{GroupError, Groups, NodeId, Role};

/// A group that could not be started is tried again after so long.
const RETRY_EVERY: Duration = Duration::from_secs(5);

impl Partitions {
    /// Lets members talk to those on other brokers. Without it every partition has one replica.
    pub fn join_groups(&self, groups: Groups) {
        // once, at start
        let _first_wins = self.groups.set(groups);
    }

    /// Starts and stops groups as the metadata goes on, for ever.
    pub async fn run_groups(self: Arc<Self>) {
        let Some(groups) = self.groups.get() else { return };
        loop {
            let mut failed = false;
            for partition in self.all() {
                failed |= !partition.start_group(groups).await;
            }
            let doomed = self.doomed.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for partition in &doomed {
                self.remove(groups, partition).await;
            }
            if !doomed.is_empty() {
                // what takes their places
                self.make_missing();
            }
            let changed = self.presence_changed.notified();
            if failed {
                // a timer only while something is amiss
                let _ = tokio::time::timeout(RETRY_EVERY, changed).await;
            } else {
                changed.await;
            }
        }
    }

    /// Starts the group of the metadata's log. That of a lone broker becomes a group of one, called `node`.
    ///
    /// # Errors
    /// Its log cannot be read, or written.
    pub async fn start_metadata_group(&self, node: NodeId) -> Result<(), GroupError> {
        let groups = self.groups.get().ok_or(GroupError::NotRunning)?;
        let replica = &self.metadata_log().replica;
        match replica.role() {
            Role::Solo { .. } => groups.into_group(replica, node).await?,
            _ => groups.start(replica).await?,
        }
        if replica.members().0 == [node] {
            // there is nobody whose leadership could be waited for
            groups.elect(replica).await?;
        }
        Ok(())
    }

    /// Whether any partition here is a member of a group.
    pub fn has_members(&self) -> bool {
        self.all().iter().any(|partition| partition.replica.node().is_some())
    }

    /// Makes the metadata's log, of whose group this broker is the only member, one of a lone broker.
    ///
    /// # Errors
    /// It is not the only member, or does not lead; or the disk's.
    pub async fn end_metadata_group(&self) -> Result<(), GroupError> {
        let groups = self.groups.get().ok_or(GroupError::NotRunning)?;
        groups.into_solo(&self.metadata_log().replica).await
    }

    /// Stops all groups: nothing is written any more.
    pub async fn stop_groups(&self) {
        let Some(groups) = self.groups.get() else { return };
        for partition in self.all().iter().chain([self.metadata_log()]) {
            if let Err(error) = groups.stop(&partition.replica).await {
                tracing::warn!(topic_id = %partition.topic_id(), %error, "group does not stop");
            }
        }
    }

    async fn remove(&self, groups: &Groups, partition: &Arc<Partition>) {
        if let Err(error) = groups.stop(&partition.replica).await {
            tracing::error!(topic_id = %partition.topic_id(), partition = partition.partition_index(), %error, "group does not stop");
        }
        self.bury(partition);
    }
}

impl Partition {
    /// Makes it what it shall be. False if that did not come about.
    async fn start_group(&self, groups: &Groups) -> bool {
        let presence = self.presence();
        let done = match (&*presence, self.role()) {
            (Presence::Solo, Role::Leader { .. }) => groups.into_solo(&self.replica).await,
            // whoever leads it comes first
            (Presence::Solo, Role::Follower { .. }) if self.replica.has_group() => return false,
            (Presence::Member { node, .. }, Role::Solo { .. }) => groups.into_group(&self.replica, *node).await,
            (_, Role::Solo { .. }) => return true,
            // one whose log cannot be read is replaced
            _ if self.replica.has_group() || self.replica.has_failed() => return true,
            _ => groups.start(&self.replica).await,
        };
        let (topic_id, partition) = (self.topic_id(), self.partition_index());
        if let Err(error) = done {
            tracing::error!(%topic_id, partition, %error, "group could not be started, or ended");
            return false;
        }
        if presence.is_preferred()
            && let Err(error) = groups.elect(&self.replica).await
        {
            tracing::debug!(%topic_id, partition, %error, "no election yet");
        }
        // a group of one is started first, and ended once it leads
        *presence != Presence::Solo || matches!(self.role(), Role::Solo { .. })
    }
}
