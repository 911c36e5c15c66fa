//! The log against a plain model in memory, and against a disk that loses power at every step.

use std::{io::IoSlice, path::Path, sync::Arc};

use proptest::prelude::*;
use tidemark_record::{BatchBuilder, BatchHeader, Compression, Records, batch, builder::inflated};
use uuid::Uuid;

use super::*;
use crate::os::disk::{Disk, MemoryDisk, OpenMode, SharedDisk, sim::SimDisk};

const DIR: &str = "/data/t-0";

fn identity() -> LogIdentity {
    LogIdentity { topic_id: Uuid::from_u128(1), partition: 0 }
}

fn config() -> LogConfig {
    LogConfig { segment_bytes: 2000, index_interval_bytes: 200, retention_ms: -1, ..LogConfig::default() }
}

fn records_of(count: usize, start_ms: i64, codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new().compression(codec, None);
    for i in 0..count {
        // not in order inside a batch: lookups must look at each record
        builder.append_plain(start_ms + [0, 40, 20][i % 3], Some(b"key"), Some(&[b'v'; 30]));
    }
    builder.build().unwrap().to_vec()
}

fn append(log: &mut Log, bytes: &[u8], epoch: i32) -> Appended {
    let header = batch::verify(bytes).unwrap();
    let appended = log.append(bytes, &header, epoch, 0).unwrap();
    let stored = [&appended.prefix[..], &bytes[16..]].concat();
    assert_eq!(appended.frame_crc, crate::os::checksum::crc32c(&stored));
    appended
}

/// Every batch from `offset` on, read in pieces of at least one batch.
fn read_batches(log: &Log, mut offset: i64, upper: i64) -> Vec<(i64, Vec<u8>)> {
    let mut found = Vec::new();
    loop {
        let slices = log.read(offset, 300, true, upper).unwrap();
        if slices.bytes == 0 {
            return found;
        }
        let mut bytes = Vec::new();
        for slice in &slices.slices {
            let mut piece = vec![0; slice.len];
            slice.file.read_exact_at(&mut piece, slice.position).unwrap();
            bytes.extend(piece);
        }
        let mut rest = bytes.as_slice();
        let before = offset;
        while let Ok(header) = BatchHeader::parse(rest) {
            let Some((whole, after)) = rest.split_at_checked(header.size_in_bytes()) else { break };
            batch::verify(whole).unwrap();
            assert!(!header.is_internal(), "an internal frame left the log");
            found.push((header.base_offset, whole.to_vec()));
            offset = header.next_offset();
            rest = after;
        }
        assert!(offset > before, "a read must bring at least one batch");
    }
}

/// What the log should hold.
#[derive(Default)]
struct Model {
    batches: Vec<(u64, i64, Vec<u8>)>,
    start: i64,
    next_offset: i64,
    next_index: u64,
}

impl Model {
    fn check(&self, log: &Log) {
        assert_eq!(
            (log.log_start_offset(), log.log_end_offset(), log.next_index()),
            (self.start, self.next_offset, self.next_index)
        );
        for from in [self.start, (self.start + self.next_offset) / 2, self.next_offset] {
            let found = read_batches(log, from, i64::MAX);
            let wanted: Vec<_> = self.batches.iter().filter(|(_, base, bytes)| *base + count(bytes) > from).collect();
            assert_eq!(found.len(), wanted.len(), "from {from}");
            for ((base, bytes), (_, offset, sent)) in found.iter().zip(wanted) {
                assert_eq!(base, offset);
                assert_eq!(bytes[16..], sent[16..], "payload bytes as sent");
            }
        }
        let times: Vec<(i64, i64)> = self.batches.iter().flat_map(|(_, base, bytes)| times_of(*base, bytes)).collect();
        for target in [0, 55, 130, 777, 5000] {
            let wanted = times.iter().find(|(offset, time)| *time >= target && *offset >= self.start).copied();
            let found =
                log.offset_for_timestamp(target, i64::MAX).unwrap().map(|found| (found.offset, found.timestamp));
            assert_eq!(found, wanted, "time {target}");
        }
        let largest = times.iter().filter(|(offset, _)| *offset >= self.start).map(|(_, time)| *time).max();
        let found = log.max_timestamp_offset(i64::MAX).unwrap().map(|found| found.timestamp);
        if self.batches.first().is_none_or(|(_, base, _)| *base == self.start) {
            assert_eq!(found, largest);
        }
    }
}

fn count(bytes: &[u8]) -> i64 {
    BatchHeader::parse(bytes).unwrap().records_count.into()
}

