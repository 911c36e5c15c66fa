//! A disk in memory, for logs that are meant to be lost (`tidemark.storage=volatile`). Syncs do nothing.
//!
//! Not here: failing on demand; that is the simulated disk.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use super::{DirEntry, Disk, DiskLock, File, FileSystem, OpenMode, SharedFile, SharedFileSystem};

/// Directories are implied by the files in them.
#[derive(Debug, Default)]
pub struct MemoryDisk(Mutex<BTreeMap<PathBuf, Arc<MemoryFile>>>);

#[derive(Debug, Default)]
struct MemoryFile(RwLock<Vec<u8>>);

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Arc<MemoryFile>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SharedFile> {
        let mut files = self.files();
        if mode == OpenMode::Create {
            files.insert(path.to_path_buf(), Arc::default());
        }
        files.get(path).cloned().map(|file| file as SharedFile).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn create_dir_all(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let files = self.files();
        let below = files.iter().filter(|(name, _)| name.parent() == Some(path));
        let entry = |(name, file): (&PathBuf, &Arc<MemoryFile>)| DirEntry {
            name: name.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            is_dir: false,
            len: file.size().unwrap_or(0),
        };
        Ok(below.map(entry).collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut files = self.files();
        let moved: Vec<PathBuf> = files.keys().filter(|name| name.starts_with(from)).cloned().collect();
        for name in moved {
            let target = match name.strip_prefix(from) {
                Ok(rest) if !rest.as_os_str().is_empty() => to.join(rest),
                _ => to.to_path_buf(),
            };
            if let Some(file) = files.remove(&name) {
                files.insert(target, file);
            }
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.files().remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.files().retain(|name, _| !name.starts_with(path));
        Ok(())
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn file_system(&self, _path: &Path) -> io::Result<SharedFileSystem> {
        Ok(Arc::new(Self::new()))
    }

    fn exists(&self, path: &Path) -> bool {
        self.files().contains_key(path)
    }

    fn free_space(&self, _path: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn total_space(&self, _path: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    /// It has no life beyond its process.
    fn boot_id(&self) -> io::Result<String> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn lock(&self, _path: &Path) -> io::Result<DiskLock> {
        Ok(Box::new(()))
    }
}

impl FileSystem for MemoryDisk {
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

impl File for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        let mut bytes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut at = offset as usize;
        for part in parts {
            let end = at + part.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[at..end].copy_from_slice(part);
            at = end;
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).resize(len as usize, 0);
        Ok(())
    }
}
