//! Appending: the log gives a frame its offset and epoch, writes it, and notes what follows from it.

use std::io::IoSlice;

use tidemark_record::{
    BatchHeader,
    batch::{CRC_START, PATCHED_LEN, patched_prefix},
};

use super::{
    error::{AppendError, LogError, SequenceError, at},
    frame::{self, InternalKind},
    log::Log,
    producer_state::SequenceCheck,
};
use crate::os::{checksum, disk::is_lack};

/// Above this many bytes, joining two known checksums is cheaper than reading the bytes again.
const COMBINE_BYTES_MIN: usize = 1024;

/// A frame that was written to the page cache.
#[derive(Debug, Clone, Copy)]
pub struct Appended {
    /// Offset of its first record (an internal frame: the log's end).
    pub base_offset: i64,
    /// Offset of its last record; base offset - 1 for an internal frame.
    pub last_offset: i64,
    /// Its Raft index.
    pub index: u64,
    /// Its leader epoch.
    pub leader_epoch: i32,
    /// Its first 16 bytes as written; the rest is as it was given.
    pub prefix: [u8; PATCHED_LEN],
    /// CRC-32C of the whole frame as written.
    pub frame_crc: u32,
    /// Where it starts in the active segment.
    pub position: u64,
    /// Whether it is the first of its segment.
    pub opens_segment: bool,
}

impl Log {
    /// Judges an idempotent producer's batch against the log's end. Other batches are fresh.
    ///
    /// # Errors
    /// A gap, or an old epoch.
    pub fn check_producer(&self, header: &BatchHeader) -> Result<SequenceCheck, SequenceError> {
        self.producers.check(header)
    }

    /// Appends one whole batch that was verified, at the log's end. Written, not synced.
    ///
    /// # Errors
    /// The disk's: the log is finished, since how much was written is unknown.
    pub fn append(
        &mut self,
        batch: &[u8],
        header: &BatchHeader,
        leader_epoch: i32,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        self.roll_if_due(header, self.next_offset, batch.len(), now_ms)?;
        self.write(batch, header, self.next_offset, leader_epoch)
    }

    /// Appends one whole batch at the offset it carries, if the log ends at `expected_end` and that offset is not below it.
    ///
    /// # Errors
    /// Another end, nothing written; or the disk's, as [`Self::append`].
    pub fn append_at(
        &mut self,
        batch: &[u8],
        header: &BatchHeader,
        leader_epoch: i32,
        expected_end: i64,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        if self.next_offset != expected_end || header.base_offset < expected_end {
            return Err(AppendError::WrongEnd { end: self.next_offset, expected: expected_end });
        }
        self.roll_if_due(header, header.base_offset, batch.len(), now_ms)?;
        self.write(batch, header, header.base_offset, leader_epoch)
    }

