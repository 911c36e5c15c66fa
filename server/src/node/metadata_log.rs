//! The metadata's log: records in batches of one partition, hidden from clients. One change is one batch.

use std::{sync::Arc, time::Duration};

use tidemark_record::{BatchBuilder, BatchHeader, Records, batch, builder, compression::INFLATED_BYTES_MAX};

use super::error::StartError;
use crate::{
    controller::{
        Changing, Committed, MetadataLog, ProposeError, Proposing, Quorum, QuorumReplica, Starting, VoterChange,
    },
    log::Log,
    metadata::{Image, MetadataRecord, NO_BROKER},
    os::clock::Clock,
    partition::{AppendError, AppendOptions, FetchParams, Partition},
    raft::{NodeId, Replica, Role},
};

/// How long a change of the metadata may wait for a majority.
const COMMIT_WITHIN: Duration = Duration::from_secs(10);
/// Bytes read at once at start.
const READ_BYTES: usize = 1 << 20;

/// Where the controller's records go.
#[derive(Debug)]
pub(super) struct PartitionLog {
    pub partition: Arc<Partition>,
    pub clock: Clock,
    /// This broker.
    pub node_id: i32,
}

impl MetadataLog for PartitionLog {
    fn propose(&self, records: &[MetadataRecord]) -> Proposing<'_> {
        let now_ms = self.clock.wall_ms();
        let mut builder = BatchBuilder::new();
        for record in records {
            builder.append_plain(now_ms, None, Some(&record.encode()));
        }
        let appended = builder.build().map_err(|error| ProposeError::Storage(error.to_string())).and_then(|batch| {
            self.partition.append(&batch, &AppendOptions::coordinator()).map_err(|error| self.refused(&error))
        });
        Box::pin(async move {
            // without a quorum it would hold up every other decision
            let done = tokio::time::timeout(COMMIT_WITHIN, appended?.done()).await;
            let placed = done.map_err(|_| self.unknown())?.map_err(|error| self.refused(&error))?;
            Ok(Committed { base_offset: placed.base_offset, next_offset: placed.last_offset + 1 })
        })
    }

    fn end_offset(&self) -> i64 {
        self.partition.log_end_offset()
    }

    fn size_bytes(&self) -> u64 {
        self.partition.size_bytes()
    }

    fn start_at(&self, offset: i64) -> Starting<'_> {
        Box::pin(async move {
            let started = tokio::time::timeout(COMMIT_WITHIN, self.partition.start_at(offset)).await;
            started.map_err(|_| "not committed in time".to_owned())?.map_err(|error| error.to_string())
        })
    }

    fn change_voters(&self, change: VoterChange) -> Changing<'_> {
        Box::pin(self.change_members(change))
    }

    fn quorum(&self) -> Quorum {
        let (leader_epoch, high_watermark) = (self.partition.leader_epoch(), self.partition.high_watermark());
        let (now_ms, own_end) = (self.clock.wall_ms(), self.partition.log_end_offset());
        let here = |broker_id| QuorumReplica {
            broker_id,
            log_end_offset: own_end,
            last_fetch_ms: now_ms,
            last_caught_up_ms: now_ms,
        };
        let Some(status) = self.partition.group_status() else {
            let (leader_id, voters) = (self.node_id, vec![here(self.node_id)]);
            return Quorum { leader_id, leader_epoch, high_watermark, voters, observers: Vec::new() };
        };
        let leader_id = match status.role {
            Role::Follower { leader, .. } => leader.map_or(NO_BROKER, NodeId::broker),
            _ => self.node_id,
        };
        let replica = |node: &NodeId| {
            let known = status.followers.iter().find(|follower| follower.node == *node);
            let heard = known.and_then(|follower| follower.last_contact_ms).and_then(|ms| i64::try_from(ms).ok());
            let last_fetch_ms = heard.map_or(-1, |ms| now_ms - ms);
            let caught_up = known.is_some_and(|follower| follower.matched_index >= status.last_index);
            let last_caught_up_ms = if caught_up { last_fetch_ms } else { -1 };
            let log_end_offset = if caught_up { own_end } else { -1 };
            let there = QuorumReplica { broker_id: node.broker(), log_end_offset, last_fetch_ms, last_caught_up_ms };
            if *node == status.node { here(node.broker()) } else { there }
        };
        let (voters, observers) = (&status.voters, &status.learners);
        let (voters, observers) = (voters.iter().map(replica).collect(), observers.iter().map(replica).collect());
        Quorum { leader_id, leader_epoch, high_watermark, voters, observers }
    }
}

impl PartitionLog {
    /// Whether it is committed some day is not known: as for whoever loses the leadership meanwhile.
    fn unknown(&self) -> ProposeError {
        let (node_id, within) = (self.node_id, COMMIT_WITHIN);
        tracing::warn!(node_id, ?within, "metadata is not committed in time: are enough brokers up?");
        ProposeError::NotController { leader: None }
    }

