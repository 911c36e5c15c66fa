//! Whole logs have no findings; every kind of damage is found where it was done.

use std::{io::IoSlice, sync::Arc};

use tidemark_record::BatchBuilder;
use uuid::Uuid;

use super::*;
use crate::{
    log::{InternalKind, Log, LogConfig, LogIdentity},
    os::disk::{MemoryDisk, OpenMode, SharedDisk},
};

const DIR: &str = "/data/t-0";

/// Segments with batches and void frames, all captured to the disk.
fn a_log(disk: &SharedDisk) -> Vec<i64> {
    let identity = LogIdentity { topic_id: Uuid::from_u128(1), partition: 0 };
    let config = LogConfig { segment_bytes: 2000, index_interval_bytes: 200, ..LogConfig::default() };
    let mut log = Log::create(disk.clone(), Path::new(DIR), identity, config).unwrap();
    for i in 0..30 {
        let mut builder = BatchBuilder::new();
        for record in 0..3 {
            builder.append_plain(1000 + i * 10 - record, Some(b"key"), Some(&[b'v'; 40]));
        }
        let batch = builder.build().unwrap();
        let header = tidemark_record::batch::verify(&batch).unwrap();
        log.append(&batch, &header, 0, 0).unwrap();
        if i % 7 == 0 {
            log.append_internal(InternalKind::Void, b"lost", 0).unwrap();
        }
    }
    log.capture().unwrap();
    segments_in(&**disk, Path::new(DIR)).unwrap()
}

fn findings(disk: &SharedDisk, base: i64, active: bool) -> Vec<(FindingKind, u64)> {
    let check = check_segment(&**disk, Path::new(DIR), base, active).unwrap();
    check.findings.iter().map(|finding| (finding.kind, finding.position)).collect()
}

fn overwrite(disk: &SharedDisk, base: i64, suffix: &str, position: u64) {
    let path = Path::new(DIR).join(file_name(base, suffix));
    let file = disk.open(&path, OpenMode::ReadWrite).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    file.write_all_at(&[IoSlice::new(&[byte[0] ^ 0x55])], position).unwrap();
}

#[test]
fn a_whole_log_has_no_findings_and_its_segments_follow_each_other() {
    let disk: SharedDisk = Arc::new(MemoryDisk::new());
    let bases = a_log(&disk);
    assert!(bases.len() > 3, "{bases:?}");
    let (mut records, mut next) = (0, None);
    for (place, base) in bases.iter().enumerate() {
        let check = check_segment(&*disk, Path::new(DIR), *base, place + 1 == bases.len()).unwrap();
        assert_eq!(check.findings, [], "segment {base}");
        let first = check.header.unwrap().first_index;
        assert!(next.is_none_or(|next| next == (*base, first)), "segment {base}");
        records += check.records;
        next = check.next_index.map(|index| (check.next_offset, index));
    }
    assert_eq!((records, next.unwrap().0), (90, 90));
}

#[test]
fn damage_is_found_where_it_is_and_frames_behind_it_are_still_counted() {
    let disk: SharedDisk = Arc::new(MemoryDisk::new());
    let base = a_log(&disk)[1];
    let whole = check_segment(&*disk, Path::new(DIR), base, false).unwrap();
    let mut scan = FrameScan::open(&*disk, &Path::new(DIR).join(file_name(base, "log"))).unwrap();
    let mut positions = Vec::new();
    while let Some(Scanned::Frame { position, .. }) = scan.next_scanned().unwrap() {
        positions.push(position);
    }
    // a payload byte, and the length field
    for place in [80, 9] {
        overwrite(&disk, base, "log", positions[2] + place);
        let check = check_segment(&*disk, Path::new(DIR), base, false).unwrap();
        assert_eq!(findings(&disk, base, false), [(FindingKind::Damage, positions[2])], "byte {place}");
        assert_eq!(check.batches + check.internal_frames + 1, whole.batches + whole.internal_frames);
        assert_eq!(check.findings[0].index, Some(whole.header.unwrap().first_index + 1));
        overwrite(&disk, base, "log", positions[2] + place);
    }
    let last = positions[positions.len() - 1];
    overwrite(&disk, base, "log", last + 70);
    assert_eq!(findings(&disk, base, false), [(FindingKind::Tail, last)]);
    overwrite(&disk, base, "log", 70);
    assert_eq!(
        findings(&disk, base, true),
        [(FindingKind::Header, 0), (FindingKind::Damage, 0), (FindingKind::Tail, last)]
    );
}

#[test]
fn bytes_outside_the_batches_own_checksum_are_held_against_the_index() {
    let disk: SharedDisk = Arc::new(MemoryDisk::new());
    let base = a_log(&disk)[0];
    // the leader epoch of the header frame: no checksum of its own covers it, and epochs stay in order
    overwrite(&disk, base, "log", 15);
    assert_eq!(findings(&disk, base, false), [(FindingKind::Damage, 0)]);
}

#[test]
fn a_bad_index_is_found_and_made_anew() {
    let disk: SharedDisk = Arc::new(MemoryDisk::new());
    let bases = a_log(&disk);
    let (base, dir) = (bases[0], Path::new(DIR));
    let index = dir.join(file_name(base, "index"));
    overwrite(&disk, base, "index", 45);
    assert_eq!(findings(&disk, base, false).len(), 1);
    assert!(rebuild_index(&*disk, dir, base, false).unwrap());
    assert_eq!(findings(&disk, base, false), []);
    disk.open(&index, OpenMode::ReadWrite).unwrap().set_len(57).unwrap();
    assert_eq!(findings(&disk, base, false)[0].0, FindingKind::Index);
    disk.remove_file(&index).unwrap();
    assert_eq!(findings(&disk, base, false)[0].0, FindingKind::Index);
    assert!(rebuild_index(&*disk, dir, base, false).unwrap());
    assert_eq!(findings(&disk, base, false), []);
    // rows that check, of another segment
    let other = SegmentIndex::read_rows(&*disk, &dir.join(file_name(bases[1], "index"))).unwrap();
    assert!(other.iter().all(Option::is_some));
    disk.remove_file(&index).unwrap();
    disk.rename(&dir.join(file_name(bases[1], "index")), &index).unwrap();
    assert_eq!(findings(&disk, base, false)[0].0, FindingKind::Index);
}
