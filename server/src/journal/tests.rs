//! The journal against a disk that loses power at every step, and against rot at every byte class.

use std::{path::Path, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::os::disk::{
    Disk, OpenMode, SharedDisk,
    sim::{Fault, SimDisk},
};

const DIR: &str = "/data/journal";
const SALT: u64 = 0x5a17;

fn config() -> JournalConfig {
    JournalConfig { initial_file_bytes: 2048, file_bytes_max: 4096, inline_sync: true }
}

fn open(disk: &SimDisk) -> Result<Recovery, JournalError> {
    let shared: SharedDisk = Arc::new(disk.clone());
    recover(&shared, Path::new(DIR), config())
}

/// A disk on which the directory above the journal's is durable, as the owner of the data directory sees to.
fn fresh() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn entry_bytes(index: u64) -> Vec<u8> {
    vec![index as u8; 61 + (index as usize * 37) % 400]
}

fn opens(index: u64) -> bool {
    index.is_multiple_of(3)
}

fn append_entry(journal: &Journal, index: u64) -> Result<Lsn, JournalError> {
    let bytes = entry_bytes(index);
    let (head, tail) = bytes.split_at(16);
    let frame = [std::io::IoSlice::new(head), std::io::IoSlice::new(tail)];
    let frame_crc = crate::os::checksum::crc32c(&bytes);
    let replica = ReplicaId(7);
    journal.append(
        &Record::Entry {
            replica,
            index,
            leader_epoch: 1,
            base_offset: index as i64,
            frame: &frame,
            frame_crc,
            opens_segment: opens(index),
        },
        None,
    )
}

/// The indexes of the entries that replay hands out; their bytes are checked.
fn replayed(recovery: &Recovery) -> Vec<u64> {
    let mut indexes = Vec::new();
    recovery
        .replay(|_, record| {
            if let OwnedRecord::Entry { index, frame, opens_segment, .. } = record {
                assert_eq!(opens_segment, opens(index), "entry {index}");
                assert_eq!(frame, entry_bytes(index), "entry {index}");
                indexes.push(index);
            }
            Ok::<(), JournalError>(())
        })
        .unwrap();
    indexes
}

/// Appends, syncs and checkpoints until the power goes; returns what was surely synced and surely replayable from.
fn run(disk: &SimDisk, rounds: u64) -> (Vec<u64>, u64, u64) {
    let (mut synced, mut from, mut appended) = (Vec::new(), 0, 0);
    let Ok(recovery) = open(disk) else { return (synced, from, appended) };
    let known = replayed(&recovery);
    let first = recovery.checkpoint().map_or(0, |known| known.next_replica_id);
    let epoch = recovery.checkpoint().map_or(0, |known| known.boot_epoch) + 1;
    appended = known.last().map_or(first, |last| last + 1).max(first);
    synced.extend(known);
    let Ok(journal) = recovery.start(epoch, SALT) else { return (synced, from, appended) };
    for round in 0..rounds {
        for _ in 0..3 {
            appended += 1;
            if append_entry(&journal, appended - 1).is_err() {
                return (synced, from, appended);
            }
        }
        if journal.sync_blocking(journal.written()).is_err() {
            return (synced, from, appended);
        }
        synced = (from..appended).collect();
        if round % 4 == 3 {
            let checkpoint = Checkpoint {
                replay_from: journal.mark(),
                boot_epoch: epoch,
                next_replica_id: appended,
                ..Checkpoint::default()
            };
            if journal.checkpoint(&checkpoint).is_err() {
                return (synced, from, appended);
            }
            from = appended;
        }
    }
    (synced, from, appended)
}

#[test]
fn what_was_synced_is_replayed_after_a_power_cut_at_every_step() {
    let whole = fresh();
    run(&whole, 12);
    let steps = whole.steps();
    assert!(steps > 60);
    for step in fresh().steps() + 1..=steps {
        let disk = fresh();
        disk.crash_at(step);
        let (synced, from, appended) = run(&disk, 12);
        for seed in 0..4 {
            let after = disk.power_cut(seed * 1000 + step);
            let recovery = open(&after).unwrap_or_else(|error| panic!("step {step} seed {seed}: {error}"));
            assert!(recovery.damage().is_empty(), "step {step} seed {seed}: a torn tail was taken for damage");
            let found = replayed(&recovery);
            let first = recovery.checkpoint().map_or(0, |known| known.next_replica_id);
            assert!(first >= from, "step {step} seed {seed}: the newest checkpoint is lost");
            assert!(found.iter().copied().eq(first..first + found.len() as u64), "step {step}: {found:?} from {first}");
            if let Some(last) = synced.last() {
                assert!(
                    first + found.len() as u64 > *last,
                    "step {step} seed {seed}: synced {last}, found {found:?} from {first}"
                );
            }
            assert!(first + found.len() as u64 <= appended, "step {step}: more than was written");
            // and the next start goes on where this one ended
            let (_, _, more) = run(&after, 2);
            assert_eq!(replayed(&open(&after.power_cut(seed)).unwrap()).last().copied(), Some(more - 1));
        }
    }
}

#[test]
fn rot_below_a_synced_mark_is_damage_and_never_a_clean_end() {
    let disk = fresh();
    let journal = open(&disk).unwrap().start(1, SALT).unwrap();
    let mut ends = vec![0];
    for index in 0..6 {
        ends.push(append_entry(&journal, index).unwrap().0);
        journal.sync_blocking(journal.written()).unwrap();
    }
    let file = Path::new(DIR).join("00000000000000000001.journal");
    for victim in 0..4_usize {
        let (start, end) = (ends[victim], ends[victim + 1]);
        for byte in start..start + 72 + 61 {
            let rotten = disk.process_killed();
            rotten.corrupt(&file, 64 + byte as usize, 0x10);
            let recovery = open(&rotten).unwrap();
            let [damage] = recovery.damage() else {
                panic!("record {victim} byte {}: {:?}", byte - start, recovery.damage())
            };
            assert_eq!((damage.from, damage.to), (Lsn(start), Lsn(end)), "byte {}", byte - start);
            if byte - start >= 72 {
                assert_eq!(damage.entry, Some((ReplicaId(7), victim as u64)));
            }
            assert_eq!(damage.only, damage.entry.map(|(replica, _)| replica), "one record is one replica's loss");
            let expected: Vec<u64> = (0..6).filter(|index| *index != victim as u64).collect();
            assert_eq!(replayed(&recovery), expected);
        }
    }
    // the last record has no mark above it: it may be a torn tail
    let torn = disk.process_killed();
    torn.corrupt(&file, 64 + ends[5] as usize + 80, 1);
    let recovery = open(&torn).unwrap();
    assert!(recovery.damage().is_empty());
    assert_eq!(replayed(&recovery), [0, 1, 2, 3, 4]);
}

#[test]
fn a_rotten_file_header_loses_nothing() {
    let disk = fresh();
    let journal = open(&disk).unwrap().start(1, SALT).unwrap();
    for index in 0..60 {
        append_entry(&journal, index).unwrap();
        journal.sync_blocking(journal.written()).unwrap();
        if index == 12 {
            let replay_from = journal.mark();
            journal.checkpoint(&Checkpoint { replay_from, next_replica_id: 13, ..Checkpoint::default() }).unwrap();
        }
    }
    let whole = replayed(&open(&disk).unwrap());
    assert_eq!(whole, (13..60).collect::<Vec<u64>>());
    let files = journal_files(&disk);
    assert!(files.len() > 3);
    for file in &files {
        for byte in 0..64 {
            let rotten = disk.process_killed();
            rotten.corrupt(file, byte, 0x20);
            for _ in 0..2 {
                let recovery = open(&rotten).unwrap_or_else(|error| panic!("{} byte {byte}: {error}", file.display()));
                assert_eq!(recovery.damage(), []);
                assert_eq!(replayed(&recovery), whole, "{} byte {byte}", file.display());
                drop(recovery.start(2, SALT).unwrap());
            }
        }
        // with the first record it is damage, unless nothing of it is needed
        let rotten = disk.process_killed();
        rotten.corrupt(file, 20, 1);
        rotten.corrupt(file, 64, 1);
        let recovery = open(&rotten).unwrap();
        assert!(replayed(&recovery) == whole || !recovery.damage().is_empty(), "{}", file.display());
        assert!(replayed(&recovery).contains(&59), "{}", file.display());
    }
}

#[test]
fn a_rotten_header_over_records_that_a_checkpoint_holds_is_known_by_the_last_of_them() {
    let disk = fresh();
    let journal = open(&disk).unwrap().start(1, SALT).unwrap();
    append_entry(&journal, 0).unwrap();
    let replay_from = journal.mark();
    journal.checkpoint(&Checkpoint { replay_from, next_replica_id: 1, ..Checkpoint::default() }).unwrap();
    disk.corrupt(&journal_files(&disk)[0], 9, 4);
    let recovery = open(&disk).unwrap();
    assert_eq!((recovery.end(), recovery.damage()), (replay_from, [].as_slice()));
}

#[test]
fn a_file_that_is_cut_off_or_emptied_is_damage_until_a_checkpoint_is_behind_it() {
    let disk = fresh();
    let journal = open(&disk).unwrap().start(1, SALT).unwrap();
    for index in 0..20 {
        append_entry(&journal, index).unwrap();
        journal.sync_blocking(journal.written()).unwrap();
    }
    let last = journal_files(&disk).pop().unwrap();
    let len = disk.open(&last, OpenMode::Read).unwrap().size().unwrap();
    for left in (0..64).chain((64..len).step_by(24)).chain([len - 1]) {
        let cut = disk.process_killed();
        cut.open(&last, OpenMode::ReadWrite).unwrap().set_len(left).unwrap();
        if left < 64 {
            assert!(matches!(open(&cut), Err(JournalError::CutOff { path, .. }) if path == last), "{left} bytes");
            continue;
        }
        let recovery = open(&cut).unwrap();
        assert!(!recovery.damage().is_empty(), "{left} bytes");
        let (found, end) = (replayed(&recovery), recovery.end());
        assert!(found.iter().copied().eq(0..found.len() as u64), "{left} bytes");
        let journal = recovery.start(2, SALT).unwrap();
        append_entry(&journal, found.len() as u64).unwrap();
        journal.sync_blocking(journal.written()).unwrap();
        // a start that ended before its checkpoint tells the next one
        let again = open(&cut.process_killed()).unwrap();
        assert!(!again.damage().is_empty() && again.end() > end, "{left} bytes");
        assert_eq!(replayed(&again).len(), found.len() + 1, "{left} bytes");
        journal.checkpoint(&Checkpoint { replay_from: journal.mark(), ..Checkpoint::default() }).unwrap();
        assert_eq!(open(&cut.process_killed()).unwrap().damage(), []);
    }
}

fn journal_files(disk: &SimDisk) -> Vec<std::path::PathBuf> {
    let entries = disk.read_dir(Path::new(DIR)).unwrap();
    let mut names: Vec<String> = entries.into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.ends_with(".journal"));
    names.sort();
    names.iter().map(|name| Path::new(DIR).join(name)).collect()
}

