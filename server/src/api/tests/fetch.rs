//! Fetch through the dispatcher: limits, waits, sessions, ids and epochs.

use std::time::Duration;

use kafka_protocol::{
    error::ResponseError::*,
    messages::{
        fetch_request::{FetchPartition, FetchTopic, ForgottenTopic},
        fetch_response::PartitionData,
        *,
    },
};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{
    produce::{batch, create, name, produce},
    *,
};

const MIB: i32 = 1 << 20;

fn partition(index: i32, offset: i64) -> FetchPartition {
    FetchPartition::default().with_partition(index).with_fetch_offset(offset).with_partition_max_bytes(MIB)
}

fn from(topic: &'static str, partitions: Vec<FetchPartition>) -> FetchTopic {
    FetchTopic::default().with_topic(name(topic)).with_partitions(partitions)
}

fn by_id(id: Uuid, partitions: Vec<FetchPartition>) -> FetchTopic {
    FetchTopic::default().with_topic_id(id).with_partitions(partitions)
}

/// Waits for nothing.
fn request(topics: Vec<FetchTopic>) -> FetchRequest {
    FetchRequest::default().with_max_wait_ms(0).with_min_bytes(1).with_max_bytes(MIB).with_topics(topics)
}

fn partitions(response: &FetchResponse) -> Vec<&PartitionData> {
    response.responses.iter().flat_map(|topic| &topic.partitions).collect()
}

fn only(response: &FetchResponse) -> &PartitionData {
    let all = partitions(response);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]
}

fn len(data: &PartitionData) -> usize {
    data.records.as_ref().unwrap().len()
}

#[tokio::test]
async fn every_version_gives_the_bytes_that_were_sent() {
    let client = Client::new(ApiConfig::default()).await;
    let id = create(&client, "t", &[]).await;
    let sent = batch(3);
    produce(&client, "t", sent.clone()).await;
    for version in 4..=18 {
        let topic = if version >= 13 { by_id(id, vec![partition(0, 1)]) } else { from("t", vec![partition(0, 1)]) };
        for level in [0, 1] {
            let answer = client.ask(version, request(vec![topic.clone()]).with_isolation_level(level)).await;
            let data = only(&answer);
            assert_eq!((data.error_code, data.high_watermark, data.last_stable_offset), (0, 3, 3));
            assert_eq!(data.log_start_offset, if version >= 5 { 0 } else { -1 });
            assert_eq!(data.aborted_transactions, (level == 1).then(Vec::new));
            let records = data.records.as_ref().unwrap();
            // base offset and leader epoch are the broker's
            assert_eq!(records[16..], sent[16..], "version {version}");
            assert_eq!(records[..8], [0; 8]);
        }
    }
}

#[tokio::test]
async fn limits_hold_except_for_the_first_batch() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let one = batch(1).len();
    for _ in 0..4 {
        produce(&client, "t", batch(1)).await;
    }
    let small = |bytes| partition(0, 0).with_partition_max_bytes(bytes);
    let cases = [
        // (max of the partition, max of the request, bytes in the answer)
        (MIB, MIB, 4 * one),
        (0, MIB, one),
        (MIB, 0, one),
        (1, 1, one),
        (2 * one as i32, MIB, 2 * one),
        (MIB, 3 * one as i32, 3 * one),
        (one as i32 + 7, MIB, one + 7),
    ];
    for (of_partition, of_request, bytes) in cases {
        let request = request(vec![from("t", vec![small(of_partition)])]).with_max_bytes(of_request);
        assert_eq!(len(only(&client.ask(11, request).await)), bytes, "{of_partition} {of_request}");
    }
    for topic in ["u", "v"] {
        create(&client, topic, &[]).await;
        produce(&client, topic, batch(1)).await;
    }
    // once there is something, others get what is left
    let several = vec![from("t", vec![partition(1, 0), small(1)]), from("u", vec![partition(0, 0)])];
    let answer = client.ask(11, request(several.clone()).with_max_bytes(0)).await;
    assert_eq!(partitions(&answer).iter().map(|data| len(data)).collect::<Vec<_>>(), [0, one, 0]);
    let answer = client.ask(11, request(several).with_max_bytes(2 * one as i32)).await;
    assert_eq!(partitions(&answer).iter().map(|data| len(data)).collect::<Vec<_>>(), [0, one, one]);
    // the first may be too large, another's is not cut to a useless piece
    let cut =
        vec![from("t", vec![small(1)]), from("u", vec![small(one as i32 - 1)]), from("v", vec![small(one as i32)])];
    let answer = client.ask(11, request(cut)).await;
    assert_eq!(partitions(&answer).iter().map(|data| len(data)).collect::<Vec<_>>(), [one, 0, one]);
    // as Kafka answers a negative limit
    for (of_partition, of_request) in [(-1, MIB), (MIB, -1), (i32::MIN, i32::MIN)] {
        let request = request(vec![from("t", vec![small(of_partition)])]).with_max_bytes(of_request);
        assert_eq!(only(&client.ask(11, request).await).error_code, UnknownServerError.code());
    }
}

