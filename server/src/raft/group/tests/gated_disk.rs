//! A disk whose syncs come late, or not before a gate opens: an append has returned long before it is durable.

use std::{
    io::{self, IoSlice},
    path::Path,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use crate::os::disk::{DirEntry, Disk, DiskLock, File, OpenMode, SharedFile, SharedFileSystem, sim::SimDisk};

/// Where syncs of files wait.
#[derive(Debug, Default)]
pub struct Gate {
    closed: Mutex<bool>,
    opened: Condvar,
    delay: Duration,
}

impl Gate {
    pub fn new(delay: Duration) -> Arc<Self> {
        Arc::new(Self { delay, ..Self::default() })
    }

    pub fn close(&self) {
        *self.closed.lock().unwrap() = true;
    }

    pub fn open(&self) {
        *self.closed.lock().unwrap() = false;
        self.opened.notify_all();
    }

    #[allow(clippy::disallowed_methods, reason = "the device is slow; nothing waits for it but the sync thread")]
    fn pass(&self) {
        std::thread::sleep(self.delay);
        let mut closed = self.closed.lock().unwrap();
        while *closed {
            closed = self.opened.wait(closed).unwrap();
        }
    }
}

#[derive(Debug)]
pub struct GatedDisk {
    pub disk: SimDisk,
    pub gate: Arc<Gate>,
}

#[derive(Debug)]
struct GatedFile(SharedFile, Arc<Gate>);

impl Disk for GatedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SharedFile> {
        Ok(Arc::new(GatedFile(self.disk.open(path, mode)?, self.gate.clone())))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.disk.read_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.sync_dir(path)
    }
    fn file_system(&self, path: &Path) -> io::Result<SharedFileSystem> {
        self.disk.file_system(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.disk.exists(path)
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_space(path)
    }
    fn total_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.total_space(path)
    }
    fn boot_id(&self) -> io::Result<String> {
        self.disk.boot_id()
    }
    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        self.disk.lock(path)
    }
}

impl File for GatedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.0.write_all_at(parts, offset)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.1.pass();
        self.0.sync_data()
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}
