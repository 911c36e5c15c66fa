//! Several brokers over one metadata log: what each answers, and what it lets the controller answer.

use std::collections::BTreeMap;

use kafka_protocol::{
    error::ResponseError::*,
    messages::{
        alter_configs_request, alter_partition_reassignments_request::*, create_topics_request::*,
        describe_quorum_request, elect_leaders_request, list_partition_reassignments_request::*, metadata_request::*,
        *,
    },
};

use super::{super::answer_forwarded, *};
use crate::{
    controller::{
        Answer, Calling, Heartbeat, Leadership, MessageKind, Order, OrderAnswer, Peers, Registration, Request as Said,
        Role,
    },
    metadata::{Endpoint, first_replicas},
};
use uuid::Uuid;

/// Brokers that can be reached, by id.
#[derive(Debug, Clone, Default)]
struct Reach(Arc<Mutex<BTreeMap<i32, Arc<Broker>>>>);

impl Forward for Reach {
    fn forward(&self, to: i32, frame: Bytes) -> Forwarding {
        let broker = self.0.lock().unwrap().get(&to).cloned();
        Box::pin(async move {
            let broker = broker.ok_or(ForwardError::Unreachable("cut off".into()))?;
            answer_forwarded(&broker, 2, frame).await
        })
    }
}

/// Leaders that hand over whenever they are told to.
struct Obedient;

impl Peers for Obedient {
    fn call(&self, _: i32, _: MessageKind, message: Vec<u8>) -> Calling {
        let order = Order::decode(&message).map_err(|error| error.to_string());
        Box::pin(async move { order.map(|_| OrderAnswer::Done.encode()) })
    }
}

/// Brokers 1 and 2 of three; 1 is the controller, 3 only registered and then fenced.
struct Pair {
    log: Memory,
    reach: Reach,
    brokers: [Arc<Broker>; 2],
}

impl Pair {
    async fn new() -> Self {
        let (log, reach) = (Memory::default(), Reach::default());
        let brokers = [1, 2].map(|id| {
            let broker = broker_over(id, log.clone(), ApiConfig::default(), |made| made.in_cluster(Box::new(Obedient)));
            Arc::new(Broker { forward: Some(Arc::new(reach.clone())), ..broker })
        });
        reach.0.lock().unwrap().insert(1, brokers[0].clone());
        let pair = Self { log, reach, brokers };
        pair.elect(Some(1));
        for id in 1..=3 {
            let endpoint = |port| Endpoint { host: format!("host{id}"), port };
            let registration = Registration {
                broker_id: id,
                incarnation: incarnation(id),
                directory_id: incarnation(id),
                cluster_id: "test-cluster".into(),
                client: endpoint(9092),
                raft: endpoint(9093),
                rack: Some(format!("r{id}")),
            };
            assert_eq!(pair.say(&Said::Register(registration)).await, Answer::Done);
            pair.beat(id, false).await;
        }
        pair.beat(3, true).await;
        pair.follow();
        pair
    }

    fn elect(&self, leader: Option<i32>) {
        for broker in &self.brokers {
            broker.controller.set_role(match leader == Some(broker.node_id) {
                true => Role::Active { epoch: 1 },
                false => Role::Observer { leader },
            });
        }
    }

    async fn say(&self, said: &Said) -> Answer {
        let answer = self.brokers[0].controller.serve(said.broker_id(), &said.encode()).await;
        Answer::decode(&answer).unwrap()
    }

    async fn beat(&self, broker_id: i32, wants_fence: bool) {
        let (incarnation, metadata_offset) = (incarnation(broker_id), 1000);
        let beat = Heartbeat { broker_id, incarnation, metadata_offset, wants_fence, wants_shutdown: false };
        assert_eq!(self.say(&Said::Heartbeat(beat)).await, Answer::Heard { fenced: wants_fence, may_stop: false });
    }

    /// Lets broker 2 take in what broker 1 decided.
    fn follow(&self) {
        let log = self.log.0.lock().unwrap();
        let controller = &self.brokers[1].controller;
        let applied = controller.image_handle().applied();
        assert!(controller.apply_committed(applied, &log[applied as usize..], log.len() as i64));
    }

    fn client(&self, id: usize) -> Client {
        Client::of(self.brokers[id - 1].clone())
    }