#[tokio::test]
async fn a_partition_that_stands_twice_is_read_once_as_it_was_asked_for_last() {
    let client = Client::new(ApiConfig::default()).await;
    let id = create(&client, "t", &[]).await;
    produce(&client, "t", batch(1)).await;
    produce(&client, "t", batch(2)).await;
    let asked = vec![partition(0, 0), partition(1, 0), partition(0, 1)];
    let by_name = client.ask(11, request(vec![from("t", asked.clone()), from("t", vec![partition(1, 9)])])).await;
    let seen: Vec<_> = partitions(&by_name).iter().map(|data| (data.partition_index, data.error_code)).collect();
    assert_eq!(seen, [(0, 0), (1, OffsetOutOfRange.code())]);
    assert_eq!(partitions(&by_name)[0].records.as_ref().unwrap()[..8], 1_i64.to_be_bytes());
    let by_id = client.ask(13, request(vec![by_id(id, asked)])).await;
    assert_eq!(partitions(&by_id).len(), 2);
}

#[tokio::test]
async fn errors_have_kafkas_numbers_and_no_offsets() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    produce(&client, "t", batch(3)).await;
    let cases = [
        ("none", partition(0, 0), UnknownTopicOrPartition, Some(vec![])),
        ("t", partition(9, 0), UnknownTopicOrPartition, Some(vec![])),
        ("t", partition(-1, 0), UnknownTopicOrPartition, Some(vec![])),
        ("t", partition(0, 4), OffsetOutOfRange, None),
        ("t", partition(0, -1), OffsetOutOfRange, None),
        ("t", partition(0, i64::MIN), OffsetOutOfRange, None),
        ("t", partition(0, i64::MAX), OffsetOutOfRange, None),
        ("t", partition(0, 0).with_current_leader_epoch(99), UnknownLeaderEpoch, None),
        ("t", partition(0, 0).with_current_leader_epoch(0), FencedLeaderEpoch, None),
    ];
    for (topic, asked, error, aborted) in cases {
        let answer = client.ask(11, request(vec![from(topic, vec![asked.clone()])])).await;
        let data = only(&answer);
        assert_eq!(data.error_code, error.code(), "{topic} {asked:?}");
        assert_eq!((data.high_watermark, data.last_stable_offset, data.log_start_offset), (-1, -1, -1));
        assert_eq!((&data.aborted_transactions, len(data)), (&aborted, 0));
    }
    let mixed = vec![from("none", vec![partition(0, 0)]), from("t", vec![partition(0, 0)])];
    let answer = client.ask(11, request(mixed)).await;
    assert_eq!(answer.responses.iter().map(|topic| topic.topic.as_str()).collect::<Vec<_>>(), ["t", "none"]);
    // any other negative epoch is no claim
    let unclaimed = partition(0, 0).with_current_leader_epoch(-7);
    assert_eq!(only(&client.ask(11, request(vec![from("t", vec![unclaimed])])).await).error_code, 0);
    let unknown = request(vec![by_id(Uuid::from_u128(5), vec![partition(0, 0)])]);
    assert_eq!(only(&client.ask(13, unknown).await).error_code, UnknownTopicId.code());
    // a level that does not exist
    let answer = client.ask(11, request(vec![from("t", vec![partition(0, 0)])]).with_isolation_level(7)).await;
    assert_eq!((answer.error_code, only(&answer).error_code), (UnknownServerError.code(), UnknownServerError.code()));
    // nobody is a follower
    let follower = request(vec![from("t", vec![partition(0, 0)])]).with_replica_id(BrokerId(5));
    assert_eq!(only(&client.ask(11, follower).await).error_code, NotLeaderOrFollower.code());
}

