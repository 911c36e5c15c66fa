//! What a replica knows as a member of its group, under its lock: vote, commit, members, what is not applied yet. Not here: what
//! is written (`write`), openraft's traits.

use std::collections::VecDeque;

use openraft::impls::leader_id_std::LeaderId;
use tokio::sync::oneshot;

use super::{
    super::node_id::NodeId,
    config::{GroupMembership, LogId, StoredMembership, Vote},
    entry::{Effect, Frame},
    membership,
};
use crate::{
    journal::{Installed, MemberCheckpoint},
    log::{FrameBytes, Log, LogError},
};

/// A vote as the journal has it: term, node, whether a quorum granted it.
type SavedVote = (u64, u64, bool);

/// What journal and checkpoint keep of a member.
#[derive(Debug, Clone, Default)]
pub struct RecoveredMember {
    pub vote: Option<SavedVote>,
    pub kept: MemberCheckpoint,
}

impl RecoveredMember {
    /// A member that has no votes yet; `first` is what its log's first frame says.
    pub fn new(node: NodeId, first: Option<Vec<u8>>) -> Self {
        let memberships = first.map(|words| (0, 0, words)).into_iter().collect();
        let kept = MemberCheckpoint { node: node.as_u64(), memberships, ..MemberCheckpoint::default() };
        Self { vote: None, kept }
    }

    /// The newest epoch it knows of.
    pub fn epoch(&self) -> i32 {
        self.vote.map_or(0, |(term, _, _)| i32::try_from(term).unwrap_or(i32::MAX))
    }

    /// Whether its group has no other member, by the newest frame in its log or known before that says so.
    pub fn is_alone(&self, log: &Log) -> bool {
        let known = self.kept.memberships.last();
        let behind = known.map_or(0, |(index, ..)| index + 1);
        let Ok(frames) = log.frames(behind, log.next_index(), FrameBytes::Headers) else { return false };
        let internal = frames.iter().rev().filter(|frame| frame.header.is_internal());
        let in_log = internal.map(|frame| Effect::of_internal(&frame.bytes)).find_map(Effect::into_members);
        let newest = in_log.or_else(|| known.and_then(|(_, _, words)| membership::decode(words)));
        newest.is_some_and(|members| members.nodes().all(|(node, _)| node.as_u64() == self.kept.node))
    }

    /// What the log's first frame says; none for a log that a leader fills.
    pub fn first_words(&self) -> Option<&[u8]> {
        self.kept.memberships.first().filter(|(index, _, _)| *index == 0).map(|(_, _, words)| &**words)
    }

    /// Notes a frame that the log took.
    pub fn note_frame(&mut self, index: u64, leader_epoch: i32, frame: &[u8]) {
        self.truncate(index);
        if let Effect::Membership(members) = Effect::of_internal(frame) {
            self.kept.memberships.push((index, leader_epoch, membership::encode(&members)));
        }
    }

    /// A member that was alone before: it has voted for itself in `term`, and frames up to `committed` are committed.
    pub fn joined(node: NodeId, term: u64, committed: Option<(u64, i32, i64)>) -> Self {
        let mut joined = Self::new(node, None);
        joined.vote = Some((term, node.as_u64(), false));
        joined.kept.committed = committed;
        joined
    }

    /// Another log took the place of this one's, and all of it is committed.
    pub fn note_installed(&mut self, installed: &Installed) {
        let end = &installed.end;
        self.kept.committed = end.next_index.checked_sub(1).map(|last| (last, end.last_leader_epoch, end.next_offset));
        self.kept.memberships = installed.membership.clone().into_iter().collect();
    }

    /// Frames from this index on are gone.
    pub fn truncate(&mut self, next_index: u64) {
        self.kept.memberships.retain(|(index, _, _)| *index < next_index);
    }
}

