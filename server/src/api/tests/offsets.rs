//! ListOffsets, OffsetForLeaderEpoch, DeleteRecords, DescribeLogDirs and DescribeProducers through the dispatcher.

use kafka_protocol::{
    error::ResponseError::*,
    messages::{
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        describe_log_dirs_request::DescribableLogDirTopic,
        describe_producers_request::TopicRequest,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
        *,
    },
};

use super::{
    produce::{NOW_MS, batch, create, edited, name, produce},
    *,
};

fn list(topic: &'static str, partitions: &[(i32, i32, i64)]) -> ListOffsetsRequest {
    let partition = |&(index, epoch, timestamp): &(i32, i32, i64)| {
        ListOffsetsPartition::default()
            .with_partition_index(index)
            .with_current_leader_epoch(epoch)
            .with_timestamp(timestamp)
    };
    let topic =
        ListOffsetsTopic::default().with_name(name(topic)).with_partitions(partitions.iter().map(partition).collect());
    ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic])
}

#[tokio::test]
async fn offsets_by_meaning_and_by_time() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    produce(&client, "t", batch(3)).await;
    produce(&client, "t", batch(2)).await;
    for version in 1..=10 {
        for (timestamp, since, offset, found) in [
            (-1, 1, 5, -1),
            (-2, 1, 0, -1),
            (-3, 7, 2, NOW_MS + 2),
            (-4, 8, 0, -1),
            (-5, 9, -1, -1),
            (0, 1, 0, NOW_MS),
            (NOW_MS + 1, 1, 1, NOW_MS + 1),
            (NOW_MS + 3, 1, -1, -1),
            (i64::MAX, 1, -1, -1),
            (-6, 99, -1, -1),
            (i64::MIN, 99, -1, -1),
        ] {
            let answer = client.ask(version, list("t", &[(0, -1, timestamp)])).await;
            let answer = &answer.topics[0].partitions[0];
            let (code, offset, found) =
                if version >= since { (0, offset, found) } else { (UnsupportedVersion.code(), -1, -1) };
            let told = (answer.error_code, answer.offset, answer.timestamp);
            assert_eq!(told, (code, offset, found), "{timestamp} in version {version}");
            assert!(version >= 4 || answer.leader_epoch == -1);
        }
    }
}

#[tokio::test]
async fn a_lookup_by_time_gets_past_what_a_producer_compressed_wrongly() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    produce(&client, "t", batch(3)).await;
    // records that say zstd and are not
    let nonsense = edited(&batch(2), |header| header.attributes.0 = 4);
    assert_eq!(produce(&client, "t", nonsense).await, 3);
    let mut later = tidemark_record::BatchBuilder::new();
    later.append_plain(NOW_MS + 50, None, None);
    produce(&client, "t", later.build().unwrap()).await;
    for (timestamp, offset) in [(NOW_MS + 2, 2), (NOW_MS + 3, 5), (NOW_MS + 50, 5), (NOW_MS + 51, -1)] {
        let answer = client.ask(10, list("t", &[(0, -1, timestamp)])).await;
        let answer = &answer.topics[0].partitions[0];
        assert_eq!((answer.error_code, answer.offset), (0, offset), "{timestamp}");
    }
    create(&client, "u", &[]).await;
    produce(&client, "u", edited(&batch(2), |header| header.attributes.0 = 2)).await;
    let answer = client.ask(10, list("u", &[(0, -1, NOW_MS + 1)])).await;
    assert_eq!((answer.topics[0].partitions[0].error_code, answer.topics[0].partitions[0].offset), (0, 0));
}