#[tokio::test]
async fn whoever_asks_in_an_old_epoch_hears_who_leads() {
    let client = Client::new(ApiConfig::default()).await;
    let id = create(&client, "t", &[]).await;
    for version in [13, 15, 16, 18] {
        let old = partition(0, 0).with_current_leader_epoch(0);
        let answer = client.ask(version, request(vec![by_id(id, vec![old])])).await;
        let leader = &only(&answer).current_leader;
        let told = (leader.leader_id.0, leader.leader_epoch, answer.node_endpoints.len());
        assert_eq!(told, if version >= 16 { (1, 1, 1) } else { (-1, -1, 0) }, "version {version}");
        if let Some(endpoint) = answer.node_endpoints.first() {
            assert_eq!((endpoint.node_id.0, endpoint.host.as_str(), endpoint.port), (1, "listener.test", 9));
        }
    }
}

#[tokio::test]
async fn a_log_that_parted_is_told_where() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    produce(&client, "t", batch(3)).await;
    let ask = async |offset, epoch| {
        let asked = partition(0, offset).with_last_fetched_epoch(epoch);
        client.ask(12, request(vec![from("t", vec![asked])])).await
    };
    let same = ask(1, 1).await;
    assert_eq!((only(&same).diverging_epoch.epoch, len(only(&same)) > 0), (-1, true));
    let ahead = ask(9, 1).await;
    let data = only(&ahead);
    assert_eq!((data.error_code, data.high_watermark, len(data)), (0, 3, 0));
    assert_eq!((data.diverging_epoch.epoch, data.diverging_epoch.end_offset), (1, 3));
    assert_eq!(only(&ask(1, 7).await).error_code, OffsetOutOfRange.code());
    // older than all there is: its end is the log's start
    let older = ask(0, 0).await;
    assert_eq!((only(&older).error_code, only(&older).diverging_epoch.epoch), (0, -1));
    assert_eq!(only(&ask(1, 0).await).diverging_epoch.end_offset, 0);
}

#[tokio::test]
async fn a_read_goes_on_into_the_next_segments() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[("segment.bytes", "1048576")]).await;
    let mut large = tidemark_record::BatchBuilder::new();
    large.append_plain(1_000_000, None, Some(&[7; 400_000]));
    let large = large.build().unwrap();
    for _ in 0..7 {
        produce(&client, "t", large.clone()).await;
    }
    let one = large.len();
    for first in 0..7 {
        for most in [3, 100] {
            let asked = partition(0, first).with_partition_max_bytes((most * one) as i32);
            let answer = client.ask(4, request(vec![from("t", vec![asked])]).with_max_bytes(i32::MAX)).await;
            assert_eq!(len(only(&answer)), (7 - first as usize).min(most) * one, "from {first}");
        }
    }
}

/// A long poll, and how long it may take at most in a test.
const LONG: Duration = Duration::from_secs(60);

fn waiting(client: &Client, version: i16, request: FetchRequest) -> Waiting {
    let Handling::Exclusive(waiting) = client.dispatch(frame(version, 1, &request)) else { panic!("did not wait") };
    waiting
}

