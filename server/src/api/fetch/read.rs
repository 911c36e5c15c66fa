//! One pass over a fetch's partitions, under the request's limits (KIP-74). Not here: waiting for more.

use std::sync::Arc;

use kafka_protocol::{error::ResponseError, messages::FetchRequest};

use super::{
    super::{
        context::{Broker, RequestContext},
        error_code::ErrorCode,
        fetch_session::{TopicKey, Wanted},
        partition_lookup::{epoch_end, leader_of, partition_of},
    },
    envelope::{NODE_ENDPOINTS_SINCE, PartitionAnswer},
    preferred::preferred,
};
use crate::{
    metadata::Image,
    partition::{FetchParams, FetchedRecords, Partition},
};

/// First version in which consumers may read from a replica that follows (KIP-392).
pub(super) const FOLLOWERS_SINCE: i16 = 11;
/// Kafka's `fetch.max.bytes` of a broker: 55 MiB in one answer, whatever is asked for.
const ANSWER_BYTES_MAX: i32 = 57_671_680;
/// What an answer with an error says instead of an offset.
const NO_OFFSET: i64 = -1;

/// What a whole request may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Fewer are worth a wait.
    pub(super) min_bytes: usize,
    /// Negative: nothing can be read, as in Kafka.
    max_bytes: i32,
    read_committed: bool,
    follower_may_serve: bool,
}

impl Limits {
    pub(super) fn of(request: &FetchRequest, version: i16) -> Self {
        let max_bytes = request.max_bytes.min(ANSWER_BYTES_MAX);
        let min_bytes = usize::try_from(request.min_bytes.min(max_bytes)).unwrap_or(0);
        let (read_committed, follower_may_serve) = (request.isolation_level == 1, version >= FOLLOWERS_SINCE);
        Self { min_bytes, max_bytes, read_committed, follower_may_serve }
    }
}

/// Where a wanted partition is.
#[derive(Debug)]
pub(super) enum Source {
    /// Not in the metadata.
    Unknown(ResponseError),
    /// In the metadata, but not to be read here.
    Refused(ResponseError),
    /// Here.
    Here(Arc<Partition>),
    /// Here, and better read from this broker.
    Nearer(Arc<Partition>, i32),
}

impl Source {
    pub(super) fn of(broker: &Broker, image: &Image, wanted: &Wanted, (replica_id, rack): (i32, Option<&str>)) -> Self {
        let topic = match &wanted.topic {
            TopicKey::Name(name) => image.topic(name),
            TopicKey::Id(id) => image.topic_by_id(*id),
        };
        if topic.is_none() && matches!(wanted.topic, TopicKey::Id(_)) {
            // an id that meant something when the session began is not unknown, but out of date
            return match wanted.known_name.as_deref().map(|name| image.topic(name)) {
                None => Self::Unknown(ResponseError::UnknownTopicId),
                Some(None) => Self::Unknown(ResponseError::UnknownTopicOrPartition),
                Some(Some(_)) => Self::Refused(ResponseError::InconsistentTopicId),
            };
        }
        match partition_of(broker, topic, wanted.partition) {
            // followers are served by their group: whoever says that it is one here is not
            Ok(_) if replica_id >= 0 => Self::Refused(ResponseError::NotLeaderOrFollower),
            Ok(partition) => {
                let info = topic.and_then(|topic| topic.partition(wanted.partition));
                let nearer = info
                    .zip(rack)
                    .and_then(|(info, rack)| preferred((broker, image), info, &partition, rack, wanted.fetch_offset));
                match nearer {
                    Some(nearer) => Self::Nearer(partition, nearer),
                    None => Self::Here(partition),
                }
            }
            Err(error @ ResponseError::UnknownTopicOrPartition) => Self::Unknown(error),
            Err(error) => Self::Refused(error),
        }
    }
}

/// What one pass found.
#[derive(Debug)]
pub(super) struct Read {
    /// One for each wanted partition.
    pub(super) answers: Vec<PartitionAnswer>,
    /// Of records.
    pub(super) bytes: usize,
    /// Something that the asker must hear now.
    pub(super) ends_wait: bool,
}

/// Reads the partitions in turn. The first that has records gives a whole batch even above both limits.
pub(super) fn read(context: &RequestContext, limits: &Limits, wanted: &[Wanted], sources: &[Source]) -> Read {
    let mut found = Read { answers: Vec::with_capacity(wanted.len()), bytes: 0, ends_wait: false };
    let mut room = limits.max_bytes;
    for (wanted, source) in wanted.iter().zip(sources) {
        let answer = match source {
            Source::Unknown(error) => Ok(refused(wanted, *error, Some(Vec::new()))),
            Source::Refused(error) => Err(*error),
            Source::Here(partition) => read_partition(partition, limits, wanted, room, found.bytes == 0),
            Source::Nearer(partition, nearer) => send_to(*nearer, partition, wanted),
        };
        let answer = answer.unwrap_or_else(|error| {
            found.ends_wait = true;
            with_leader(context, refused(wanted, error, None))
        });
        found.ends_wait |= answer.diverging_epoch.is_some() || answer.preferred_replica.is_some();
        found.bytes += answer.records.bytes;
        // a negative limit refuses the first partition only, as Kafka's does
        room = room.saturating_sub(i32::try_from(answer.records.bytes).unwrap_or(i32::MAX)).max(0);
        found.answers.push(answer);
    }
    found
}