#[test]
fn one_damaged_checkpoint_file_falls_back_and_two_are_refused() {
    let disk = fresh();
    let (_, from, appended) = run(&disk, 12);
    let (a, b) = (Path::new(DIR).join("checkpoint-a"), Path::new(DIR).join("checkpoint-b"));
    for victim in [&a, &b] {
        let rotten = disk.process_killed();
        rotten.corrupt(victim, 40, 1);
        let recovery = open(&rotten).unwrap();
        let first = recovery.checkpoint().unwrap().next_replica_id;
        assert!(first <= from);
        assert_eq!(recovery.bad_checkpoint(), Some(victim.as_path()));
        assert!(replayed(&recovery).into_iter().eq(first..appended), "{}", victim.display());
    }
    disk.corrupt(&a, 40, 1);
    disk.corrupt(&b, 40, 1);
    assert!(matches!(open(&disk), Err(JournalError::Checkpoints { .. })));
}

#[test]
fn a_failed_sync_is_final() {
    let disk = fresh();
    let journal = open(&disk).unwrap().start(1, SALT).unwrap();
    append_entry(&journal, 0).unwrap();
    journal.sync_blocking(journal.written()).unwrap();
    let heard = Arc::new(std::sync::Mutex::new(None));
    let listener = heard.clone();
    disk.fail(Fault::Sync(1));
    let record = Record::BootEpoch { epoch: 2, nonce: 0 };
    journal.append(&record, Some(Box::new(move |result| *listener.lock().unwrap() = Some(result.is_ok())))).unwrap();
    assert!(journal.sync_blocking(journal.written()).is_err());
    assert_eq!(*heard.lock().unwrap(), Some(false));
    assert!(append_entry(&journal, 1).is_err() && journal.sync_blocking(Lsn(1)).is_ok());
    assert_eq!(replayed(&open(&disk.power_cut(1)).unwrap()), [0]);
}

