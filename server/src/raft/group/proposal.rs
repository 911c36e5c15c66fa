//! A batch on its way through a group: proposed, appended by the leader, committed. Not here: who waits for the high watermark.

use std::{
    future::{Future, IntoFuture},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use openraft::{
    errors::ClientWriteError,
    raft::{ClientWriteResult, responder::Responder},
    vote::leader_id_std::CommittedLeaderId,
};
use tidemark_record::BatchHeader;
use tokio::{sync::oneshot, time::Instant};

use super::{
    super::{
        error::ReplicaError,
        replica::{Appending, Replica},
        role::Role,
    },
    config::GroupTypes,
    entry::{BatchOrder, Order},
    groups::Group,
};
use crate::log::SequenceCheck;

/// Bytes that wait for one group's commit, at most.
const PENDING_BYTES_MAX: u64 = 64 << 20;
/// Proposals that wait for one group's commit, at most; openraft's own queue has room for them.
const PENDING_MAX: usize = 4096;
/// A leader that may not write yet (it is new, or its lease ran out) is asked again for so long.
const RETRY_FOR: Duration = Duration::from_secs(10);
const RETRY_EVERY: Duration = Duration::from_millis(10);

/// What became of a batch at once.
#[derive(Debug)]
pub enum Proposed {
    /// The log has it.
    Appended(Appending),
    /// It is on its way through the group.
    Pending(Proposal),
}

/// What waits in one group.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Sent to openraft, not appended.
    unappended: AtomicUsize,
    count: AtomicUsize,
    bytes: AtomicU64,
}

/// One proposal's share of what may wait.
#[derive(Debug)]
pub struct Admitted(Arc<Pending>, u64);

impl Admitted {
    fn new(pending: &Arc<Pending>, bytes: u64) -> Result<Self, ReplicaError> {
        let count = pending.count.fetch_add(1, Ordering::AcqRel);
        let before = pending.bytes.fetch_add(bytes, Ordering::AcqRel);
        let admitted = Self(Arc::clone(pending), bytes);
        // one batch goes through however large it is
        if count >= PENDING_MAX || (before > 0 && before + bytes > PENDING_BYTES_MAX) {
            return Err(ReplicaError::Busy);
        }
        Ok(admitted)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.bytes.fetch_sub(self.1, Ordering::AcqRel);
    }
}

/// Counts a proposal that openraft has and the log has not.
#[derive(Debug)]
pub struct Unappended(Arc<Pending>);

impl Unappended {
    fn new(pending: &Arc<Pending>) -> Self {
        pending.unappended.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(pending))
    }
}

impl Drop for Unappended {
    fn drop(&mut self) {
        self.0.unappended.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Hears openraft's answer to one proposal.
#[derive(Debug)]
pub struct Answer<T> {
    to: oneshot::Sender<T>,
    _admitted: Option<Admitted>,
}

impl<T: Send + 'static> Responder<GroupTypes, T> for Answer<T> {
    fn on_complete(self, result: T) {
        // the proposer may be gone
        let _ = self.to.send(result);
    }
}

/// A batch on its way. Dropping it takes nothing back.
#[derive(Debug)]
#[must_use = "whether the batch was taken is known after this"]
pub struct Proposal {
    replica: Arc<Replica>,
    batch: Bytes,
    header: BatchHeader,
    expected_end: Option<i64>,
    now_ms: i64,
    appended: oneshot::Receiver<Result<Appending, ReplicaError>>,
    answer: oneshot::Receiver<ClientWriteResult<GroupTypes>>,
    /// What the leader's append said.
    known: Option<Appending>,
    deadline: Instant,
}

impl Replica {
    /// Gives a whole, verified batch to the partition's log. Alone, it is in the page cache when this returns; in a group it is
    /// on its way, and sequences, `expected_end` and the leadership are judged again when it is appended.
    ///
    /// # Errors
    /// What can be told at once: another leader, a producer's gap, another end, too much on its way, or the disk's.
    pub fn propose(
        self: &Arc<Self>,
        batch: Bytes,
        header: &BatchHeader,
        expected_end: Option<i64>,
        now_ms: i64,
    ) -> Result<Proposed, ReplicaError> {
        if matches!(self.role(), Role::Solo { .. }) {
            let appended = match expected_end {
                Some(end) => self.append_at(&batch, header, end, now_ms),
                None => self.append(&batch, header, now_ms),
            };
            return appended.map(Proposed::Appended);
        }
        let group = self.leading_group()?;
        // while others are on their way, what the log will end with is not known here: its append judges
        if group.pending.unappended.load(Ordering::Acquire) == 0
            && let Some(duplicate) = self.judge_early(header, expected_end)?
        {
            return Ok(Proposed::Appended(duplicate));
        }
        let (_, appended) = oneshot::channel();
        let (_, answer) = oneshot::channel();
        let (replica, deadline) = (Arc::clone(self), Instant::now() + RETRY_FOR);
        let (header, known) = (*header, None);
        let mut proposal = Proposal { replica, batch, header, expected_end, now_ms, appended, answer, known, deadline };
        proposal.send()?;
        Ok(Proposed::Pending(proposal))
    }

    /// The running group, if this replica leads it.
    fn leading_group(&self) -> Result<Arc<Group>, ReplicaError> {
        match (self.role(), self.group.load_full()) {
            (Role::Leader { .. }, Some(group)) => Ok(group),
            _ => Err(self.not_leader()),
        }
    }

