//! From a topic in the image and a partition's number to the partition that serves it here, with Kafka's two ways to
//! say no: nobody has it, or somebody else does. Not here: topics by name or id (`metadata::Image`).

use std::sync::Arc;

use kafka_protocol::{error::ResponseError, messages::BrokerId};

use super::{
    context::Broker,
    topic::{Leader, describe},
};
use crate::{
    metadata::Topic,
    partition::{OffsetError, Partition},
};

/// "No epoch", on the wire and at the partition's door.
const NO_EPOCH: i32 = -1;
const NO_LEADER: BrokerId = BrokerId(-1);

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
    if topic.partition(partition).is_none() {
        return Err(ResponseError::UnknownTopicOrPartition);
    }
    broker.partitions.get(topic.id, partition).ok_or(ResponseError::NotLeaderOrFollower)
}

/// Who leads the partition, for a client that asked in the wrong place or epoch (KIP-951); -1 for what is not known.
pub(super) fn leader_of(broker: &Broker, topic: Option<&Arc<Topic>>, partition: i32) -> Leader {
    let unknown = Leader { id: NO_LEADER, epoch: NO_EPOCH };
    let Some((topic, info)) = topic.and_then(|topic| Some((topic, topic.partition(partition)?))) else {
        return unknown;
    };
    let described = describe(broker, &broker.controller.image(), (topic.id, partition), info);
    described.leader.map_or(unknown, |id| Leader { id, epoch: described.leader_epoch })
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
