//! What one broker can be asked about replicas, leaders and brokers: ElectLeaders, AlterPartitionReassignments,
//! ListPartitionReassignments, DescribeQuorum, UnregisterBroker.

use kafka_protocol::messages::{
    AddRaftVoterRequest, AlterPartitionReassignmentsRequest, BrokerId, DescribeQuorumRequest, ElectLeadersRequest,
    ListPartitionReassignmentsRequest, RemoveRaftVoterRequest, TopicName, UnregisterBrokerRequest,
    add_raft_voter_request::Listener,
    alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
    describe_quorum_request::{PartitionData, TopicData},
    elect_leaders_request::TopicPartitions,
    list_partition_reassignments_request::ListPartitionReassignmentsTopics,
};

use super::producing::{create, text};
use crate::peer::Peer;

pub fn tell(peer: &mut Peer) {
    create(peer, "led", 2, &[]);
    elections(peer);
    moves(peer);
    quorum(peer);
    voters(peer);
    for broker in [-1, 99] {
        let request = UnregisterBrokerRequest::default().with_broker_id(BrokerId(broker));
        peer.ask(&format!("UnregisterBroker {broker}"), &request, 0);
    }
}

fn elections(peer: &mut Peer) {
    let led = TopicPartitions::default().with_topic(peer.topic("led")).with_partitions(vec![1, 0, 7, -1]);
    let unknown = TopicPartitions::default().with_topic(peer.topic("nobody")).with_partitions(vec![0]);
    let none = TopicPartitions::default().with_topic(peer.topic("led"));
    let request =
        ElectLeadersRequest::default().with_topic_partitions(Some(vec![led, unknown, none])).with_timeout_ms(30_000);
    for version in 0..=2 {
        peer.ask(&format!("ElectLeaders v{version}"), &request, version);
    }
    for kind in [1, 2, -1, 100] {
        peer.ask(&format!("ElectLeaders of type {kind}"), &request.clone().with_election_type(kind), 2);
    }
    peer.ask("ElectLeaders of nothing", &request.with_topic_partitions(Some(Vec::new())), 2);
}

fn moves(peer: &mut Peer) {
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let alter = |topic: TopicName, partition, brokers: Option<&[i32]>| {
        let partition =
            ReassignablePartition::default().with_partition_index(partition).with_replicas(brokers.map(ids));
        let topic = ReassignableTopic::default().with_name(topic).with_partitions(vec![partition]);
        AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000)
    };
    let cases: &[(&str, i32, Option<&[i32]>)] = &[
        ("to where it is", 0, Some(&[1])),
        ("to nobody", 0, Some(&[])),
        ("to one broker twice", 0, Some(&[1, 1])),
        ("to an unknown broker", 0, Some(&[9])),
        ("to an unknown broker as well", 0, Some(&[1, 9])),
        ("to a broker below 0", 0, Some(&[-1])),
        ("of an unknown partition", 7, Some(&[1])),
        ("of a partition below 0", -1, None),
        ("taken back", 1, None),
    ];
    for version in 0..=1 {
        for (case, partition, brokers) in cases {
            let request = alter(peer.topic("led"), *partition, *brokers);
            peer.ask(&format!("AlterPartitionReassignments v{version}, {case}"), &request, version);
        }
    }
    let unknown = alter(peer.topic("nobody"), 0, Some(&[1]));
    peer.ask("AlterPartitionReassignments of an unknown topic", &unknown, 1);
    let strict = alter(peer.topic("led"), 0, Some(&[1])).with_allow_replication_factor_change(false);
    peer.ask("AlterPartitionReassignments, as many as there are", &strict, 1);
    let strict = alter(peer.topic("led"), 0, Some(&[9, 1])).with_allow_replication_factor_change(false);
    peer.ask("AlterPartitionReassignments, more, one unknown", &strict, 1);

    let all = ListPartitionReassignmentsRequest::default().with_timeout_ms(30_000).with_topics(None);
    peer.ask("ListPartitionReassignments of all", &all, 0);
    let some = [("led", vec![0, 1, 9]), ("nobody", vec![0])].map(|(name, partitions)| {
        ListPartitionReassignmentsTopics::default().with_name(peer.topic(name)).with_partition_indexes(partitions)
    });
    peer.ask("ListPartitionReassignments of some", &all.with_topics(Some(some.to_vec())), 0);
}

/// What is asked in vain: of the true quorum, epochs, ends and times are each broker's own.
fn quorum(peer: &mut Peer) {
    let topic = |name: TopicName, partitions: &[i32]| {
        let partition = |index: &i32| PartitionData::default().with_partition_index(*index);
        TopicData::default().with_topic_name(name).with_partitions(partitions.iter().map(partition).collect())
    };
    let metadata = || TopicName(text("__cluster_metadata"));
    let cases = [
        ("nothing", vec![]),
        ("another topic", vec![topic(peer.topic("led"), &[0])]),
        ("another partition", vec![topic(metadata(), &[1])]),
        ("two partitions", vec![topic(metadata(), &[0, 1])]),
        ("no partition", vec![topic(metadata(), &[])]),
        ("it twice", vec![topic(metadata(), &[0]), topic(metadata(), &[0])]),
    ];
    for version in 0..=2 {
        for (case, topics) in &cases {
            let request = DescribeQuorumRequest::default().with_topics(topics.clone());
            peer.ask(&format!("DescribeQuorum v{version} of {case}"), &request, version);
        }
    }
}

/// Changes of the quorum that cannot be: a lone broker has no other that could vote.
fn voters(peer: &mut Peer) {
    let directory = uuid::Uuid::from_u128(7);
    let listener = Listener::default().with_name(text("CONTROLLER")).with_host(text("localhost")).with_port(9);
    let add = |cluster: Option<&'static str>, id: i32| {
        AddRaftVoterRequest::default()
            .with_cluster_id(cluster.map(text))
            .with_timeout_ms(1000)
            .with_voter_id(id)
            .with_voter_directory_id(directory)
            .with_listeners(vec![listener.clone()])
    };
    let remove = |cluster: Option<&'static str>, id: i32| {
        let request = RemoveRaftVoterRequest::default().with_cluster_id(cluster.map(text));
        request.with_voter_id(id).with_voter_directory_id(directory)
    };
    peer.ask("AddRaftVoter of another cluster", &add(Some("another"), 9), 0);
    peer.ask("AddRaftVoter of an unknown broker", &add(None, 9), 0);
    peer.ask("RemoveRaftVoter of another cluster", &remove(Some("another"), 9), 0);
    peer.ask("RemoveRaftVoter of an unknown broker", &remove(None, 9), 0);
    peer.ask("RemoveRaftVoter of the only one, by another directory", &remove(None, 1), 0);
}
