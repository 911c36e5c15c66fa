//! Members here that cannot be trusted any more: damaged, or their promises may be lost. Others take their places, once there is
//! somebody to fill them. Not here: finding the damage (`raft`), who decides on the replacement (`controller`).

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use uuid::Uuid;

use super::{
    partition::Partition,
    partitions::{METADATA_LOG, Partitions},
};
use crate::{
    os::random::Random,
    raft::{NodeId, ReplicaKey, Role, Storage, StorageError, random_incarnation},
};

/// A group that elects has done so by then.
const NOBODY_FOR: Duration = Duration::from_secs(30);

/// Since when nobody leads who could fill another, and whether that was said.
#[derive(Debug, Default)]
pub(super) struct Orphans(Mutex<HashMap<ReplicaKey, (Instant, bool)>>);

/// Lets another replica of the metadata take the place of one that cannot be trusted: of the same broker, under another name, and
/// empty, until the quorum lets it in and fills it. The old one is set aside.
///
/// # Errors
/// The disk's.
pub fn renew_metadata(storage: &Storage, random: &Random) -> Result<(), StorageError> {
    let (properties, found) = (storage.properties(), storage.replicas());
    let damaged = found.into_iter().find(|(key, replica)| *key == METADATA_LOG && replica.has_failed());
    let Some((_, replica)) = damaged.filter(|_| !properties.cluster_id.is_empty()) else { return Ok(()) };
    let incarnation = random_incarnation(random);
    tracing::error!(
        incarnation,
        "this broker's copy of the cluster's metadata cannot be trusted: it is set aside, and filled anew \
        by the others; if most of the voters say so, `tidemark cluster recover` shows what survives"
    );
    // before the old one is gone: no start may take an empty one for it
    storage.join_cluster(&properties.cluster_id, &properties.quorum, incarnation)?;
    storage.abandon_replica(&replica)
}

impl Partitions {
    /// Members here whose places others must take. One whose group nobody leads is left as it is: it may hold the only copy of
    /// something, and that is for an operator to judge.
    pub fn to_be_replaced(&self) -> Vec<(Uuid, i32, NodeId)> {
        let mut orphans = HashMap::new();
        let mut replaced = Vec::new();
        let mut before = self.orphans.0.lock().unwrap_or_else(PoisonError::into_inner);
        for partition in self.all() {
            let Some(node) = partition.replica.node().filter(|_| partition.replica.is_damaged()) else { continue };
            let key = (partition.topic_id(), partition.partition_index());
            if partition.somebody_leads(node) {
                replaced.push((key.0, key.1, node));
                continue;
            }
            let (since, mut told) = before.get(&key).copied().unwrap_or_else(|| (Instant::now(), false));
            if !told && since.elapsed() > NOBODY_FOR {
                told = true;
                tracing::error!(topic_id = %key.0, partition = key.1, %node, "this replica cannot be trusted, and nobody leads \
                    its partition who could fill another: start the other brokers that hold it; if they cannot be trusted \
                    either, `tidemark cluster recover` shows what survives");
            }
            orphans.insert(key, (since, told));
        }
        *before = orphans;
        replaced
    }
}

impl Partition {
    /// Whether its group is known to have a leader.
    fn somebody_leads(&self, node: NodeId) -> bool {
        let known = match self.role() {
            Role::Leader { .. } => true,
            Role::Follower { leader, .. } => leader.is_some() && self.replica.has_group(),
            Role::Solo { .. } => false,
        };
        known
            || self
                .groups
                .get()
                .is_some_and(|groups| groups.is_missed(&(self.topic_id(), self.partition_index()), node))
    }
}
