//! CreateTopics, DeleteTopics, CreatePartitions.

use kafka_protocol::messages::{
    BrokerId, CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest, TopicName,
    create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic},
    create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
    delete_topics_request::DeleteTopicState,
};
use uuid::Uuid;

use super::producing::{create, text};
use crate::peer::Peer;

fn topic(name: TopicName, partitions: i32, replication: i16) -> CreatableTopic {
    CreatableTopic::default().with_name(name).with_num_partitions(partitions).with_replication_factor(replication)
}

fn request(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(30_000)
}

fn assigned(mut topic: CreatableTopic, partitions: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(index, brokers): &(i32, &[i32])| {
        let brokers = brokers.iter().copied().map(BrokerId).collect();
        CreatableReplicaAssignment::default().with_partition_index(*index).with_broker_ids(brokers)
    };
    topic.assignments = partitions.iter().map(assignment).collect();
    topic
}

fn configured(mut topic: CreatableTopic, key: &str, value: Option<&str>) -> CreatableTopic {
    topic.configs.push(CreatableTopicConfig::default().with_name(text(key)).with_value(value.map(text)));
    topic
}

pub fn tell(peer: &mut Peer) {
    creation(peer);
    configs_at_creation(peer);
    assignments(peer);
    growth(peer);
    deletion(peer);
}

fn creation(peer: &mut Peer) {
    for version in 2..=7 {
        let name = format!("made-v{version}");
        let made = topic(peer.topic(&name), 2, 1);
        peer.ask(&format!("CreateTopics v{version}"), &request(vec![made.clone()]), version);
        peer.await_topic(&name, 2);
        peer.ask(&format!("CreateTopics v{version}, it exists"), &request(vec![made]), version);
    }
    let counts: &[(&str, i32, i16)] = &[
        ("a million partitions", 1_000_000, 1),
        ("partitions 0", 0, 1),
        ("partitions -2", -2, 1),
        ("replication 0", 1, 0),
        ("replication -2", 1, -2),
        ("replication 3", 1, 3),
    ];
    for (case, partitions, replication) in counts {
        let made = topic(peer.topic("counts"), *partitions, *replication);
        peer.ask(&format!("CreateTopics, {case}"), &request(vec![made]), 5);
    }
    let defaults = topic(peer.topic("defaults"), -1, -1);
    peer.ask("CreateTopics v4, broker's defaults", &request(vec![defaults]), 4);
    for (case, name) in [
        ("an empty name", String::new()),
        (".", ".".to_owned()),
        ("..", "..".to_owned()),
        ("a slash", "a/b".to_owned()),
        ("a space", "a b".to_owned()),
        ("NUL", "a\0b".to_owned()),
        ("an umlaut", "ä".to_owned()),
        ("250 letters", "x".repeat(250)),
        ("the metadata topic", "__cluster_metadata".to_owned()),
    ] {
        let made = topic(TopicName(text(&name)), 1, 1).with_name(TopicName(text(&name)));
        peer.ask(&format!("CreateTopics, name {case}"), &request(vec![made]), 7);
    }
    create(peer, "collide.a_b", 1, &[]);
    let colliding = topic(peer.topic("collide_a.b"), 1, 1);
    peer.ask("CreateTopics, names that collide in metrics", &request(vec![colliding]), 7);
    let twice = topic(peer.topic("twice"), 1, 1);
    peer.ask("CreateTopics, one name twice", &request(vec![twice.clone(), twice]), 7);
    let mixed = vec![topic(peer.topic("mixed-good"), 1, 1), topic(TopicName(text("a/b")), 1, 1)];
    peer.ask("CreateTopics, one good and one bad", &request(mixed), 7);
    peer.ask("CreateTopics, none", &request(vec![]), 7);
    let checked = request(vec![topic(peer.topic("checked"), 3, 1)]).with_validate_only(true);
    peer.ask("CreateTopics, validate only", &checked, 7);
    peer.ask("CreateTopics, validate only leaves nothing", &checked, 7);
    let checked = request(vec![topic(peer.topic("checked"), 0, 1)]).with_validate_only(true);
    peer.ask("CreateTopics, validate only finds faults", &checked, 7);
}

fn configs_at_creation(peer: &mut Peer) {
    let configs: &[(&str, Option<&str>)] = &[
        ("no.such.key", Some("1")),
        ("retention.ms", Some("abc")),
        ("retention.ms", Some("-2")),
        ("retention.ms", Some("-1")),
        ("retention.ms", None),
        ("retention.ms", Some(" 1000 ")),
        ("cleanup.policy", Some("shred")),
        ("cleanup.policy", Some("compact,delete")),
        ("compression.type", Some("lzma")),
        ("compression.type", Some("lz4")),
        ("compression.gzip.level", Some("10")),
        ("compression.zstd.level", Some("19")),
        ("message.timestamp.type", Some("LogAppendTime")),
        ("message.timestamp.type", Some("logappendtime")),
        ("max.message.bytes", Some("-1")),
        ("segment.bytes", Some("13")),
        ("segment.bytes", Some("1048576")),
        ("segment.ms", Some("0")),
        ("min.insync.replicas", Some("0")),
        ("min.insync.replicas", Some("2")),
        ("min.cleanable.dirty.ratio", Some("1.5")),
        ("unclean.leader.election.enable", Some("yes")),
        ("unclean.leader.election.enable", Some("TRUE")),
        ("preallocate", Some("true")),
        ("flush.messages", Some("0")),
        ("flush.ms", Some("1000")),
        ("index.interval.bytes", Some("-1")),
        ("file.delete.delay.ms", Some("0")),
        ("message.format.version", Some("3.0")),
        ("message.downconversion.enable", Some("false")),
        ("retention.bytes", Some("9223372036854775808")),
        ("", Some("1")),
    ];
    for (at, (key, value)) in configs.iter().enumerate() {
        let made = configured(topic(peer.topic(&format!("configured-{at}")), 1, 1), key, *value);
        peer.ask(&format!("CreateTopics, config {key}={value:?}"), &request(vec![made]), 7);
    }
    let made = configured(
        configured(topic(peer.topic("configured-twice"), 1, 1), "retention.ms", Some("1")),
        "retention.ms",
        Some("2"),
    );
    peer.ask("CreateTopics, one config twice", &request(vec![made]).with_validate_only(true), 7);
}

