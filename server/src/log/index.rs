//! The sparse index of one segment: fixed rows, a bounded tail in memory, the rest in the `.index` file.
//!
//! ```text
//! 0 raft index u64   8 offset i64   16 largest timestamp before i64   24 position u32   28 running crc u32
//! 32 frame length u32 (internal frames only, else 0)   36 crc of bytes 0..36 u32
//! ```
//! Every row checks itself, so a bad one is noticed when it is used; the caller then rebuilds the file from the segment.

use std::{io::IoSlice, path::Path, sync::OnceLock};

use super::error::{LogError, at};
use crate::os::{
    checksum,
    disk::{Disk, OpenMode, SharedFile, lacks_descriptors},
};

/// Bytes of a row.
pub(super) const ROW_LEN: usize = 40;
/// Rows kept in memory before they are written.
const TAIL_ROWS_MAX: usize = 256;
/// Rows read at once in a scan.
const SCAN_ROWS: usize = 1024;

/// One row: what is known just before the frame at `position`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    /// Raft index of the frame (a header frame: of the frame behind it).
    pub index: u64,
    /// Base offset of the frame.
    pub offset: i64,
    /// Largest timestamp of the segment's frames before it; -1 if none.
    pub timestamp: i64,
    /// Where the frame starts.
    pub position: u32,
    /// CRC-32C of the segment's bytes before it.
    pub running_crc: u32,
    /// Bytes of an internal frame; 0 for a batch.
    pub internal_len: u32,
}

impl Row {
    fn encode(&self) -> [u8; ROW_LEN] {
        let mut out = [0; ROW_LEN];
        out[0..8].copy_from_slice(&self.index.to_le_bytes());
        out[8..16].copy_from_slice(&self.offset.to_le_bytes());
        out[16..24].copy_from_slice(&self.timestamp.to_le_bytes());
        out[24..28].copy_from_slice(&self.position.to_le_bytes());
        out[28..32].copy_from_slice(&self.running_crc.to_le_bytes());
        out[32..36].copy_from_slice(&self.internal_len.to_le_bytes());
        let crc = checksum::crc32c(&out[..36]);
        out[36..40].copy_from_slice(&crc.to_le_bytes());
        out
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.first_chunk::<ROW_LEN>()?;
        let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        (word(36) == checksum::crc32c(&bytes[..36])).then(|| Self {
            index: long(0),
            offset: long(8) as i64,
            timestamp: long(16) as i64,
            position: word(24),
            running_crc: word(28),
            internal_len: word(32),
        })
    }
}

/// The rows of one segment, by rising position.
#[derive(Debug, Default)]
pub(super) struct SegmentIndex {
    file: OnceLock<SharedFile>,
    flushed: usize,
    tail: Vec<Row>,
}

/// Why a row cannot be had.
#[derive(Debug, PartialEq)]
pub(super) enum BadIndex {
    /// It is not there, or does not check: the file must be rebuilt.
    Damaged,
    /// No descriptor for the file now.
    Closed,
}