#[tokio::test]
async fn lookups_are_refused_with_kafkas_numbers() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let codes = async |topic, partitions: &[(i32, i32, i64)], level| {
        let answer = client.ask(10, list(topic, partitions).with_isolation_level(level)).await;
        answer.topics[0].partitions.iter().map(|answer| answer.error_code).collect::<Vec<_>>()
    };
    assert_eq!(codes("none", &[(0, -1, -1)], 0).await, [UnknownTopicOrPartition.code()]);
    assert_eq!(codes("t", &[(7, -1, -1)], 0).await, [UnknownTopicOrPartition.code()]);
    assert_eq!(codes("t", &[(7, -1, -9)], 0).await, [UnsupportedVersion.code()]);
    assert_eq!(codes("t", &[(0, 0, -1)], 0).await, [FencedLeaderEpoch.code()]);
    assert_eq!(codes("t", &[(0, -5, -1)], 0).await, [FencedLeaderEpoch.code()]);
    assert_eq!(codes("t", &[(0, 9, -1)], 0).await, [UnknownLeaderEpoch.code()]);
    assert_eq!(codes("t", &[(0, -1, -1)], 5).await, [UnknownServerError.code()]);
    let invalid = InvalidRequest.code();
    assert_eq!(codes("t", &[(0, -1, -1), (1, -1, -1), (0, -1, -2)], 1).await, [invalid, 0]);
}

#[tokio::test]
async fn epochs_end_where_kafka_says() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    produce(&client, "t", batch(3)).await;
    let ask = async |version, index, current, epoch| {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(index)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch);
        let topic = OffsetForLeaderTopic::default().with_topic(name("t")).with_partitions(vec![partition]);
        let answer = client.ask(version, OffsetForLeaderEpochRequest::default().with_topics(vec![topic])).await;
        let answer = answer.topics[0].partitions[0].clone();
        (answer.error_code, answer.leader_epoch, answer.end_offset)
    };
    for version in 2..=4 {
        assert_eq!(ask(version, 0, -1, 1).await, (0, 1, 3));
    }
    assert_eq!(ask(4, 0, -1, -1).await, (0, -1, -1));
    assert_eq!(ask(4, 0, -1, 2).await, (0, -1, -1), "it did not begin");
    assert_eq!(ask(4, 0, -1, 0).await, (0, 0, 0), "older than all there is");
    assert_eq!(ask(4, 0, -1, -5).await, (0, -5, 0));
    assert_eq!(ask(4, 1, -1, 1).await, (0, 1, 0), "an empty log");
    assert_eq!(ask(4, 0, 0, 1).await.0, FencedLeaderEpoch.code());
    assert_eq!(ask(4, 0, 9, 1).await.0, UnknownLeaderEpoch.code());
    assert_eq!(ask(4, 5, -1, 1).await.0, UnknownTopicOrPartition.code());
}

#[tokio::test]
async fn deleted_records_are_gone_and_stay_within_bounds() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    create(&client, "c", &[("cleanup.policy", "compact")]).await;
    create(&client, "__consumer_offsets", &[]).await;
    produce(&client, "t", batch(5)).await;
    let delete = async |version, topic, index, offset| {
        let partition = DeleteRecordsPartition::default().with_partition_index(index).with_offset(offset);
        let topic = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
        let request = DeleteRecordsRequest::default().with_timeout_ms(-5).with_topics(vec![topic]);
        let answer = client.ask(version, request).await;
        let answer = &answer.topics[0].partitions[0];
        (answer.error_code, answer.low_watermark)
    };
    assert_eq!(delete(0, "t", 0, 2).await, (0, 2));
    assert_eq!(delete(1, "t", 0, 1).await, (0, 2), "it does not go back");
    let earliest = client.ask(10, list("t", &[(0, -1, -2)])).await;
    assert_eq!(earliest.topics[0].partitions[0].offset, 2);
    for (offset, index, topic, error) in [
        (6, 0, "t", OffsetOutOfRange),
        (-2, 0, "t", OffsetOutOfRange),
        (i64::MIN, 0, "t", OffsetOutOfRange),
        (0, 9, "t", UnknownTopicOrPartition),
        (0, 0, "none", UnknownTopicOrPartition),
        (0, 0, "c", PolicyViolation),
        (0, 0, "__consumer_offsets", InvalidTopicException),
    ] {
        assert_eq!(delete(2, topic, index, offset).await, (error.code(), -1), "{topic} {offset}");
    }
    assert_eq!(delete(2, "t", 0, -1).await, (0, 5));
}

