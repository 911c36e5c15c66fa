//! Frames by their Raft index: for replication, which wants whole frames, and for whoever only needs their headers. Not here:
//! reads by offset, which never see an internal frame.

use bytes::Bytes;
use tidemark_record::BatchHeader;

use super::{
    LogEnd,
    error::{LogError, at},
    log::Log,
    walk::{FrameWalk, WalkedFrame},
};

/// A frame with its Raft index.
#[derive(Debug, Clone)]
pub struct IndexedFrame {
    /// Its Raft index.
    pub index: u64,
    /// Its header.
    pub header: BatchHeader,
    /// All of it; empty for a batch of which only the header was asked for.
    pub bytes: Bytes,
}

/// How much of the frames is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameBytes {
    /// All, at most so many bytes; one frame comes even if it is larger.
    Whole(usize),
    /// Headers, and the whole of internal frames.
    Headers,
}

impl Log {
    /// Raft index of the first frame there is.
    ///
    /// # Errors
    /// The disk's, or damage.
    pub fn first_index(&self) -> Result<u64, LogError> {
        let header = self.segments[0].read_header(&*self.disk, &self.dir)?;
        Ok(header.first_index)
    }

    /// Offset where the first segment begins.
    pub fn first_offset(&self) -> i64 {
        self.segments[0].base_offset
    }

    /// Goes on at another place with an empty segment: all there is goes.
    ///
    /// # Errors
    /// The disk's: the log is finished.
    pub fn reset(&mut self, next_index: u64, next_offset: i64, leader_epoch: i32) -> Result<(), LogError> {
        let end = LogEnd { next_index, next_offset, last_leader_epoch: leader_epoch, ..LogEnd::default() };
        *self = Self::open_emptied(self.disk.clone(), &self.dir, self.identity, self.config, &end)?;
        Ok(())
    }

    /// Index and epoch of the frame before the first one there is; `None` for a log that has all its frames.
    ///
    /// # Errors
    /// The disk's, or damage.
    pub fn before_first(&self) -> Result<Option<(u64, i32)>, LogError> {
        let header = self.segments[0].read_header(&*self.disk, &self.dir)?;
        Ok((header.first_index > 0 && header.previous_epoch >= 0)
            .then_some((header.previous_index, header.previous_epoch)))
    }

    /// Frames from index `start` up to `end` (exclusive), as far as there are any.
    ///
    /// # Errors
    /// The disk's, or damage on the way.
    pub fn frames(&self, start: u64, end: u64, what: FrameBytes) -> Result<Vec<IndexedFrame>, LogError> {
        let (mut next, end) = (start.max(self.first_index()?), end.min(self.next_index()));
        let mut out = Vec::new();
        let mut room = match what {
            FrameBytes::Whole(bytes_max) => bytes_max,
            FrameBytes::Headers => usize::MAX,
        };
        while next < end && (room > 0 || out.is_empty()) {
            let place = self.place_of_index(next)?;
            let before = out.len();
            self.frames_of_segment(place, (next, end), (what, &mut room), &mut out)?;
            if out.len() == before {
                break;
            }
            next += (out.len() - before) as u64;
        }
        Ok(out)
    }

    /// The header of the frame with this Raft index; `None` below the first and behind the last.
    ///
    /// # Errors
    /// The disk's, or damage on the way to the frame.
    pub fn header_at(&self, index: u64) -> Result<Option<BatchHeader>, LogError> {
        let found = self.frames(index, index.saturating_add(1), FrameBytes::Headers)?;
        Ok(found.first().filter(|frame| frame.index == index).map(|frame| frame.header))
    }

    /// The segment that holds the frame with this index.
    fn place_of_index(&self, index: u64) -> Result<usize, LogError> {
        let (mut low, mut high) = (0, self.segments.len());
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let first = self.segments[middle].read_header(&*self.disk, &self.dir)?.first_index;
            if first <= index { low = middle } else { high = middle }
        }
        Ok(low)
    }

    fn frames_of_segment(
        &self,
        place: usize,
        (start, end): (u64, u64),
        (what, room): (FrameBytes, &mut usize),
        out: &mut Vec<IndexedFrame>,
    ) -> Result<(), LogError> {
        let (disk, dir, segment) = (&*self.disk, &*self.dir, &self.segments[place]);
        let mut walk = FrameWalk::new(segment.file(disk, dir)?, &segment.path(dir), 0, segment.size.into());
        let mut index = segment.read_header(disk, dir)?.first_index;
        if let Some(row) = segment.row_where(disk, dir, |row| row.position == 0 || row.index <= start)
            && row.position > 0
        {
            (walk, index) = (walk.from(row.position.into()), row.index);
        }
        let mut found: Vec<(u64, WalkedFrame)> = Vec::new();
        while index < end
            && let Some(frame) = walk.next_frame()?
        {
            if frame.position == 0 {
                continue;
            }
            if index >= start {
                let len = frame.header.size_in_bytes();
                if len > *room && !(out.is_empty() && found.is_empty()) {
                    *room = 0;
                    break;
                }
                *room = room.saturating_sub(len);
                found.push((index, frame));
            }
            index += 1;
        }
        let whole = match (what, found.first(), found.last()) {
            (FrameBytes::Whole(_), Some((_, first)), Some((_, last))) => {
                let mut bytes = vec![0; (last.end() - first.position) as usize];
                let file = segment.file(disk, dir)?;
                at(&segment.path(dir), file.read_exact_at(&mut bytes, first.position))?;
                Some((first.position, Bytes::from(bytes)))
            }
            _ => None,
        };
        for (index, frame) in found {
            let bytes = match &whole {
                Some((from, bytes)) => bytes.slice((frame.position - from) as usize..(frame.end() - from) as usize),
                None if frame.header.is_internal() => Bytes::from(walk.read_frame(&frame)?),
                None => Bytes::new(),
            };
            out.push(IndexedFrame { index, header: frame.header, bytes });
        }
        Ok(())
    }
}