    fn refused(&self, error: &AppendError) -> ProposeError {
        match (error, self.partition.role()) {
            (AppendError::NotLeader, Role::Follower { leader, .. }) => {
                ProposeError::NotController { leader: leader.map(NodeId::broker) }
            }
            (AppendError::NotLeader, _) => ProposeError::NotController { leader: None },
            (error, _) => ProposeError::Storage(error.to_string()),
        }
    }
}

/// What all committed records of the log add up to, and the offset behind them.
///
/// # Errors
/// Damage, or a record of a newer version.
pub(super) fn replay(partition: &Partition) -> Result<(Image, i64), StartError> {
    let mut replayed = Replayed::from(partition.log_start_offset().max(0));
    read_batches(partition, replayed.start, |base_offset, records, next_offset| {
        replayed.take(base_offset, records, next_offset);
    })?;
    let Replayed { image, start, next, whole } = replayed;
    if !whole {
        return Err(unreadable(format!("it begins at offset {start}, and not with a snapshot")));
    }
    Ok((image, next))
}

/// What all records of a log add up to, those too that are not known to be committed.
///
/// # Errors
/// Damage, or a record of a newer version.
pub(super) fn replay_all(replica: &Replica) -> Result<Image, StartError> {
    let bounds = |log: &Log| (log.log_start_offset(), log.log_end_offset());
    let (start, end) = replica.look(bounds).map_err(unreadable)?;
    let mut replayed = Replayed::from(start);
    let read = |offset| {
        let read = replica.look(|log| log.read(offset, READ_BYTES, true, end)).map_err(unreadable)?;
        let mut bytes = Vec::new();
        for slice in read.map_err(unreadable)?.slices {
            let mut piece = vec![0; slice.len];
            slice.file.read_exact_at(&mut piece, slice.position).map_err(unreadable)?;
            bytes.extend(piece);
        }
        Ok(bytes)
    };
    hand_out_all(
        start,
        || end,
        read,
        |base_offset, records, next_offset| {
            replayed.take(base_offset, records, next_offset);
        },
    )?;
    Ok(replayed.image)
}

/// A log's records on their way to an image.
struct Replayed {
    image: Image,
    /// Where the log starts.
    start: i64,
    next: i64,
    /// It starts at its beginning, or with a snapshot.
    whole: bool,
}

impl Replayed {
    fn from(start: i64) -> Self {
        Self { image: Image::default(), start, next: start, whole: true }
    }

    fn take(&mut self, base_offset: i64, records: &[MetadataRecord], next_offset: i64) {
        let is_snapshot = records.first() == Some(&MetadataRecord::Snapshot);
        self.whole &= base_offset > self.start || self.start == 0 || is_snapshot;
        // one that does not begin the log says nothing new, and may lack what came just before it
        if !is_snapshot || base_offset == self.start {
            records.iter().for_each(|record| self.image.apply(record));
        }
        self.next = next_offset;
    }
}

/// Reads the committed batches from an offset on: base offset, records, offset behind.
///
/// # Errors
/// Damage, or a record of a newer version. Batches before it were handed out.
pub(super) fn read_batches(
    partition: &Partition,
    offset: i64,
    each: impl FnMut(i64, &[MetadataRecord], i64),
) -> Result<(), StartError> {
    let read = |offset| {
        let params = FetchParams {
            offset,
            max_bytes: READ_BYTES,
            min_one: true,
            read_committed: false,
            current_leader_epoch: -1,
            follower_may_serve: true,
        };
        partition.fetch(&params).map_err(unreadable)?.records.read_all().map_err(unreadable)
    };
    hand_out_all(offset, || partition.high_watermark(), read, each)
}

/// Reads from an offset up to an end that may move, and hands out each batch.
fn hand_out_all<B: AsRef<[u8]>>(
    mut offset: i64,
    end: impl Fn() -> i64,
    read: impl Fn(i64) -> Result<B, StartError>,
    mut each: impl FnMut(i64, &[MetadataRecord], i64),
) -> Result<(), StartError> {
    while offset < end() {
        let next = hand_out(read(offset)?.as_ref(), &mut each)?;
        if next <= offset {
            return Err(unreadable(format!("nothing follows offset {offset}")));
        }
        offset = next;
    }
    Ok(())
}

/// Hands out the whole batches at the front; the offset behind the last.
fn hand_out(mut rest: &[u8], each: &mut impl FnMut(i64, &[MetadataRecord], i64)) -> Result<i64, StartError> {
    let mut next_offset = -1;
    while let Ok(header) = BatchHeader::parse(rest) {
        let Some((whole, after)) = rest.split_at_checked(header.size_in_bytes()) else { break };
        batch::verify(whole).map_err(unreadable)?;
        let inflated = builder::inflated(&header, whole, INFLATED_BYTES_MAX).map_err(unreadable)?;
        let mut records = Vec::new();
        for record in Records::new(&inflated, header.records_count) {
            let value = record.map_err(unreadable)?.value.unwrap_or_default();
            records.push(MetadataRecord::decode(value).map_err(unreadable)?);
        }
        next_offset = header.next_offset();
        each(header.base_offset, &records, next_offset);
        rest = after;
    }
    Ok(next_offset)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unreadable(cause: impl ToString) -> StartError {
    StartError::Metadata(cause.to_string())
}