#[tokio::test]
async fn a_partition_that_stands_twice_is_deleted_from_once_as_was_asked_for_last() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    produce(&client, "t", batch(5)).await;
    let asked = |partitions: &[(i32, i64)]| {
        let partition = |&(index, offset): &(i32, i64)| {
            DeleteRecordsPartition::default().with_partition_index(index).with_offset(offset)
        };
        DeleteRecordsTopic::default().with_name(name("t")).with_partitions(partitions.iter().map(partition).collect())
    };
    let topics = vec![asked(&[(0, 4), (1, 0)]), asked(&[(0, 1), (0, 2)])];
    let answer = client.ask(2, DeleteRecordsRequest::default().with_timeout_ms(9000).with_topics(topics)).await;
    let seen: Vec<_> = answer.topics.iter().flat_map(|topic| &topic.partitions).collect();
    let seen: Vec<_> = seen.iter().map(|told| (told.partition_index, told.low_watermark)).collect();
    assert_eq!((answer.topics.len(), seen), (1, vec![(0, 2), (1, 0)]));
}

#[tokio::test]
async fn the_data_directory_tells_what_each_partition_takes() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    create(&client, "u", &[]).await;
    produce(&client, "t", batch(5)).await;
    let seen = async |version, topics| {
        let answer = client.ask(version, DescribeLogDirsRequest::default().with_topics(topics)).await;
        assert_eq!((answer.error_code, answer.results.len()), (0, 1));
        let result = &answer.results[0];
        assert_eq!((result.error_code, result.log_dir.as_str()), (0, "/data"));
        assert_eq!(result.total_bytes >= 0, version >= 4);
        let mut seen = Vec::new();
        for topic in &result.topics {
            for partition in &topic.partitions {
                assert!(partition.partition_size >= 0 && !partition.is_future_key);
                seen.push(format!("{}-{}", &*topic.name, partition.partition_index));
            }
        }
        seen
    };
    let asked = |topic, partitions: &[i32]| {
        DescribableLogDirTopic::default().with_topic(name(topic)).with_partitions(partitions.to_vec())
    };
    for version in 1..=4 {
        assert_eq!(seen(version, None).await, ["t-0", "t-1", "u-0", "u-1"]);
        let some = vec![asked("t", &[1, 9, 1]), asked("none", &[0]), asked("t", &[0])];
        assert_eq!(seen(version, Some(some)).await, ["t-0", "t-1"]);
        assert!(seen(version, Some(vec![])).await.is_empty());
    }
}

#[tokio::test]
async fn producers_are_described_by_partition() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let mut idempotent = tidemark_record::BatchBuilder::new().producer(77, 2, 0);
    (0..4).for_each(|_| idempotent.append_plain(NOW_MS, None, None));
    produce(&client, "t", idempotent.build().unwrap()).await;
    let ask = async |topic, index| {
        let topic = TopicRequest::default().with_name(name(topic)).with_partition_indexes(vec![index]);
        let answer = client.ask(0, DescribeProducersRequest::default().with_topics(vec![topic])).await;
        answer.topics[0].partitions[0].clone()
    };
    let known = ask("t", 0).await;
    let producer = &known.active_producers[0];
    assert_eq!((known.error_code, known.active_producers.len()), (0, 1));
    assert_eq!((producer.producer_id.0, producer.producer_epoch, producer.last_sequence), (77, 2, 3));
    let last = (producer.last_timestamp, producer.coordinator_epoch, producer.current_txn_start_offset);
    assert_eq!(last, (NOW_MS, -1, -1));
    assert!(ask("t", 1).await.active_producers.is_empty());
    assert_eq!(ask("t", 5).await.error_code, UnknownTopicOrPartition.code());
    assert_eq!(ask("none", 0).await.error_code, UnknownTopicOrPartition.code());
    assert_eq!(ask("..", 0).await.error_code, InvalidTopicException.code());
    let twice = TopicRequest::default().with_name(name("t")).with_partition_indexes(vec![0, 0]);
    let request = DescribeProducersRequest::default().with_topics(vec![twice.clone(), twice]);
    let answer = client.ask(0, request).await;
    let told = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let told: Vec<_> = told.map(|told| (told.error_code, told.active_producers.len())).collect();
    let again = (InvalidRequest.code(), 0);
    assert_eq!(told, [(0, 1), again, again, again]);
}