#[tokio::test]
async fn a_long_poll_ends_with_the_first_byte_that_is_enough() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let size = batch(1).len();
    let both = vec![from("t", vec![partition(0, 0), partition(1, 0)])];
    let request = request(both).with_max_wait_ms(i32::MAX).with_min_bytes(2 * size as i32);
    let mut poll = waiting(&client, 4, request);
    assert!(timeout(Duration::from_millis(20), &mut poll).await.is_err());
    produce(&client, "t", batch(1)).await;
    assert!(timeout(Duration::from_millis(20), &mut poll).await.is_err(), "half of it is not enough");
    produce(&client, "t", batch(1)).await;
    let reply = timeout(LONG, poll).await.unwrap().unwrap();
    assert!(reply.len() > 2 * size);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_at_its_deadline_with_what_there_is() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let request = request(vec![from("t", vec![partition(0, 0)])]).with_max_wait_ms(700);
    let start = Instant::now();
    let poll = waiting(&client, 4, request);
    poll.await.unwrap();
    assert_eq!(start.elapsed().as_millis(), 700);
}

#[tokio::test]
async fn what_cannot_get_better_does_not_wait() {
    let client = Client::new(ApiConfig::default()).await;
    let id = create(&client, "t", &[]).await;
    produce(&client, "t", batch(1)).await;
    let patient = |topics| request(topics).with_max_wait_ms(i32::MAX).with_min_bytes(i32::MAX);
    let at_once = |version, request: FetchRequest| {
        assert!(matches!(client.dispatch(frame(version, 1, &request)), Handling::Ready(_)), "{request:?}");
    };
    at_once(4, patient(vec![]));
    at_once(4, patient(vec![from("none", vec![partition(0, 0)])]));
    at_once(4, patient(vec![from("t", vec![partition(1, 5)])]));
    at_once(4, patient(vec![from("t", vec![partition(1, 0), partition(0, 99)])]));
    at_once(13, patient(vec![by_id(Uuid::from_u128(3), vec![partition(0, 0)])]));
    at_once(13, patient(vec![by_id(id, vec![partition(0, 9).with_last_fetched_epoch(1)])]));
    at_once(4, patient(vec![from("t", vec![partition(1, 0)])]).with_min_bytes(0));
    at_once(4, patient(vec![from("t", vec![partition(1, 0)])]).with_max_bytes(0));
    at_once(4, patient(vec![from("t", vec![partition(1, 0)])]).with_max_wait_ms(-1));
    at_once(4, patient(vec![from("t", vec![partition(0, 0)])]).with_max_bytes(1));
    // the metadata's errors do not end a wait for the rest, unless there are so many that a wait holds much memory
    let mixed = |unknown| {
        let unknown = (0..unknown).map(|index| partition(index, 0)).collect();
        patient(vec![from("none", unknown), from("t", vec![partition(1, 0)])])
    };
    drop(waiting(&client, 4, mixed(1)));
    drop(waiting(&client, 4, mixed(1000)));
    at_once(4, mixed(1001));
}

#[tokio::test(start_paused = true)]
async fn no_poll_takes_days() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let begin = Instant::now();
    let patient = request(vec![from("t", vec![partition(0, 0)])]).with_max_wait_ms(i32::MAX);
    waiting(&client, 4, patient).await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 600);
}

#[tokio::test]
async fn a_deleted_topic_ends_the_wait() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let poll = waiting(&client, 4, request(vec![from("t", vec![partition(0, 0)])]).with_max_wait_ms(i32::MAX));
    let gone = DeleteTopicsRequest::default().with_topic_names(vec![name("t")]);
    assert_eq!(client.ask(5, gone).await.responses[0].error_code, 0);
    timeout(LONG, poll).await.unwrap().unwrap();
}

fn session(id: i32, epoch: i32, topics: Vec<FetchTopic>) -> FetchRequest {
    request(topics).with_session_id(id).with_session_epoch(epoch)
}