impl SegmentIndex {
    /// An index whose file already holds so many rows.
    pub fn with_flushed(flushed: usize) -> Self {
        Self { flushed, ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.flushed + self.tail.len()
    }

    /// Adds a row. True when the tail is full and should be flushed.
    pub fn push(&mut self, row: Row) -> bool {
        self.tail.push(row);
        self.tail.len() >= TAIL_ROWS_MAX
    }

    /// Writes the tail to the file, which is made if need be. The file, if anything was written.
    pub fn flush(&mut self, disk: &dyn Disk, path: &Path) -> Result<Option<SharedFile>, LogError> {
        if self.tail.is_empty() {
            return Ok(None);
        }
        let mode = if self.flushed == 0 { OpenMode::Create } else { OpenMode::ReadWrite };
        if self.flushed == 0 {
            self.file = OnceLock::new();
        }
        let file = match self.file.get() {
            Some(file) => file.clone(),
            None => {
                let file = at(path, disk.open(path, mode))?;
                self.file.get_or_init(|| file).clone()
            }
        };
        let bytes: Vec<u8> = self.tail.iter().flat_map(Row::encode).collect();
        at(path, file.write_all_at(&[IoSlice::new(&bytes)], (self.flushed * ROW_LEN) as u64))?;
        self.flushed += self.tail.len();
        self.tail = Vec::new();
        Ok(Some(file))
    }

    /// The row at a place, from 0.
    pub fn row(&self, disk: &dyn Disk, path: &Path, place: usize) -> Result<Row, BadIndex> {
        if place >= self.flushed {
            return self.tail.get(place - self.flushed).copied().ok_or(BadIndex::Damaged);
        }
        let mut bytes = [0; ROW_LEN];
        let file = self.file(disk, path)?;
        file.read_exact_at(&mut bytes, (place * ROW_LEN) as u64).map_err(|_| BadIndex::Damaged)?;
        Row::decode(&bytes).ok_or(BadIndex::Damaged)
    }

    /// The last row for which `before` holds; `before` must hold for a prefix of the rows.
    pub fn last_where(
        &self,
        disk: &dyn Disk,
        path: &Path,
        before: impl Fn(&Row) -> bool,
    ) -> Result<Option<Row>, BadIndex> {
        Ok(self.last_place_where(disk, path, before)?.map(|(_, row)| row))
    }

    /// As [`Self::last_where`], with the row's place.
    pub fn last_place_where(
        &self,
        disk: &dyn Disk,
        path: &Path,
        before: impl Fn(&Row) -> bool,
    ) -> Result<Option<(usize, Row)>, BadIndex> {
        let (mut low, mut high) = (0, self.len());
        if let Some(first) = self.tail.first() {
            if before(first) {
                low = self.flushed;
            } else {
                high = self.flushed;
            }
        }
        let mut found = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let row = self.row(disk, path, middle)?;
            if before(&row) {
                found = Some((middle, row));
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(found)
    }

    /// Every row of an internal frame, as (position, length).
    pub fn internal_frames(&self, disk: &dyn Disk, path: &Path) -> Result<Vec<(u32, u32)>, BadIndex> {
        let mut frames = Vec::new();
        let mut bytes = vec![0; SCAN_ROWS.min(self.flushed) * ROW_LEN];
        for start in (0..self.flushed).step_by(SCAN_ROWS) {
            let rows = SCAN_ROWS.min(self.flushed - start);
            let piece = &mut bytes[..rows * ROW_LEN];
            self.file(disk, path)?.read_exact_at(piece, (start * ROW_LEN) as u64).map_err(|_| BadIndex::Damaged)?;
            for row in piece.chunks_exact(ROW_LEN) {
                let row = Row::decode(row).ok_or(BadIndex::Damaged)?;
                frames.extend((row.internal_len > 0).then_some((row.position, row.internal_len)));
            }
        }
        let tail = self.tail.iter().filter(|row| row.internal_len > 0);
        frames.extend(tail.map(|row| (row.position, row.internal_len)));
        Ok(frames)
    }

    /// Forgets the rows at or behind a position. Those in the file stay there until [`super::cut::trim_index`].
    pub fn truncate(&mut self, disk: &dyn Disk, path: &Path, position: u32) -> Result<(), BadIndex> {
        self.tail.retain(|row| row.position < position);
        if self.tail.is_empty() {
            let (mut low, mut high) = (0, self.flushed);
            while low < high {
                let middle = low + (high - low) / 2;
                if self.row(disk, path, middle)?.position < position { low = middle + 1 } else { high = middle }
            }
            self.flushed = low;
        }
        Ok(())
    }

    /// Every row of a file; `None` for one that does not check, or is cut short.
    pub fn read_rows(disk: &dyn Disk, path: &Path) -> Result<Vec<Option<Row>>, LogError> {
        let file = at(path, disk.open(path, OpenMode::Read))?;
        let mut bytes = vec![0; at(path, file.size())? as usize];
        at(path, file.read_exact_at(&mut bytes, 0))?;
        Ok(bytes.chunks(ROW_LEN).map(Row::decode).collect())
    }

    /// Closes the file; the next touch opens it again.
    pub fn close_file(&mut self) {
        self.file = OnceLock::new();
    }

    fn file(&self, disk: &dyn Disk, path: &Path) -> Result<&SharedFile, BadIndex> {
        if let Some(file) = self.file.get() {
            return Ok(file);
        }
        let closed =
            |cause: std::io::Error| if lacks_descriptors(&cause) { BadIndex::Closed } else { BadIndex::Damaged };
        let file = disk.open(path, OpenMode::ReadWrite).map_err(closed)?;
        Ok(self.file.get_or_init(|| file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::disk::MemoryDisk;

    #[test]
    fn rows_are_found_in_file_and_tail_and_bad_ones_noticed() {
        let (disk, path) = (MemoryDisk::new(), Path::new("/i"));
        let mut index = SegmentIndex::default();
        for i in 0..600_u32 {
            let internal_len = if i % 100 == 0 { 61 } else { 0 };
            let row = Row {
                index: i.into(),
                offset: i64::from(i) * 10,
                timestamp: 0,
                position: i * 7,
                running_crc: 0,
                internal_len,
            };
            if index.push(row) {
                index.flush(&disk, path).unwrap();
            }
        }
        assert_eq!((index.flushed, index.len()), (512, 600));
        for target in [0, 5, 5115, 5119, 5120, 5990, 9999] {
            let row = index.last_where(&disk, path, |row| row.offset <= target).unwrap().unwrap();
            assert_eq!(row.offset, (target / 10).min(599) * 10);
        }
        assert_eq!(index.last_where(&disk, path, |row| row.offset < 0).unwrap(), None);
        assert_eq!(index.internal_frames(&disk, path).unwrap().len(), 6);
        let file = disk.open(path, OpenMode::ReadWrite).unwrap();
        file.write_all_at(&[IoSlice::new(b"x")], 10 * ROW_LEN as u64).unwrap();
        assert!(index.row(&disk, path, 10).is_err() && index.row(&disk, path, 11).is_ok());
        index.truncate(&disk, path, 300 * 7).unwrap();
        assert_eq!(index.len(), 300);
    }
}