fn assignments(peer: &mut Peer) {
    type Case<'a> = (&'a str, i32, i16, &'a [(i32, &'a [i32])]);
    let cases: &[Case<'_>] = &[
        ("good", -1, -1, &[(0, &[1]), (1, &[1])]),
        ("with counts", 2, 1, &[(0, &[1]), (1, &[1])]),
        ("with a gap", -1, -1, &[(0, &[1]), (2, &[1])]),
        ("not from 0", -1, -1, &[(1, &[1])]),
        ("to an unknown broker", -1, -1, &[(0, &[77])]),
        ("to one broker twice", -1, -1, &[(0, &[1, 1])]),
        ("to no broker", -1, -1, &[(0, &[])]),
        ("of uneven width", -1, -1, &[(0, &[1]), (1, &[1, 2])]),
        ("with one partition twice", -1, -1, &[(0, &[1]), (0, &[1])]),
        ("to a negative broker", -1, -1, &[(0, &[-1])]),
    ];
    for (at, (case, partitions, replication, assignment)) in cases.iter().enumerate() {
        let made = assigned(topic(peer.topic(&format!("assigned-{at}")), *partitions, *replication), assignment);
        peer.ask(&format!("CreateTopics, assignment {case}"), &request(vec![made]), 7);
    }
}

fn growth(peer: &mut Peer) {
    create(peer, "grows", 2, &[]);
    let grow = |peer: &Peer, name: &str, count: i32| {
        let topic =
            CreatePartitionsTopic::default().with_name(peer.topic(name)).with_count(count).with_assignments(None);
        CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000)
    };
    for (case, name, count) in [
        ("fewer", "grows", 1),
        ("as many", "grows", 2),
        ("0", "grows", 0),
        ("-1", "grows", -1),
        ("unknown topic", "nobody", 3),
    ] {
        let request = grow(peer, name, count);
        peer.ask(&format!("CreatePartitions, {case}"), &request, 3);
    }
    let request = grow(peer, "grows", 3).with_validate_only(true);
    peer.ask("CreatePartitions, validate only", &request, 3);
    for version in 0..=3 {
        let count = 3 + i32::from(version);
        let request = grow(peer, "grows", count);
        peer.ask(&format!("CreatePartitions v{version}"), &request, version);
        peer.await_topic("grows", usize::try_from(count).expect("small"));
    }
    let assigned: &[(&str, i32, &[&[i32]])] = &[
        ("good", 7, &[&[1]]),
        ("too few", 9, &[&[1]]),
        ("too many", 8, &[&[1], &[1]]),
        ("unknown broker", 8, &[&[77]]),
        ("two brokers", 8, &[&[1, 2]]),
    ];
    for (case, count, brokers) in assigned {
        let assignment = |ids: &&[i32]| {
            CreatePartitionsAssignment::default().with_broker_ids(ids.iter().copied().map(BrokerId).collect())
        };
        let mut request = grow(peer, "grows", *count);
        request.topics[0].assignments = Some(brokers.iter().map(assignment).collect());
        peer.ask(&format!("CreatePartitions, assignment {case}"), &request, 3);
        if *case == "good" {
            peer.await_topic("grows", 7);
        }
    }
    let mut twice = grow(peer, "grows", 20);
    twice.topics.push(twice.topics[0].clone());
    peer.ask("CreatePartitions, one topic twice", &twice, 3);
}

fn deletion(peer: &mut Peer) {
    for version in 1..=6 {
        let name = format!("gone-v{version}");
        create(peer, &name, 1, &[]);
        let unknown = peer.topic("nobody");
        let names = vec![peer.topic(&name), unknown];
        let request = DeleteTopicsRequest::default().with_timeout_ms(30_000);
        let states = names.iter().map(|name| DeleteTopicState::default().with_name(Some(name.clone()))).collect();
        let request = if version < 6 { request.with_topic_names(names) } else { request.with_topics(states) };
        peer.ask(&format!("DeleteTopics v{version}"), &request, version);
    }
    let by = |name: Option<TopicName>, id: Uuid| {
        let state = DeleteTopicState::default().with_name(name).with_topic_id(id);
        DeleteTopicsRequest::default().with_timeout_ms(30_000).with_topics(vec![state])
    };
    let id = create(peer, "gone-by-id", 1, &[]);
    let named = peer.topic("gone-by-id");
    peer.ask("DeleteTopics by name and id", &by(Some(named), id), 6);
    peer.ask("DeleteTopics by unknown id", &by(None, Uuid::from_u128(7)), 6);
    peer.ask("DeleteTopics by neither", &by(None, Uuid::nil()), 6);
    peer.ask("DeleteTopics by id", &by(None, id), 6);
    let mut twice = by(Some(peer.topic("nobody")), Uuid::nil());
    twice.topics.push(twice.topics[0].clone());
    peer.ask("DeleteTopics, one name twice", &twice, 6);
    peer.ask("DeleteTopics, none", &DeleteTopicsRequest::default().with_timeout_ms(30_000), 6);
}
