//! Storage against a disk that loses power or whose process dies at every step: what was acknowledged is there, in order,
//! once; nothing is half there.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use tidemark_record::{BatchBuilder, batch};
use uuid::Uuid;

use super::*;
use crate::{
    journal::JournalConfig,
    log::{LogConfig, ReadError},
    os::{
        disk::{
            Disk, OpenMode, SharedDisk,
            sim::{Fault, SimDisk},
        },
        random::Random,
    },
};

mod descriptors;
mod random;
mod replayed;
mod rot;
mod scrub;

/// The seeds of a test that tells random stories: `SEEDS` of them in the environment, from `SEEDS_FROM` on, or as many as `usual`.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let from = number("SEEDS_FROM").unwrap_or(0);
    from..from + number("SEEDS").unwrap_or(usual)
}

const DIR: &str = "/data/broker";
const KEY: ReplicaKey = (Uuid::from_u128(7), 0);

fn config() -> StorageConfig {
    let journal = JournalConfig { initial_file_bytes: 4096, file_bytes_max: 8192, inline_sync: true };
    StorageConfig { journal, reserve_bytes: 0, ..StorageConfig::new(DIR.into(), 1) }
}

fn log_config() -> LogConfig {
    LogConfig { segment_bytes: 2000, index_interval_bytes: 200, ..LogConfig::default() }
}

fn fresh() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn open(disk: &SimDisk) -> Result<Arc<Storage>, StorageError> {
    // each start draws other numbers, as in life
    static STARTS: AtomicU64 = AtomicU64::new(1);
    Storage::open(Arc::new(disk.clone()), &config(), &Random::seeded(STARTS.fetch_add(1, Ordering::Relaxed)))
}

fn only_replica(storage: &Storage) -> Arc<Replica> {
    let replicas = storage.replicas();
    assert_eq!(replicas.len(), 1);
    replicas[0].1.clone()
}

fn bytes_of(round: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new();
    (0..3).for_each(|i| builder.append_plain(round * 10 + i, Some(b"k"), Some(&[round as u8; 50])));
    builder.build().unwrap().to_vec()
}

fn append(replica: &Arc<Replica>, round: i64) -> Result<Appending, ReplicaError> {
    let bytes = bytes_of(round);
    replica.append(&bytes, &batch::verify(&bytes).unwrap(), 0)
}

/// Rounds whose batches the log has, each checked to be whole and as it was sent.
fn rounds(replica: &Replica) -> Vec<i64> {
    let end = replica.look(|log| log.log_end_offset()).unwrap();
    let mut offset = replica.look(|log| log.log_start_offset()).unwrap();
    let mut rounds = Vec::new();
    while offset < end {
        let read = replica.look(|log| log.read(offset, 1, true, end)).unwrap().unwrap();
        let mut bytes = Vec::new();
        for slice in &read.slices {
            let mut piece = vec![0; slice.len];
            slice.file.read_exact_at(&mut piece, slice.position).unwrap();
            bytes.extend(piece);
        }
        let header = batch::verify(&bytes).unwrap();
        let round = header.base_timestamp / 10;
        assert_eq!(bytes[16..], bytes_of(round)[16..]);
        rounds.push(round);
        offset = header.next_offset();
    }
    rounds
}

#[derive(Debug, Default)]
struct Heard(AtomicI64);

impl CommitListener for Heard {
    fn on_commit(&self, high_watermark: i64, _: usize) {
        self.0.fetch_max(high_watermark, Ordering::SeqCst);
    }
    fn on_failure(&self) {}
    fn on_role_change(&self, _: Role) {}
}

/// Appends with checkpoints between, until the disk refuses. What was committed, and what was written.
fn run(disk: &SimDisk) -> (i64, i64) {
    let heard = Arc::new(Heard::default());
    let Ok(storage) = open(disk) else { return (0, 0) };
    let Ok(replica) = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo) else { return (0, 0) };
    replica.listen(heard.clone());
    let mut written = 0;
    for round in 0..30 {
        if append(&replica, round).is_err() {
            break;
        }
        written = round + 1;
        if round % 3 == 2 && storage.sync().is_err() {
            break;
        }
        if round % 10 == 9 && storage.checkpoint().is_err() {
            break;
        }
    }
    (heard.0.load(Ordering::SeqCst) / 3, written)
}