/// A member of a group.
#[derive(Debug)]
pub struct Member {
    pub node: NodeId,
    pub vote: Option<Vote>,
    pub applied: Option<LogId>,
    /// Offset behind the last applied frame.
    high_watermark: i64,
    pub applied_membership: StoredMembership,
    /// Who was a member from which frame on, rising: the last one applied, and those behind it.
    memberships: Vec<(LogId, GroupMembership)>,
    /// Frames up to this one are not openraft's any more.
    pub purged: Option<LogId>,
    /// Frames in the log that are not applied, from `applied` on without a gap.
    unapplied: VecDeque<Unapplied>,
    /// Whether a snapshot can be had.
    pub snapshot: bool,
    /// It may promise nothing more: see `Replica::give_up`.
    pub given_up: bool,
    /// Who waits for a proposed log start to be durable here.
    pub log_start_told: Vec<oneshot::Sender<()>>,
}

/// A frame of the log that is not applied.
#[derive(Debug, Clone)]
pub struct Unapplied {
    pub log_id: LogId,
    pub frame: Frame,
}

impl Member {
    /// Over a log that was recovered.
    ///
    /// # Errors
    /// The disk's, or damage of the log.
    pub fn open(recovered: &RecoveredMember, log: &Log) -> Result<Self, LogError> {
        let purged = log.before_first()?.map(|(index, epoch)| log_id(epoch, index));
        let mut applied = applied_at_open(recovered, log)?;
        if let Some(purged) = purged.filter(|purged| applied.is_none_or(|(applied, _)| applied < *purged)) {
            applied = Some((purged, log.first_offset()));
        }
        let mut member = Self {
            node: NodeId::from(recovered.kept.node),
            vote: recovered.vote.map(|(term, node, committed)| Vote {
                leader_id: LeaderId { term, voted_for: NodeId::from(node) },
                committed,
            }),
            applied: applied.map(|(applied, _)| applied),
            high_watermark: applied.map_or(log.log_start_offset(), |(_, offset)| offset),
            applied_membership: StoredMembership::default(),
            memberships: Vec::new(),
            purged,
            unapplied: VecDeque::new(),
            snapshot: purged.is_some(),
            given_up: recovered.kept.given_up,
            log_start_told: Vec::new(),
        };
        for (index, epoch, words) in &recovered.kept.memberships {
            if let Some(members) = membership::decode(words) {
                member.memberships.push((log_id(*epoch, *index), members));
            }
        }
        let next = member.applied.map_or(0, |applied| applied.index + 1);
        for found in log.frames(next, log.next_index(), FrameBytes::Headers)? {
            let log_id = log_id(found.header.partition_leader_epoch, found.index);
            member.note_appended(log_id, Frame::new(&found.header, found.bytes));
        }
        let last = member.memberships.iter().rfind(|(id, _)| Some(*id) <= member.applied);
        if let Some((id, members)) = last {
            member.applied_membership = StoredMembership::new(Some(*id), members.clone());
        }
        Ok(member)
    }

    /// Another member that a quorum elected, as far as this one knows.
    pub fn voted_leader(&self) -> Option<NodeId> {
        let elected = self.vote.filter(|vote| vote.committed).map(|vote| vote.leader_id.voted_for);
        elected.filter(|leader| *leader != self.node)
    }

    /// The newest epoch it knows of.
    pub fn epoch(&self) -> i32 {
        self.vote.map_or(0, |vote| i32::try_from(vote.leader_id.term).unwrap_or(i32::MAX))
    }

    /// Offset behind the last record that is applied.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Who is a member, by the newest frame that the log has of it.
    pub fn newest_members(&self) -> Option<&GroupMembership> {
        self.memberships.last().map(|(_, members)| members)
    }

    /// What a checkpoint keeps.
    pub fn captured(&self) -> RecoveredMember {
        let committed = self.applied.map(|id| (id.index, epoch_of(&id), self.high_watermark));
        let memberships =
            self.memberships.iter().map(|(id, members)| (id.index, epoch_of(id), membership::encode(members)));
        RecoveredMember {
            vote: self.vote.map(|vote| (vote.leader_id.term, vote.leader_id.voted_for.as_u64(), vote.committed)),
            kept: MemberCheckpoint {
                node: self.node.as_u64(),
                given_up: self.given_up,
                committed,
                memberships: memberships.collect(),
            },
        }
    }

