//! Readers and connections against a cluster in memory that fails on demand.

use std::time::Duration;

use bytes::Bytes;
use tidemark_record::BatchBuilder;

use super::*;
use crate::{Client, ClientConfig, ClientError, ReadError, fake_broker::FakeCluster, fake_broker::TOPIC};

const NOW: Duration = Duration::ZERO;

fn filled(batches: i64) -> FakeCluster {
    let cluster = FakeCluster::new();
    for base in 0..batches {
        let mut builder = BatchBuilder::new().base_offset(base * 2);
        builder.append_plain(1000, None, Some(format!("{}", base * 2).as_bytes()));
        builder.append_plain(1000, None, Some(format!("{}", base * 2 + 1).as_bytes()));
        cluster.state().log.push(builder.build().unwrap());
        cluster.state().next_offset += 2;
    }
    cluster
}

async fn open(cluster: &FakeCluster, start: Start) -> Reader {
    let client = Client::connect(cluster.config()).await.unwrap();
    Reader::open(client, TOPIC, 0, start, ReaderConfig::default()).await.unwrap()
}

fn values(fetched: &Fetched) -> Vec<(i64, Bytes)> {
    fetched.records().map(Result::unwrap).map(|record| (record.offset, record.value.unwrap())).collect()
}

#[tokio::test]
async fn a_reader_goes_on_from_where_it_is_and_can_be_moved() {
    let cluster = filled(3);
    let mut reader = open(&cluster, Start::Offset(3)).await;
    let fetched = reader.fetch(NOW).await.unwrap();
    assert_eq!(values(&fetched), [(3, "3".into()), (4, "4".into()), (5, "5".into())]);
    assert_eq!((reader.position(), fetched.high_watermark, fetched.log_start_offset), (6, 6, 0));
    assert!(reader.fetch(NOW).await.unwrap().is_empty());
    reader.seek(Start::Earliest).await.unwrap();
    assert_eq!(values(&reader.fetch(NOW).await.unwrap()).len(), 6);
    assert_eq!(open(&cluster, Start::Latest).await.position(), 6);
    // no record is that young: behind the last
    assert_eq!(open(&cluster, Start::Timestamp(5000)).await.position(), 6);
}

#[tokio::test]
async fn an_offset_outside_the_log_is_told_with_its_bounds() {
    let cluster = filled(3);
    cluster.state().log_start = 2;
    for outside in [0, 7] {
        let error = open(&cluster, Start::Offset(outside)).await.fetch(NOW).await.unwrap_err();
        let ReadError::OffsetOutOfRange { offset, earliest, latest, .. } = error else { panic!("{error}") };
        assert_eq!((offset, earliest, latest), (outside, 2, 6));
    }
}

#[tokio::test]
async fn a_reader_follows_the_leader() {
    let cluster = filled(1);
    let mut reader = open(&cluster, Start::Earliest).await;
    cluster.state().leader = 2;
    assert_eq!(values(&reader.fetch(NOW).await.unwrap()).len(), 2);
}

#[tokio::test]
async fn another_topic_of_the_same_name_is_not_read_unawares() {
    let cluster = filled(2);
    cluster.state().topic_id = uuid::Uuid::from_u128(1);
    let mut reader = open(&cluster, Start::Offset(2)).await;
    // a leader that moved makes the client ask for the topic again
    let replace = |id, leader| {
        let mut state = cluster.state();
        (state.topic_id, state.leader) = (uuid::Uuid::from_u128(id), leader);
    };
    replace(2, 2);
    for _ in 0..2 {
        let error = reader.fetch(NOW).await.unwrap_err();
        assert_eq!((error.kafka_error().unwrap().code, error.retryable(), reader.position()), (100, false, 2));
    }
    reader.seek(Start::Earliest).await.unwrap();
    assert_eq!(values(&reader.fetch(NOW).await.unwrap()).len(), 4);
    replace(3, 1);
    cluster.state().log_start = 4;
    assert_eq!(reader.fetch(NOW).await.unwrap_err().kafka_error().unwrap().code, 100);
}

#[tokio::test]
async fn an_unknown_topic_or_partition_is_told_after_a_short_wait() {
    let cluster = filled(1);
    let client = Client::connect(cluster.config()).await.unwrap();
    for (topic, partition) in [("nowhere", 0), (TOPIC, 1), (TOPIC, -1)] {
        let error = client.fetch_once(topic, partition, 0, &FetchLimits::default()).await.unwrap_err();
        assert_eq!(error.kafka_error().unwrap().code, 3);
        assert!(!error.retryable());
        let opened = Reader::open(client.clone(), topic, partition, Start::Earliest, ReaderConfig::default()).await;
        assert_eq!(opened.unwrap_err().kafka_error().unwrap().code, 3);
    }
}

#[tokio::test]
async fn an_answer_that_lies_about_a_count_is_an_error_and_the_next_one_is_read() {
    let cluster = filled(1);
    let mut reader = open(&cluster, Start::Earliest).await;
    let hostile = [&[0; 11][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    cluster.state().hostile_body = Some(hostile.into());
    let error = reader.fetch(NOW).await.unwrap_err();
    assert!(matches!(error, ReadError::Client(ClientError::Malformed { api: "Fetch", .. })), "{error:?}");
    assert_eq!(values(&reader.fetch(NOW).await.unwrap()).len(), 2);
}

#[tokio::test]
async fn a_broker_that_knows_only_older_api_versions_is_understood() {
    for api_versions_max in 0..4 {
        let cluster = filled(1);
        cluster.state().api_versions_max = api_versions_max;
        assert_eq!(values(&open(&cluster, Start::Earliest).await.fetch(NOW).await.unwrap()).len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_broker_answers_the_last_error_says_so() {
    let config = ClientConfig { bootstrap: vec!["nobody:1".to_owned()], ..FakeCluster::new().config() };
    let error = Client::connect(config).await.unwrap_err();
    assert!(matches!(&error, ClientError::Connect { address, .. } if address == "nobody:1"), "{error:?}");
}
