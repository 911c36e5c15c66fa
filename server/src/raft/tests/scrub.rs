//! Rot in sealed segments: found while the broker runs, refused where it is, and known at the next start.

use super::{super::scrub::Scrubber, *};
use crate::log::Log;

/// Of the first start, which wrote all there is.
const EPOCH: i32 = 0;

/// One whole pass.
pub(super) fn scrub(storage: &Storage) {
    let mut scrubber = Scrubber::new(std::time::Duration::ZERO);
    scrubber.step(storage);
    while !scrubber.is_through() {
        scrubber.step(storage);
    }
}

fn quarantined(replica: &Replica) -> Vec<(i64, i64)> {
    replica.look(|log| log.quarantined().to_vec()).unwrap()
}

/// Offsets at which a read begins with the batch that was sent there; the others are refused.
pub(super) fn served(replica: &Replica, max_bytes: usize, end: i64) -> Vec<i64> {
    let read_at = |log: &Log, offset: i64| {
        let read = match log.read(offset, max_bytes, true, i64::MAX) {
            Ok(read) => read,
            Err(ReadError::Damaged { from, to }) => {
                assert!(from <= offset && offset < to);
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let mut bytes = vec![0; read.bytes];
        let mut place = 0;
        for slice in &read.slices {
            slice.file.read_exact_at(&mut bytes[place..place + slice.len], slice.position).unwrap();
            place += slice.len;
        }
        // all that is read along, too
        let (mut rest, mut next) = (bytes.as_slice(), offset / 3 * 3);
        while !rest.is_empty() {
            let header =
                batch::verify(&rest[..tidemark_record::BatchHeader::parse(rest).unwrap().size_in_bytes()]).unwrap();
            assert_eq!((header.base_offset, header.base_timestamp), (next, next / 3 * 10), "read from {offset}");
            assert_eq!(header.partition_leader_epoch, EPOCH);
            next = header.next_offset();
            rest = &rest[header.size_in_bytes()..];
        }
        Some(offset)
    };
    replica.look(|log| (0..end).filter_map(|offset| read_at(log, offset)).collect()).unwrap()
}

#[test]
fn any_rotten_byte_of_a_sealed_segment_is_found_and_served_around() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let config = LogConfig { index_interval_bytes: 600, ..log_config() };
    let replica = storage.create_replica(KEY, "t-0", config, ReplicaKind::Solo).unwrap();
    (0..40).for_each(|round| assert!(append(&replica, round).is_ok()));
    storage.checkpoint().unwrap();
    scrub(&storage);
    assert_eq!((quarantined(&replica), storage.damage_count()), (vec![], 0));
    let sealed = replica.look(|log| log.sealed_segments().collect::<Vec<_>>()).unwrap();
    assert!(sealed.len() > 2);
    assert_eq!(storage.scrubbed_bytes(), sealed.iter().map(|(_, size)| u64::from(*size)).sum::<u64>());
    drop((replica, storage));
    let (base, size) = sealed[1];
    let path = Path::new(DIR).join(format!("t-0/{base:020}.log"));
    for place in 0..size as usize {
        let rotten = disk.process_killed();
        let storage = open(&rotten).unwrap();
        let replica = only_replica(&storage);
        rotten.corrupt(&path, place, 0x10);
        scrub(&storage);
        let found = quarantined(&replica);
        let [(from, to)] = found[..] else { panic!("byte {place}: {found:?}") };
        assert!(from >= base && to <= sealed[2].0 && to - from < 15, "byte {place}: {found:?}");
        assert_eq!(served(&replica, usize::MAX, 120), (0..from).chain(to..120).collect::<Vec<_>>(), "byte {place}");
        assert_eq!(storage.damage_count(), 1);
        scrub(&storage);
        assert_eq!(quarantined(&replica), found, "found twice, told once");
        if place % 50 == 0 {
            storage.checkpoint().unwrap();
            let again = open(&rotten.power_cut(1)).unwrap();
            assert_eq!(quarantined(&only_replica(&again)), found, "the next start knows it");
        }
    }
}

#[test]
fn a_segment_that_changed_under_the_scrub_is_not_taken_for_rot() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage.create_replica(KEY, "t-0", log_config(), ReplicaKind::Solo).unwrap();
    (0..40).for_each(|round| assert!(append(&replica, round).is_ok()));
    let (base, _) = replica.look(|log| log.sealed_segments().nth(1)).unwrap().unwrap();
    let path = Path::new(DIR).join(format!("t-0/{base:020}.log"));
    disk.corrupt(&path, 300, 1);
    let mark = crate::log::ScrubMark::start(base);
    let scrub = replica.look(|log| log.scrub(mark)).unwrap().unwrap().unwrap();
    let found = scrub.read_on(u64::MAX).unwrap();
    assert!(found.bad.len() == 1 && found.rest.is_none());
    // healthy again before it is looked at once more, as a segment that was made anew is
    disk.corrupt(&path, 300, 1);
    assert!(!replica.set_aside(&found.bad[0]));
    assert_eq!(quarantined(&replica), []);
}

#[test]
fn rot_outside_a_batch_checksum_is_met_by_whoever_reads_there() {
    let disk = fresh();
    let storage = open(&disk).unwrap();
    let replica = storage
        .create_replica(KEY, "t-0", LogConfig { index_interval_bytes: 600, ..log_config() }, ReplicaKind::Solo)
        .unwrap();
    (0..21).for_each(|round| assert!(append(&replica, round).is_ok()));
    assert_eq!(replica.look(|log| log.segment_count()).unwrap(), 3);
    let whole = (0..63).collect::<Vec<_>>();
    assert_eq!(served(&replica, 1, 63), whole);
    let mut rotten_bytes = 0;
    for base in crate::log::segments_in(&disk, &Path::new(DIR).join("t-0")).unwrap() {
        let path = Path::new(DIR).join(format!("t-0/{base:020}.log"));
        let mut scan = crate::log::FrameScan::open(&disk, &path).unwrap();
        while let Some(crate::log::Scanned::Frame { position, header, .. }) = scan.next_scanned().unwrap() {
            for (byte, bit) in (0..16).flat_map(|byte| (0..8).map(move |bit| (byte, bit))) {
                disk.corrupt(&path, position as usize + byte, 1 << bit);
                let found = served(&replica, 1, 63);
                let about = format!("segment {base} at {position}, bit {bit} of byte {byte}");
                if !header.is_internal() {
                    assert!(!found.contains(&header.base_offset), "{about}");
                }
                let behind = header.next_offset() + 15;
                assert!(
                    found.iter().filter(|offset| **offset >= behind).eq(whole.iter().filter(|o| **o >= behind)),
                    "{about}"
                );
                disk.corrupt(&path, position as usize + byte, 1 << bit);
                rotten_bytes += 1;
            }
        }
    }
    assert!(rotten_bytes > 2000);
    assert_eq!(served(&replica, 1, 63), whole);
}
