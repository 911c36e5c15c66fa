//! Whether the disk has room: asked now and then, so that a full disk is refused before it is met.
//!
//! Below the reserve, produce is refused; reads, deletes, retention and the metadata go on, and writing resumes by itself
//! once there is room again. Not here: what the reserve is for.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use crate::os::disk::SharedDisk;

/// Bytes that may be written between two looks.
const LOOK_EVERY_BYTES: u64 = 4 << 20;

/// Watches the free bytes of one file system.
#[derive(Debug)]
pub(super) struct Room {
    disk: SharedDisk,
    dir: PathBuf,
    reserve_bytes: u64,
    /// Bytes that may still be written before the next look.
    credit: AtomicU64,
    low: AtomicBool,
}

impl Room {
    pub fn new(disk: SharedDisk, dir: PathBuf, reserve_bytes: u64) -> Self {
        Self { disk, dir, reserve_bytes, credit: AtomicU64::new(0), low: AtomicBool::new(false) }
    }

    /// Whether `bytes` more may be written. While room is low every call looks again.
    pub fn take(&self, bytes: u64) -> bool {
        let enough = |credit: u64| credit.checked_sub(bytes);
        if !self.low.load(Relaxed) && self.credit.fetch_update(Relaxed, Relaxed, enough).is_ok() {
            return true;
        }
        // a file system that cannot tell is taken to have room: the write itself will say
        let free = self.disk.free_space(&self.dir).unwrap_or(u64::MAX);
        let low = free < self.reserve_bytes.saturating_add(bytes);
        if low != self.low.swap(low, Relaxed) {
            if low {
                tracing::error!(
                    free,
                    reserve = self.reserve_bytes,
                    "disk is nearly full: produce is refused until there is room"
                );
            } else {
                tracing::info!(free, "disk has room again: produce is taken");
            }
        }
        self.credit.store(LOOK_EVERY_BYTES.min(free.saturating_sub(self.reserve_bytes)), Relaxed);
        !low
    }
}
