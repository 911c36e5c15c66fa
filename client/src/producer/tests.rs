//! Producers against a cluster in memory that fails on demand.

use std::time::Duration;

use tidemark_record::Compression;

use super::*;
use crate::{
    Client, ProduceError,
    fake_broker::{FakeCluster, Fault, TOPIC},
};

async fn producer(cluster: &FakeCluster, config: ProducerConfig) -> Producer {
    Producer::new(Client::connect(cluster.config()).await.unwrap(), config)
}

fn record(value: impl Into<String>) -> ProducerRecord {
    ProducerRecord::new(TOPIC).value(value.into())
}

/// A batch a record, all at once.
fn small() -> ProducerConfig {
    ProducerConfig { batch_bytes: 1, ..ProducerConfig::default() }
}

/// Queues records, flushes, and answers their offsets.
async fn write(producer: &Producer, values: std::ops::Range<usize>) -> Vec<i64> {
    let mut deliveries = Vec::new();
    for value in values {
        deliveries.push(producer.queue(record(value.to_string())).await.unwrap());
    }
    producer.flush().await;
    let mut offsets = Vec::new();
    for delivery in deliveries {
        offsets.push(delivery.await.unwrap().offset.unwrap());
    }
    offsets
}

fn expect(cluster: &FakeCluster, count: usize) {
    assert_eq!(cluster.values(), (0..count).map(|value| value.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn records_queued_together_go_together_and_learn_their_places() {
    let cluster = FakeCluster::new();
    for compression in Compression::ALL {
        cluster.state().log.clear();
        let base = cluster.state().next_offset;
        let producer = producer(&cluster, ProducerConfig { compression, ..ProducerConfig::default() }).await;
        let offsets = write(&producer, 0..1000).await;
        assert_eq!(offsets, (base..base + 1000).collect::<Vec<_>>());
        expect(&cluster, 1000);
        assert!(cluster.state().log.len() < 100, "{} batches", cluster.state().log.len());
    }
}

#[tokio::test]
async fn every_fault_alone_leaves_each_record_once_and_in_order() {
    for fault in
        [Fault::CutBefore, Fault::CutAfter, Fault::MoveLeader, Fault::Refuse(5), Fault::Refuse(19), Fault::Refuse(7)]
    {
        for at in 0..8 {
            let cluster = FakeCluster::new();
            cluster.state().faults = std::iter::repeat_n(Fault::None, at).chain([fault]).collect();
            let producer = producer(&cluster, small()).await;
            let offsets = write(&producer, 0..20).await;
            assert_eq!(offsets, (0..20).collect::<Vec<_>>(), "{fault:?} at {at}");
            expect(&cluster, 20);
        }
    }
}

/// A broker that starts, or stands still, may hold up who connects to it; by then another may lead.
#[tokio::test(start_paused = true)]
async fn a_leader_that_takes_no_connection_is_doubted_before_connecting_gives_up() {
    let cluster = FakeCluster::new();
    (cluster.state().leader, cluster.state().hanging) = (2, Some(2));
    let producer = producer(&cluster, small()).await;
    let delivery = producer.queue(record("0")).await.unwrap();
    let since = tokio::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(100)).await;
    cluster.state().leader = 1;
    delivery.await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
}

#[tokio::test]
async fn faults_in_a_row_leave_each_record_once_and_in_order() {
    use Fault::{CutAfter, CutBefore, MoveLeader, None, Refuse};
    let menu = [None, CutAfter, MoveLeader, None, CutBefore, Refuse(6), None, CutAfter, CutAfter, None, Refuse(20)];
    for seed in 0..40_usize {
        let cluster = FakeCluster::new();
        cluster.state().faults = (0..40).map(|i| menu[(i * (seed + 1) + seed / 3) % menu.len()]).collect();
        let producer = producer(&cluster, small()).await;
        let offsets = write(&producer, 0..30).await;
        assert_eq!(offsets, (0..30).collect::<Vec<_>>(), "seed {seed}");
        expect(&cluster, 30);
    }
}

#[tokio::test]
async fn a_refused_record_takes_no_other_with_it() {
    for at in 0..4 {
        let cluster = FakeCluster::new();
        cluster.state().faults = std::iter::repeat_n(Fault::None, at).chain([Fault::Refuse(87)]).collect();
        let producer = producer(&cluster, small()).await;
        let mut deliveries = Vec::new();
        for value in 0..12 {
            deliveries.push(producer.queue(record(value.to_string())).await.unwrap());
        }
        producer.flush().await;
        for (value, delivery) in deliveries.into_iter().enumerate() {
            match delivery.await {
                Ok(_) => assert_ne!(value, at),
                Err(ProduceError::Refused { error, maybe_written, .. }) => {
                    assert_eq!((value, error.code, maybe_written), (at, 87, false));
                }
                Err(other) => panic!("{other}"),
            }
        }
        let kept: Vec<_> = (0..12).filter(|value| *value != at).map(|value: usize| value.to_string()).collect();
        assert_eq!(cluster.values(), kept);
    }
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_the_topic_is_halved_until_it_fits() {
    let cluster = FakeCluster::new();
    cluster.state().batch_bytes_max = 300;
    let config = ProducerConfig { linger: Duration::from_secs(60), ..ProducerConfig::default() };
    let producer = producer(&cluster, config).await;
    assert_eq!(write(&producer, 0..100).await, (0..100).collect::<Vec<_>>());
    expect(&cluster, 100);
    // the first half too large, the second not
    for value in 100..200 {
        let padding = if value < 110 { " ".repeat(90) } else { String::new() };
        let _delivery = producer.queue(record(format!("{padding}{value}"))).await.unwrap();
    }
    producer.flush().await;
    let values: Vec<_> = cluster.values().iter().map(|value| value.trim().parse::<i32>().unwrap()).collect();
    assert_eq!(values, (0..200).collect::<Vec<_>>());
    let huge = producer.queue(record("x".repeat(400))).await.unwrap();
    producer.flush().await;
    assert_eq!(huge.await.unwrap_err().kafka_error().unwrap().code, 10);
    assert_eq!(write(&producer, 200..201).await, [200]);
}

#[tokio::test(start_paused = true)]
async fn a_record_is_given_up_after_the_delivery_timeout_and_says_that_it_may_be_there() {
    let cluster = FakeCluster::new();
    cluster.state().faults = [Fault::CutAfter].into();
    let config = ProducerConfig { delivery_timeout: Duration::from_secs(3), ..small() };
    let producer = producer(&cluster, config).await;
    let first = producer.queue(record("0")).await.unwrap();
    tokio::time::sleep(Duration::from_micros(500)).await;
    cluster.state().faults = std::iter::repeat_n(Fault::Refuse(5), 5000).collect();
    let error = first.await.unwrap_err();
    assert!(matches!(&error, ProduceError::Timeout { maybe_written: true, .. }), "{error:?}");
    assert!(error.to_string().contains("LEADER_NOT_AVAILABLE"), "{error}");
    // what comes after it finds its place, whether or not the one before was written
    cluster.state().faults.clear();
    assert_eq!(write(&producer, 1..3).await, [1, 2]);
    expect(&cluster, 3);
}

#[tokio::test(start_paused = true)]
async fn after_a_gap_what_is_left_goes_under_the_next_epoch() {
    let cluster = FakeCluster::new();
    let config = ProducerConfig { delivery_timeout: Duration::from_secs(3), ..small() };
    let producer = producer(&cluster, config).await;
    assert_eq!(write(&producer, 0..1).await, [0]);
    cluster.state().faults = std::iter::repeat_n(Fault::CutBefore, 5000).collect();
    let lost = producer.queue(record("lost")).await.unwrap();
    assert!(lost.await.unwrap_err().maybe_written());
    cluster.state().faults.clear();
    assert_eq!(write(&producer, 1..4).await, [1, 2, 3]);
    expect(&cluster, 4);
    let last = cluster.state().log.last().cloned().unwrap();
    assert_eq!(tidemark_record::batch::verify(&last).unwrap().producer_epoch, 1);
}

#[tokio::test(start_paused = true)]
async fn a_late_answer_ends_the_connection_and_the_record_is_there_once() {
    let cluster = FakeCluster::new();
    cluster.state().faults = [Fault::Swallow].into();
    let producer = producer(&cluster, small()).await;
    assert_eq!(write(&producer, 0..5).await, [0, 1, 2, 3, 4]);
    expect(&cluster, 5);
}

#[tokio::test(start_paused = true)]
async fn a_full_buffer_holds_callers_back_and_a_lingering_batch_does_not_wait_for_them() {
    let cluster = FakeCluster::new();
    let config = ProducerConfig { buffer_bytes: 1000, linger: Duration::from_secs(3600), ..ProducerConfig::default() };
    let producer = producer(&cluster, config).await;
    let begun = tokio::time::Instant::now();
    for value in 0..500 {
        let _delivery = producer.queue(record(value.to_string())).await.unwrap();
    }
    producer.close().await;
    expect(&cluster, 500);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(matches!(producer.queue(record("late")).await, Err(ProduceError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn lingering_gathers_and_then_goes() {
    let cluster = FakeCluster::new();
    let config = ProducerConfig { linger: Duration::from_secs(5), ..ProducerConfig::default() };
    let producer = producer(&cluster, config).await;
    let first = producer.queue(record("0")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let second = producer.queue(record("1")).await.unwrap();
    assert_eq!(cluster.state().produce_requests, 0);
    assert_eq!((first.await.unwrap().offset, second.await.unwrap().offset), (Some(0), Some(1)));
    assert_eq!(cluster.state().produce_requests, 1);
}

#[tokio::test]
async fn without_acknowledgements_records_go_and_have_no_offset() {
    let cluster = FakeCluster::new();
    let producer = producer(&cluster, ProducerConfig { acks: Acks::None, ..ProducerConfig::default() }).await;
    let position = producer.send(record("0").timestamp_ms(77)).await.unwrap();
    assert_eq!((position.offset, position.timestamp_ms), (None, 77));
}

#[tokio::test]
async fn what_cannot_be_queued_is_refused_at_once() {
    let cluster = FakeCluster::new();
    let producer = producer(&cluster, ProducerConfig { request_bytes_max: 1000, ..ProducerConfig::default() }).await;
    let refused = producer.send(record("x".repeat(1000))).await;
    assert!(matches!(refused, Err(ProduceError::RecordTooLarge { bytes_max: 1000, .. })));
    let refused = producer.send(record("x").partition(7)).await;
    assert!(matches!(refused, Err(ProduceError::NoSuchPartition { partition: 7, partitions: 1, .. })));
    let refused = producer.send(ProducerRecord::new("nowhere").value("x")).await;
    assert_eq!(refused.unwrap_err().kafka_error().unwrap().code, 3);
    assert!(producer.send(record("x")).await.is_ok());
}

#[tokio::test]
async fn what_was_queued_is_sent_after_the_last_handle_is_gone() {
    let cluster = FakeCluster::new();
    let producer = producer(&cluster, ProducerConfig { linger: Duration::from_secs(60), ..small() }).await;
    let delivery = producer.queue(record("0")).await.unwrap();
    drop(producer);
    assert_eq!(delivery.await.unwrap().offset, Some(0));
}