fn times_of(base: i64, bytes: &[u8]) -> Vec<(i64, i64)> {
    let header = BatchHeader::parse(bytes).unwrap();
    let records = inflated(&header, bytes, 1 << 20).unwrap();
    let walk = Records::new(&records, header.records_count).map(Result::unwrap);
    walk.map(|record| (base + i64::from(record.offset_delta), header.base_timestamp + record.timestamp_delta)).collect()
}

#[derive(Debug, Clone)]
enum Step {
    Append { count: usize, codec: u8, epoch_up: bool },
    AppendAt { gap: i64 },
    Internal,
    Truncate { back: u64 },
    LogStart { part: i64 },
    Reopen,
    ReopenByScan,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (1_usize..12, 0_u8..5, any::<bool>()).prop_map(|(count, codec, epoch_up)| Step::Append { count, codec, epoch_up }),
        1 => (0_i64..20).prop_map(|gap| Step::AppendAt { gap }),
        1 => Just(Step::Internal),
        1 => (0_u64..6).prop_map(|back| Step::Truncate { back }),
        1 => (0_i64..4).prop_map(|part| Step::LogStart { part }),
        1 => Just(Step::Reopen),
        1 => Just(Step::ReopenByScan),
    ];
    proptest::collection::vec(step, 1..60)
}

fn reopen(disk: &SharedDisk, end: Option<&LogEnd>, start: i64) -> Log {
    let (mut log, report) = Log::open(
        disk.clone(),
        Path::new(DIR),
        identity(),
        config(),
        end.map_or(Extent::LastSegment, Extent::Checkpoint),
    )
    .unwrap();
    assert_eq!((report.damaged, report.truncated_bytes), (None, 0));
    log.restore_log_start(start);
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn agrees_with_a_model(steps in steps()) {
        let disk: SharedDisk = Arc::new(MemoryDisk::new());
        let mut log = Log::create(disk.clone(), Path::new(DIR), identity(), config()).unwrap();
        let mut model = Model { next_index: 1, ..Model::default() };
        let mut epoch = 1;
        for (round, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append { count, codec, epoch_up } => {
                    epoch += i32::from(epoch_up);
                    let codec = Compression::from_id(codec).unwrap();
                    let bytes = records_of(count, round as i64 * 10, codec);
                    let appended = append(&mut log, &bytes, epoch);
                    prop_assert_eq!((appended.base_offset, appended.index), (model.next_offset, model.next_index));
                    model.batches.push((model.next_index, model.next_offset, bytes));
                    model.next_offset += count as i64;
                    model.next_index += 1;
                }
                Step::AppendAt { gap } => {
                    let base = model.next_offset + gap;
                    let mut bytes = records_of(2, round as i64 * 10, Compression::None);
                    bytes[..8].copy_from_slice(&base.to_be_bytes());
                    let header = batch::verify(&bytes).unwrap();
                    prop_assert!(log.append_at(&bytes, &header, epoch, model.next_offset + 1, 0).is_err());
                    log.append_at(&bytes, &header, epoch, model.next_offset, 0).unwrap();
                    model.batches.push((model.next_index, base, bytes));
                    model.next_offset = base + 2;
                    model.next_index += 1;
                }
                Step::Internal => {
                    log.append_internal(InternalKind::Void, b"lost", epoch).unwrap();
                    model.next_index += 1;
                }
                Step::Truncate { back } => {
                    let floor = model.batches.iter().find(|(_, base, _)| *base >= model.start).map_or(model.next_index, |(index, _, _)| *index);
                    let to = model.next_index.saturating_sub(back).max(floor);
                    log.truncate(to).unwrap();
                    model.batches.retain(|(index, _, _)| *index < to);
                    model.next_index = to;
                    model.next_offset = log.log_end_offset();
                    let end = model.batches.last().map_or(model.start, |(_, base, bytes)| base + count(bytes));
                    prop_assert_eq!(model.next_offset, end.max(model.start));
                }
                Step::LogStart { part } => {
                    let to = model.start + (model.next_offset - model.start) * part / 4;
                    log.set_log_start(to);
                    log.delete_old_segments().unwrap();
                    model.start = to;
                    model.batches.retain(|(_, base, bytes)| base + count(bytes) > to);
                }
                Step::Reopen => {
                    let capture = log.capture().unwrap();
                    log = reopen(&disk, Some(&capture.end), model.start);
                }
                Step::ReopenByScan => log = reopen(&disk, None, model.start),
            }
        }
        model.check(&log);
    }
}

