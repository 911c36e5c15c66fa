//! The envelope against kafka-protocol's encoder, version by version.

use std::{path::Path, sync::Arc};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        BrokerId, FetchResponse, ProducerId, TopicName,
        fetch_response::{
            AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
        },
    },
    protocol::{Encodable, StrBytes},
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::os::disk::{Disk, MemoryDisk, OpenMode, SharedFile};

/// What both encoders are told.
#[derive(Debug, Clone)]
struct Told {
    topic: u8,
    partition: i32,
    error: Option<ResponseError>,
    offsets: [i64; 3],
    aborted: Option<Vec<(i64, i64)>>,
    diverging: Option<(i32, i64)>,
    leader: Option<(i32, i32)>,
    preferred: Option<i32>,
    records: Vec<Vec<u8>>,
}

fn told() -> impl Strategy<Value = Told> {
    let errors = prop::option::of(prop::sample::select(vec![
        ResponseError::OffsetOutOfRange,
        ResponseError::UnknownTopicId,
        ResponseError::UnknownServerError,
    ]));
    let aborted = prop::option::of(prop::collection::vec(any::<(i64, i64)>(), 0..3));
    let records = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..3);
    let tags = (prop::option::of(any::<(i32, i64)>()), prop::option::of(any::<(i32, i32)>()));
    let place = (0..3_u8, any::<i32>(), prop::option::of(0..9_i32));
    (place, errors, any::<[i64; 3]>(), aborted, tags, records).prop_map(
        |((topic, partition, preferred), error, offsets, aborted, (diverging, leader), records)| Told {
            topic,
            partition,
            error,
            offsets,
            aborted,
            diverging,
            leader,
            preferred,
            records,
        },
    )
}

fn id(topic: u8) -> Uuid {
    Uuid::from_u128(u128::from(topic) << 100 | 7)
}

/// The first piece stands in a file behind other bytes, the others in memory.
fn records_of(told: &Told, disk: &MemoryDisk) -> FetchedRecords {
    let file = |bytes: &[u8]| -> SharedFile {
        let file = disk.open(Path::new("segment"), OpenMode::Create).unwrap();
        file.write_all_at(&[std::io::IoSlice::new(b"before"), std::io::IoSlice::new(bytes)], 0).unwrap();
        file
    };
    let piece = |(place, bytes): (usize, &Vec<u8>)| match place {
        0 => RecordSlice::File { file: file(bytes), position: 6, len: bytes.len() },
        _ => RecordSlice::Memory(Bytes::from(bytes.clone())),
    };
    let slices = told.records.iter().enumerate().map(piece).collect();
    FetchedRecords { slices, bytes: told.records.iter().map(Vec::len).sum() }
}

fn by_hand(told: &[Told], version: i16, endpoints: &[Endpoint]) -> Vec<u8> {
    let disk = MemoryDisk::new();
    let answers: Vec<_> = told
        .iter()
        .map(|told| PartitionAnswer {
            topic: if version >= TOPIC_IDS_SINCE {
                TopicKey::Id(id(told.topic))
            } else {
                TopicKey::Name(Arc::from(format!("topic-{}", told.topic)))
            },
            partition: told.partition,
            error: told.error,
            high_watermark: told.offsets[0],
            last_stable_offset: told.offsets[1],
            log_start_offset: told.offsets[2],
            aborted: told.aborted.clone(),
            diverging_epoch: told.diverging,
            leader: told.leader.map(|(id, epoch)| Leader { id: BrokerId(id), epoch }),
            preferred_replica: told.preferred,
            records: records_of(told, &disk),
        })
        .collect();
    let partitions: Vec<_> = answers.iter().collect();
    let error = (version >= SESSION_SINCE).then_some(ResponseError::InvalidFetchSessionEpoch);
    let session_id = if version >= SESSION_SINCE { 77 } else { 0 };
    let reply = Envelope { error, session_id, partitions: &partitions, endpoints }.encode(version);
    let mut out = Vec::new();
    for part in &reply.parts {
        match part {
            Part::Bytes(bytes) => out.extend_from_slice(bytes),
            Part::File { file, position, len } => {
                let start = out.len();
                out.resize(start + len, 0);
                file.read_exact_at(&mut out[start..], *position).unwrap();
            }
        }
    }
    out
}

