//! Metadata, DescribeTopicPartitions, DescribeLogDirs.

use kafka_protocol::messages::{
    DescribeLogDirsRequest, DescribeTopicPartitionsRequest, MetadataRequest, TopicName,
    describe_log_dirs_request::DescribableLogDirTopic,
    describe_topic_partitions_request::{Cursor, TopicRequest},
    metadata_request::MetadataRequestTopic,
};
use uuid::Uuid;

use super::producing::{append, batch, create, text};
use crate::peer::Peer;

/// What speaks of all topics of a broker: other stories' topics would show.
pub fn tell(peer: &mut Peer) {
    let quiet = MetadataRequest::default().with_allow_auto_topic_creation(false);
    for version in [1, 4, 8, 9, 12, 13] {
        let request = if version < 4 { MetadataRequest::default() } else { quiet.clone() };
        peer.ask(&format!("Metadata v{version}, all topics"), &request.with_topics(None), version);
    }
    peer.ask("Metadata v0, all topics", &MetadataRequest::default().with_topics(Some(vec![])), 0);
    for version in 1..=4 {
        let request = DescribeLogDirsRequest::default().with_topics(None);
        peer.ask(&format!("DescribeLogDirs v{version}, all"), &request, version);
    }
}

fn named(name: TopicName) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(name))
}

/// What names its topics.
pub fn tell_topics(peer: &mut Peer) {
    let id = create(peer, "met", 3, &[]);
    for version in 0..=13 {
        let topics = vec![
            named(peer.topic("met")),
            named(peer.topic("nobody")),
            named(TopicName(text("a/b"))),
            named(TopicName(text(""))),
        ];
        let mut request = MetadataRequest::default().with_topics(Some(topics));
        if version >= 4 {
            request.allow_auto_topic_creation = false;
        } else {
            request.topics = Some(vec![named(peer.topic("met"))]);
        }
        if version >= 8 {
            request.include_topic_authorized_operations = true;
        }
        if (8..=10).contains(&version) {
            request.include_cluster_authorized_operations = true;
        }
        peer.ask(&format!("Metadata v{version}"), &request, version);
    }
    for version in [1, 12] {
        let none = MetadataRequest::default().with_topics(Some(vec![]));
        peer.ask(&format!("Metadata v{version}, no topics"), &none, version);
    }
    let by = |name: Option<TopicName>, id: Uuid| {
        let topic = MetadataRequestTopic::default().with_name(name).with_topic_id(id);
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false)
    };
    for version in 10..=13 {
        peer.ask(&format!("Metadata v{version} by neither"), &by(None, Uuid::nil()), version);
        let mut mixed = by(None, Uuid::nil());
        mixed.topics.get_or_insert_default().push(named(peer.topic("met")));
        peer.ask(&format!("Metadata v{version} by neither and a name"), &mixed, version);
    }
    for version in [12, 13] {
        peer.ask(&format!("Metadata v{version} by id"), &by(None, id), version);
        peer.ask(&format!("Metadata v{version} by unknown id"), &by(None, Uuid::from_u128(7)), version);
        let name = peer.topic("met");
        peer.ask(&format!("Metadata v{version} by name and id"), &by(Some(name), id), version);
    }
    peer.ask(
        "Metadata v11 by id, too early",
        &by(None, id).with_topics(Some(vec![named(peer.topic("met")).with_topic_id(id)])),
        11,
    );
    let twice = MetadataRequest::default().with_topics(Some(vec![named(peer.topic("met")), named(peer.topic("met"))]));
    peer.ask("Metadata, one name twice", &twice, 9);
    let made = MetadataRequest::default()
        .with_topics(Some(vec![named(peer.topic("made-on-the-way"))]))
        .with_allow_auto_topic_creation(true);
    peer.ask("Metadata creates a topic", &made, 9);
    peer.await_topic("made-on-the-way", 1);
    peer.ask("Metadata of the topic created", &made, 9);
    let bad = MetadataRequest::default()
        .with_topics(Some(vec![named(TopicName(text("a/b")))]))
        .with_allow_auto_topic_creation(true);
    peer.ask("Metadata creates no topic of a bad name", &bad, 9);
    topic_partitions(peer);
    log_dirs(peer);
}

fn topic_partitions(peer: &mut Peer) {
    create(peer, "paged", 3, &[]);
    let topics = |peer: &Peer, names: &[&str]| {
        names.iter().map(|name| TopicRequest::default().with_name(peer.topic(name))).collect()
    };
    type Case<'a> = (&'a str, &'a [&'a str], i32, Option<(&'a str, i32)>);
    let cases: &[Case<'_>] = &[
        ("one", &["met"], 2000, None),
        ("two, unsorted", &["paged", "met"], 2000, None),
        ("unknown", &["nobody"], 2000, None),
        ("limit 4", &["met", "paged"], 4, None),
        ("limit 1", &["met", "paged"], 1, None),
        ("limit 0", &["met"], 0, None),
        ("limit -1", &["met"], -1, None),
        ("from a cursor", &["met", "paged"], 2000, Some(("paged", 1))),
        ("from a cursor past the end", &["met", "paged"], 2000, Some(("paged", 9))),
        ("from a cursor of no topic", &["met", "paged"], 2000, Some(("nobody", 0))),
        ("from a negative cursor", &["met", "paged"], 2000, Some(("paged", -1))),
    ];
    for (case, names, limit, cursor) in cases {
        let cursor =
            cursor.map(|(name, index)| Cursor::default().with_topic_name(peer.topic(name)).with_partition_index(index));
        let request = DescribeTopicPartitionsRequest::default()
            .with_topics(topics(peer, names))
            .with_response_partition_limit(*limit)
            .with_cursor(cursor);
        peer.ask(&format!("DescribeTopicPartitions, {case}"), &request, 0);
    }
}

fn log_dirs(peer: &mut Peer) {
    append(peer, "met", batch(3));
    for (case, topic, partitions) in [
        ("one partition", "met", vec![0]),
        ("several", "met", vec![0, 2]),
        ("unknown partition", "met", vec![9]),
        ("unknown topic", "nobody", vec![0]),
    ] {
        let topic = DescribableLogDirTopic::default().with_topic(peer.topic(topic)).with_partitions(partitions);
        for version in [1, 4] {
            let request = DescribeLogDirsRequest::default().with_topics(Some(vec![topic.clone()]));
            peer.ask(&format!("DescribeLogDirs v{version}, {case}"), &request, version);
        }
    }
    peer.ask("DescribeLogDirs, none", &DescribeLogDirsRequest::default().with_topics(Some(vec![])), 4);
}