#[test]
fn an_index_row_of_a_frame_that_was_cut_off_is_not_taken_for_the_next_one_s() {
    let disk: SharedDisk = Arc::new(MemoryDisk::new());
    let mut log = Log::create(disk.clone(), Path::new(DIR), identity(), config()).unwrap();
    append(&mut log, &records_of(3, 0, Compression::None), 1);
    log.append_internal(InternalKind::Void, b"row before it", 1).unwrap();
    let internal = log.next_index();
    log.append_internal(InternalKind::Void, b"row", 1).unwrap();
    let capture = log.capture().unwrap();
    log = reopen(&disk, Some(&capture.end), 0);
    log.truncate(internal).unwrap();
    append(&mut log, &records_of(1, 10, Compression::None), 2);
    let capture = log.capture().unwrap();
    log = reopen(&disk, Some(&capture.end), 0);
    assert_eq!(read_batches(&log, 3, i64::MAX).len(), 1);
}

#[test]
fn what_was_captured_and_synced_survives_a_power_cut_at_every_step() {
    let run = |disk: &SimDisk| -> (Option<LogEnd>, usize) {
        let shared: SharedDisk = Arc::new(disk.clone());
        let Ok(mut log) = Log::create(shared, Path::new(DIR), identity(), config()) else { return (None, 0) };
        let (mut synced, mut batches) = ((None, 0), 0);
        for round in 0..24 {
            let bytes = records_of(5, round * 10, Compression::None);
            let header = batch::verify(&bytes).unwrap();
            if log.append(&bytes, &header, 1, 0).is_err() {
                return synced;
            }
            batches += 1;
            if round % 5 == 4 {
                match log.capture() {
                    Ok(capture) if capture.sync().is_ok() => synced = (Some(capture.end), batches),
                    _ => return synced,
                }
            }
        }
        synced
    };
    let fresh = || {
        let disk = SimDisk::new();
        disk.create_dir_all(Path::new(DIR)).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        disk.sync_dir(Path::new("/data")).unwrap();
        disk
    };
    let whole = fresh();
    run(&whole);
    for step in fresh().steps() + 1..=whole.steps() {
        let disk = fresh();
        disk.crash_at(step);
        let (end, batches) = run(&disk);
        let Some(end) = end else { continue };
        for seed in 0..6 {
            let after: SharedDisk = Arc::new(disk.power_cut(seed * 997 + step));
            let (log, report) =
                Log::open(after, Path::new(DIR), identity(), config(), Extent::Checkpoint(&end)).unwrap();
            assert_eq!(report.damaged, None, "step {step} seed {seed}");
            assert_eq!(log.end(), end, "step {step} seed {seed}");
            assert_eq!(read_batches(&log, 0, i64::MAX).len(), batches, "step {step} seed {seed}");
        }
    }
}

#[test]
fn a_torn_tail_is_cut_and_rot_below_the_end_is_set_aside() {
    let disk = SimDisk::new();
    let shared: SharedDisk = Arc::new(disk.clone());
    let mut log =
        Log::create(shared.clone(), Path::new(DIR), identity(), LogConfig { segment_bytes: 1 << 20, ..config() })
            .unwrap();
    let bytes = records_of(5, 0, Compression::None);
    let places: Vec<u64> = (0..6).map(|_| append(&mut log, &bytes, 1).position).collect();
    let end = log.capture().unwrap().end;
    let path = Path::new(DIR).join("00000000000000000000.log");

    let torn = disk.process_killed();
    torn.corrupt(&path, places[5] as usize + 100, 1);
    let (log, report) = Log::open(Arc::new(torn), Path::new(DIR), identity(), config(), Extent::LastSegment).unwrap();
    assert_eq!((log.log_end_offset(), report.truncated_bytes), (25, bytes.len() as u64));

    let rotten = disk.process_killed();
    rotten.corrupt(&path, places[5] as usize + 100, 1);
    let (log, report) =
        Log::open(Arc::new(rotten), Path::new(DIR), identity(), config(), Extent::Checkpoint(&end)).unwrap();
    assert_eq!(log.log_end_offset(), 30, "never truncated");
    let (from, to) = report.damaged.unwrap();
    assert!(from <= 25 && to == 30);
    assert!(matches!(log.read(27, 1000, true, 30), Err(ReadError::Damaged { .. })));
    assert!(!log.read(0, 1000, true, 30).unwrap().slices.is_empty());
}

