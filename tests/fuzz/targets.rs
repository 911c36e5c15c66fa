//! The functions that take bytes from outside, and good inputs for each.

use std::{
    io::IoSlice,
    path::Path,
    sync::{Arc, OnceLock},
};

use kafka_protocol::{
    messages::{
        ApiVersionsRequest, BrokerId, CreateTopicsRequest, FetchRequest, ListOffsetsRequest, MetadataRequest,
        ProduceRequest, TopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        fetch_request::{FetchPartition, FetchTopic},
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        metadata_request::MetadataRequestTopic,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
};
use tidemark_client::wire::frame::FrameReader;
use tidemark_record::{BatchBuilder, BatchHeader, Compression};
use tidemark_server::{
    api::fuzz_request,
    journal::fuzz_journal_record,
    log::{Extent, Log, LogConfig, LogIdentity},
    os::{
        checksum,
        disk::{MemoryDisk, OpenMode, SharedDisk},
    },
    transport::fuzz_peer_bytes,
};

/// A function under attack.
pub struct Target {
    pub name: &'static str,
    pub feed: fn(&[u8]),
    pub good: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "frame", feed: frame, good: frames },
    Target { name: "request", feed: fuzz_request, good: requests },
    Target { name: "batch-header", feed: tidemark_record::fuzz::fuzz_batch_header, good: batches },
    Target { name: "record-walk", feed: tidemark_record::fuzz::fuzz_record_walk, good: batches },
    Target { name: "journal", feed: fuzz_journal_record, good: journal_records },
    Target { name: "segment", feed: recover, good: segments },
    Target { name: "peer", feed: fuzz_peer_bytes, good: peer_bytes },
];

/// Longest frame that the reader may take.
const FRAME_BYTES_MAX: usize = 32 * 1024;

fn frame(bytes: &[u8]) {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Builder::new_current_thread().build().expect("a runtime"));
    runtime.block_on(async {
        let mut reader = FrameReader::new(bytes, FRAME_BYTES_MAX);
        let mut taken = 0;
        while let Ok(Some(frame)) = reader.next().await {
            taken += 4 + frame.len();
        }
        assert!(taken <= bytes.len(), "frames hold more than was sent");
    });
}

fn frames() -> Vec<Vec<u8>> {
    let requests = requests();
    let together = requests.iter().flat_map(|request| harness::frame(request)).collect();
    requests.iter().map(|request| harness::frame(request)).chain([together]).collect()
}

fn text(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn requests() -> Vec<Vec<u8>> {
    let name = TopicName(text("topic"));
    let topics = vec![MetadataRequestTopic::default().with_name(Some(name.clone()))];
    let metadata = MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(true);
    let config = CreatableTopicConfig::default().with_name(text("retention.ms")).with_value(Some(text("1000")));
    let create = CreateTopicsRequest::default().with_topics(vec![
        CreatableTopic::default()
            .with_name(name.clone())
            .with_num_partitions(3)
            .with_replication_factor(1)
            .with_configs(vec![config]),
    ]);
    let data = PartitionProduceData::default().with_records(Some(batches().remove(0).into()));
    let produce = ProduceRequest::default()
        .with_acks(-1)
        .with_topic_data(vec![TopicProduceData::default().with_name(name.clone()).with_partition_data(vec![data])]);
    let fetch = FetchRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![
        FetchTopic::default().with_topic(name.clone()).with_partitions(vec![FetchPartition::default(); 3]),
    ]);
    let list = ListOffsetsRequest::default().with_topics(vec![
        ListOffsetsTopic::default().with_name(name).with_partitions(vec![ListOffsetsPartition::default(); 2]),
    ]);
    let mut out = Vec::new();
    for version in 0..=12 {
        out.push(harness::encode_request(&metadata, version, 1));
    }
    out.extend((2..=7).map(|version| harness::encode_request(&create, version, 2)));
    out.extend((3..=12).map(|version| harness::encode_request(&produce, version, 3)));
    out.extend((4..=12).map(|version| harness::encode_request(&fetch, version, 4)));
    out.extend((1..=10).map(|version| harness::encode_request(&list, version, 5)));
    out.extend((0..=2).map(|version| harness::encode_request(&ApiVersionsRequest::default(), version, 6)));
    out.iter().map(|request| request.to_vec()).collect()
}