#[test]
fn another_format_is_refused_by_name() {
    let disk = fresh();
    run(&disk, 1);
    let shared: SharedDisk = Arc::new(disk.clone());
    let path = Path::new(DIR).join("00000000000000000001.journal");
    let file = shared.open(&path, OpenMode::ReadWrite).unwrap();
    let mut head = [0; 64];
    file.read_exact_at(&mut head, 0).unwrap();
    for (version, named) in [(9, "start the version that wrote it"), (1, "unreleased")] {
        head[8] = version;
        let crc = crate::os::checksum::crc32c(&head[..60]);
        head[60..].copy_from_slice(&crc.to_le_bytes());
        file.write_all_at(&[std::io::IoSlice::new(&head)], 0).unwrap();
        let error = open(&disk).unwrap_err().to_string();
        assert!(error.contains(&format!("format version {version}")) && error.contains(named), "{error}");
    }
}

/// A payload at whose every eighth byte a record stands that claims its place in the stream, all before it synced, and to make
/// a replica.
fn crafted(lsn: Lsn, salt: u64) -> Vec<u8> {
    let record = Record::CreateReplica { replica: ReplicaId(666), topic_id: [6; 16], partition: 0, dir: "evil-0" };
    let parts = record.parts();
    let at = Lsn(lsn.0 + 2 * 72);
    let header = record::Header { lsn: at, synced: at, boot_epoch: 1, ..parts.header };
    [vec![1; 72], header.encode(salt).to_vec(), parts.small].concat()
}