    /// Appends an internal frame: it takes a Raft index and no offset.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_internal(
        &mut self,
        kind: InternalKind,
        payload: &[u8],
        leader_epoch: i32,
    ) -> Result<Appended, AppendError> {
        let frame = frame::internal(kind, payload, self.next_offset, leader_epoch);
        let header = BatchHeader::parse(&frame)?;
        self.roll_if_due(&header, self.next_offset, frame.len(), -1)?;
        self.write(&frame, &header, self.next_offset, leader_epoch)
    }

    /// Appends a whole, verified frame exactly as a leader stored it.
    ///
    /// # Errors
    /// A frame that does not follow this log's end: nothing was written; or the disk's, as [`Self::append`].
    pub fn append_stored(&mut self, index: u64, frame: &[u8], header: &BatchHeader) -> Result<Appended, AppendError> {
        if index != self.next_index {
            return Err(AppendError::WrongIndex { index, next: self.next_index });
        }
        let follows = match header.is_internal() {
            true => header.base_offset == self.next_offset,
            false => header.base_offset >= self.next_offset,
        };
        if !follows || header.partition_leader_epoch < self.last_leader_epoch {
            return Err(AppendError::WrongEnd { end: self.next_offset, expected: header.base_offset });
        }
        self.roll_if_due(header, header.base_offset, frame.len(), header.max_timestamp)?;
        self.write(frame, header, header.base_offset, header.partition_leader_epoch)
    }

    /// The bytes of an internal frame that [`Self::append_internal`] would write now, for the journal.
    pub fn internal_frame(&self, kind: InternalKind, payload: &[u8], leader_epoch: i32) -> bytes::Bytes {
        frame::internal(kind, payload, self.next_offset, leader_epoch)
    }

    /// Writes a frame exactly as it was journaled. One that the log already has is skipped; one that stands in the place of
    /// another takes that place, and what followed the other goes: it is of a process whose last writes were lost.
    /// Segments begin where they began when it was journaled, whatever the settings are now.
    ///
    /// # Errors
    /// A frame that is not the next one, or the disk's.
    pub fn replay(&mut self, index: u64, frame: &[u8], opens_segment: bool) -> Result<(), AppendError> {
        let header = tidemark_record::batch::verify(frame)?;
        if index < self.next_index {
            // below the first segment: retention deleted it since
            if self.header_at(index)?.is_none_or(|found| found == header) {
                return Ok(());
            }
            self.truncate(index)?;
            self.reload_producers()?;
        }
        if index != self.next_index || header.base_offset < self.next_offset {
            return Err(AppendError::WrongIndex { index, next: self.next_index });
        }
        if self.may_roll() && (opens_segment || !self.active().holds(frame.len())) {
            self.roll()?;
        }
        self.write(frame, &header, header.base_offset, header.partition_leader_epoch)?;
        self.producers.settle(self.next_offset);
        Ok(())
    }

    fn write(
        &mut self,
        batch: &[u8],
        header: &BatchHeader,
        base_offset: i64,
        leader_epoch: i32,
    ) -> Result<Appended, AppendError> {
        let len = batch.len();
        let prefix = patched_prefix(batch, base_offset, leader_epoch);
        let rest = &batch[PATCHED_LEN..];
        let frame_crc = frame_crc(&prefix, rest, header.crc);
        let stored = BatchHeader { base_offset, partition_leader_epoch: leader_epoch, ..*header };
        let (disk, dir, index) = (self.disk.clone(), self.dir.clone(), self.next_index);
        let interval = self.config.index_interval_bytes;
        let active = self.active_mut();
        let (position, opens_segment) = (active.size, !active.has_batches());
        let file = active.file(&*disk, &dir)?;
        at(&active.path(&dir), file.write_all_at(&[IoSlice::new(&prefix), IoSlice::new(rest)], position.into()))?;
        let flush = active.note_frame(&stored, index, frame_crc, interval);
        if flush {
            let path = active.index_path(&dir);
            // the frame is written: rows that cannot be written now stay in memory until they can
            let index_file = unless_lacking(active.index.flush(&*disk, &path))?.flatten();
            self.dirty.extend(index_file);
        }
        if !self.dirty.last().is_some_and(|last| std::sync::Arc::ptr_eq(last, &file)) {
            self.dirty.push(file);
        }
        self.note(&stored, len)?;
        Ok(Appended {
            base_offset,
            last_offset: stored.last_offset(),
            index,
            leader_epoch,
            prefix,
            frame_crc,
            position: position.into(),
            opens_segment,
        })
    }

    /// What every written frame changes besides its segment.
    pub(super) fn note(&mut self, stored: &BatchHeader, len: usize) -> Result<(), LogError> {
        // the first frame of a group's leader is internal; the one that every log starts with begins no epoch
        let new_epoch = (!stored.is_internal() || stored.partition_leader_epoch > 0)
            && self.epochs.assign(stored.partition_leader_epoch, stored.base_offset, self.next_index);
        if new_epoch && unless_lacking(self.epochs.write(&*self.disk, &self.dir))?.is_none() {
            self.epochs.save_later();
        }
        if !stored.is_internal() {
            self.producers.update(stored, true);
            self.next_offset = stored.next_offset();
            if self.recent.len() == super::log::RECENT_MAX {
                self.recent.pop_front();
            }
            let end = (self.next_offset, self.active().size);
            self.recent.push_back(end);
        }
        self.next_index += 1;
        self.last_leader_epoch = self.last_leader_epoch.max(stored.partition_leader_epoch);
        self.size_bytes += len as u64;
        Ok(())
    }

    /// Whether another segment may begin here: one that holds internal frames alone has the name that the next would get.
    fn may_roll(&self) -> bool {
        self.active().has_batches() && self.active().base_offset < self.next_offset
    }

    /// Kafka's `LogSegment.shouldRoll`: by size, by the age of the first record, by the reach of a relative offset.
    fn roll_if_due(&mut self, header: &BatchHeader, base_offset: i64, len: usize, now_ms: i64) -> Result<(), LogError> {
        let active = self.active();
        if !self.may_roll() {
            return Ok(());
        }
        let full = u64::from(active.size) + len as u64 > u64::from(self.config.segment_bytes);
        let clock = if header.max_timestamp >= 0 { header.max_timestamp } else { now_ms };
        let old = active.first_timestamp >= 0 && clock.saturating_sub(active.first_timestamp) > self.config.segment_ms;
        let far = base_offset + i64::from(header.last_offset_delta.max(0)) - active.base_offset > i64::from(i32::MAX);
        if full || old || far { self.roll() } else { Ok(()) }
    }
}

/// `None` where only room or a descriptor was lacking.
pub(super) fn unless_lacking<T>(result: Result<T, LogError>) -> Result<Option<T>, LogError> {
    match result {
        Err(LogError::Io { cause, .. }) if is_lack(&cause) => Ok(None),
        result => result.map(Some),
    }
}

/// The checksum of a frame whose bytes from 21 on have the checksum `tail_crc`.
fn frame_crc(prefix: &[u8; PATCHED_LEN], rest: &[u8], tail_crc: u32) -> u32 {
    let crc = checksum::crc32c(prefix);
    if rest.len() < COMBINE_BYTES_MIN {
        return checksum::append(crc, rest);
    }
    let (head, tail) = rest.split_at(CRC_START - PATCHED_LEN);
    checksum::combine(checksum::append(crc, head), tail_crc, tail.len())
}