/// Tells where to read, and no records.
fn send_to(nearer: i32, partition: &Partition, wanted: &Wanted) -> Result<PartitionAnswer, ResponseError> {
    let found = partition.fetch_nothing(wanted.current_leader_epoch.max(-1)).map_err(|error| error.response_error())?;
    Ok(PartitionAnswer {
        high_watermark: found.high_watermark,
        last_stable_offset: found.last_stable_offset,
        log_start_offset: found.log_start_offset,
        preferred_replica: Some(nearer),
        ..empty(wanted)
    })
}

fn read_partition(
    partition: &Partition,
    limits: &Limits,
    wanted: &Wanted,
    room: i32,
    min_one: bool,
) -> Result<PartitionAnswer, ResponseError> {
    let max_bytes =
        usize::try_from(wanted.max_bytes.min(room)).map_err(|_negative| ResponseError::UnknownServerError)?;
    // as Kafka reads the wire: any negative epoch means "no check"
    let current_leader_epoch = wanted.current_leader_epoch.max(-1);
    if let Some(diverging_epoch) = diverging_epoch(partition, wanted, current_leader_epoch)? {
        return Ok(PartitionAnswer {
            high_watermark: partition.high_watermark(),
            last_stable_offset: partition.last_stable_offset(),
            log_start_offset: partition.log_start_offset(),
            diverging_epoch: Some(diverging_epoch),
            ..empty(wanted)
        });
    }
    let offset = wanted.fetch_offset;
    let read_committed = limits.read_committed;
    let follower_may_serve = limits.follower_may_serve;
    let params = FetchParams { offset, max_bytes, min_one, read_committed, current_leader_epoch, follower_may_serve };
    let fetched = partition.fetch(&params).map_err(|error| error.response_error())?;
    Ok(PartitionAnswer {
        high_watermark: fetched.high_watermark,
        last_stable_offset: fetched.last_stable_offset,
        log_start_offset: fetched.log_start_offset,
        aborted: fetched.aborted,
        records: fetched.records,
        ..empty(wanted)
    })
}

/// Where the asker's log parted from ours (KIP-595), if it says what it has and it did.
fn diverging_epoch(
    partition: &Partition,
    wanted: &Wanted,
    current_leader_epoch: i32,
) -> Result<Option<(i32, i64)>, ResponseError> {
    let last_fetched_epoch = wanted.last_fetched_epoch;
    if last_fetched_epoch < 0 {
        return Ok(None);
    }
    let end = epoch_end(partition, last_fetched_epoch, current_leader_epoch).map_err(|error| error.response_error())?;
    let (epoch, end_offset) = end.ok_or(ResponseError::OffsetOutOfRange)?;
    Ok((epoch < last_fetched_epoch || end_offset < wanted.fetch_offset).then_some((epoch, end_offset)))
}

fn empty(wanted: &Wanted) -> PartitionAnswer {
    PartitionAnswer {
        topic: wanted.topic.clone(),
        partition: wanted.partition,
        error: None,
        high_watermark: NO_OFFSET,
        last_stable_offset: NO_OFFSET,
        log_start_offset: NO_OFFSET,
        aborted: None,
        diverging_epoch: None,
        leader: None,
        preferred_replica: None,
        records: FetchedRecords::default(),
    }
}

/// An error, without any offset: Kafka 4.3 tells none even for OFFSET_OUT_OF_RANGE.
pub(super) fn refused(wanted: &Wanted, error: ResponseError, aborted: Option<Vec<(i64, i64)>>) -> PartitionAnswer {
    PartitionAnswer { error: Some(error), aborted, ..empty(wanted) }
}

fn with_leader(context: &RequestContext, answer: PartitionAnswer) -> PartitionAnswer {
    let misled = matches!(answer.error, Some(ResponseError::NotLeaderOrFollower | ResponseError::FencedLeaderEpoch));
    if context.version < NODE_ENDPOINTS_SINCE || !misled {
        return answer;
    }
    let image = context.broker.controller.image();
    let topic = match &answer.topic {
        TopicKey::Name(name) => image.topic(name),
        TopicKey::Id(id) => image.topic_by_id(*id),
    };
    let leader = leader_of(&context.broker, topic, answer.partition);
    PartitionAnswer { leader: Some(leader), ..answer }
}
