//! A walk over a segment's frames that checks every byte and goes on behind damage. For tools; the broker itself stops at
//! the first bad frame. Not here: what frames mean to each other.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use tidemark_record::{BatchError, BatchHeader, HEADER_LEN, batch};

use super::error::{LogError, at};
use crate::os::disk::{Disk, OpenMode, SharedFile};

/// Bytes read at once in search of the next good frame.
const WINDOW: usize = 1 << 20;

/// What stands at one place of a segment.
#[derive(Debug, Clone)]
pub enum Scanned {
    /// A whole frame whose checksum holds.
    Frame {
        /// Where it starts.
        position: u64,
        /// Its header.
        header: BatchHeader,
        /// All of it.
        bytes: Bytes,
    },
    /// Bytes that are no good frame.
    Bad {
        /// The first of them.
        from: u64,
        /// The first byte of the next good frame; `None` if there is none.
        to: Option<u64>,
        /// Why the first is bad.
        cause: BatchError,
    },
}

/// Frames of one segment file, from its start.
#[derive(Debug)]
pub struct FrameScan {
    file: SharedFile,
    path: PathBuf,
    position: u64,
    end: u64,
}

impl FrameScan {
    /// Opens a segment file for reading.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, LogError> {
        let file = at(path, disk.open(path, OpenMode::Read))?;
        let end = at(path, file.size())?;
        Ok(Self { file, path: path.to_path_buf(), position: 0, end })
    }

    /// Bytes in the file.
    pub fn size(&self) -> u64 {
        self.end
    }

    /// What stands next; `None` at the end.
    ///
    /// # Errors
    /// The disk's.
    pub fn next_scanned(&mut self) -> Result<Option<Scanned>, LogError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let from = self.position;
        match self.frame_at(from)? {
            Ok((header, bytes)) => {
                self.position += bytes.len() as u64;
                Ok(Some(Scanned::Frame { position: from, header, bytes }))
            }
            Err(cause) => {
                let to = self.next_good_behind(from)?;
                self.position = to.unwrap_or(self.end);
                Ok(Some(Scanned::Bad { from, to, cause }))
            }
        }
    }

    fn frame_at(&self, position: u64) -> Result<Result<(BatchHeader, Bytes), BatchError>, LogError> {
        let left = self.end - position;
        let mut head = vec![0; HEADER_LEN.min(left as usize)];
        at(&self.path, self.file.read_exact_at(&mut head, position))?;
        let header = match BatchHeader::parse(&head) {
            Ok(header) => header,
            Err(cause) => return Ok(Err(cause)),
        };
        let need = header.size_in_bytes();
        if need as u64 > left {
            return Ok(Err(BatchError::Truncated { have: left as usize, need }));
        }
        let mut bytes = vec![0; need];
        at(&self.path, self.file.read_exact_at(&mut bytes, position))?;
        Ok(batch::verify(&bytes).map(|header| (header, bytes.into())))
    }

    /// Tries every byte behind `from`; a checksum decides.
    fn next_good_behind(&self, from: u64) -> Result<Option<u64>, LogError> {
        let mut start = from + 1;
        let mut window = Vec::new();
        while start + HEADER_LEN as u64 <= self.end {
            window.resize(WINDOW.min((self.end - start) as usize), 0);
            at(&self.path, self.file.read_exact_at(&mut window, start))?;
            for (place, head) in window.windows(HEADER_LEN).enumerate() {
                let position = start + place as u64;
                let likely = BatchHeader::parse(head).is_ok_and(|header| {
                    header.last_offset_delta >= -1
                        && header.records_count >= 0
                        && position + header.size_in_bytes() as u64 <= self.end
                });
                if likely && self.frame_at(position)?.is_ok() {
                    return Ok(Some(position));
                }
            }
            start += (window.len() - HEADER_LEN + 1) as u64;
        }
        Ok(None)
    }
}
