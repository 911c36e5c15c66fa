//! A group's entries: what openraft hands to the log and gets back from it. Not here: frames' bytes (`log`).

use std::fmt;

use bytes::Bytes;
use openraft::{
    EmptyNode,
    entry::{RaftEntry, RaftPayload},
    vote::leader_id_std::CommittedLeaderId,
};
use tidemark_record::{BatchHeader, HEADER_LEN};
use tokio::sync::oneshot;

use super::{
    super::{error::ReplicaError, node_id::NodeId, replica::Appending},
    config::{GroupMembership, LogId},
    membership,
    proposal::Unappended,
};
use crate::log::{IndexedFrame, InternalKind};

/// The order that moves the log start.
const COMMAND_LOG_START: u8 = 1;

/// What a leader is asked to append.
#[derive(Debug)]
pub enum Order {
    /// A client's batch.
    Batch(Box<BatchOrder>),
    /// Records below this offset may go.
    LogStart(i64),
}

/// A batch, and what the leader's append must judge again.
#[derive(Debug)]
pub struct BatchOrder {
    /// As the client sent it, whole and verified.
    pub batch: Bytes,
    /// Its header.
    pub header: BatchHeader,
    /// Where the log must end for it (compare-and-append).
    pub expected_end: Option<i64>,
    /// Wall time of the proposal.
    pub now_ms: i64,
    /// Hears what the leader's own append made of it.
    pub appended: Option<oneshot::Sender<Result<Appending, ReplicaError>>>,
    /// Until then it counts as on its way.
    pub unappended: Unappended,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(order) => write!(f, "batch of {} bytes", order.batch.len()),
            Self::LogStart(offset) => write!(f, "log start {offset}"),
        }
    }
}

/// What an entry holds.
#[derive(Debug)]
pub enum Payload {
    /// A new leader's first entry.
    Blank,
    /// New members, on the leader that changes them.
    Membership(GroupMembership),
    /// An order, on the leader that was asked.
    Order(Order),
    /// A frame as a log has it.
    Frame(Frame),
}

/// A frame as a log has it.
#[derive(Debug, Clone)]
pub struct Frame {
    /// All of it; empty where only its effect is asked for.
    pub bytes: Bytes,
    /// How long it is.
    pub size: usize,
    /// The offset behind it.
    pub next_offset: i64,
    /// What it does.
    pub effect: Effect,
}

/// What a committed frame does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Its records may be seen.
    Batch,
    /// Nothing: a leader's first, a void one, the first of a log that was alone.
    None,
    /// The group has these members.
    Membership(GroupMembership),
    /// The log starts here.
    LogStart(i64),
}

impl Effect {
    /// Of an internal frame.
    pub fn of_internal(frame: &[u8]) -> Self {
        let Some((kind, words)) = frame.get(HEADER_LEN..).and_then(<[u8]>::split_first) else { return Self::None };
        match InternalKind::from_byte(*kind) {
            Some(InternalKind::Membership) => membership::decode(words).map_or(Self::None, Self::Membership),
            Some(InternalKind::Command) => match (words.first(), words.get(1..).and_then(|rest| rest.first_chunk())) {
                (Some(&COMMAND_LOG_START), Some(offset)) => Self::LogStart(i64::from_be_bytes(*offset)),
                _ => Self::None,
            },
            _ => Self::None,
        }
    }

    /// The members that it names, if it does.
    pub fn into_members(self) -> Option<GroupMembership> {
        match self {
            Self::Membership(members) => Some(members),
            _ => None,
        }
    }

    /// The words of the command frame that moves the log start.
    pub fn log_start_words(offset: i64) -> Vec<u8> {
        [&[COMMAND_LOG_START][..], &offset.to_be_bytes()].concat()
    }
}

/// Whether an internal frame says who the members of a group are.
pub fn names_members(frame: &[u8]) -> bool {
    Effect::of_internal(frame).into_members().is_some()
}

impl Frame {
    /// From its header and its bytes, of which a batch may lack all.
    pub fn new(header: &BatchHeader, bytes: Bytes) -> Self {
        let effect = if header.is_internal() { Effect::of_internal(&bytes) } else { Effect::Batch };
        Self { size: header.size_in_bytes(), next_offset: header.next_offset(), effect, bytes }
    }
}

/// An entry of a group.
#[derive(Debug)]
pub struct Entry {
    leader: CommittedLeaderId<u64>,
    index: u64,
    pub payload: Payload,
}

impl Entry {
    /// A frame that a log has.
    pub fn stored(found: IndexedFrame) -> Self {
        let term = u64::try_from(found.header.partition_leader_epoch).unwrap_or(0);
        let frame = Frame::new(&found.header, found.bytes);
        Self { leader: CommittedLeaderId::new(term), index: found.index, payload: Payload::Frame(frame) }
    }
}

impl RaftEntry for Entry {
    type CommittedLeaderId = CommittedLeaderId<u64>;
    type Payload = Payload;

    fn new(log_id: LogId, payload: Payload) -> Self {
        Self { leader: log_id.leader_id, index: log_id.index, payload }
    }

    fn log_id_parts(&self) -> (&CommittedLeaderId<u64>, u64) {
        (&self.leader, self.index)
    }

    fn set_log_id(&mut self, new: LogId) {
        (self.leader, self.index) = (new.leader_id, new.index);
    }

    fn get_membership(&self) -> Option<GroupMembership> {
        self.payload.get_membership()
    }
}

impl RaftPayload for Payload {
    type D = Order;
    type NodeId = NodeId;
    type Node = EmptyNode;

    fn blank() -> Self {
        Self::Blank
    }

    fn with_normal(self, order: Order) -> Self {
        Self::Order(order)
    }

    fn with_membership(self, membership: GroupMembership) -> Self {
        Self::Membership(membership)
    }

    fn get_membership(&self) -> Option<GroupMembership> {
        match self {
            Self::Membership(membership) => Some(membership.clone()),
            Self::Frame(Frame { effect: Effect::Membership(membership), .. }) => Some(membership.clone()),
            _ => None,
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blank => f.write_str("blank"),
            Self::Membership(membership) => membership.fmt(f),
            Self::Order(order) => order.fmt(f),
            Self::Frame(frame) => write!(f, "frame of {} bytes", frame.size),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}: {}", self.leader, self.index, self.payload)
    }
}
