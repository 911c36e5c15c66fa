//! Damage that is met and served around: derived files, the journal's tail, a stretch of a segment, a full disk.

use std::{fs, os::unix::fs::FileExt, path::Path, time::Duration};

use harness::{Broker, eventually};
use tidemark_client::Start;

use crate::{
    broker,
    records::{TOPIC, check_whole, files, flip, read, write, write_once},
};

/// KAFKA_STORAGE_ERROR.
const STORAGE_ERROR: i16 = 56;

#[test]
fn derived_files_that_rotted_or_went_are_made_anew() {
    let mut first = broker().start();
    write(&first, 0, 60);
    assert!(first.terminate().success());
    let log = first.data().join(format!("{TOPIC}-0"));
    for suffix in [".index", ".snapshot", "leader-epoch-checkpoint"] {
        let victims = files(&log, suffix);
        assert!(!victims.is_empty(), "{suffix}");
        for victim in victims {
            let len = fs::metadata(&victim).unwrap().len() as usize;
            flip(&victim, len / 2);
        }
    }
    let mut second = broker().data(first.data()).start();
    check_whole(&second, 60);
    write(&second, 60, 70);
    second.kill();
    for suffix in [".index", ".snapshot", "leader-epoch-checkpoint"] {
        files(&log, suffix).iter().for_each(|path| fs::remove_file(path).unwrap());
    }
    let third = broker().data(first.data()).start();
    check_whole(&third, 70);
}

#[test]
fn a_journal_that_rotted_after_kill_is_mended_from_the_segments() {
    let mut first = broker().start();
    write(&first, 0, 40);
    first.kill();
    let journal = files(&first.data().join("journal"), ".journal").remove(0);
    // in the middle of what was synced: a later record knows that it was
    flip(&journal, 9000);
    let second = broker().data(first.data()).start();
    check_whole(&second, 40);
    assert!(second.printed().contains("journal is damaged"), "{}", second.printed());
}

#[test]
fn a_damaged_stretch_is_refused_and_the_rest_is_served_and_written_to() {
    let mut first = broker().start();
    write(&first, 0, 60);
    assert!(first.terminate().success());
    let segment = files(&first.data().join(format!("{TOPIC}-0")), ".log").remove(0);
    let len = fs::metadata(&segment).unwrap().len();
    flip(&segment, len as usize - 30);
    let second = broker().data(first.data()).start();
    let refused = read(&second, Start::Offset(59)).expect_err("the last record is damaged");
    assert_eq!(refused.kafka_error().map(|error| error.code), Some(STORAGE_ERROR), "{refused}");
    assert!(second.printed().contains("damaged"), "{}", second.printed());
    assert_eq!(fs::metadata(&segment).unwrap().len(), len, "nothing is cut away");
    write(&second, 60, 65);
    assert_eq!(read(&second, Start::Offset(60)).unwrap(), (60..65).collect::<Vec<_>>());
}

#[test]
fn a_hole_in_the_middle_is_refused_and_both_sides_are_served() {
    let small = || broker().set("log.roll.ms", "20000");
    let mut first = small().start();
    write(&first, 0, 150);
    assert!(first.terminate().success());
    let segments = files(&first.data().join(format!("{TOPIC}-0")), ".log");
    assert!(segments.len() >= 4, "{segments:?}");
    let base = |place: usize| segments[place].file_stem().unwrap().to_str().unwrap().parse::<i64>().unwrap();
    let (from, to) = (base(1), base(2));
    fs::remove_file(&segments[1]).unwrap();
    // at the second start the checkpoint knows what the first one set aside
    let mut second = small().data(first.data()).start();
    assert!(second.printed().contains("damaged or lost"), "{}", second.printed());
    assert!(second.terminate().success());
    let third = small().data(first.data()).start();
    assert_eq!(read(&third, Start::Offset(to)).unwrap(), (to..150).collect::<Vec<_>>());
    let refused = read(&third, Start::Offset(from)).expect_err("lost");
    assert_eq!(refused.kafka_error().map(|error| error.code), Some(STORAGE_ERROR), "{refused}");
}

#[test]
fn a_lost_segment_is_refused_alone() {
    let mut first = broker().start();
    write(&first, 0, 10);
    assert!(first.terminate().success());
    files(&first.data().join(format!("{TOPIC}-0")), ".log").iter().for_each(|path| fs::remove_file(path).unwrap());
    let second = broker().data(first.data()).start();
    assert!(read(&second, Start::Offset(0)).is_err());
    assert!(second.printed().contains("log cannot be served"), "{}", second.printed());
}

#[test]
fn a_disk_without_room_refuses_writes_and_serves_reads() {
    let mut first = broker().start();
    write(&first, 0, 10);
    assert!(first.terminate().success());
    let full = broker().data(first.data()).set("tidemark.disk.reserve.bytes", "9000000000000000000").start();
    let refused = write_once(&full).expect_err("no room");
    assert!(refused.to_string().contains("KAFKA_STORAGE_ERROR"), "{refused}");
    check_whole(&full, 10);
    drop(full);
    let room = broker().data(first.data()).start();
    write(&room, 10, 12);
    check_whole(&room, 12);
}

/// Flips bits of a file that others have open.
fn rot(path: &Path, place: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 0x41], place).unwrap();
}

#[test]
fn rot_in_a_closed_segment_is_found_by_the_running_broker() {
    let small = || broker().set("log.roll.ms", "20000");
    let mut first = small().http().set("tidemark.scrub.interval.ms", "300").start();
    write(&first, 0, 150);
    let segments = files(&first.data().join(format!("{TOPIC}-0")), ".log");
    let base = |place: usize| segments[place].file_stem().unwrap().to_str().unwrap().parse::<i64>().unwrap();
    assert!(first.metrics().contains("\ntidemark_log_damages 0\n"));
    // in the middle of some record's value
    rot(&segments[2], fs::metadata(&segments[2]).unwrap().len() / 2);
    eventually("the scrub to find it", Duration::from_secs(30), || {
        first.printed().contains("rot in a sealed segment").then_some(())
    });
    assert!(first.metrics().contains("\ntidemark_log_damages 1\n"));
    let check = |broker: &Broker| {
        let middle = i64::midpoint(base(2), base(3));
        let refused = read(broker, Start::Offset(middle)).expect_err("rotten");
        assert_eq!(refused.kafka_error().map(|error| error.code), Some(STORAGE_ERROR), "{refused}");
        assert_eq!(read(broker, Start::Offset(base(3))).unwrap(), (base(3)..150).collect::<Vec<_>>());
    };
    check(&first);
    assert!(first.terminate().success());
    check(&small().data(first.data()).start());
}
