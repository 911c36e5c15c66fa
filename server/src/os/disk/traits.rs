//! The contract of a disk. All calls block; page-cache writes are short, syncs are not.

use std::{
    any::Any,
    fmt::Debug,
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    path::Path,
    sync::Arc,
};

/// A disk that rooms share.
pub type SharedDisk = Arc<dyn Disk>;
/// A file that readers and writers share; it stays readable after it was removed.
pub type SharedFile = Arc<dyn File>;
/// Held while a directory is in use.
pub type DiskLock = Box<dyn Any + Send + Sync>;

/// A file system that is watched from the moment it is opened.
pub type SharedFileSystem = Arc<dyn FileSystem>;

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// It exists; no writing.
    Read,
    /// It exists; reading and writing.
    ReadWrite,
    /// It is made, or emptied if it exists.
    Create,
}

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirEntry {
    /// The last part of the path.
    pub name: String,
    /// Whether it is a directory itself.
    pub is_dir: bool,
    /// Bytes; 0 for a directory.
    pub len: u64,
}

/// Directories, and files by path. A create, rename or remove survives a power cut once its directory was synced.
pub trait Disk: Send + Sync + Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// The machine's.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SharedFile>;
    /// Makes a directory and those above it.
    ///
    /// # Errors
    /// The machine's.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Lists a directory, sorted by name.
    ///
    /// # Errors
    /// The machine's.
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>>;
    /// Renames a file or a directory, replacing a file that has the new name.
    ///
    /// # Errors
    /// The machine's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; those who hold it can go on reading.
    ///
    /// # Errors
    /// The machine's.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory and all in it.
    ///
    /// # Errors
    /// The machine's.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory survive a power cut.
    ///
    /// # Errors
    /// The machine's; not to be tried again.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Watches the file system that holds `path`: a write that fails from now on is told by the next
    /// [`FileSystem::sync`].
    ///
    /// # Errors
    /// `Unsupported` where such a failure could go unnoticed.
    fn file_system(&self, path: &Path) -> io::Result<SharedFileSystem>;
    /// Whether the path names something.
    fn exists(&self, path: &Path) -> bool;
    /// Bytes that can still be written below `path`.
    ///
    /// # Errors
    /// The machine's.
    fn free_space(&self, path: &Path) -> io::Result<u64>;
    /// Bytes of the file system below `path`, full and free.
    ///
    /// # Errors
    /// The machine's.
    fn total_space(&self, path: &Path) -> io::Result<u64>;
    /// Which life of the machine's page cache this is: once it is another, what was written before and not synced may be lost.
    ///
    /// # Errors
    /// The machine does not tell.
    fn boot_id(&self) -> io::Result<String>;
    /// Takes the lock file at `path` for this process until the guard is dropped.
    ///
    /// # Errors
    /// `WouldBlock` if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<DiskLock>;
}

/// A whole file system.
pub trait FileSystem: Send + Sync + Debug {
    /// Makes all of it, bytes and names, survive a power cut: one wait for the device instead of one for each file.
    ///
    /// # Errors
    /// The machine's; not to be tried again.
    fn sync(&self) -> io::Result<()>;
}

/// One open file. Offsets are absolute: there is no cursor to share.
pub trait File: Send + Sync + Debug {
    /// Reads up to `buf.len()` bytes; 0 at the end.
    ///
    /// # Errors
    /// The machine's.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all parts one behind the other, into the page cache.
    ///
    /// # Errors
    /// The machine's; how much was written is then unknown.
    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()>;
    /// Makes the bytes and the length survive a power cut.
    ///
    /// # Errors
    /// The machine's; not to be tried again, since the kernel may have dropped the unwritten pages.
    fn sync_data(&self) -> io::Result<()>;
    /// Bytes in the file.
    ///
    /// # Errors
    /// The machine's.
    fn size(&self) -> io::Result<u64>;
    /// Cuts the file or grows it with zeros.
    ///
    /// # Errors
    /// The machine's.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Asks the kernel to start writing a range back, without waiting.
    fn start_writeback(&self, _offset: u64, _len: u64) {}
    /// The descriptor, for sendfile; a simulated file has none.
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Reads exactly `buf.len()` bytes.
    ///
    /// # Errors
    /// The machine's, or `UnexpectedEof`.
    fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    buf = &mut buf[read..];
                    offset += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