    /// What is certain before a proposal is made; a duplicate of what is committed answers at once.
    fn judge_early(&self, header: &BatchHeader, expected_end: Option<i64>) -> Result<Option<Appending>, ReplicaError> {
        let held = self.read();
        let log = held.state.log()?;
        if let Some(expected) = expected_end {
            let end = log.log_end_offset();
            let fits = end == expected && header.base_offset >= expected;
            return if fits { Ok(None) } else { Err(ReplicaError::WrongEnd { end, expected }) };
        }
        match log.check_producer(header)? {
            SequenceCheck::Duplicate { base_offset, last_offset, timestamp } if last_offset < self.high_watermark() => {
                let log_start_offset = log.log_start_offset();
                Ok(Some(Appending { base_offset, last_offset, log_start_offset, duplicate_of: Some(timestamp) }))
            }
            _ => Ok(None),
        }
    }

    /// Proposes a move of the log start; the receiver hears when it is durable here.
    pub(in crate::raft) fn propose_log_start(&self, offset: i64) -> Result<(i64, oneshot::Receiver<()>), ReplicaError> {
        let group = self.leading_group()?;
        let (sender, receiver) = oneshot::channel();
        let start = {
            let mut held = self.write();
            let before = held.state.log()?.log_start_offset();
            let start = before.max(offset.min(self.high_watermark()));
            match &mut held.member {
                Some(member) if start > before => member.log_start_told.push(sender),
                _ => {
                    // it starts there already
                    let _ = sender.send(());
                    return Ok((start, receiver));
                }
            }
            start
        };
        let (to, _) = oneshot::channel();
        group.send(Order::LogStart(start), Answer { to, _admitted: None }, self.role().epoch())?;
        Ok((start, receiver))
    }
}

impl Group {
    /// Hands an order to openraft, in the order of the calls. It is not waited for: the queue has room for all that may wait.
    fn send(
        &self,
        order: Order,
        answer: Answer<ClientWriteResult<GroupTypes>>,
        epoch: i32,
    ) -> Result<(), ReplicaError> {
        let leader = CommittedLeaderId::new(u64::try_from(epoch).unwrap_or(0));
        let writing = self.raft.write(order).responder(answer).with_leader(leader);
        let mut writing = pin!(tokio::task::unconstrained(writing.into_future()));
        match writing.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(())) => Ok(()),
            Poll::Ready(Err(fatal)) => Err(ReplicaError::Storage(fatal.to_string())),
            Poll::Pending => Err(ReplicaError::Busy),
        }
    }
}

impl Proposal {
    fn send(&mut self) -> Result<(), ReplicaError> {
        let group = self.replica.leading_group()?;
        let admitted = Admitted::new(&group.pending, self.batch.len() as u64)?;
        let (appended, told) = oneshot::channel();
        let (to, answer) = oneshot::channel();
        let order = BatchOrder {
            batch: self.batch.clone(),
            header: self.header,
            expected_end: self.expected_end,
            now_ms: self.now_ms,
            appended: Some(appended),
            unappended: Unappended::new(&group.pending),
        };
        (self.appended, self.answer) = (told, answer);
        let (answer, epoch) = (Answer { to, _admitted: Some(admitted) }, self.replica.role().epoch());
        let sent = group.send(Order::Batch(Box::new(order)), answer, epoch);
        if let Err(ReplicaError::Storage(reason)) = &sent {
            // openraft stopped: others will elect, and this one must not be taken for the leader meanwhile
            tracing::error!(reason, "the group stopped here");
            self.replica.set_role(Role::Follower { leader: None, epoch });
        }
        sent
    }

    /// Waits for the leader's own append: what acks=1 answers.
    ///
    /// # Errors
    /// What the append found, or a lost leadership; the batch is not in the log.
    pub async fn appended(&mut self) -> Result<Appending, ReplicaError> {
        loop {
            if let Some(known) = self.known {
                return Ok(known);
            }
            if let Ok(told) = (&mut self.appended).await {
                self.known = Some(told?);
                continue;
            }
            // openraft refused it before it was appended
            match (&mut self.answer).await {
                Ok(Err(ClientWriteError::ForwardToLeader(other)))
                    if other.leader_id.is_none() && Instant::now() < self.deadline =>
                {
                    tokio::time::sleep(RETRY_EVERY).await;
                    self.send()?;
                }
                Ok(Err(ClientWriteError::ForwardToLeader(other))) => {
                    let epoch = self.replica.role().epoch();
                    return Err(ReplicaError::NotLeader { leader: other.leader_id, epoch });
                }
                _ => return Err(self.replica.not_leader()),
            }
        }
    }

    /// Waits for the commit: what acks=all answers.
    ///
    /// # Errors
    /// As [`Self::appended`]; or [`ReplicaError::NotLeader`] for a batch that was appended, of which another leader decides.
    pub async fn committed(self) -> Result<Appending, ReplicaError> {
        self.committed_at().await.map(|(appended, _)| appended)
    }

    /// The same, and the Raft index of the entry.
    ///
    /// # Errors
    /// As [`Self::committed`].
    pub async fn committed_at(mut self) -> Result<(Appending, u64), ReplicaError> {
        let appended = self.appended().await?;
        match self.answer.await {
            Ok(Ok(written)) => Ok((appended, written.log_id.index)),
            _ => Err(self.replica.not_leader()),
        }
    }
}