    /// Topic `t` over brokers 1, 2 and 3, led by 2 in epoch 4, with 1 and 2 in sync.
    async fn replicated(&self) -> Uuid {
        let made = self.client(1).ask(7, create(vec![assigned("t", &[1, 2, 3])])).await.topics.remove(0);
        assert_eq!(made.error_code, 0, "{:?}", made.error_message);
        let voters = first_replicas(&[1, 2, 3]);
        let led = Leadership { topic_id: made.topic_id, partition: 0, leader_epoch: 4, isr: vec![2, 1, 3], voters };
        let report = Said::Report { broker_id: 2, incarnation: incarnation(2), leaderships: vec![led] };
        assert_eq!(self.say(&report).await, Answer::Done);
        self.follow();
        made.topic_id
    }
}

fn incarnation(broker_id: i32) -> Uuid {
    Uuid::from_u128(broker_id as u128)
}

fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn assigned(name: &str, brokers: &[i32]) -> CreatableTopic {
    let assignment = CreatableReplicaAssignment::default().with_partition_index(0).with_broker_ids(ids(brokers));
    let topic = CreatableTopic::default().with_name(topic_name(name)).with_num_partitions(-1);
    topic.with_replication_factor(-1).with_assignments(vec![assignment])
}

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest::default().with_topics(topics).with_timeout_ms(1000)
}

fn metadata(name: &str) -> MetadataRequest {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(true)
}