#[test]
fn bad_derived_files_are_made_anew() {
    for victim in ["index", "leader-epoch-checkpoint", "snapshot"] {
        let disk = SimDisk::new();
        let shared: SharedDisk = Arc::new(disk.clone());
        let mut log = Log::create(shared, Path::new(DIR), identity(), config()).unwrap();
        for round in 0..30 {
            let mut builder = BatchBuilder::new().producer(9, 0, round * 4);
            (0..4).for_each(|i| builder.append_plain(i, None, Some(&[1; 40])));
            append(&mut log, &builder.build().unwrap(), 1 + round / 10);
        }
        let (end, producers, epochs) = (log.capture().unwrap().end, log.producers(), log.leader_epochs().to_vec());
        for entry in disk.read_dir(Path::new(DIR)).unwrap() {
            if entry.name.ends_with(victim) {
                disk.corrupt(&Path::new(DIR).join(&entry.name), entry.len as usize - 3, 0xff);
            }
        }
        let (log, _) =
            Log::open(Arc::new(disk.clone()), Path::new(DIR), identity(), config(), Extent::Checkpoint(&end)).unwrap();
        assert_eq!((log.producers(), log.leader_epochs()), (producers, epochs.as_slice()), "{victim}");
        assert_eq!(read_batches(&log, 0, i64::MAX).len(), 30, "{victim}");
        assert_eq!(log.offset_for_timestamp(3, i64::MAX).unwrap().unwrap().offset, 3);
    }
}

#[test]
fn retention_asks_for_whole_expired_segments() {
    let disk: SharedDisk = Arc::new(MemoryDisk::new());
    let mut log = Log::create(disk, Path::new(DIR), identity(), config()).unwrap();
    for round in 0..20 {
        append(&mut log, &records_of(5, round * 1000, Compression::None), 1);
    }
    assert!(log.segment_count() > 2);
    assert_eq!(log.expired_log_start(i64::MAX).unwrap(), None, "retention is off");
    log.set_config(LogConfig { retention_ms: 5000, ..config() });
    let start = log.expired_log_start(12_000).unwrap().unwrap();
    assert!(start > 0 && start <= 35, "{start}");
    log.set_log_start(start);
    let before = log.size_bytes();
    assert!(log.delete_old_segments().unwrap() > 0 && log.size_bytes() < before);
    assert!(matches!(log.read(0, 100, true, 100), Err(ReadError::OutOfRange { .. })));
    assert_eq!(log.expired_log_start(1_000_000).unwrap(), Some(100), "the active segment too, once all of it expired");
    log.set_log_start(100);
    log.delete_old_segments().unwrap();
    assert_eq!((log.segment_count(), log.log_start_offset(), log.log_end_offset()), (1, 100, 100));
    log.set_config(LogConfig { retention_bytes: 500, ..config() });
    for round in 0..20 {
        append(&mut log, &records_of(5, round, Compression::None), 1);
    }
    let start = log.expired_log_start(0).unwrap().unwrap();
    assert!(start > 100 && start < 200);
    log.set_config(LogConfig { retention_bytes: 500, deletes: false, ..config() });
    assert_eq!(log.expired_log_start(0).unwrap(), None);
}

#[test]
fn a_range_given_out_stays_readable_after_its_segment_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let disk: SharedDisk = Arc::new(crate::os::disk::RealDisk);
    let mut log = Log::create(disk.clone(), &dir.path().join("t-0"), identity(), config()).unwrap();
    for round in 0..20 {
        append(&mut log, &records_of(5, round, Compression::None), 1);
    }
    let slices = log.read(0, 10_000, true, 100).unwrap();
    log.set_log_start(100);
    log.delete_old_segments().unwrap();
    let mut bytes = vec![0; slices.slices[0].len];
    slices.slices[0].file.read_exact_at(&mut bytes, slices.slices[0].position).unwrap();
    assert_eq!(BatchHeader::parse(&bytes).unwrap().base_offset, 0);
    assert!(disk.open(&dir.path().join("t-0/00000000000000000000.log"), OpenMode::Read).is_err());
}

