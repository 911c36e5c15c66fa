//! A log with every kind of frame, written through the log's door: a broker of one node makes no void frames and no
//! leader's entries, and refuses transactions until it has them.

use std::sync::Arc;

use tidemark_record::{BatchBuilder, Compression, batch};
use tidemark_server::{
    log::{InternalKind, Log, LogConfig, LogIdentity},
    os::disk::RealDisk,
};
use uuid::Uuid;

use crate::agreement::agreed;

fn append(log: &mut Log, builder: BatchBuilder, epoch: i32) {
    let mut builder = builder;
    for number in 0..4 {
        builder.append_plain(1_700_000_000_000 + number, Some(b"key"), Some(b"value of some length"));
    }
    let bytes = builder.build().unwrap();
    let header = batch::verify(&bytes).unwrap();
    log.append(&bytes, &header, epoch, 0).unwrap();
}

#[test]
fn internal_frames_are_read_alike() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("t-0");
    let identity = LogIdentity { topic_id: Uuid::from_u128(7), partition: 0 };
    let config = LogConfig { segment_bytes: 1000, ..LogConfig::default() };
    let mut log = Log::create(Arc::new(RealDisk), &dir, identity, config).unwrap();
    for epoch in 0..5 {
        log.append_internal(InternalKind::Blank, &[], epoch).unwrap();
        for (codec, producer) in Compression::ALL.into_iter().zip(0..) {
            let builder = BatchBuilder::new().compression(codec, None).producer(producer, 3, 4 * epoch);
            append(&mut log, builder.transactional(), epoch);
            log.append_internal(InternalKind::Void, &[epoch as u8; 9], epoch).unwrap();
        }
        log.append_internal(InternalKind::Command, b"an order", epoch).unwrap();
        log.append_internal(InternalKind::Membership, &[1, 2, 3], epoch).unwrap();
    }
    drop(log);
    let frames = agreed(&dir);
    for (kind, count) in [("batch", 25), ("membership", 6), ("new leader", 5), ("void", 25), ("command", 5)] {
        assert_eq!(frames.iter().filter(|frame| frame["kind"] == kind).count(), count, "{kind}");
    }
    let segments = frames.iter().filter(|frame| frame["kind"] == "segment header").count();
    assert!(segments > 3, "{segments} segments");
}