#[tokio::test]
async fn any_broker_takes_admin_requests() {
    let pair = Pair::new().await;
    let other = pair.client(2);
    let topic = CreatableTopic::default().with_name(topic_name("t")).with_num_partitions(4).with_replication_factor(2);
    for version in 2..=7 {
        let topic = topic.clone().with_name(topic_name(&format!("t{version}")));
        let made = other.ask(version, create(vec![topic])).await.topics.remove(0);
        assert_eq!(made.error_code, 0, "v{version}: {:?}", made.error_message);
    }
    assert_eq!(pair.brokers[0].controller.image().topics().len(), 6);
    assert_eq!(pair.brokers[1].controller.image().topics().len(), 0, "its image follows the log");
    let too_many = topic.clone().with_replication_factor(4);
    let refused = other.ask(7, create(vec![too_many])).await.topics.remove(0);
    assert_eq!(refused.error_code, InvalidReplicationFactor.code());
    pair.follow();
    let gone = DeleteTopicsRequest::default().with_topic_names(vec![topic_name("t2")]).with_timeout_ms(1000);
    assert_eq!(other.ask(5, gone).await.responses[0].error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_controller_and_no_longer_than_it_says() {
    let pair = Pair::new().await;
    pair.elect(None);
    let other = pair.client(2);
    let refused = other.ask(7, create(vec![assigned("t", &[1])])).await.topics.remove(0);
    assert_eq!(refused.error_code, NotController.code(), "in the shape of its own answer");
    let waiting = other.answer(frame(7, 77, &create(vec![assigned("t", &[1])])));
    let elected = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        pair.elect(Some(2));
    };
    let (answered, ()) = tokio::join!(waiting, elected);
    answered.unwrap();
    assert!(pair.brokers[1].controller.image().topic("t").is_some(), "it became the controller itself");
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_is_gone_or_was_one_is_asked_again_elsewhere() {
    let pair = Pair::new().await;
    pair.reach.0.lock().unwrap().clear();
    let (other, request) = (pair.client(2), create(vec![assigned("t", &[1])]));
    let back = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        pair.reach.0.lock().unwrap().insert(1, pair.brokers[0].clone());
    };
    let (made, ()) = tokio::join!(other.ask(7, request.clone()), back);
    assert_eq!(made.topics[0].error_code, 0, "{:?}", made.topics[0].error_message);
    pair.brokers[0].controller.set_role(Role::Observer { leader: Some(3) });
    pair.reach.0.lock().unwrap().insert(3, pair.brokers[0].clone());
    let refused = other.ask(7, request).await.topics.remove(0);
    assert_eq!(refused.error_code, NotController.code(), "nobody is it any more");
}

#[tokio::test]
async fn only_what_the_controller_answers_is_taken_from_another_broker() {
    let pair = Pair::new().await;
    let forwarded = |frame| answer_forwarded(&pair.brokers[0], 2, frame);
    let fetch = forwarded(frame(12, 1, &MetadataRequest::default())).await;
    assert!(matches!(fetch, Err(ForwardError::Refused(_))));
    let whole = frame(7, 1, &create(vec![assigned("t", &[1])]));
    for end in 0..whole.len() {
        assert!(matches!(forwarded(whole.slice(..end)).await, Err(ForwardError::Refused(_))), "cut at {end}");
    }
    let observer = answer_forwarded(&pair.brokers[1], 1, whole).await;
    assert_eq!(observer, Err(ForwardError::NotController { leader: Some(1) }));
}

#[tokio::test]
async fn topics_are_made_on_the_way_by_the_controller() {
    let pair = Pair::new().await;
    assert_eq!(pair.client(2).ask(9, metadata("auto")).await.topics[0].error_code, UnknownTopicOrPartition.code());
    assert!(pair.brokers[0].controller.image().topic("auto").is_some());
    pair.follow();
    let topic = pair.client(2).ask(9, metadata("auto")).await.topics.remove(0);
    assert_eq!(topic.partitions.len(), 2);
}

#[tokio::test]
async fn metadata_tells_leaders_epochs_racks_and_who_is_offline() {
    let pair = Pair::new().await;
    pair.replicated().await;
    for version in 0..=13 {
        let answer = pair.client(1).ask(version, metadata("t")).await;
        let brokers: Vec<_> = answer.brokers.iter().map(|broker| (broker.node_id.0, &*broker.host)).collect();
        assert_eq!(brokers, [(1, "listener.test"), (2, "host2")], "v{version}: no fenced broker");
        assert!(version < 1 || answer.brokers[1].rack.as_deref() == Some("r2"));
        let partition = &answer.topics[0].partitions[0];
        assert_eq!((partition.leader_id.0, &partition.isr_nodes), (2, &ids(&[1, 2])), "v{version}");
        assert!(version < 7 || partition.leader_epoch == 4, "v{version}");
        let (replicas, error) =
            if version == 0 { (ids(&[1, 2]), ReplicaNotAvailable.code()) } else { (ids(&[1, 2, 3]), 0) };
        assert_eq!((&partition.replica_nodes, partition.error_code), (&replicas, error), "v{version}");
        assert!(version < 5 || partition.offline_replicas == ids(&[3]), "v{version}");
    }
    let request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(9);
    let partition = pair.client(2).ask(0, request).await.topics.remove(0).partitions.remove(0);
    assert_eq!((partition.leader_id.0, partition.leader_epoch), (2, 4));
    assert_eq!((partition.isr_nodes, partition.offline_replicas), (ids(&[1, 2]), ids(&[3])));
    pair.beat(2, true).await;
    let partition = pair.client(1).ask(12, metadata("t")).await.topics.remove(0).partitions.remove(0);
    let found = (partition.error_code, partition.leader_id.0, partition.leader_epoch);
    assert_eq!(found, (LeaderNotAvailable.code(), -1, 4), "its leader is fenced");
}

#[tokio::test]
async fn describe_cluster_shows_fenced_brokers_where_asked() {
    let pair = Pair::new().await;
    for version in 0..=2 {
        let asked = DescribeClusterRequest::default().with_include_fenced_brokers(version == 2);
        let answer = pair.client(2).ask(version, asked).await;
        let found: Vec<_> = answer.brokers.iter().map(|broker| (broker.broker_id.0, broker.is_fenced)).collect();
        let expected = [(1, false), (2, false), (3, true)];
        assert_eq!(found, expected[..if version == 2 { 3 } else { 2 }], "v{version}");
    }
}

#[tokio::test]
async fn a_broker_s_own_settings_are_changed_at_that_broker() {
    let pair = Pair::new().await;
    let config = alter_configs_request::AlterableConfig::default().with_name("log.retention.ms".into());
    let alter = |id: &'static str| {
        let resource = alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(4)
            .with_resource_name(id.into())
            .with_configs(vec![config.clone().with_value(Some("5".into()))]);
        AlterConfigsRequest::default().with_resources(vec![resource])
    };
    assert_eq!(pair.client(2).ask(2, alter("2")).await.responses[0].error_code, 0);
    assert_eq!(pair.client(2).ask(2, alter("1")).await.responses[0].error_code, InvalidRequest.code());
    let image = pair.brokers[0].controller.image();
    assert_eq!(image.broker_configs(2).unwrap()["log.retention.ms"], "5");
}

