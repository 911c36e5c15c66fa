//! openraft's own suite for log stores and state machines, over our log and journal; also with syncs that come late.

use std::{
    io::{self, IoSlice},
    path::Path,
    time::Duration,
};

use openraft::{
    StorageError,
    testing::log::{StoreBuilder, Suite},
};

use super::{
    super::{config::GroupTypes, machine::Machine, store::LogStore},
    *,
};
use crate::os::disk::{DirEntry, DiskLock, File, OpenMode, SharedFile, SharedFileSystem};

/// A disk whose syncs take their time, so that an append has returned long before it is durable.
#[derive(Debug)]
struct LateDisk(SimDisk, Duration);

#[derive(Debug)]
struct LateFile(SharedFile, Duration);

impl Disk for LateDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SharedFile> {
        Ok(Arc::new(LateFile(self.0.open(path, mode)?, self.1)))
    }
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.create_dir_all(path)
    }
    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.0.read_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.0.remove_dir_all(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }
    fn file_system(&self, path: &Path) -> io::Result<SharedFileSystem> {
        self.0.file_system(path)
    }
    fn exists(&self, path: &Path) -> bool {
        self.0.exists(path)
    }
    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.0.free_space(path)
    }
    fn total_space(&self, path: &Path) -> io::Result<u64> {
        self.0.total_space(path)
    }
    fn lock(&self, path: &Path) -> io::Result<DiskLock> {
        self.0.lock(path)
    }
}

impl File for LateFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
    fn write_all_at(&self, parts: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        self.0.write_all_at(parts, offset)
    }
    #[allow(clippy::disallowed_methods, reason = "the device is slow; nothing waits for it but the sync thread")]
    fn sync_data(&self) -> io::Result<()> {
        std::thread::sleep(self.1);
        self.0.sync_data()
    }
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

struct Builder(Duration);

/// Closes the storage of one case.
struct Guard(Arc<Storage>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.close().unwrap();
    }
}

impl StoreBuilder<GroupTypes, LogStore, Machine, Guard> for Builder {
    async fn build(&self) -> Result<(Guard, LogStore, Machine), StorageError<GroupTypes>> {
        let disk: SharedDisk = match self.0 {
            Duration::ZERO => Arc::new(fresh()),
            late => Arc::new(LateDisk(fresh(), late)),
        };
        let storage = open_storage(disk, 0);
        let replica = make(&storage, ReplicaKind::Learner { node: NodeId::from(0) });
        Ok((Guard(storage), LogStore(Arc::clone(&replica)), Machine(replica)))
    }
}

#[tokio::test]
async fn our_store_passes_openrafts_suite() {
    Suite::test_all(Builder(Duration::ZERO)).await.unwrap();
}

#[tokio::test]
async fn a_store_whose_syncs_come_late_passes_it_too() {
    Suite::test_all(Builder(Duration::from_millis(3))).await.unwrap();
}