#[test]
fn a_payload_made_to_look_like_a_record_is_none() {
    // with the salt it would pass: the payload is well made
    for (salt, passes) in [(SALT, true), (0, false), (SALT ^ 1, false)] {
        let disk = fresh();
        let journal = open(&disk).unwrap().start(1, SALT).unwrap();
        append_entry(&journal, 0).unwrap();
        journal.sync_blocking(journal.written()).unwrap();
        let torn_at = journal.written();
        let bytes = crafted(torn_at, salt);
        let (frame, frame_crc) = ([std::io::IoSlice::new(&bytes)], crate::os::checksum::crc32c(&bytes));
        let replica = ReplicaId(7);
        let entry = Record::Entry {
            replica,
            index: 1,
            leader_epoch: 1,
            base_offset: 1,
            frame: &frame,
            frame_crc,
            opens_segment: false,
        };
        journal.append(&entry, None).unwrap();
        // the record's own header is torn, its payload is not
        disk.corrupt(&journal_files(&disk)[0], 64 + torn_at.0 as usize + 20, 1);
        let recovery = open(&disk.process_killed()).unwrap();
        let mut made = false;
        recovery
            .replay(|_, record| {
                made |= matches!(record, OwnedRecord::CreateReplica { .. });
                Ok::<(), JournalError>(())
            })
            .unwrap();
        assert_eq!((made, recovery.damage().is_empty()), (passes, !passes), "salt {salt}");
        assert!(passes || recovery.end() == torn_at);
    }
}

#[test]
fn the_thread_answers_in_stream_order() {
    let dir = tempfile::tempdir().unwrap();
    let disk: SharedDisk = Arc::new(crate::os::disk::RealDisk);
    let config = JournalConfig { initial_file_bytes: 4096, ..JournalConfig::default() };
    let journal = recover(&disk, &dir.path().join("journal"), config).unwrap().start(1, SALT).unwrap();
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    for index in 0..500 {
        let order = order.clone();
        let completion: Completion = Box::new(move |result| order.lock().unwrap().push((index, result.is_ok())));
        journal.append(&Record::BootEpoch { epoch: index, nonce: 0 }, Some(completion)).unwrap();
    }
    journal.close().unwrap();
    assert!(order.lock().unwrap().iter().copied().eq((0..500).map(|index| (index, true))));
    let recovery = recover(&disk, &dir.path().join("journal"), config).unwrap();
    let mut epochs = 0;
    recovery
        .replay(|_, _| {
            epochs += 1;
            Ok::<(), JournalError>(())
        })
        .unwrap();
    assert_eq!(epochs, 500);
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        fuzz_journal_record(&bytes);
    }
}
