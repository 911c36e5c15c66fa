//! What a member of a group writes: entries, votes, truncations, purges, each to the log and then to the journal, under the
//! replica's lock. So the journal has them in the order in which they happened, and one sync covers all that came before.
//! Not here: what openraft means by them.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use bytes::Bytes;
use openraft::entry::RaftEntry;
use tidemark_record::{BatchHeader, batch::PATCHED_LEN};
use tokio::sync::oneshot;

use super::{
    super::{
        error::ReplicaError,
        node_id::NodeId,
        replica::{Appending, Durability, Held, Replica, State},
        role::Role,
    },
    config::{GroupMembership, LogId, Vote},
    entry::{BatchOrder, Effect, Entry, Frame, Order, Payload},
    member::epoch_of,
    membership,
};
use crate::{
    journal::{Completion, JournalError, JournalFailed, Record},
    log::{AppendError, Appended, InternalKind, Log, SequenceCheck},
};

/// Called once what was written survives what the replica promises to survive.
pub(super) type OnDurable = Box<dyn FnOnce(io::Result<()>) + Send>;

/// How far an entry goes before it counts, and who hears of it.
enum Way {
    /// Through the journal.
    Journal(Option<OnDurable>),
    /// Into the segment, under write caching.
    PageCache,
}

/// What the leader's proposer hears of its batch.
type Told = oneshot::Sender<Result<Appending, ReplicaError>>;

impl Replica {
    /// Appends entries in order; `on_durable` is called when all of them, and all before, are durable.
    pub(super) fn append_entries(
        self: &Arc<Self>,
        entries: impl IntoIterator<Item = Entry>,
        on_durable: OnDurable,
    ) -> io::Result<()> {
        let mut held = self.write();
        let mut entries = entries.into_iter().peekable();
        let mut on_durable = Some(on_durable);
        let (mut written, mut appended, mut members) = (0, 0, false);
        // asked once: write caching may begin at any moment, and a completion must not fall between the two
        let journaled = self.durability() == Durability::Journaled;
        while let Some(entry) = entries.next() {
            let last = entries.peek().is_none();
            members |= !journaled && entry.get_membership().is_some();
            let way = match journaled {
                true => Way::Journal(if last { on_durable.take() } else { None }),
                false => Way::PageCache,
            };
            let (bytes, records) = self.append_entry(&mut held, entry, way)?;
            (written, appended) = (written + bytes, appended + records);
        }
        let Held { state, member } = &mut *held;
        if let (Ok(log), Some(member)) = (state.log_mut(), member) {
            log.settle(member.high_watermark());
        }
        drop(held);
        self.shared.note_written(written);
        if let Some(on_durable) = on_durable {
            // who is a member outlives a power cut, as votes do: a start must know whether others relied on this one
            let flushed = if members { self.flush() } else { self.count_unflushed(appended) };
            flushed.map_err(io::Error::other)?;
            on_durable(Ok(()));
        }
        Ok(())
    }

    /// Appends one entry; how many bytes and offsets it has.
    fn append_entry(&self, held: &mut Held, entry: Entry, way: Way) -> io::Result<(u64, i64)> {
        let id = entry.log_id();
        let epoch = i32::try_from(id.leader_id.term)
            .map_err(|_| io::Error::other("the Raft term is above what a leader epoch can be"))?;
        if id.index != held.state.log().map_err(io::Error::other)?.next_index() {
            self.skip_to(held, &id)?;
        }
        let log = held.state.log_mut().map_err(io::Error::other)?;
        let internal = |log: &Log, kind, words: &[u8]| log.internal_frame(kind, words, epoch);
        let (frame, taken, told) = match entry.payload {
            Payload::Order(Order::Batch(order)) => match judge(log, &order) {
                Ok(()) => {
                    let BatchOrder { batch, header, expected_end, now_ms, appended, unappended } = *order;
                    let taken = match expected_end {
                        Some(end) => log.append_at(&batch, &header, epoch, end, now_ms),
                        None => log.append(&batch, &header, epoch, now_ms),
                    };
                    drop(unappended);
                    (batch, Some(taken), appended)
                }
                Err(refused) => {
                    tell(order.appended, refused);
                    (internal(log, InternalKind::Void, &[]), None, None)
                }
            },
            Payload::Order(Order::LogStart(offset)) => {
                (internal(log, InternalKind::Command, &Effect::log_start_words(offset)), None, None)
            }
            Payload::Membership(members) => {
                (internal(log, InternalKind::Membership, &membership::encode(&members)), None, None)
            }
            Payload::Blank => (internal(log, InternalKind::Blank, &[]), None, None),
            Payload::Frame(frame) => (frame.bytes, None, None),
        };
        let taken = taken.unwrap_or_else(|| append_stored(log, &id, &frame));
        let appended = self.written(held, &id, taken)?;
        self.journal_entry(held, &id, (&frame, &appended), way)?;
        let log_start_offset = held.state.log().map_err(io::Error::other)?.log_start_offset();
        let (base_offset, last_offset) = (appended.base_offset, appended.last_offset);
        tell(told, Ok(Appending { base_offset, last_offset, log_start_offset, duplicate_of: None }));
        Ok((frame.len() as u64, last_offset - base_offset + 1))
    }

