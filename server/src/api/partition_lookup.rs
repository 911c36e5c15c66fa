//! From a topic in the image and a partition's number to the partition that serves it here, with Kafka's two ways to
//! say no: nobody has it, or somebody else does. Not here: topics by name or id (`metadata::Image`).

use std::sync::Arc;

use kafka_protocol::{error::ResponseError, messages::BrokerId};

use super::{context::Broker, topic::Leader};
use crate::{
    metadata::Topic,
    partition::{OffsetError, Partition},
};

/// "No epoch", on the wire and at the partition's door.
const NO_EPOCH: i32 = -1;

/// The partition that this broker leads.
///
/// # Errors
/// UNKNOWN_TOPIC_OR_PARTITION (3) if the image has no such partition, NOT_LEADER_OR_FOLLOWER (6) if it is not here.
pub(super) fn partition_of(
    broker: &Broker,
    topic: Option<&Arc<Topic>>,
    partition: i32,
) -> Result<Arc<Partition>, ResponseError> {
    let topic = topic.ok_or(ResponseError::UnknownTopicOrPartition)?;
    if usize::try_from(partition).map_or(true, |place| place >= topic.partitions.len()) {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    broker.partitions.get(topic.id, partition).ok_or(ResponseError::NotLeaderOrFollower)
}

/// Who leads the partition, for a client that asked in the wrong place or epoch (KIP-951); -1 for what is not known.
pub(super) fn leader_of(broker: &Broker, topic: Option<&Arc<Topic>>, partition: i32) -> Leader {
    let info = topic.zip(usize::try_from(partition).ok()).and_then(|(topic, place)| topic.partitions.get(place));
    let id = info.and_then(|info| info.replicas.first().copied()).unwrap_or(-1);
    let here = topic.and_then(|topic| broker.partitions.get(topic.id, partition));
    Leader { id: BrokerId(id), epoch: here.map_or(-1, |partition| partition.leader_epoch()) }
}

/// Where an epoch ends, as Kafka's `LeaderEpochFileCache.endOffsetFor` answers it; `None` for an epoch that did not begin.
///
/// # Errors
/// Those of [`Partition::end_offset_for_epoch`].
pub(super) fn epoch_end(
    partition: &Partition,
    epoch: i32,
    current_leader_epoch: i32,
) -> Result<Option<(i32, i64)>, OffsetError> {
    let (found, end_offset) = partition.end_offset_for_epoch(epoch, current_leader_epoch)?;
    Ok(if epoch == NO_EPOCH || epoch > partition.leader_epoch() {
        None
    } else if found == NO_EPOCH {
        // older than all that is left: the first epoch there is begins where it ended
        Some((epoch, partition.log_start_offset()))
    } else {
        Some((found, end_offset))
    })
}