#[test]
fn what_was_committed_survives_a_power_cut_at_every_step_and_what_was_written_survives_kill() {
    let whole = fresh();
    assert_eq!(run(&whole), (30, 30));
    for step in fresh().steps() + 1..=whole.steps() {
        let disk = fresh();
        disk.crash_at(step);
        let (committed, written) = run(&disk);
        for seed in 0..4 {
            check(&disk.power_cut(seed * 991 + step), committed, written + 1, step);
        }
        check(&disk.process_killed(), written, written + 1, step);
    }
}

/// Opens what is left, twice: a start must not spoil the next.
fn check(disk: &SimDisk, at_least: i64, at_most: i64, step: u64) {
    for _ in 0..2 {
        let storage = open(disk).unwrap();
        let found = match storage.replicas().as_slice() {
            [] => Vec::new(),
            [(_, replica)] => rounds(replica),
            more => panic!("{} replicas", more.len()),
        };
        assert_eq!(found, (0..found.len() as i64).collect::<Vec<_>>(), "step {step}");
        assert!((at_least..=at_most).contains(&(found.len() as i64)), "step {step}: {} of {at_least}", found.len());
    }
}

#[test]
fn the_epoch_rises_at_every_start_and_offsets_go_on() {
    let disk = fresh();
    let mut epochs = Vec::new();
    for start in 0..4 {
        let storage = open(&disk).unwrap();
        let replica = match start {
            0 => storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap(),
            _ => only_replica(&storage),
        };
        epochs.push(replica.leader_epoch());
        assert_eq!(append(&replica, start).unwrap().base_offset, start * 3);
        if start % 2 == 0 {
            storage.close().unwrap();
        }
    }
    assert!(epochs.windows(2).all(|pair| pair[0] < pair[1]), "{epochs:?}");
    let storage = open(&disk).unwrap();
    let replica = only_replica(&storage);
    let ends: Vec<_> =
        epochs.iter().map(|epoch| replica.look(|log| log.end_offset_for_epoch(*epoch)).unwrap()).collect();
    assert_eq!(ends, (0..4).map(|i| Some((epochs[i], 3 * (i as i64 + 1)))).collect::<Vec<_>>());
    assert_eq!(rounds(&replica), [0, 1, 2, 3]);
}

#[test]
fn a_moved_log_start_and_deleted_replicas_stay_so() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    let doomed = storage.create_replica((KEY.0, 1), "t-1", log_config(), ReplicaKind::Solo).unwrap();
    (0..20).for_each(|round| assert!(append(&replica, round).is_ok()));
    append(&doomed, 0).unwrap();
    let (start, _) = replica.move_log_start(30).unwrap();
    storage.sync().unwrap();
    assert!(start == 30 && replica.delete_old_segments().unwrap() > 0);
    storage.delete_replica(&doomed).unwrap();
    assert!(matches!(append(&doomed, 1), Err(ReplicaError::Deleted)));
    for disk in [disk.process_killed(), {
        storage.sync().unwrap();
        disk.power_cut(3)
    }] {
        let storage = open(&disk).unwrap();
        let replica = only_replica(&storage);
        assert_eq!(rounds(&replica), (10..20).collect::<Vec<_>>());
        storage.clear_leftovers().unwrap();
        assert!(!disk.exists(&Path::new(DIR).join("t-1")));
    }
}

#[test]
fn write_caching_survives_kill_and_keeps_what_was_flushed() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    (0..4).for_each(|round| assert!(append(&replica, round).is_ok()));
    storage.set_write_caching(std::slice::from_ref(&replica), true).unwrap();
    let syncs = storage.journal_syncs();
    (4..20).for_each(|round| assert!(append(&replica, round).is_ok()));
    assert_eq!(storage.journal_syncs(), syncs, "nothing goes through the journal");
    assert_eq!(rounds(&only_replica(&open(&disk.process_killed()).unwrap())).len(), 20);
    replica.configure(log_config(), 1, i64::MAX);
    append(&replica, 20).unwrap();
    for seed in 0..8 {
        assert_eq!(rounds(&only_replica(&open(&disk.power_cut(seed)).unwrap())).len(), 21, "flush.messages=1");
    }
    storage.set_write_caching(std::slice::from_ref(&replica), false).unwrap();
    append(&replica, 21).unwrap();
    storage.sync().unwrap();
    for seed in 0..8 {
        assert_eq!(rounds(&only_replica(&open(&disk.power_cut(seed)).unwrap())).len(), 22);
    }
}