#[test]
fn a_sealed_segment_that_is_lost_or_cut_short_leaves_a_hole_that_is_refused() {
    let disk = SimDisk::new();
    let mut log = Log::create(Arc::new(disk.clone()), Path::new(DIR), identity(), config()).unwrap();
    let bytes = records_of(5, 0, Compression::None);
    for _ in 0..40 {
        append(&mut log, &bytes, 1);
    }
    let end = log.capture().unwrap().end;
    let bases = segments_in(&disk, Path::new(DIR)).unwrap();
    assert!(bases.len() >= 4);
    let path = |base: i64| Path::new(DIR).join(format!("{base:020}.log"));
    let (first, victim, next) = (bases[0], bases[1], bases[2]);
    let spoiled = |spoil: &dyn Fn(&SimDisk)| {
        let spoiled = disk.process_killed();
        spoil(&spoiled);
        let extent = Extent::Checkpoint(&end);
        let (mut log, _) = Log::open(Arc::new(spoiled), Path::new(DIR), identity(), config(), extent).unwrap();
        log.restore_log_start(0);
        assert_eq!((log.log_start_offset(), log.log_end_offset()), (0, 200));
        log
    };
    let lost = spoiled(&|disk| disk.remove_file(&path(victim)).unwrap());
    assert_eq!(lost.quarantined(), [(victim, next)]);
    let short = spoiled(&|disk| {
        disk.open(&path(victim), OpenMode::ReadWrite).unwrap().set_len(104 + bytes.len() as u64 * 2 + 9).unwrap();
    });
    assert_eq!(short.quarantined(), [(victim + 10, next)]);
    assert_eq!(short.offset_for_timestamp(0, 200).unwrap().unwrap().offset, 0);
    let beginning = spoiled(&|disk| disk.remove_file(&path(first)).unwrap());
    assert_eq!(beginning.quarantined(), [(0, victim)]);
    for log in [lost, short, beginning] {
        let (from, to) = log.quarantined()[0];
        for inside in [from, to - 1] {
            assert!(matches!(log.read(inside, 100, true, 200), Err(ReadError::Damaged { .. })));
        }
        assert_eq!(read_batches(&log, to, 200).len() as i64, (200 - to) / 5, "all that lies behind is served");
        let before = read_batches_below(&log, from);
        assert_eq!(before as i64, from / 5, "all that lies before is served, and nothing beyond it at once");
    }
}

/// Batches that reads from offset 0 bring before they are refused at `bound`.
fn read_batches_below(log: &Log, bound: i64) -> usize {
    if bound == 0 { 0 } else { read_batches(log, 0, bound).len() }
}

#[test]
fn internal_frames_alone_never_make_way_for_a_segment_of_the_same_name() {
    let disk: SharedDisk = Arc::new(MemoryDisk::new());
    let small = LogConfig { segment_bytes: 300, ..config() };
    let mut log = Log::create(disk.clone(), Path::new(DIR), identity(), small).unwrap();
    let bytes = records_of(5, 0, Compression::None);
    append(&mut log, &bytes, 1);
    for epoch in 2..8 {
        log.append_internal(InternalKind::Blank, &[], epoch).unwrap();
    }
    append(&mut log, &bytes, 8);
    let extent = Extent::Checkpoint(&log.end());
    let (found, _) = Log::open(disk, Path::new(DIR), identity(), small, extent).unwrap();
    for log in [&log, &found] {
        let indexes: Vec<u64> =
            log.frames(0, 99, FrameBytes::Headers).unwrap().iter().map(|frame| frame.index).collect();
        assert_eq!(indexes, (0..9).collect::<Vec<_>>());
        assert_eq!(read_batches(log, 0, i64::MAX).len(), 2);
    }
}

/// A frame that was taken back left an index row: of an internal frame, which would be cut out of the batch in its place.
#[test]
fn the_index_does_not_tell_of_a_frame_that_was_taken_back() {
    for power_cut in [false, true] {
        let disk: SharedDisk = Arc::new(MemoryDisk::new());
        let mut log = Log::create(disk.clone(), Path::new(DIR), identity(), config()).unwrap();
        append(&mut log, &records_of(1, 0, Compression::None), 1);
        log.append_internal(InternalKind::Void, b"lost", 1).unwrap();
        let capture = log.capture().unwrap();
        log = reopen(&disk, Some(&capture.end), 0);
        let index = Path::new(DIR).join(segment::file_name(0, "index"));
        let file = disk.open(&index, OpenMode::ReadWrite).unwrap();
        let mut rows = vec![0; file.size().unwrap() as usize];
        file.read_exact_at(&mut rows, 0).unwrap();
        log.truncate(log.next_index - 1).unwrap();
        append(&mut log, &records_of(1, 10, Compression::None), 2);
        let capture = log.capture().unwrap();
        if power_cut {
            file.write_all_at(&[IoSlice::new(&rows)], 0).unwrap();
        }
        log = reopen(&disk, Some(&capture.end), 0);
        assert_eq!(read_batches(&log, 0, log.log_end_offset()).len(), 2, "power cut: {power_cut}");
    }
}
