//! One partition led here: the handle that the APIs hold. Not here: bytes on disk, who leads what.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    append::{AckLevel, Append, AppendError, AppendOptions, AppendOrigin, Proposing, appended},
    leadership::Looked,
    partitions::PartitionsConfig,
    presence::Presence,
    settings::PartitionSettings,
    validate::{Validated, validate},
    waiters::{CommitError, FetchWaiter, Waiters},
};
use crate::{
    log::SequenceError,
    os::clock::Clock,
    raft::{Groups, Proposed, Replica, ReplicaError, Role},
};

/// A producer's state on a partition (DescribeProducers).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerDescription {
    /// Producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Sequence of its last record; -1 if none.
    pub last_sequence: i32,
    /// Timestamp of its last batch, milliseconds since 1970.
    pub last_timestamp: i64,
    /// -1 without one.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction; -1 if none.
    pub current_txn_start_offset: i64,
}

/// One partition with its replica on this broker. Shared as `Arc<Partition>`.
#[derive(Debug)]
pub struct Partition {
    topic_id: Uuid,
    index: i32,
    pub(super) replica: Arc<Replica>,
    pub(super) waiters: Arc<Waiters>,
    pub(super) settings: ArcSwap<PartitionSettings>,
    pub(super) clock: Clock,
    pub(super) broker_id: i32,
    /// `replica.lag.time.max.ms`.
    pub(super) lag_ms_max: u64,
    pub(super) groups: Arc<OnceLock<Groups>>,
    /// What the metadata says of it.
    presence: ArcSwap<Presence>,
    pub(super) looked: Looked,
}

/// What all partitions of a broker share.
pub(super) struct Shared<'a> {
    pub clock: Clock,
    pub roles: Arc<Notify>,
    pub groups: Arc<OnceLock<Groups>>,
    pub config: &'a PartitionsConfig,
}

impl Partition {
    /// Over a replica that was recovered or made.
    pub(super) fn new(
        (topic_id, index): (Uuid, i32),
        replica: Arc<Replica>,
        settings: Arc<PartitionSettings>,
        shared: Shared<'_>,
    ) -> Self {
        let Shared { clock, roles, groups, config } = shared;
        let waiters = Arc::new(Waiters::new(replica.high_watermark(), roles));
        replica.listen(waiters.clone());
        replica.configure(settings.log, settings.flush_messages, settings.flush_ms);
        let (broker_id, lag_ms_max) = (config.node_id, config.replica_lag_ms_max);
        Self {
            topic_id,
            index,
            replica,
            waiters,
            settings: ArcSwap::new(settings),
            clock,
            broker_id,
            lag_ms_max,
            groups,
            presence: ArcSwap::from_pointee(Presence::Solo),
            looked: Looked::default(),
        }
    }

    /// Whether this is what the metadata says.
    pub(super) fn is(&self, presence: &Presence) -> bool {
        presence.fits(&self.replica)
    }

    /// Takes note of what it shall be. False if it cannot become that.
    pub(super) fn becomes(&self, presence: &Presence) -> bool {
        let can = presence.fits(&self.replica) || presence.follows(&self.replica);
        if can {
            self.presence.store(Arc::new(presence.clone()));
        }
        can
    }

    pub(super) fn presence(&self) -> Arc<Presence> {
        self.presence.load_full()
    }

    /// Checks a batch and writes it to the log, in the caller's own time: a page-cache write, no disk sync. With
    /// [`AckLevel::All`] the answer waits for [`Append::done`].
    ///
    /// # Errors
    /// See [`AppendError`]; nothing was written.
    pub fn append(&self, batch: &Bytes, options: &AppendOptions) -> Result<Append, AppendError> {
        let settings = self.settings.load();
        let now_ms = self.clock.wall_ms();
        let validated = validate(batch, &settings, options, now_ms)?;
        if !self.role().leads() {
            return Err(AppendError::NotLeader);
        }
        let needed = match options.acks {
            AckLevel::All => usize::try_from(settings.min_insync_replicas).unwrap_or(1),
            AckLevel::Leader | AckLevel::None => 1,
        };
        if needed > 1 {
            self.check_in_sync(needed)?;
        }
        if options.origin == AppendOrigin::Client {
            self.replica.check_room(validated.batch.len())?;
        }
        self.propose(&validated, None, (options.acks, needed), now_ms)
    }