#[test]
fn a_rotten_checkpoint_cuts_no_log_that_bypassed_the_journal() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    (0..4).for_each(|round| assert!(append(&replica, round).is_ok()));
    storage.checkpoint().unwrap();
    storage.set_write_caching(std::slice::from_ref(&replica), true).unwrap();
    (4..20).for_each(|round| assert!(append(&replica, round).is_ok()));
    replica.flush().unwrap();
    for name in ["journal/checkpoint-a", "journal/checkpoint-b"] {
        let rotten = disk.process_killed();
        rotten.corrupt(&Path::new(DIR).join(name), 50, 1);
        for _ in 0..2 {
            assert_eq!(rounds(&only_replica(&open(&rotten).unwrap())), (0..20).collect::<Vec<_>>(), "{name}");
        }
    }
}

#[test]
fn a_log_that_cannot_be_read_now_refuses_the_start_and_keeps_its_records() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    append(&replica, 0).unwrap();
    storage.checkpoint().unwrap();
    append(&replica, 1).unwrap();
    let (failing, segment) = (disk.process_killed(), Path::new(DIR).join("t-0/00000000000000000000.log"));
    failing.fail(Fault::Read(segment.clone(), 0));
    let error = open(&failing).unwrap_err();
    assert!(matches!(&error, StorageError::Unreadable { path, .. } if *path == segment), "{error}");
    assert_eq!(rounds(&only_replica(&open(&failing.process_killed()).unwrap())), [0, 1]);
}

#[test]
fn a_volatile_replica_is_bounded_and_leaves_nothing() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let config = LogConfig { retention_bytes: 5000, ..log_config() };
    let replica = storage.create_volatile_replica(KEY, config).unwrap();
    (0..200).for_each(|round| assert!(append(&replica, round).is_ok()));
    assert!(replica.look(|log| log.size_bytes()).unwrap() < 8000);
    assert_eq!(rounds(&replica).last(), Some(&199));
    assert!(open(&disk.process_killed()).unwrap().replicas().is_empty());
}

#[test]
fn a_failed_sync_ends_the_broker_and_nothing_is_acknowledged() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    let heard = Arc::new(Heard::default());
    replica.listen(heard.clone());
    append(&replica, 0).unwrap();
    storage.sync().unwrap();
    append(&replica, 1).unwrap();
    disk.fail(Fault::Sync(1));
    assert!(storage.sync().is_err());
    assert!(append(&replica, 2).is_err());
    assert_eq!(heard.0.load(Ordering::SeqCst), 3);
    let failed = futures_util::FutureExt::now_or_never(storage.failed()).unwrap();
    assert!(failed.contains("nothing more is acknowledged"), "{failed}");
}

#[test]
fn a_full_disk_refuses_and_takes_again_without_a_restart() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    let mut refused = 0;
    for round in 0..200 {
        if round % 5 == 4 {
            disk.fail(Fault::Write(1 + round as u64 % 3, 28));
        }
        refused += i64::from(append(&replica, round).is_err());
    }
    assert!(refused > 0, "the fault must be met");
    assert!(futures_util::FutureExt::now_or_never(storage.failed()).is_none(), "a full disk is no failure");
    storage.sync().unwrap();
    let found = rounds(&only_replica(&open(&disk.power_cut(5)).unwrap()));
    assert_eq!(found.len() as i64, 200 - refused);
    assert_eq!(found, rounds(&replica));
}

