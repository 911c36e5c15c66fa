//! Looking for rot in sealed segments: every byte is read and held against the running checksums of the index, which also
//! cover what a batch's own does not. What lies between two rows and has changed is set aside. Not here: when, and how fast
//! (`raft::scrub`).

use std::path::PathBuf;

use super::{
    cut::checksum_of,
    error::{LogError, at},
    index::{ROW_LEN, Row},
    log::Log,
    segment::Segment,
};
use crate::os::disk::{OpenMode, SharedFile};

/// Rows read at once.
const ROWS: usize = 256;

/// A stretch of a sealed segment, from one index row to another, whose bytes are not those that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadStretch {
    /// Base offset of the segment.
    pub segment: i64,
    /// Offsets in it: first, first good behind. Empty if only internal frames lie there.
    pub offsets: (i64, i64),
    positions: (u32, u32),
}

/// How far a sealed segment was read through.
#[derive(Debug, Clone, Copy)]
pub struct ScrubMark {
    segment: i64,
    next_row: usize,
    /// Up to here all is checked.
    last: Row,
}

/// One sealed segment that is being read through. It has its own files, so that nobody waits for it; a deleted segment keeps
/// its room on the disk meanwhile, so it is not to be held for long.
#[derive(Debug)]
pub struct SegmentScrub {
    file: SharedFile,
    index: SharedFile,
    path: PathBuf,
    size: u32,
    rows: usize,
    mark: ScrubMark,
}

/// What was read at once.
#[derive(Debug, Default)]
pub struct Scrubbed {
    /// Bytes read.
    pub bytes: u64,
    /// What has changed.
    pub bad: Vec<BadStretch>,
    /// Where to go on; `None` at the segment's end.
    pub rest: Option<ScrubMark>,
}

impl ScrubMark {
    /// The beginning of a segment.
    pub fn start(segment: i64) -> Self {
        let last = Row { index: 0, offset: segment, timestamp: -1, position: 0, running_crc: 0, internal_len: 0 };
        Self { segment, next_row: 0, last }
    }
}

impl Log {
    /// Sealed segments: base offset and bytes.
    pub fn sealed_segments(&self) -> impl Iterator<Item = (i64, u32)> {
        let sealed = self.segments.len().saturating_sub(1);
        self.segments.iter().take(sealed).map(|segment| (segment.base_offset, segment.size))
    }

    /// Opens a sealed segment to be read through; `None` if it is gone, or has no index to be held against (the next start
    /// makes one).
    ///
    /// # Errors
    /// The disk's.
    pub fn scrub(&self, mark: ScrubMark) -> Result<Option<SegmentScrub>, LogError> {
        let Some(segment) = self.sealed_segment(mark.segment) else { return Ok(None) };
        let (path, index_path) = (segment.path(&self.dir), segment.index_path(&self.dir));
        if !self.disk.exists(&index_path) {
            return Ok(None);
        }
        let file = at(&path, self.disk.open(&path, OpenMode::Read))?;
        let index = at(&index_path, self.disk.open(&index_path, OpenMode::Read))?;
        let rows = at(&index_path, index.size())? as usize / ROW_LEN;
        Ok(Some(SegmentScrub { file, index, path, size: segment.size, rows, mark }))
    }

    /// Sets a bad stretch aside, if it is still there and still bad: the segment may be another by now. True if that is news.
    pub fn set_aside(&mut self, bad: &BadStretch) -> bool {
        let Some(segment) = self.sealed_segment(bad.segment) else { return false };
        let row_at = |position: u32| {
            let row = segment.row_where(&*self.disk, &self.dir, |row| row.position <= position);
            row.filter(|row| row.position == position)
        };
        let (Some(start), Some(end)) = (row_at(bad.positions.0), row_at(bad.positions.1)) else { return false };
        let (from, to) = (start.offset.max(self.log_start_offset), end.offset);
        let known = self.quarantined.iter().any(|(first, behind)| *first <= from && to <= *behind);
        if known || from >= to {
            return false;
        }
        let (path, range) = (segment.path(&self.dir), (u64::from(start.position), u64::from(end.position)));
        let crc =
            segment.file(&*self.disk, &self.dir).and_then(|file| checksum_of(&file, &path, range, start.running_crc));
        let good = match crc {
            Ok(crc) => crc == end.running_crc,
            Err(error) => error.lacks_descriptors(),
        };
        if !good {
            self.quarantine(start.offset, to);
        }
        !good
    }

    fn sealed_segment(&self, base_offset: i64) -> Option<&Segment> {
        let place = self.segments.binary_search_by_key(&base_offset, |segment| segment.base_offset).ok()?;
        self.segments.get(place).filter(|_| place + 1 < self.segments.len())
    }
}

impl SegmentScrub {
    /// Reads on, about `bytes_max` bytes.
    ///
    /// # Errors
    /// The index cannot be read: the rest of the segment is not checked.
    pub fn read_on(mut self, bytes_max: u64) -> Result<Scrubbed, LogError> {
        let mut scrubbed = Scrubbed::default();
        while self.mark.next_row < self.rows {
            let count = ROWS.min(self.rows - self.mark.next_row);
            let mut bytes = vec![0; count * ROW_LEN];
            at(&self.path, self.index.read_exact_at(&mut bytes, (self.mark.next_row * ROW_LEN) as u64))?;
            for row in bytes.chunks(ROW_LEN) {
                if scrubbed.bytes >= bytes_max {
                    scrubbed.rest = Some(self.mark);
                    return Ok(scrubbed);
                }
                self.mark.next_row += 1;
                // a row that rotted is done without: the next one covers its bytes too
                if let Some(row) = Row::decode(row) {
                    self.compare(&row, &mut scrubbed);
                }
            }
        }
        Ok(scrubbed)
    }

    fn compare(&mut self, row: &Row, scrubbed: &mut Scrubbed) {
        let last = self.mark.last;
        if row.position > self.size || row.position < last.position || row.offset < last.offset {
            return;
        }
        self.mark.last = *row;
        scrubbed.bytes += u64::from(row.position - last.position);
        let range = (u64::from(last.position), u64::from(row.position));
        // bytes that the disk does not give are as bad as wrong ones
        if !checksum_of(&self.file, &self.path, range, last.running_crc).is_ok_and(|crc| crc == row.running_crc) {
            let (offsets, positions) = ((last.offset, row.offset), (last.position, row.position));
            scrubbed.bad.push(BadStretch { segment: self.mark.segment, offsets, positions });
        }
    }
}