#[tokio::test]
async fn leaders_are_elected() {
    let pair = Pair::new().await;
    pair.replicated().await;
    let other = pair.client(2);
    let ask = |kind, partitions: Option<&[(&str, i32)]>| {
        let topics = partitions.map(|partitions| {
            let topic = |(topic, partition): &(&str, i32)| {
                let topic = elect_leaders_request::TopicPartitions::default().with_topic(topic_name(topic));
                topic.with_partitions(vec![*partition])
            };
            partitions.iter().map(topic).collect()
        });
        ElectLeadersRequest::default().with_election_type(kind).with_topic_partitions(topics)
    };
    let codes = |answer: ElectLeadersResponse| {
        let results = answer.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
        (answer.error_code, results.map(|result| result.error_code).collect::<Vec<_>>())
    };
    let named: &[(&str, i32)] = &[("t", 0), ("t", 1), ("u", 0)];
    for version in 0..=2 {
        let unknown = UnknownTopicOrPartition.code();
        assert_eq!(codes(other.ask(version, ask(0, Some(named))).await), (0, vec![0, unknown, unknown]), "v{version}");
        assert_eq!(codes(other.ask(version, ask(0, None)).await), (0, vec![0]));
    }
    assert_eq!(codes(other.ask(2, ask(1, Some(&named[..1]))).await), (0, vec![ElectionNotNeeded.code()]));
    let all = other.ask(2, ask(1, None)).await;
    assert_eq!(all.replica_election_results[0].topic, topic_name("t"), "named, though it has nothing to say");
    assert_eq!(codes(all), (0, vec![]));
    pair.beat(2, true).await;
    let lossy = other.ask(2, ask(1, Some(&named[..1]))).await;
    assert_eq!(codes(lossy), (0, vec![EligibleLeadersNotAvailable.code()]));
    let odd = other.ask(2, ask(7, Some(&named[..1]))).await;
    assert_eq!(codes(odd), (InvalidRequest.code(), vec![InvalidRequest.code()]));
}

#[tokio::test]
async fn moves_are_begun_listed_and_taken_back() {
    let pair = Pair::new().await;
    pair.client(1).ask(7, create(vec![assigned("t", &[1, 2])])).await;
    pair.follow();
    let other = pair.client(2);
    let alter = |partition, brokers: Option<&[i32]>| {
        let partition =
            ReassignablePartition::default().with_partition_index(partition).with_replicas(brokers.map(ids));
        let topic = ReassignableTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
        AlterPartitionReassignmentsRequest::default().with_topics(vec![topic])
    };
    let told = |answer: &AlterPartitionReassignmentsResponse| {
        let partition = &answer.responses[0].partitions[0];
        (partition.error_code, partition.error_message.as_deref().map(str::to_owned))
    };
    let list = |topics| ListPartitionReassignmentsRequest::default().with_topics(topics);
    let taken_back = other.ask(1, alter(0, None)).await;
    assert_eq!((taken_back.error_code, told(&taken_back)), (0, (NoReassignmentInProgress.code(), None)));
    assert!(other.ask(0, list(None)).await.topics.is_empty());
    for version in 0..=1 {
        assert_eq!(told(&other.ask(version, alter(0, Some(&[3, 1]))).await), (0, None), "v{version}");
    }
    let asked = |name: &str| {
        let topic = ListPartitionReassignmentsTopics::default().with_name(topic_name(name));
        Some(vec![topic.with_partition_indexes(vec![0, 5])])
    };
    for topics in [None, asked("t")] {
        let moving = other.ask(0, list(topics)).await.topics.remove(0).partitions.remove(0);
        let found = (moving.replicas, moving.adding_replicas, moving.removing_replicas);
        assert_eq!(found, (ids(&[3, 1, 2]), ids(&[3]), ids(&[2])));
    }
    assert!(other.ask(0, list(asked("u"))).await.topics.is_empty());
    let strict = alter(0, Some(&[3])).with_allow_replication_factor_change(false);
    assert_eq!(told(&other.ask(1, strict).await).0, InvalidReplicationFactor.code());
    assert_eq!(told(&other.ask(1, alter(0, Some(&[9]))).await).0, InvalidReplicaAssignment.code());
    assert_eq!(told(&other.ask(1, alter(4, Some(&[1]))).await).0, UnknownTopicOrPartition.code());
    assert_eq!(told(&other.ask(1, alter(0, None)).await), (0, None));
    assert!(other.ask(0, list(None)).await.topics.is_empty());
}