#[test]
fn a_log_start_that_the_full_journal_does_not_take_does_not_move() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    (0..60).for_each(|round| assert!(append(&replica, round).is_ok()));
    disk.limit_free_space(Some(0));
    let refused =
        (1..180).find_map(|start| replica.move_log_start(start).err().map(|_| start)).expect("the file is full");
    assert_eq!(replica.look(|log| log.log_start_offset()).unwrap(), refused - 1);
    assert!(futures_util::FutureExt::now_or_never(storage.failed()).is_none(), "a full disk is no failure");
    disk.limit_free_space(None);
    assert_eq!(replica.move_log_start(180).unwrap().0, 180);
}

#[test]
fn a_damaged_log_is_refused_alone_and_a_damaged_journal_is_mended_from_segments() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    let other = storage.create_replica((KEY.0, 1), "t-1", log_config(), ReplicaKind::Solo).unwrap();
    (0..12).for_each(|round| assert!(append(&replica, round).is_ok() && append(&other, round).is_ok()));
    storage.close().unwrap();
    let broken = disk.process_killed();
    let (dir, other_dir) = (Path::new(DIR).join("t-0"), Path::new(DIR).join("t-1"));
    for entry in broken.read_dir(&dir).unwrap().iter().filter(|entry| entry.name.ends_with(".log")) {
        broken.remove_file(&dir.join(&entry.name)).unwrap();
    }
    let storage = open(&broken).unwrap();
    let of = |storage: &Storage, partition| {
        storage.replicas().into_iter().find(|(key, _)| key.1 == partition).map(|(_, replica)| replica).unwrap()
    };
    assert!(matches!(of(&storage, 0).look(|_| ()), Err(ReplicaError::Storage(what)) if what.contains("segment")));
    assert_eq!(rounds(&of(&storage, 1)).len(), 12);
    assert!(broken.exists(&other_dir));
    storage.checkpoint().unwrap();
    assert!(of(&open(&broken.process_killed()).unwrap(), 0).look(|_| ()).is_err(), "still known, still refused");
}