fn batches() -> Vec<Vec<u8>> {
    let built = Compression::ALL.map(|codec| {
        let mut builder = BatchBuilder::new().compression(codec, None).producer(7, 0, 0);
        for n in 0..8 {
            let headers = [(b"h".as_slice(), Some(b"v".as_slice())), (b"h", None)];
            builder.append(1_700_000_000_000 + n, Some(b"key"), Some(&[b'v'; 100]), headers.into_iter());
        }
        builder.build().expect("the default level")
    });
    built.iter().map(|batch| batch.to_vec()).collect()
}

/// Their layout is the journal's own affair: zeros and edges lead far enough in, and its unit tests have whole records.
fn journal_records() -> Vec<Vec<u8>> {
    vec![vec![0; 72], vec![0xff; 144], (0..=255).collect()]
}

/// A frame of two bytes, and first words without any: what is true in them is their checksum.
fn peer_bytes() -> Vec<Vec<u8>> {
    let sealed = |bytes: &[u8]| {
        let crc = checksum::crc32c(bytes);
        [bytes, &crc.to_be_bytes()].concat()
    };
    let body = b"ok";
    let mut header = [0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7].to_vec();
    header.extend(checksum::crc32c(body).to_be_bytes());
    let frame = [&sealed(&header)[..], body].concat();
    vec![frame.repeat(3), frame, sealed(b"TMRK\x01\x01\x00\x00")]
}

const DIR: &str = "/topic-0";
const SEGMENT: &str = "/topic-0/00000000000000000000.log";

fn identity() -> LogIdentity {
    LogIdentity { topic_id: uuid::Uuid::from_u128(7), partition: 0 }
}

fn segments() -> Vec<Vec<u8>> {
    let disk: SharedDisk = Arc::new(MemoryDisk::new());
    disk.create_dir_all(Path::new(DIR)).expect("memory");
    let mut log = Log::create(Arc::clone(&disk), Path::new(DIR), identity(), LogConfig::default()).expect("a log");
    for (n, batch) in batches().iter().enumerate() {
        // each would be the same producer's next batch
        let mut header = BatchHeader::parse(batch).expect("a batch");
        header.base_sequence = 8 * n as i32;
        let sealed = tidemark_record::builder::sealed(header, &batch[tidemark_record::HEADER_LEN..]);
        let header = BatchHeader::parse(&sealed).expect("a batch");
        log.append(&sealed, &header, 1 + n as i32, 1_700_000_000_000).expect("memory");
    }
    let file = disk.open(Path::new(SEGMENT), OpenMode::Read).expect("the segment");
    let mut bytes = vec![0; file.size().expect("memory") as usize];
    file.read_exact_at(&mut bytes, 0).expect("memory");
    vec![bytes]
}

/// Opens a log whose only segment is these bytes; what opens must say that it holds no more than there is, and open again
/// to the same end.
fn recover(bytes: &[u8]) {
    let disk: SharedDisk = Arc::new(MemoryDisk::new());
    disk.create_dir_all(Path::new(DIR)).expect("memory");
    let file = disk.open(Path::new(SEGMENT), OpenMode::Create).expect("memory");
    file.write_all_at(&[IoSlice::new(bytes)], 0).expect("memory");
    drop(file);
    let open = || Log::open(Arc::clone(&disk), Path::new(DIR), identity(), LogConfig::default(), Extent::LastSegment);
    let Ok((log, _)) = open() else { return };
    let (end, size) = (log.log_end_offset(), log.size_bytes());
    assert!(size <= bytes.len() as u64, "{size} bytes of {}", bytes.len());
    assert!(log.log_start_offset() <= end);
    drop(log);
    let (again, report) = open().expect("what opened once opens again");
    assert_eq!((again.log_end_offset(), again.size_bytes(), report.truncated_bytes), (end, size, 0));
}