#[tokio::test]
async fn the_quorum_is_described() {
    let pair = Pair::new().await;
    let ask = |topic: &str, partition| {
        let partition = describe_quorum_request::PartitionData::default().with_partition_index(partition);
        let topic = describe_quorum_request::TopicData::default().with_topic_name(topic_name(topic));
        DescribeQuorumRequest::default().with_topics(vec![topic.with_partitions(vec![partition])])
    };
    for version in 0..=2 {
        let answer = pair.client(2).ask(version, ask("__cluster_metadata", 0)).await;
        let partition = &answer.topics[0].partitions[0];
        let found = (answer.error_code, partition.error_code, partition.leader_id.0, partition.leader_epoch);
        assert_eq!(found, (0, 0, 1, 3), "v{version}");
        let voters: Vec<_> = partition.current_voters.iter().map(|voter| voter.replica_id.0).collect();
        assert_eq!((voters, partition.observers[0].replica_id.0), (vec![1, 2], 3));
        assert!(version < 1 || partition.current_voters[0].last_caught_up_timestamp == 4);
        let nodes: Vec<_> =
            answer.nodes.iter().map(|node| (&*node.listeners[0].host, node.listeners[0].port)).collect();
        assert_eq!(nodes, [("host1", 9093), ("host2", 9093)][..if version < 2 { 0 } else { 2 }], "v{version}");
    }
    for (topic, partition) in [("t", 0), ("__cluster_metadata", 1)] {
        let answer = pair.client(2).ask(2, ask(topic, partition)).await;
        let refused = &answer.topics[0].partitions[0];
        assert_eq!((answer.error_code, refused.error_code), (0, UnknownTopicOrPartition.code()));
    }
    assert!(pair.client(2).ask(2, DescribeQuorumRequest::default()).await.topics.is_empty());
}

#[tokio::test]
async fn brokers_are_forgotten_and_producer_ids_wait_for_a_controller() {
    let pair = Pair::new().await;
    let gone = UnregisterBrokerRequest::default().with_broker_id(BrokerId(3));
    assert_eq!(pair.client(2).ask(0, gone.clone()).await.error_code, 0);
    let again = pair.client(2).ask(0, gone).await;
    let found = (again.error_code, again.error_message.as_deref());
    assert_eq!(found, (BrokerIdNotRegistered.code(), Some("Broker ID 3 is not currently registered")));
    let plain = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    assert_eq!(pair.client(1).ask(4, plain.clone()).await.error_code, 0);
    pair.elect(None);
    assert_eq!(pair.client(2).ask(4, plain).await.error_code, CoordinatorLoadInProgress.code());
}

#[tokio::test]
async fn votes_are_given_and_taken_and_what_cannot_be_is_named() {
    let pair = Pair::new().await;
    let add = |id: i32, directory: Uuid| {
        AddRaftVoterRequest::default().with_cluster_id(None).with_voter_id(id).with_voter_directory_id(directory)
    };
    let (own, other) = (incarnation(3), incarnation(9));
    for (request, expected) in [
        (add(3, own), None),
        (add(3, Uuid::nil()), None),
        (add(3, own).with_cluster_id(Some("test-cluster".into())), None),
        (add(3, own).with_cluster_id(Some("other".into())), Some(InconsistentClusterId)),
        (add(3, other), Some(VoterNotFound)),
        (add(2, Uuid::nil()), Some(DuplicateVoter)),
        (add(4, Uuid::nil()), Some(RequestTimedOut)),
    ] {
        let answer = pair.client(2).ask(0, request).await;
        assert_eq!(answer.error_code, expected.map_or(0, |error| error.code()), "{:?}", answer.error_message);
        assert_eq!(answer.error_message.is_some(), answer.error_code != 0);
    }
    let remove = |id: i32| RemoveRaftVoterRequest::default().with_cluster_id(None).with_voter_id(id);
    for (request, expected) in [
        (remove(2), None),
        (remove(2).with_voter_directory_id(other), Some(VoterNotFound)),
        (remove(3), Some(VoterNotFound)),
        (remove(1), Some(InvalidRequest)),
        (remove(2).with_cluster_id(Some("other".into())), Some(InconsistentClusterId)),
    ] {
        let answer = pair.client(2).ask(0, request).await;
        assert_eq!(answer.error_code, expected.map_or(0, |error| error.code()), "{:?}", answer.error_message);
    }
}