#[tokio::test]
async fn a_session_repeats_only_what_changed() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    produce(&client, "t", batch(1)).await;
    let full = client.ask(11, session(0, 0, vec![from("t", vec![partition(0, 1), partition(1, 0)])])).await;
    let id = full.session_id;
    assert!(id > 0 && partitions(&full).len() == 2);
    let nothing = client.ask(11, session(id, 1, vec![])).await;
    assert_eq!((nothing.session_id, nothing.responses.len()), (id, 0));
    produce(&client, "t", batch(2)).await;
    let changed = client.ask(11, session(id, 2, vec![])).await;
    assert_eq!((only(&changed).partition_index, only(&changed).high_watermark), (0, 3));
    let moved = client.ask(11, session(id, 3, vec![from("t", vec![partition(0, 3)])])).await;
    assert!(moved.responses.is_empty());
    let forgotten = vec![ForgottenTopic::default().with_topic(name("t")).with_partitions(vec![0])];
    let added = session(id, 4, vec![from("none", vec![partition(0, 0)])]).with_forgotten_topics_data(forgotten);
    assert_eq!(only(&client.ask(11, added).await).error_code, UnknownTopicOrPartition.code());
    for (request, version, error) in [
        (session(id, 9, vec![]), 11, InvalidFetchSessionEpoch),
        (session(id ^ 1, 5, vec![]), 11, FetchSessionIdNotFound),
        (session(id, 5, vec![]), 13, FetchSessionTopicIdError),
    ] {
        let answer = client.ask(version, request).await;
        assert_eq!((answer.error_code, answer.session_id, answer.responses.len()), (error.code(), 0, 0));
    }
    let closed = client.ask(11, session(id, -1, vec![from("t", vec![partition(0, 3)])])).await;
    assert_eq!((closed.error_code, closed.session_id, partitions(&closed).len()), (0, 0, 1));
    assert_eq!(client.ask(11, session(id, 5, vec![])).await.error_code, FetchSessionIdNotFound.code());
}

#[tokio::test]
async fn no_partition_of_a_session_starves() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    produce(&client, "t", batch(1)).await;
    create(&client, "u", &[]).await;
    produce(&client, "u", batch(1)).await;
    let both = vec![from("t", vec![partition(0, 0)]), from("u", vec![partition(0, 0)])];
    let mut answer = client.ask(11, session(0, 0, both).with_max_bytes(1)).await;
    let mut turns = Vec::new();
    for epoch in 1..=4 {
        answer = client.ask(11, session(answer.session_id, epoch, vec![]).with_max_bytes(1)).await;
        let gave = answer.responses.iter().find(|topic| len(&topic.partitions[0]) > 0).unwrap();
        turns.push(gave.topic.to_string());
    }
    assert_eq!(turns, ["t", "u", "t", "u"]);
}

#[tokio::test]
async fn a_topic_made_anew_is_told_from_the_old_one() {
    let client = Client::new(ApiConfig::default()).await;
    let id = create(&client, "t", &[]).await;
    let session_id = client.ask(13, session(0, 0, vec![by_id(id, vec![partition(0, 0)])])).await.session_id;
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![name("t")]);
    client.ask(5, delete).await;
    let ask = async |epoch| only(&client.ask(13, session(session_id, epoch, vec![])).await).error_code;
    assert_eq!(ask(1).await, UnknownTopicOrPartition.code());
    create(&client, "t", &[]).await;
    assert_eq!(ask(2).await, InconsistentTopicId.code());
    let fresh = client.ask(13, request(vec![by_id(id, vec![partition(0, 0)])])).await;
    assert_eq!(only(&fresh).error_code, UnknownTopicId.code());
}

#[tokio::test]
async fn a_hundred_thousand_partitions_are_answered_without_a_session() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let all = (0..100_001).map(|index| partition(index, 0)).collect();
    let answer = client.ask(11, session(0, 0, vec![from("t", all)])).await;
    assert_eq!((answer.session_id, partitions(&answer).len()), (0, 100_001));
}