    /// Compare-and-append: writes one whole batch at the offset it carries, if the log ends at `expected_end` and that
    /// offset is at or above it. The mirror stands on this.
    ///
    /// # Errors
    /// [`AppendError::UnexpectedEnd`], [`AppendError::NotLeader`] for another topic id, or those of an append.
    pub fn append_at(&self, topic_id: Uuid, expected_end: i64, batch: &Bytes) -> Result<Append, AppendError> {
        if topic_id != self.topic_id {
            return Err(AppendError::NotLeader);
        }
        let options = AppendOptions::coordinator();
        let now_ms = self.clock.wall_ms();
        let validated = validate(batch, &self.settings.load(), &options, now_ms)?;
        self.replica.check_room(validated.batch.len())?;
        self.propose(&validated, Some(expected_end), (options.acks, 1), now_ms)
    }

    fn propose(
        &self,
        validated: &Validated,
        expected_end: Option<i64>,
        (acks, needed): (AckLevel, usize),
        now_ms: i64,
    ) -> Result<Append, AppendError> {
        let (batch, header) = (validated.batch.clone(), &validated.header);
        let (log_append_time_ms, leader_epoch) = (validated.log_append_time_ms, self.leader_epoch());
        Ok(match self.replica.propose(batch, header, expected_end, now_ms)? {
            Proposed::Appended(appending) => {
                let placed = appended(&appending, log_append_time_ms, leader_epoch);
                if let Some(spread) = self.spread(needed) {
                    let last_index = self.replica.look(|log| log.next_index().saturating_sub(1))?;
                    return Ok(Append::Repeated(placed, Box::new(spread), last_index));
                }
                let committed = (acks == AckLevel::All).then(|| self.waiters.committed(appending.last_offset + 1));
                Append::Placed(placed, committed)
            }
            Proposed::Pending(proposal) => {
                let spread = self.spread(needed);
                Append::Proposed(Box::new(Proposing { proposal, acks, spread, log_append_time_ms, leader_epoch }))
            }
        })
    }

    /// Lets `waiter` count what becomes visible from now on. `seen` is the [`super::Fetched::high_watermark`] of the read
    /// that found too little: if more is visible already, the waiter fires at once.
    pub fn watch(&self, waiter: &Arc<FetchWaiter>, seen: i64) {
        self.waiters.watch(waiter, seen);
    }

    /// Offset after the last committed record.
    pub fn high_watermark(&self) -> i64 {
        self.waiters.high_watermark()
    }

    /// Below it no transaction is open.
    pub fn last_stable_offset(&self) -> i64 {
        self.high_watermark()
    }

    /// First offset there is.
    pub fn log_start_offset(&self) -> i64 {
        self.replica.look(crate::log::Log::log_start_offset).unwrap_or(-1)
    }

    /// Offset after the last record, committed or not.
    pub fn log_end_offset(&self) -> i64 {
        self.replica.look(crate::log::Log::log_end_offset).unwrap_or(-1)
    }

    /// What this broker's replica is in the partition.
    pub fn role(&self) -> Role {
        self.replica.role()
    }

    /// The newest leader epoch known here.
    pub fn leader_epoch(&self) -> i32 {
        self.replica.leader_epoch()
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.replica.look(crate::log::Log::size_bytes).unwrap_or(0)
    }

    /// The topic's id.
    pub fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// The partition's number.
    pub fn partition_index(&self) -> i32 {
        self.index
    }

    /// Producers with state here, by id.
    pub fn producers(&self) -> Vec<ProducerDescription> {
        let producers = self.replica.look(crate::log::Log::producers).unwrap_or_default();
        let describe = |known: crate::log::ProducerInfo| ProducerDescription {
            producer_id: known.producer_id,
            producer_epoch: known.producer_epoch,
            last_sequence: known.last_sequence,
            last_timestamp: known.last_timestamp,
            coordinator_epoch: -1,
            current_txn_start_offset: known.current_txn_start_offset,
        };
        producers.into_iter().map(describe).collect()
    }

    /// New settings of the topic; long polls look again.
    pub(super) fn configure(&self, settings: Arc<PartitionSettings>) {
        self.replica.configure(settings.log, settings.flush_messages, settings.flush_ms);
        self.settings.store(settings);
        self.waiters.disturb();
    }

    /// Ends all waits: the partition is going away.
    pub(super) fn end(&self) {
        self.waiters.end(CommitError::NotLeader);
    }
}

impl From<ReplicaError> for AppendError {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::Sequence(cause @ SequenceError::OutOfOrder { .. }) => {
                Self::OutOfOrderSequence(cause.to_string())
            }
            ReplicaError::Sequence(cause @ SequenceError::InvalidEpoch { .. }) => {
                Self::InvalidProducerEpoch(cause.to_string())
            }
            ReplicaError::WrongEnd { end, expected } => {
                Self::UnexpectedEnd { expected_end: expected, log_end_offset: end }
            }
            ReplicaError::Deleted | ReplicaError::NotLeader { .. } => Self::NotLeader,
            error @ ReplicaError::Busy => Self::Storage(error.to_string()),
            ReplicaError::Storage(what) => Self::Storage(what),
        }
    }
}
