//! Which replica a consumer shall read from instead of the leader (KIP-392; Kafka `ReplicaManager.findPreferredReadReplica` with
//! `RackAwareReplicaSelector`): one in the consumer's rack that is in sync and has the offset. Not here: serving it there.

use super::super::context::Broker;
use crate::{
    metadata::{Image, PartitionInfo},
    partition::{Follower, Partition},
};

/// The broker to read from; `None`: this one, which leads, or knows of no better one.
pub(super) fn preferred(
    (broker, image): (&Broker, &Image),
    info: &PartitionInfo,
    partition: &Partition,
    rack: &str,
    fetch_offset: i64,
) -> Option<i32> {
    let lives_there = |id: i32| image.broker(id).is_some_and(|known| known.rack.as_deref() == Some(rack));
    if lives_there(broker.node_id) {
        return None;
    }
    let ids = info.replicas.iter().map(|replica| replica.broker_id);
    let near: Vec<i32> = ids.filter(|id| lives_there(*id) && image.is_available(*id)).collect();
    if near.is_empty() || fetch_offset < partition.log_start_offset() {
        return None;
    }
    let has_it = |one: &Follower| one.in_sync && one.log_end_offset >= Some(fetch_offset);
    let there = partition.followers().into_iter().filter(|one| near.contains(&one.broker_id) && has_it(one));
    // the one that is furthest, then the one that was there last
    let best = there.max_by_key(|one| (one.log_end_offset, one.caught_up_ms.map(std::cmp::Reverse), one.broker_id));
    best.map(|one| one.broker_id)
}
