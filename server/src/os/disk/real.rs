//! The machine's disk, through rustix and the standard library.

use std::{
    fs,
    io::{self, IoSlice},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::FileExt,
    },
    path::Path,
    sync::Arc,
};

use rustix::fs::FlockOperation;

use super::{DirEntry, Disk, DiskLock, File, FileSystem, OpenMode, SharedFile, SharedFileSystem};
use crate::os::boot;

/// The machine's file systems.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile(fs::File);

/// Any directory on it, held open: the kernel remembers per descriptor which failures it has told.
#[derive(Debug)]
struct RealFileSystem(fs::File);

/// Parts that one vectored write takes; the kernel's own bound is 1024 (IOV_MAX).
const PARTS_MAX: usize = 1024;

#[allow(clippy::disallowed_methods, reason = "this is the seam")]
impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SharedFile> {
        let mut options = fs::OpenOptions::new();
        match mode {
            OpenMode::Read => options.read(true),
            OpenMode::ReadWrite => options.read(true).write(true),
            OpenMode::Create => options.read(true).write(true).create(true).truncate(true),
        };
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            let is_dir = metadata.is_dir();
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(DirEntry { name, is_dir, len: if is_dir { 0 } else { metadata.len() } });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn file_system(&self, path: &Path) -> io::Result<SharedFileSystem> {
        if tells_failed_writes() {
            Ok(Arc::new(RealFileSystem(fs::File::open(path)?)))
        } else {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn total_space(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
    }

    fn boot_id(&self) -> io::Result<String> {
        boot::id()
    }

    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        let file = fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }
}

/// syncfs(2) tells of failed write-back since Linux 5.8.
fn tells_failed_writes() -> bool {
    let system = rustix::system::uname();
    let mut numbers = system.release().to_str().unwrap_or_default().split('.').map(|part| part.parse::<u32>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5, 8),
        _ => false,
    }
}

impl FileSystem for RealFileSystem {
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

impl File for RealFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], mut offset: u64) -> io::Result<()> {
        if let [part] = parts {
            return self.0.write_all_at(part, offset);
        }
        for parts in parts.chunks(PARTS_MAX) {
            let wanted: usize = parts.iter().map(|part| part.len()).sum();
            let mut written = retry(|| Ok(rustix::io::pwritev(&self.0, parts, offset)?))?;
            let mut skip = written;
            if written < wanted {
                for part in parts {
                    let rest = part.get(skip..).unwrap_or_default();
                    self.0.write_all_at(rest, offset + written as u64)?;
                    written += rest.len();
                    skip = skip.saturating_sub(part.len());
                }
            }
            offset += wanted as u64;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
