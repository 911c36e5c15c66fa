//! One segment: its file, its index, and what is known of it. Files are opened when they are first touched.

use std::{
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use tidemark_record::BatchHeader;

use super::{
    error::{LogError, at},
    frame::{HEADER_FRAME_LEN, SegmentHeader},
    index::{BadIndex, ROW_LEN, Row, SegmentIndex},
    walk::{FrameWalk, WalkedFrame},
};
use crate::os::{
    checksum,
    disk::{Disk, OpenMode, SharedFile},
};

/// Files of one segment, by its base offset.
pub(super) fn file_name(base_offset: i64, suffix: &str) -> String {
    format!("{base_offset:020}.{suffix}")
}

/// One segment. The last of a log is the active one; all others are sealed and never written again.
#[derive(Debug)]
pub(super) struct Segment {
    pub base_offset: i64,
    pub size: u32,
    /// Raft index of the first frame behind the header frame.
    pub first_index: u64,
    /// Timestamp of its first batch; -1 before there is one.
    pub first_timestamp: i64,
    /// Largest timestamp of its batches; -1 before there is one.
    pub max_timestamp: i64,
    pub running_crc: u32,
    pub bytes_since_row: u32,
    pub index: SegmentIndex,
    /// The index file cannot be trusted: reads walk from the start until it is rebuilt.
    index_bad: AtomicBool,
    file: OnceLock<SharedFile>,
    internals: OnceLock<Vec<(u32, u32)>>,
}

impl Segment {
    /// A segment without bytes.
    pub fn empty(base_offset: i64, first_index: u64) -> Self {
        Self {
            base_offset,
            size: 0,
            first_index,
            first_timestamp: -1,
            max_timestamp: -1,
            running_crc: 0,
            bytes_since_row: 0,
            index: SegmentIndex::default(),
            index_bad: AtomicBool::new(false),
            file: OnceLock::new(),
            internals: OnceLock::new(),
        }
    }

    /// A segment found on disk; nothing of it has been read.
    pub fn found(disk: &dyn Disk, dir: &Path, base_offset: i64, size: u64) -> Result<Self, LogError> {
        let index_path = dir.join(file_name(base_offset, "index"));
        let rows =
            disk.open(&index_path, OpenMode::Read).and_then(|file| file.size()).map_or(0, |len| len as usize / ROW_LEN);
        let path = dir.join(file_name(base_offset, "log"));
        let too_large = || LogError::Damaged { path, what: format!("{size} bytes are more than a segment holds") };
        let size = u32::try_from(size).map_err(|_| too_large())?;
        Ok(Self { size, index: SegmentIndex::with_flushed(rows), ..Self::empty(base_offset, 0) })
    }

    pub fn path(&self, dir: &Path) -> PathBuf {
        dir.join(file_name(self.base_offset, "log"))
    }

    pub fn index_path(&self, dir: &Path) -> PathBuf {
        dir.join(file_name(self.base_offset, "index"))
    }

    /// The open file.
    pub fn file(&self, disk: &dyn Disk, dir: &Path) -> Result<SharedFile, LogError> {
        if let Some(file) = self.file.get() {
            return Ok(file.clone());
        }
        let path = self.path(dir);
        let file = at(&path, disk.open(&path, OpenMode::ReadWrite))?;
        Ok(self.file.get_or_init(|| file).clone())
    }

    /// Makes its file.
    pub fn create_file(&mut self, disk: &dyn Disk, dir: &Path) -> Result<SharedFile, LogError> {
        let path = self.path(dir);
        let file = at(&path, disk.open(&path, OpenMode::Create))?;
        self.file = OnceLock::from(file.clone());
        Ok(file)
    }

    /// Closes its files; the next touch opens them again.
    pub fn close_files(&mut self) {
        self.file = OnceLock::new();
        self.index.close_file();
    }

    /// Whether so many bytes more leave it as large as a segment may be.
    pub fn holds(&self, len: usize) -> bool {
        self.size as usize + len <= i32::MAX as usize
    }

    pub fn has_batches(&self) -> bool {
        self.size as usize > HEADER_FRAME_LEN
    }

    /// What to note about a frame that was written at `position`, before the sizes move.
    pub fn note_frame(&mut self, header: &BatchHeader, index: u64, frame_crc: u32, interval: u32) -> bool {
        let len = header.size_in_bytes() as u32;
        let internal = header.is_internal();
        let mut flush = false;
        if internal || self.bytes_since_row >= interval {
            let row = Row {
                index,
                offset: header.base_offset,
                timestamp: self.max_timestamp,
                position: self.size,
                running_crc: self.running_crc,
                internal_len: if internal { len } else { 0 },
            };
            flush = self.index.push(row);
            self.bytes_since_row = 0;
            if internal && let Some(internals) = self.internals.get_mut() {
                internals.push((self.size, len));
            }
        }
        if !internal {
            self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
            if self.first_timestamp < 0 {
                self.first_timestamp = header.max_timestamp;
            }
        }
        self.running_crc = checksum::combine(self.running_crc, frame_crc, len as usize);
        self.size += len;
        self.bytes_since_row += len;
        flush
    }

    /// The last row, the one that tells a sealed segment's largest timestamp. Once, though an earlier try failed behind it.
    pub fn seal(
        &mut self,
        disk: &dyn Disk,
        dir: &Path,
        next_index: u64,
        next_offset: i64,
    ) -> Result<Option<SharedFile>, LogError> {
        let (timestamp, position, running_crc) = (self.max_timestamp, self.size, self.running_crc);
        let row = Row { index: next_index, offset: next_offset, timestamp, position, running_crc, internal_len: 0 };
        let (path, last) = (self.index_path(dir), self.index.len().checked_sub(1));
        if last.and_then(|last| self.index.row(disk, &path, last).ok()) != Some(row) {
            self.index.push(row);
        }
        self.index.flush(disk, &path)
    }

    /// The row with the largest key for which `before` holds, or `None` where the walk must start at the segment's start.
    pub fn row_where(&self, disk: &dyn Disk, dir: &Path, before: impl Fn(&Row) -> bool) -> Option<Row> {
        if self.index_bad.load(Ordering::Relaxed) {
            return None;
        }
        match self.index.last_where(disk, &self.index_path(dir), before) {
            Ok(row) => row.filter(|row| row.position <= self.size),
            Err(error) => {
                self.index_failed(&error);
                None
            }
        }
    }

    /// A walk takes the index's place; for good, if it is damaged.
    fn index_failed(&self, error: &BadIndex) {
        if *error == BadIndex::Damaged {
            self.index_bad.store(true, Ordering::Relaxed);
        }
    }

    pub fn index_is_bad(&self) -> bool {
        self.index_bad.load(Ordering::Relaxed)
    }

    /// The last row at or before an offset, and the one behind it; `None` where the index cannot be used.
    pub fn rows_around(&self, disk: &dyn Disk, dir: &Path, offset: i64) -> Option<(Option<Row>, Option<Row>)> {
        if self.index_is_bad() {
            return None;
        }
        let path = self.index_path(dir);
        let around = self.index.last_place_where(disk, &path, |row| row.offset <= offset).and_then(|found| {
            let next = found.map_or(0, |(place, _)| place + 1);
            let next_row = if next < self.index.len() { Some(self.index.row(disk, &path, next)?) } else { None };
            Ok((found.map(|(_, row)| row), next_row))
        });
        match around {
            Ok((row, next_row)) => {
                let inside = |row: &Row| row.position <= self.size;
                Some((row.filter(inside), next_row.filter(inside)))
            }
            Err(error) => {
                self.index_failed(&error);
                None
            }
        }
    }

    /// A walk from a row, or from the segment's start.
    pub fn walk_from_row(&self, disk: &dyn Disk, dir: &Path, row: Option<Row>) -> Result<FrameWalk, LogError> {
        let position = row.map_or(0, |row| row.position);
        Ok(FrameWalk::new(self.file(disk, dir)?, &self.path(dir), position.into(), self.size.into()))
    }

    /// A walk from the frame that holds `offset` or one shortly before it.
    pub fn walk_from(&self, disk: &dyn Disk, dir: &Path, offset: i64) -> Result<FrameWalk, LogError> {
        let row = self.row_where(disk, dir, |row| row.offset <= offset);
        self.walk_from_row(disk, dir, row)
    }

    /// The first batch that ends behind `offset`.
    pub fn find(&self, disk: &dyn Disk, dir: &Path, offset: i64) -> Result<Option<WalkedFrame>, LogError> {
        let mut walk = self.walk_from(disk, dir, offset)?;
        while let Some(frame) = walk.next_frame()? {
            if !frame.header.is_internal() && frame.header.next_offset() > offset {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// Internal frames as (position, length), by position.
    pub fn internals(&self, disk: &dyn Disk, dir: &Path) -> Result<&[(u32, u32)], LogError> {
        if let Some(known) = self.internals.get() {
            return Ok(known);
        }
        let indexed = if self.index_is_bad() {
            Err(BadIndex::Damaged)
        } else {
            self.index.internal_frames(disk, &self.index_path(dir)).and_then(|frames| {
                let whole = frames.first().is_some_and(|(position, _)| *position == 0);
                if whole { Ok(frames) } else { Err(BadIndex::Damaged) }
            })
        };
        let frames = match indexed {
            Ok(frames) => frames,
            Err(error) => {
                self.index_failed(&error);
                let mut frames = Vec::new();
                let mut walk = FrameWalk::new(self.file(disk, dir)?, &self.path(dir), 0, self.size.into());
                while let Some(frame) = walk.next_frame()? {
                    if frame.header.is_internal() {
                        frames.push((frame.position as u32, frame.header.size_in_bytes() as u32));
                    }
                }
                frames
            }
        };
        Ok(self.internals.get_or_init(|| frames))
    }

    /// Forgets what lies at or behind `position`.
    pub fn forget_from(&mut self, disk: &dyn Disk, dir: &Path, position: u32) {
        let index_path = self.index_path(dir);
        if self.index.truncate(disk, &index_path, position).is_err() {
            self.index_bad.store(true, Ordering::Relaxed);
        }
        self.internals = OnceLock::new();
        self.size = self.size.min(position);
    }

    /// The largest timestamp of a sealed segment: in its last row, else by a walk.
    pub fn sealed_max_timestamp(&self, disk: &dyn Disk, dir: &Path) -> Result<i64, LogError> {
        if self.max_timestamp >= 0 {
            return Ok(self.max_timestamp);
        }
        if let Some(row) = self.row_where(disk, dir, |_| true).filter(|row| row.position == self.size) {
            return Ok(row.timestamp);
        }
        let mut walk = FrameWalk::new(self.file(disk, dir)?, &self.path(dir), 0, self.size.into());
        let mut largest = -1;
        while let Some(frame) = walk.next_frame()? {
            largest = largest.max(frame.header.max_timestamp);
        }
        Ok(largest)
    }

    /// Reads and checks the header frame.
    pub fn read_header(&self, disk: &dyn Disk, dir: &Path) -> Result<SegmentHeader, LogError> {
        let path = self.path(dir);
        let damaged = |what: &str| LogError::Damaged { path: path.clone(), what: what.to_owned() };
        let mut bytes = [0; HEADER_FRAME_LEN];
        if (self.size as usize) < HEADER_FRAME_LEN {
            return Err(damaged("it is shorter than a segment's header"));
        }
        at(&path, self.file(disk, dir)?.read_exact_at(&mut bytes, 0))?;
        tidemark_record::batch::verify(&bytes)
            .map_err(|cause| damaged(&format!("its header frame is bad: {cause}")))?;
        let header = SegmentHeader::parse(&bytes).ok_or_else(|| damaged("its first frame is no segment header"))?;
        if header.format > super::frame::SEGMENT_FORMAT {
            return Err(LogError::NewerVersion { path, found: header.format, known: super::frame::SEGMENT_FORMAT });
        }
        Ok(header)
    }
}