    /// The log took a frame.
    pub fn note_appended(&mut self, log_id: LogId, frame: Frame) {
        if let Effect::Membership(members) = &frame.effect
            && self.memberships.last().is_none_or(|(id, _)| *id < log_id)
        {
            self.memberships.push((log_id, members.clone()));
        }
        // only its effect is needed from here on
        self.unapplied.push_back(Unapplied { log_id, frame: Frame { bytes: bytes::Bytes::new(), ..frame } });
    }

    /// The log lost the frames from this index on.
    pub fn note_truncated(&mut self, next_index: u64) {
        self.memberships.retain(|(id, _)| id.index < next_index);
        self.unapplied.retain(|waiting| waiting.log_id.index < next_index);
    }

    /// The log was emptied.
    pub fn forget_unapplied(&mut self) {
        self.unapplied.clear();
    }

    /// Another log took the place of this one's.
    pub fn note_installed(&mut self, last: LogId, high_watermark: i64, members: StoredMembership) {
        self.unapplied.clear();
        self.memberships.clear();
        if let Some(id) = members.log_id() {
            self.memberships.push((*id, members.membership().clone()));
        }
        (self.applied, self.purged, self.snapshot) = (Some(last), Some(last), true);
        self.high_watermark = self.high_watermark.max(high_watermark);
        self.applied_membership = members;
    }

    /// Unapplied frames from index `start` up to `end` (exclusive), if they are all known without a look into the log.
    pub fn unapplied(&self, start: u64, end: u64) -> Option<Vec<Unapplied>> {
        let first = self.unapplied.front()?.log_id.index;
        let from = usize::try_from(start.checked_sub(first)?).ok()?;
        let to = usize::try_from(end.checked_sub(first)?).ok()?;
        (from <= to && to <= self.unapplied.len()).then(|| self.unapplied.range(from..to).cloned().collect())
    }

    /// A frame was applied; the high watermark now.
    pub fn note_applied(&mut self, log_id: LogId, frame: &Frame) -> i64 {
        while self.unapplied.front().is_some_and(|waiting| waiting.log_id.index <= log_id.index) {
            self.unapplied.pop_front();
        }
        self.applied = Some(log_id);
        self.high_watermark = self.high_watermark.max(frame.next_offset);
        if let Effect::Membership(members) = &frame.effect {
            self.applied_membership = StoredMembership::new(Some(log_id), members.clone());
            let older = self.memberships.partition_point(|(id, _)| id.index < log_id.index);
            self.memberships.drain(..older);
        }
        self.high_watermark
    }
}

/// What is known to be committed, held against the log: a power cut may have taken what only the page cache had.
fn applied_at_open(recovered: &RecoveredMember, log: &Log) -> Result<Option<(LogId, i64)>, LogError> {
    let Some((index, epoch, _)) = recovered.kept.committed else { return Ok(None) };
    let last = log.next_index().checked_sub(1);
    let Some(index) = last.map(|last| index.min(last)) else { return Ok(None) };
    let Some(header) = log.header_at(index)? else { return Ok(None) };
    if header.partition_leader_epoch > epoch {
        tracing::error!(log = %log.dir().display(), index, "the log holds another frame than the one that was committed");
        return Ok(None);
    }
    Ok(Some((log_id(header.partition_leader_epoch, index), header.next_offset())))
}

/// A log id of a frame.
pub fn log_id(epoch: i32, index: u64) -> LogId {
    LogId::new_term_index(u64::try_from(epoch).unwrap_or(0), index)
}

/// The epoch of a log id that a log has.
pub fn epoch_of(id: &LogId) -> i32 {
    i32::try_from(id.leader_id.term).unwrap_or(i32::MAX)
}
