//! The log of a group as openraft sees it: appends, votes, truncations, purges, reads. Not here: what they write (`write`).

use std::{
    fmt::Debug,
    io,
    ops::{RangeBounds, RangeInclusive},
    sync::Arc,
};

use futures_util::{Stream, stream};
use openraft::{
    LogState, OptionalSend, RaftLogReader,
    storage::{IOFlushed, RaftLogStorage},
};

use super::{
    super::replica::Replica,
    config::{GroupTypes, LogId, Vote},
    entry::{Entry, Payload},
    key_log_ids::last_of_each_leader,
    member::log_id,
};
use crate::log::FrameBytes;

/// Bytes of frames that one append request carries, at most; one frame goes even if it is larger.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// The log store of one member.
#[derive(Debug, Clone)]
pub struct LogStore(pub(super) Arc<Replica>);

impl LogStore {
    fn read_frames(&self, start: u64, end: u64, what: FrameBytes) -> io::Result<Vec<Entry>> {
        let held = self.0.read();
        let log = held.state.log().map_err(io::Error::other)?;
        let purged = held.member.as_ref().and_then(|member| member.purged).map_or(0, |purged| purged.index + 1);
        let frames = log.frames(start.max(purged), end, what);
        drop(held);
        let frames = frames.map_err(|error| self.0.cannot_read(error))?;
        Ok(frames.into_iter().map(Entry::stored).collect())
    }

    fn vote(&self) -> Option<Vote> {
        self.0.read().member.as_ref().and_then(|member| member.vote)
    }
}

/// A range of indexes as first and first behind.
fn bounds(range: &impl RangeBounds<u64>) -> (u64, u64) {
    use std::ops::Bound::{Excluded, Included, Unbounded};
    let start = match range.start_bound() {
        Included(start) => *start,
        Excluded(before) => before.saturating_add(1),
        Unbounded => 0,
    };
    let end = match range.end_bound() {
        Included(last) => last.saturating_add(1),
        Excluded(end) => *end,
        Unbounded => u64::MAX,
    };
    (start, end)
}

impl RaftLogReader<GroupTypes> for LogStore {
    /// Of batches only the headers: openraft looks for log ids and memberships here. What is sent to other members is read by
    /// [`Self::limited_get_log_entries`].
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let (start, end) = bounds(&range);
        self.read_frames(start, end, FrameBytes::Headers)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.vote())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read_frames(start, end, FrameBytes::Whole(REQUEST_BYTES_MAX))
    }

    async fn get_key_log_ids(&mut self, range: RangeInclusive<LogId>) -> io::Result<Vec<LogId>> {
        let held = self.0.read();
        let log = held.state.log().map_err(io::Error::other)?;
        let epoch_at = |index| match log.header_at(index).map_err(io::Error::other)? {
            Some(header) => Ok(header.partition_leader_epoch),
            None => Err(io::Error::other(format!("there is no frame of index {index}"))),
        };
        let epochs = log.epochs().iter().map(|entry| (entry.epoch, entry.first_index));
        last_of_each_leader((*range.start(), *range.end()), epochs, epoch_at)
    }

    /// What is about to be applied: known without a look into the log.
    async fn entries_stream<RB>(&mut self, range: RB) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (start, end) = bounds(&range);
        let known = self.0.read().member.as_ref().and_then(|member| member.unapplied(start, end));
        let entries = match known {
            Some(waiting) => Ok(waiting.into_iter().map(Entry::from).collect()),
            None => self.read_frames(start, end, FrameBytes::Headers),
        };
        let entries: Vec<io::Result<Entry>> = match entries {
            Ok(entries) => entries.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        };
        stream::iter(entries)
    }
}

impl RaftLogStorage<GroupTypes> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<GroupTypes>> {
        let held = self.0.read();
        let log = held.state.log().map_err(io::Error::other)?;
        let purged = held.member.as_ref().and_then(|member| member.purged);
        let empty = log.first_index().map_err(io::Error::other)? == log.next_index();
        let last = (!empty).then(|| log_id(log.last_leader_epoch(), log.next_index() - 1));
        Ok(LogState { last_purged_log_id: purged, last_log_id: last.max(purged) })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let durable = self.0.write_vote(vote).inspect_err(|error| self.0.group_ends(error))?;
        durable.await.map_err(io::Error::other)?.map_err(io::Error::other)?;
        self.0.take_role_of(vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<GroupTypes>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let appended = self.0.append_entries(entries, Box::new(move |result| callback.io_completed(result)));
        appended.inspect_err(|error| self.0.group_ends(error))
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let truncated = self.0.truncate_frames(last.map_or(0, |last| last.index + 1));
        truncated.inspect_err(|error| self.0.group_ends(error))
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.0.purge_frames(&upto).inspect_err(|error| self.0.group_ends(error))
    }
}

impl From<super::member::Unapplied> for Entry {
    fn from(waiting: super::member::Unapplied) -> Self {
        openraft::entry::RaftEntry::new(waiting.log_id, Payload::Frame(waiting.frame))
    }
}
