//! A walk over the frames of a segment, header by header. Not here: what the frames mean.

use std::path::{Path, PathBuf};

use tidemark_record::{BatchHeader, HEADER_LEN};

use super::error::{LogError, at};
use crate::os::disk::SharedFile;

/// Bytes read ahead: a few headers of small batches, not a large batch's payload.
const WINDOW: usize = 16 * 1024;
/// The same for the first look: as much as lies between two index rows.
const FIRST_WINDOW: usize = 4 * 1024;

/// One frame found.
#[derive(Debug, Clone, Copy)]
pub struct WalkedFrame {
    /// Where it starts.
    pub position: u64,
    /// Its header.
    pub header: BatchHeader,
}

impl WalkedFrame {
    /// The first byte behind it.
    pub fn end(&self) -> u64 {
        self.position + self.header.size_in_bytes() as u64
    }
}

/// Walks frames from a frame's start up to a bound.
#[derive(Debug)]
pub struct FrameWalk {
    file: SharedFile,
    path: PathBuf,
    position: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl FrameWalk {
    /// From `position`, where a frame must start, up to `end`.
    pub fn new(file: SharedFile, path: &Path, position: u64, end: u64) -> Self {
        Self { file, path: path.to_path_buf(), position, end, window: Vec::new(), window_at: 0 }
    }

    /// The same walk from another frame's start.
    #[must_use]
    pub fn from(self, position: u64) -> Self {
        Self { position, window: Vec::new(), window_at: 0, ..self }
    }

    /// Where the next frame would start; behind the last good one after an error.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next frame; `None` at the end. Only the header is read, not the checksum.
    ///
    /// # Errors
    /// The disk's, or `Damaged` where no whole frame stands before the end.
    pub fn next_frame(&mut self) -> Result<Option<WalkedFrame>, LogError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let damaged = |what: String| LogError::Damaged { path: self.path.clone(), what };
        let mut head = [0; HEADER_LEN];
        if self.end - self.position < HEADER_LEN as u64 {
            return Err(damaged(format!("{} bytes at {} are no frame", self.end - self.position, self.position)));
        }
        self.read(&mut head)?;
        let damaged = |what: String| LogError::Damaged { path: self.path.clone(), what };
        let header = BatchHeader::parse(&head).map_err(|cause| damaged(format!("{cause} at {}", self.position)))?;
        let frame = WalkedFrame { position: self.position, header };
        if frame.end() > self.end {
            return Err(damaged(format!("the frame at {} ends behind the segment", self.position)));
        }
        self.position = frame.end();
        Ok(Some(frame))
    }

    /// Reads a whole frame's bytes.
    ///
    /// # Errors
    /// The disk's.
    pub fn read_frame(&self, frame: &WalkedFrame) -> Result<Vec<u8>, LogError> {
        let mut bytes = vec![0; frame.header.size_in_bytes()];
        at(&self.path, self.file.read_exact_at(&mut bytes, frame.position))?;
        Ok(bytes)
    }

    fn read(&mut self, head: &mut [u8; HEADER_LEN]) -> Result<(), LogError> {
        let start = self.position.wrapping_sub(self.window_at) as usize;
        if self.position < self.window_at || start + HEADER_LEN > self.window.len() {
            let window = if self.window.is_empty() { FIRST_WINDOW } else { WINDOW };
            let len = window.min((self.end - self.position) as usize);
            self.window.resize(len, 0);
            self.window_at = self.position;
            at(&self.path, self.file.read_exact_at(&mut self.window, self.position))?;
            head.copy_from_slice(&self.window[..HEADER_LEN]);
            return Ok(());
        }
        head.copy_from_slice(&self.window[start..start + HEADER_LEN]);
        Ok(())
    }
}
