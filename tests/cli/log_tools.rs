//! `tidemark log`: over a stopped broker's files, whole and damaged.

use std::{fs::OpenOptions, os::unix::fs::FileExt, path::Path};

use harness::Broker;
use serde_json::Value;

use crate::{alone, broker, tidemark, tidemark_with};

/// 60,000 records of one topic in several segments, in a directory of the caller's.
fn filled(data: &Path) -> Broker {
    let broker = broker().data(data).start();
    tidemark(&broker, &["topic", "create", "t", "--config", "segment.bytes=1048576"]).fine();
    let lines: String = (0..60_000).map(|i| format!("record number {i:>20}\n")).collect();
    tidemark_with(&broker, &["produce", "t"], &lines).fine();
    broker
}

fn flip(path: &Path, position: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, position).unwrap();
    file.write_all_at(&[byte[0] ^ 1], position).unwrap();
}

#[test]
fn a_running_broker_refuses_and_its_files_are_whole_after_any_end() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut broker = filled(&data);
    let data = data.to_str().unwrap();
    for words in [&["log", "verify", data][..], &["log", "dump", data], &["log", "repair", data, "--yes"]] {
        assert!(alone(words).failed().contains("in use by a running broker"), "{words:?}");
    }
    broker.kill();
    let said = alone(&["log", "verify", data]).fine();
    assert!(said.contains("60000 records, offsets 0 to 60000"), "{said}");
    let mut broker = broker.restart();
    broker.terminate();
    assert!(!alone(&["log", "verify", data]).fine().contains("BAD"));
}

#[test]
fn a_dump_shows_every_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    filled(&data).terminate();
    let said = alone(&["log", "dump", data.join("t-0").to_str().unwrap(), "--records", "--internal", "--json"]).fine();
    let frames: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(frames[0]["kind"], "segment header");
    let offsets = frames
        .iter()
        .filter_map(|frame| frame["records"].as_array())
        .flatten()
        .map(|record| record["offset"].as_i64().unwrap());
    assert!(offsets.eq(0..60_000));
    let indexes: Vec<_> = frames.iter().filter_map(|frame| frame["raft_index"].as_u64()).collect();
    assert!(indexes.iter().copied().eq(0..indexes.len() as u64), "{indexes:?}");
}

#[test]
fn damage_is_named_left_alone_and_dropped_only_when_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    filled(&data).terminate();
    let (segment, data) = (data.join("t-0/00000000000000000000.log"), data.to_str().unwrap());
    flip(&segment, 500_000);
    let said = alone(&["log", "verify", data]);
    assert!(said.out.contains("BAD 00000000000000000000.log at "), "{said:?}");
    assert!(said.failed().contains("log repair"));
    let before = std::fs::read(&segment).unwrap();
    assert_eq!(alone(&["log", "repair", data, "--yes"]).failed(), "tidemark: some damage stays\n");
    assert!(alone(&["log", "repair", data, "--drop-damaged"]).fine().contains("nothing was changed"));
    assert!(std::fs::read(&segment).unwrap() == before, "nothing may change without being told so");
    alone(&["log", "repair", data, "--drop-damaged", "--yes"]).fine();
    let said = alone(&["log", "verify", data]).fine();
    let broker = broker().data(data).start();
    let left = tidemark(&broker, &["consume", "t"]).fine();
    let count = left.lines().count();
    assert!(left.lines().enumerate().all(|(i, line)| line == format!("record number {i:>20}")));
    assert!(count > 1000 && said.contains(&format!("{count} records, offsets 0 to {count}")), "{count}: {said}");
    let next = tidemark_with(&broker, &["produce", "t"], "more\n").fine();
    assert!(next.contains(&format!("offset {count}")), "{next}");
}

#[test]
fn a_lost_index_is_made_anew_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    filled(&data).terminate();
    std::fs::remove_file(data.join("t-0/00000000000000000000.index")).unwrap();
    let data = data.to_str().unwrap();
    assert!(alone(&["log", "verify", data]).failed().contains("not whole"));
    assert!(alone(&["log", "repair", data, "--yes"]).fine().contains("made anew"));
    assert!(alone(&["log", "verify", data]).fine().contains("60000 records"));
    let broker = broker().data(data).start();
    assert_eq!(
        tidemark(&broker, &["consume", "t", "--from", "59999"]).fine(),
        format!("record number {:>20}\n", 59_999)
    );
}

#[test]
fn a_copy_with_a_torn_tail_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    filled(&data).terminate();
    let copy = dir.path().join("copy-0");
    std::fs::create_dir(&copy).unwrap();
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(data.join("t-0")).unwrap().flatten() {
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        segments.extend(entry.file_name().to_str().unwrap().ends_with(".log").then(|| copy.join(entry.file_name())));
    }
    let last = OpenOptions::new().write(true).open(segments.iter().max().unwrap()).unwrap();
    last.set_len(last.metadata().unwrap().len() - 5).unwrap();
    let copy = copy.to_str().unwrap();
    assert!(alone(&["log", "verify", copy]).out.contains("behind the last good frame"));
    let part = alone(&["log", "repair", data.join("t-0").to_str().unwrap()]).failed();
    assert!(part.contains("part of a data directory"), "{part}");
    alone(&["log", "repair", copy, "--yes"]).fine();
    let said = alone(&["log", "verify", copy]).fine();
    assert!(said.contains(": ok") && !said.contains("60000 records"), "{said}");
}