    /// What became of a write to the log.
    fn written(&self, held: &mut Held, id: &LogId, taken: Result<Appended, AppendError>) -> io::Result<Appended> {
        match taken {
            Ok(appended) => Ok(appended),
            Err(AppendError::Log(error)) => {
                Err(io::Error::other(self.append_failed(&mut held.state, AppendError::Log(error))))
            }
            Err(error) => Err(self.diverged(held, id, &error.to_string())),
        }
    }

    /// Writes an entry that the log took to the journal, and notes it.
    fn journal_entry(
        &self,
        held: &mut Held,
        id: &LogId,
        (frame, appended): (&Bytes, &Appended),
        way: Way,
    ) -> io::Result<()> {
        if let Way::Journal(on_durable) = way {
            let parts = [IoSlice::new(&appended.prefix), IoSlice::new(&frame[PATCHED_LEN..])];
            let record = Record::Entry {
                replica: self.id,
                index: appended.index,
                leader_epoch: appended.leader_epoch,
                base_offset: appended.base_offset,
                frame: &parts,
                frame_crc: appended.frame_crc,
                opens_segment: appended.opens_segment,
            };
            if let Err(error) = self.shared.journal.append(&record, on_durable.map(completion)) {
                return Err(io::Error::other(self.journal_refused(&mut held.state, &error, appended.index)));
            }
        }
        if let Some(member) = &mut held.member {
            let internal = appended.last_offset < appended.base_offset;
            let effect = if internal { Effect::of_internal(frame) } else { Effect::Batch };
            let next_offset = appended.last_offset + 1;
            member.note_appended(*id, Frame { bytes: Bytes::new(), size: frame.len(), next_offset, effect });
        }
        Ok(())
    }

    /// An entry that does not follow the log's end: only a log that holds nothing may begin with any.
    fn skip_to(&self, held: &mut Held, id: &LogId) -> io::Result<()> {
        let log = held.state.log().map_err(io::Error::other)?;
        let empty = log.first_index().map_err(io::Error::other)? == log.next_index();
        if !empty || id.index < log.next_index() {
            return Err(self.diverged(held, id, "it does not follow the log's end"));
        }
        self.reset(held, id.index, -1)
    }

    /// Two logs of one group that differ below what both hold must be seen, not mended in silence.
    fn diverged(&self, held: &mut Held, id: &LogId, what: &str) -> io::Error {
        let (next_index, end) = held.state.log().map_or((0, -1), |log| (log.next_index(), log.log_end_offset()));
        let reason = format!("entry {id} does not fit the log, which ends at index {next_index}, offset {end}: {what}");
        self.give_up(held, &reason);
        io::Error::other(reason)
    }

    /// Empties the log, which goes on at `next_index`.
    fn reset(&self, held: &mut Held, next_index: u64, leader_epoch: i32) -> io::Result<()> {
        let log = held.state.log_mut().map_err(io::Error::other)?;
        let next_offset = log.log_end_offset();
        let record = Record::Reset { replica: self.id, next_index, next_offset, leader_epoch };
        if let Some(member) = &mut held.member {
            member.forget_unapplied();
        }
        let reset = log.reset(next_index, next_offset, leader_epoch).map_err(|error| error.to_string());
        let written =
            reset.and_then(|()| self.shared.journal.append(&record, None).map(drop).map_err(|error| error.to_string()));
        written.map_err(|reason| io::Error::other(self.fail(&mut held.state, &reason)))
    }