#[test]
fn rot_in_the_journal_is_mended_from_the_segments() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    for round in 0..12 {
        append(&replica, round).unwrap();
        storage.sync().unwrap();
    }
    let journal = Path::new(DIR).join("journal");
    for entry in disk.read_dir(&journal).unwrap() {
        for place in (600..entry.len as usize).step_by(311) {
            let rotten = disk.process_killed();
            rotten.corrupt(&journal.join(&entry.name), place, 0x40);
            for _ in 0..2 {
                let storage = open(&rotten).unwrap();
                let found = rounds(&only_replica(&storage));
                // rot in the last synced group looks like a torn tail: no later record knows that it was synced
                assert!(found.len() >= 11, "{} at {place}: {found:?}", entry.name);
                assert_eq!(found, (0..found.len() as i64).collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn directories_of_nobody_are_set_aside_and_never_deleted() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let stray = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    append(&stray, 0).unwrap();
    storage.abandon_replica(&stray).unwrap();
    disk.create_dir_all(&Path::new(DIR).join("u-3")).unwrap();
    let file = disk.open(&Path::new(DIR).join("u-3/00000000000000000000.log"), OpenMode::Create).unwrap();
    file.write_all_at(&[std::io::IoSlice::new(b"x")], 0).unwrap();
    disk.create_dir_all(&Path::new(DIR).join("notes")).unwrap();
    storage.clear_leftovers().unwrap();
    let names: Vec<String> = disk.read_dir(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name).collect();
    let strays = names.iter().filter(|name| name.ends_with("-stray")).count();
    assert!(strays == 2 && names.contains(&"notes".to_owned()), "{names:?}");
    assert!(open(&disk.process_killed()).unwrap().replicas().is_empty());
}

#[test]
fn the_directory_is_ours_alone_and_of_our_node() {
    let dir = tempfile::tempdir().unwrap();
    let disk: SharedDisk = Arc::new(crate::os::disk::RealDisk);
    let config = |node_id| StorageConfig { dir: dir.path().join("d"), ..StorageConfig { node_id, ..config() } };
    let first = Storage::open(disk.clone(), &config(1), &Random::seeded(1)).unwrap();
    let again = Storage::open(disk.clone(), &config(1), &Random::seeded(1));
    assert!(matches!(again, Err(StorageError::InUse { .. })));
    let cluster = first.properties().cluster_id.clone();
    drop(first);
    assert!(matches!(
        Storage::open(disk.clone(), &config(2), &Random::seeded(2)),
        Err(StorageError::OtherNode { found: 1, expected: 2, .. })
    ));
    let reopened = Storage::open(disk.clone(), &config(1), &Random::seeded(2)).unwrap();
    assert_eq!((reopened.properties().cluster_id.as_str(), cluster.len()), (cluster.as_str(), 22));
    drop(reopened);
    let path = dir.path().join("d/meta.properties");
    let text = "cluster.id=x\nnode.id=1\ndirectory.id=y\ntidemark.format=9\n";
    disk.open(&path, OpenMode::Create).unwrap().write_all_at(&[std::io::IoSlice::new(text.as_bytes())], 0).unwrap();
    assert!(matches!(
        Storage::open(disk, &config(1), &Random::seeded(1)),
        Err(StorageError::NewerFormat { found: 9, .. })
    ));
}

#[test]
fn damage_inside_a_log_is_refused_where_it_is() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage
        .create_replica(KEY, "t-0", LogConfig { segment_bytes: 1 << 20, ..log_config() }, ReplicaKind::Solo)
        .unwrap();
    (0..12).for_each(|round| assert!(append(&replica, round).is_ok()));
    storage.close().unwrap();
    let path = Path::new(DIR).join("t-0/00000000000000000000.log");
    let len =
        disk.read_dir(&Path::new(DIR).join("t-0")).unwrap().iter().find(|e| e.name.ends_with(".log")).unwrap().len;
    disk.corrupt(&path, len as usize - 20, 0x10);
    let replica = only_replica(&open(&disk.process_killed()).unwrap());
    let read = replica.look(|log| log.read(35, 10, true, 36)).unwrap();
    assert!(matches!(read, Err(ReadError::Damaged { .. })));
    assert!(replica.look(|log| log.read(0, 10, true, 36)).unwrap().is_ok());
    assert_eq!(replica.look(|log| log.log_end_offset()).unwrap(), 36, "never truncated");
}

#[test]
fn a_replica_deleted_under_a_checkpoint_harms_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let disk: SharedDisk = Arc::new(crate::os::disk::RealDisk);
    let config = StorageConfig { dir: dir.path().join("d"), ..config() };
    let storage = Storage::open(disk, &config, &Random::seeded(1)).unwrap();
    let deleting = AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..100 {
                let key = (Uuid::from_u128(round as u128 + 1), 0);
                let replica =
                    storage.create_replica(key, &format!("t{round}-0"), log_config(), ReplicaKind::Solo).unwrap();
                assert!(append(&replica, round).is_ok());
                storage.delete_replica(&replica).unwrap();
            }
            deleting.store(false, Ordering::SeqCst);
        });
        while deleting.load(Ordering::SeqCst) {
            storage.checkpoint().unwrap();
        }
    });
}

#[test]
fn many_logs_are_synced_with_their_file_system_and_a_failure_there_is_one() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replicas: Vec<_> = (0..20)
        .map(|partition| {
            storage
                .create_replica((KEY.0, partition), &format!("t-{partition}"), log_config(), ReplicaKind::Solo)
                .unwrap()
        })
        .collect();
    assert!(replicas.iter().all(|replica| append(replica, 0).is_ok()));
    storage.sync().unwrap();
    let steps = disk.steps();
    storage.checkpoint().unwrap();
    assert!(disk.steps() - steps < 100, "{} steps", disk.steps() - steps);
    for seed in 0..20 {
        let after = open(&disk.power_cut(seed)).unwrap();
        assert!(after.replicas().iter().all(|(_, replica)| rounds(replica) == [0]), "seed {seed}");
    }
    assert!(replicas.iter().all(|replica| append(replica, 1).is_ok()));
    storage.sync().unwrap();
    disk.fail(Fault::Sync(1));
    assert!(storage.checkpoint().is_err());
    for seed in 0..20 {
        let after = open(&disk.power_cut(seed)).unwrap();
        assert!(after.replicas().iter().all(|(_, replica)| rounds(replica) == [0, 1]), "seed {seed}");
    }
}