fn by_crate(told: &[Told], version: i16, endpoints: &[Endpoint]) -> Vec<u8> {
    let partition = |told: &Told| {
        let aborted = told.aborted.as_ref().map(|all| {
            let one = |(id, first): &(i64, i64)| {
                AbortedTransaction::default().with_producer_id(ProducerId(*id)).with_first_offset(*first)
            };
            all.iter().map(one).collect()
        });
        let mut data = PartitionData::default()
            .with_partition_index(told.partition)
            .with_error_code(code(told.error))
            .with_high_watermark(told.offsets[0])
            .with_last_stable_offset(told.offsets[1])
            .with_log_start_offset(told.offsets[2])
            .with_aborted_transactions(aborted)
            .with_records(Some(Bytes::from(told.records.concat())));
        if let Some((epoch, end)) = told.diverging {
            data.diverging_epoch = EpochEndOffset::default().with_epoch(epoch).with_end_offset(end);
        }
        if let Some((id, epoch)) = told.leader {
            data.current_leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(id)).with_leader_epoch(epoch);
        }
        if version >= PREFERRED_REPLICA_SINCE {
            data.preferred_read_replica = BrokerId(told.preferred.unwrap_or(NO_REPLICA));
        }
        data
    };
    let topic = |told: &[Told]| {
        let topic = FetchableTopicResponse::default().with_partitions(told.iter().map(partition).collect());
        if version >= TOPIC_IDS_SINCE {
            topic.with_topic_id(id(told[0].topic))
        } else {
            topic.with_topic(TopicName(StrBytes::from_string(format!("topic-{}", told[0].topic))))
        }
    };
    let endpoint = |endpoint: &Endpoint| {
        NodeEndpoint::default()
            .with_node_id(endpoint.id)
            .with_host(endpoint.host.clone())
            .with_port(endpoint.port)
            .with_rack(endpoint.rack.clone())
    };
    let mut response = FetchResponse::default()
        .with_responses(told.chunk_by(|one, next| one.topic == next.topic).map(topic).collect())
        .with_node_endpoints(endpoints.iter().map(endpoint).collect());
    if version >= SESSION_SINCE {
        response.error_code = ResponseError::InvalidFetchSessionEpoch.code();
        response.session_id = 77;
    }
    let mut out = BytesMut::new();
    response.encode(&mut out, version).unwrap();
    out.to_vec()
}

proptest! {
    #[test]
    fn every_version_is_what_kafka_protocol_writes(
        drawn in prop::collection::vec(told(), 0..5),
        racks in prop::collection::vec(prop::option::of("[a-z]{0,200}"), 0..3),
    ) {
        for version in 4..=18 {
            let mut told = drawn.clone();
            if version < FLEXIBLE_SINCE {
                // no handler sets them there, and kafka-protocol drops them
                told.iter_mut().for_each(|told| (told.diverging, told.leader) = (None, None));
            }
            let endpoint = |(place, rack): (i32, &Option<String>)| Endpoint {
                id: BrokerId(place),
                host: StrBytes::from_static_str("broker.example"),
                port: 9092,
                rack: rack.clone().map(StrBytes::from_string),
            };
            let endpoints: Vec<_> = (1..).zip(&racks).map(endpoint).collect();
            prop_assert_eq!(by_hand(&told, version, &endpoints), by_crate(&told, version, &endpoints), "version {}", version);
        }
    }
}

#[test]
fn records_stay_where_they_are() {
    let told = Told {
        topic: 1,
        partition: 0,
        error: None,
        offsets: [1, 1, 0],
        aborted: None,
        diverging: None,
        leader: None,
        preferred: None,
        records: vec![vec![7; 100], vec![8; 50]],
    };
    let records = records_of(&told, &MemoryDisk::new());
    let memory = match &records.slices[1] {
        RecordSlice::Memory(bytes) => bytes.as_ptr(),
        RecordSlice::File { .. } => unreachable!(),
    };
    let answer = PartitionAnswer {
        topic: TopicKey::Id(id(1)),
        partition: 0,
        error: None,
        high_watermark: 1,
        last_stable_offset: 1,
        log_start_offset: 0,
        aborted: None,
        diverging_epoch: None,
        leader: None,
        preferred_replica: None,
        records,
    };
    let reply = Envelope { error: None, session_id: 0, partitions: &[&answer], endpoints: &[] }.encode(17);
    assert!(matches!(&reply.parts[1], Part::File { position: 6, len: 100, .. }));
    assert!(matches!(&reply.parts[2], Part::Bytes(bytes) if bytes.as_ptr() == memory));
}