    /// Writes a vote; the receiver hears when it is durable, and all that was appended before it. A leadership that ends with
    /// it has ended when this returns.
    pub(super) fn write_vote(&self, vote: &Vote) -> io::Result<oneshot::Receiver<Result<(), JournalFailed>>> {
        if i32::try_from(vote.leader_id.term).is_err() {
            return Err(io::Error::other("the Raft term is above what a leader epoch can be"));
        }
        if self.durability() == Durability::WriteCaching {
            // entries bypass the journal there, and the vote must not overtake them
            self.flush().map_err(io::Error::other)?;
        }
        let (sender, receiver) = oneshot::channel();
        let mut held = self.write();
        let Held { state, member: Some(member) } = &mut *held else {
            return Err(io::Error::other("the replica is in no group"));
        };
        let (term, node) = (vote.leader_id.term, vote.leader_id.voted_for.as_u64());
        let record = Record::Vote { replica: self.id, term, node, committed: vote.committed };
        let told: Completion = Box::new(move |result| {
            // whoever waits may have gone with its group
            let _ = sender.send(result);
        });
        if let Err(error) = self.shared.journal.append(&record, Some(told)) {
            return Err(io::Error::other(self.refused(state, &error)));
        }
        member.vote = Some(*vote);
        let leads = vote.committed && vote.leader_id.voted_for == member.node;
        if !leads {
            member.log_start_told.clear();
        }
        drop(held);
        if !leads {
            self.follow(vote);
        }
        Ok(receiver)
    }

    /// The role that a durable vote gives.
    pub(super) fn take_role_of(&self, vote: &Vote) {
        let node = self.read().member.as_ref().map(|member| member.node);
        if vote.committed && node == Some(vote.leader_id.voted_for) {
            self.set_role(Role::Leader { epoch: i32::try_from(vote.leader_id.term).unwrap_or(i32::MAX) });
        }
    }

    /// At a start: whoever led when this member stopped may lead still, and sends no new vote then.
    pub(super) fn follow_known_leader(&self) {
        let known = self.read().member.as_ref().and_then(|member| member.vote.map(|vote| (vote, member.node)));
        if let Some((vote, _)) = known.filter(|(vote, own)| vote.leader_id.voted_for != *own) {
            self.follow(&vote);
        }
    }

    fn follow(&self, vote: &Vote) {
        let epoch = i32::try_from(vote.leader_id.term).unwrap_or(i32::MAX);
        self.set_role(Role::Follower { leader: vote.committed.then_some(vote.leader_id.voted_for), epoch });
    }

    /// Takes back the frames from `next_index` on.
    pub(super) fn truncate_frames(&self, next_index: u64) -> io::Result<()> {
        let caching = self.durability() == Durability::WriteCaching;
        let mut held = self.write();
        let Held { state, member } = &mut *held;
        let log = state.log_mut().map_err(io::Error::other)?;
        if next_index >= log.next_index() {
            return Ok(());
        }
        if let Some(member) = member {
            member.note_truncated(next_index);
        }
        let record = |log: &Log| Record::Truncate { replica: self.id, next_index, next_offset: log.log_end_offset() };
        let journal = &self.shared.journal;
        // where entries bypass the journal, the record says that the last checkpoint does not know where the log ends any more
        let told =
            if caching { journal.append(&record(log), None).and_then(|at| journal.sync_blocking(at)) } else { Ok(()) };
        let cut = told.map_err(|error| error.to_string());
        let cut = cut.and_then(|()| log.truncate(next_index).map_err(|error| error.to_string()));
        if let Err(reason) = cut {
            return Err(io::Error::other(self.fail(state, &reason)));
        }
        if !caching && let Err(error) = journal.append(&record(log), None) {
            // without the record a replay brings back what was there: it was of no majority, and is taken back again
            return Err(io::Error::other(self.refused(state, &error)));
        }
        drop(held);
        if caching { self.flush().map_err(io::Error::other) } else { Ok(()) }
    }

    /// Frames up to `upto` are not openraft's any more; files that lie wholly below the log start go. Blocks until that start
    /// survives a crash.
    pub(super) fn purge_frames(&self, upto: &LogId) -> io::Result<()> {
        let journal = &self.shared.journal;
        journal.sync_blocking(journal.written()).map_err(io::Error::other)?;
        let mut held = self.write();
        if held.member.as_ref().is_some_and(|member| member.purged >= Some(*upto)) {
            return Ok(());
        }
        if upto.index >= held.state.log().map_err(io::Error::other)?.next_index() {
            self.reset(&mut held, upto.index + 1, epoch_of(upto))?;
        }
        let Held { state, member } = &mut *held;
        if let Some(member) = member {
            member.purged = member.purged.max(Some(*upto));
        }
        match state.log_mut().map_err(io::Error::other)?.delete_purged_segments(upto.index) {
            Ok(()) => Ok(()),
            Err(error) => Err(io::Error::other(self.fail(state, &error.to_string()))),
        }
    }

