//! Groups against openraft's own suite, and members in one process over a carrier that can drop, hold and cut.

use std::{path::Path, sync::Arc};

use uuid::Uuid;

use super::super::{NodeId, Replica, ReplicaKey, ReplicaKind, Storage, StorageConfig};
use crate::{
    journal::JournalConfig,
    log::LogConfig,
    os::{
        disk::{Disk, SharedDisk, sim::SimDisk},
        random::Random,
    },
};

mod cluster;
mod crash;
mod ends;
mod gated_disk;
mod hostile;
mod members;
mod speed;
mod story;
mod suite;
mod traps;

const KEY: ReplicaKey = (Uuid::from_u128(7), 0);

fn fresh() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn open_storage(disk: SharedDisk, broker: i32) -> Arc<Storage> {
    let journal = JournalConfig { initial_file_bytes: 16 << 10, file_bytes_max: 64 << 10, inline_sync: false };
    let config = StorageConfig { journal, reserve_bytes: 0, ..StorageConfig::new("/data/broker".into(), broker) };
    Storage::open(disk, &config, &Random::os()).unwrap()
}

fn log_config() -> LogConfig {
    LogConfig { segment_bytes: 4000, index_interval_bytes: 400, ..LogConfig::default() }
}

fn make(storage: &Storage, kind: ReplicaKind<'_>) -> Arc<Replica> {
    storage.create_replica(KEY, "t-0", log_config(), kind).unwrap()
}

fn node(broker: i32) -> NodeId {
    NodeId::new(broker, 1)
}
