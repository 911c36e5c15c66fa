//! A sealed, immutable file as memory. Only for files that are replaced by rename and never truncated: a mapped file
//! that shrinks kills the process with SIGBUS.

use std::{io, ops::Deref, path::Path};

/// A read-only map of a whole file.
#[derive(Debug)]
pub struct Mapped(memmap2::Mmap);

impl Mapped {
    /// Maps the file as it is now.
    ///
    /// # Errors
    /// It cannot be opened, or its size is not `len`.
    #[allow(unsafe_code, clippy::disallowed_methods, reason = "the one place that maps files")]
    pub fn open(path: &Path, len: u64) -> io::Result<Self> {
        let file = std::fs::File::open(path)?;
        if file.metadata()?.len() != len {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file does not have the size it should"));
        }
        // SAFETY: callers map only sealed files, which this process never writes or truncates again, and the data
        // directory's lock keeps other brokers away.
        unsafe { memmap2::Mmap::map(&file) }.map(Self)
    }
}

impl Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}