    /// The journal did not take a record. Where it only had no room, nothing was written: the group stops, the broker goes on.
    fn refused(&self, state: &mut State, error: &JournalError) -> ReplicaError {
        match error {
            JournalError::Full { .. } => ReplicaError::Storage(error.to_string()),
            _ => self.fail(state, &error.to_string()),
        }
    }

    /// Takes committed frames: the high watermark moves, and with an order the log start. Whether that moved.
    pub(super) fn apply_frames(&self, frames: &[(LogId, Frame)]) -> io::Result<bool> {
        let mut held = self.write();
        let Held { state, member: Some(member) } = &mut *held else {
            return Err(io::Error::other("the replica is in no group"));
        };
        let (mut high_watermark, mut bytes, mut log_start, mut left) = (member.high_watermark(), 0, None, false);
        for (_, frame) in frames {
            high_watermark = high_watermark.max(frame.next_offset);
            match frame.effect {
                Effect::Batch => bytes += frame.size,
                Effect::LogStart(offset) => log_start = log_start.max(Some(offset.min(high_watermark))),
                Effect::Membership(ref members) => left = !votes(members, member.node),
                Effect::None => {}
            }
        }
        if let Some(offset) = log_start {
            let told = std::mem::take(&mut member.log_start_told);
            let told: Completion = Box::new(move |result: Result<(), JournalFailed>| {
                if result.is_ok() {
                    // whoever waits may have gone: there is nobody to tell
                    for told in told {
                        let _ = told.send(());
                    }
                }
            });
            let record = Record::LogStart { replica: self.id, log_start_offset: offset };
            if let Err(error) = self.shared.journal.append(&record, Some(told)) {
                return Err(io::Error::other(self.refused(state, &error)));
            }
            state.log_mut().map_err(io::Error::other)?.set_log_start(offset);
        }
        for (id, frame) in frames {
            member.note_applied(*id, frame);
        }
        // a log that is applied from an early frame on, as after a start, tells of times before this member came
        left &= member.newest_members().is_none_or(|members| !votes(members, member.node));
        drop(held);
        self.commit(high_watermark, bytes);
        if left && let Role::Leader { epoch } = self.role() {
            // openraft steps down soon, without a new vote
            self.set_role(Role::Follower { leader: None, epoch });
        }
        Ok(log_start.is_some())
    }

    /// The Raft index up to which openraft may forget: the last one in segments that lie below the log start.
    pub(super) fn purgeable(&self) -> io::Result<Option<u64>> {
        let mut held = self.write();
        let Held { state, member } = &mut *held;
        let log = state.log_mut().map_err(io::Error::other)?;
        let purged = member.as_ref().and_then(|member| member.purged).map(|purged| purged.index);
        match log.last_expired_index() {
            Ok(last) => Ok(last.filter(|last| Some(*last) > purged)),
            Err(error) => Err(io::Error::other(self.fail(state, &error.to_string()))),
        }
    }
}

fn votes(members: &GroupMembership, node: NodeId) -> bool {
    members.voter_ids().any(|voter| voter == node)
}

/// Takes a frame that is as it must be.
fn append_stored(log: &mut Log, id: &LogId, frame: &Bytes) -> Result<Appended, AppendError> {
    let header = BatchHeader::parse(frame)?;
    if header.partition_leader_epoch != epoch_of(id) {
        return Err(AppendError::WrongIndex { index: id.index, next: log.next_index() });
    }
    log.append_stored(id.index, frame, &header)
}

/// Judges a batch where its order is final. `Err`: it is not appended, and this is what its proposer hears.
fn judge(log: &Log, order: &BatchOrder) -> Result<(), Result<Appending, ReplicaError>> {
    let end = log.log_end_offset();
    if let Some(expected) = order.expected_end {
        let fits = end == expected && order.header.base_offset >= expected;
        return if fits { Ok(()) } else { Err(Err(ReplicaError::WrongEnd { end, expected })) };
    }
    match log.check_producer(&order.header) {
        Ok(SequenceCheck::Fresh) => Ok(()),
        Ok(SequenceCheck::Duplicate { base_offset, last_offset, timestamp }) => {
            let log_start_offset = log.log_start_offset();
            Err(Ok(Appending { base_offset, last_offset, log_start_offset, duplicate_of: Some(timestamp) }))
        }
        Err(error) => Err(Err(error.into())),
    }
}

fn tell(told: Option<Told>, what: Result<Appending, ReplicaError>) {
    if let Some(told) = told {
        // the proposer may be gone
        let _ = told.send(what);
    }
}

fn completion(on_durable: OnDurable) -> Completion {
    Box::new(move |result| on_durable(result.map_err(io::Error::other)))
}
