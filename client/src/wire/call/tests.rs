//! The shapes of answers against kafka-protocol's own encoder, in every version, and against bytes that lie.

use bytes::BufMut;
use kafka_protocol::messages::*;
use proptest::prelude::*;

use super::*;

fn name(text: &'static str) -> StrBytes {
    StrBytes::from_static_str(text)
}

fn topic() -> TopicName {
    TopicName(name("topic"))
}

/// In every version: the encoder's bytes have the shape and decode to what was encoded, and no cut of them does.
fn holds<C: Call>(answers: impl Fn(i16) -> C::Response)
where
    C::Response: PartialEq + std::fmt::Debug,
{
    for version in C::VERSIONS.min..=C::VERSION_MAX {
        let answer = answers(version);
        let body = body::<C>(version, &answer);
        let decoded = decode_answer::<C>(version, body.clone());
        assert_eq!(decoded.as_ref().ok(), Some(&answer), "{} {version}: {decoded:?}", C::NAME);
        for len in 0..body.len() {
            assert!(decode_answer::<C>(version, body.slice(..len)).is_err(), "{} {version} cut to {len}", C::NAME);
        }
        let longer = [&body[..], &[0]].concat();
        assert!(decode_answer::<C>(version, longer.into()).is_err(), "{} {version} and a byte", C::NAME);
    }
}

fn body<C: Call>(version: i16, answer: &C::Response) -> Bytes {
    let mut body = BytesMut::new();
    if <C::Response as HeaderVersion>::header_version(version) >= 1 {
        // one unknown tag of two bytes
        body.put_slice(&[1, 9, 2, 0, 0]);
    }
    answer.encode(&mut body, version).unwrap();
    body.freeze()
}

#[test]
fn answers_about_the_cluster_have_their_shapes() {
    use api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
    holds::<ApiVersionsRequest>(|version| {
        let answer = ApiVersionsResponse::default().with_api_keys(vec![ApiVersion::default().with_max_version(9); 3]);
        let answer = if version >= 1 { answer.with_throttle_time_ms(5) } else { answer };
        if version < 3 {
            return answer;
        }
        answer
            .with_supported_features(vec![SupportedFeatureKey::default().with_name(name("f"))])
            .with_finalized_features(vec![FinalizedFeatureKey::default().with_name(name("f"))])
            .with_finalized_features_epoch(3)
            .with_zk_migration_ready(true)
    });
    use metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic};
    holds::<MetadataRequest>(|version| {
        let partition = MetadataResponsePartition::default()
            .with_replica_nodes(vec![BrokerId(1), BrokerId(2)])
            .with_isr_nodes(vec![BrokerId(1)]);
        let topic = MetadataResponseTopic::default().with_name(Some(topic())).with_partitions(vec![partition; 2]);
        let rack = Some(name("r")).filter(|_| version >= 1);
        let broker = MetadataResponseBroker::default().with_host(name("host")).with_port(1).with_rack(rack);
        MetadataResponse::default().with_brokers(vec![broker]).with_topics(vec![topic])
    });
    use describe_log_dirs_response::{DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic};
    holds::<DescribeLogDirsRequest>(|_| {
        let partitions = vec![DescribeLogDirsPartition::default(); 2];
        let topic = DescribeLogDirsTopic::default().with_name(topic()).with_partitions(partitions);
        let dir = DescribeLogDirsResult::default().with_log_dir(name("/d")).with_topics(vec![topic]);
        DescribeLogDirsResponse::default().with_results(vec![dir])
    });
}

#[test]
fn answers_about_records_have_their_shapes() {
    use produce_response::{BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint};
    use produce_response::{PartitionProduceResponse, TopicProduceResponse};
    holds::<ProduceRequest>(|version| {
        let mut partition = PartitionProduceResponse::default().with_base_offset(7);
        if version >= 8 {
            let error = BatchIndexAndErrorMessage::default().with_batch_index_error_message(Some(name("bad")));
            partition = partition.with_record_errors(vec![error]).with_error_message(Some(name("why")));
        }
        if version >= 10 {
            partition = partition.with_current_leader(LeaderIdAndEpoch::default().with_leader_id(BrokerId(4)));
        }
        let answer = TopicProduceResponse::default().with_partition_responses(vec![partition; 2]);
        let answer = if version < 13 { answer.with_name(topic()) } else { answer };
        let answer = ProduceResponse::default().with_responses(vec![answer]);
        if version >= 10 { answer.with_node_endpoints(vec![NodeEndpoint::default()]) } else { answer }
    });
    use fetch_response::{AbortedTransaction, EpochEndOffset, FetchableTopicResponse, PartitionData, SnapshotId};
    holds::<FetchRequest>(|version| {
        let mut partition = PartitionData::default()
            .with_aborted_transactions(Some(vec![AbortedTransaction::default(); 2]))
            .with_records(Some(Bytes::from_static(b"batches")));
        if version >= 12 {
            partition = partition
                .with_diverging_epoch(EpochEndOffset::default().with_epoch(3))
                .with_current_leader(fetch_response::LeaderIdAndEpoch::default().with_leader_epoch(2))
                .with_snapshot_id(SnapshotId::default().with_epoch(1));
        }
        let none = PartitionData::default().with_aborted_transactions(None).with_records(None);
        let answer = FetchableTopicResponse::default().with_partitions(vec![partition, none]);
        let answer = if version < 13 { answer.with_topic(topic()) } else { answer };
        let answer = FetchResponse::default().with_responses(vec![answer]);
        let endpoint = fetch_response::NodeEndpoint::default();
        if version >= 16 { answer.with_node_endpoints(vec![endpoint]) } else { answer }
    });
    use list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
    holds::<ListOffsetsRequest>(|_| {
        let partitions = vec![ListOffsetsPartitionResponse::default(); 2];
        let topic = ListOffsetsTopicResponse::default().with_name(topic()).with_partitions(partitions);
        ListOffsetsResponse::default().with_topics(vec![topic])
    });
    holds::<InitProducerIdRequest>(|_| InitProducerIdResponse::default().with_producer_id(ProducerId(5)));
    use delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
    holds::<DeleteRecordsRequest>(|_| {
        let partitions = vec![DeleteRecordsPartitionResult::default(); 2];
        let topic = DeleteRecordsTopicResult::default().with_name(topic()).with_partitions(partitions);
        DeleteRecordsResponse::default().with_topics(vec![topic])
    });
}

#[test]
fn answers_about_topics_and_configs_have_their_shapes() {
    use create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
    holds::<CreateTopicsRequest>(|version| {
        let topic = CreatableTopicResult::default().with_name(topic()).with_error_message(Some(name("why")));
        let config = CreatableTopicConfigs::default().with_name(name("k"));
        let topic =
            if version >= 5 { topic.with_configs(Some(vec![config])).with_topic_config_error_code(29) } else { topic };
        CreateTopicsResponse::default().with_topics(vec![topic])
    });
    holds::<DeleteTopicsRequest>(|_| {
        let topic = delete_topics_response::DeletableTopicResult::default().with_name(Some(topic()));
        DeleteTopicsResponse::default().with_responses(vec![topic])
    });
    holds::<CreatePartitionsRequest>(|_| {
        let topic = create_partitions_response::CreatePartitionsTopicResult::default().with_name(topic());
        CreatePartitionsResponse::default().with_results(vec![topic; 2])
    });
    use describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym};
    holds::<DescribeConfigsRequest>(|_| {
        let synonym = DescribeConfigsSynonym::default().with_name(name("s")).with_value(None);
        let config = DescribeConfigsResourceResult::default().with_name(name("k")).with_synonyms(vec![synonym]);
        let result = DescribeConfigsResult::default().with_configs(vec![config]).with_error_message(None);
        DescribeConfigsResponse::default().with_results(vec![result])
    });
    holds::<IncrementalAlterConfigsRequest>(|_| {
        let result = incremental_alter_configs_response::AlterConfigsResourceResponse::default();
        IncrementalAlterConfigsResponse::default().with_responses(vec![result])
    });
}

#[test]
fn answers_about_several_brokers_have_their_shapes() {
    use describe_cluster_response::DescribeClusterBroker;
    holds::<DescribeClusterRequest>(|version| {
        let broker = DescribeClusterBroker::default().with_host(name("h")).with_port(1).with_is_fenced(version >= 2);
        DescribeClusterResponse::default().with_cluster_id(name("c")).with_brokers(vec![broker; 2])
    });
    use describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
    holds::<DescribeQuorumRequest>(|version| {
        let replica = ReplicaState::default().with_log_end_offset(7);
        let replica = if version >= 1 { replica.with_last_fetch_timestamp(5) } else { replica };
        let partition = PartitionData::default().with_leader_id(BrokerId(2)).with_current_voters(vec![replica; 2]);
        let topic = TopicData::default().with_topic_name(topic()).with_partitions(vec![partition]);
        let answer = DescribeQuorumResponse::default().with_topics(vec![topic]);
        let listener = Listener::default().with_name(name("l")).with_host(name("h")).with_port(60_000);
        let node = Node::default().with_listeners(vec![listener]);
        if version >= 2 { answer.with_nodes(vec![node]) } else { answer }
    });
    use elect_leaders_response::{PartitionResult, ReplicaElectionResult};
    holds::<ElectLeadersRequest>(|version| {
        let partition = PartitionResult::default().with_error_code(84).with_error_message(Some(name("why")));
        let topic = ReplicaElectionResult::default().with_topic(topic()).with_partition_result(vec![partition; 2]);
        let answer = ElectLeadersResponse::default().with_replica_election_results(vec![topic]);
        if version >= 1 { answer.with_error_code(41) } else { answer }
    });
    use alter_partition_reassignments_response::{ReassignablePartitionResponse, ReassignableTopicResponse};
    holds::<AlterPartitionReassignmentsRequest>(|_| {
        let partitions = vec![ReassignablePartitionResponse::default().with_error_code(39); 2];
        let topic = ReassignableTopicResponse::default().with_name(topic()).with_partitions(partitions);
        AlterPartitionReassignmentsResponse::default().with_responses(vec![topic])
    });
    use list_partition_reassignments_response::{OngoingPartitionReassignment, OngoingTopicReassignment};
    holds::<ListPartitionReassignmentsRequest>(|_| {
        let partition = OngoingPartitionReassignment::default()
            .with_replicas(vec![BrokerId(1), BrokerId(4)])
            .with_adding_replicas(vec![BrokerId(4)]);
        let topic = OngoingTopicReassignment::default().with_name(topic()).with_partitions(vec![partition]);
        ListPartitionReassignmentsResponse::default().with_topics(vec![topic])
    });
    holds::<UnregisterBrokerRequest>(|_| UnregisterBrokerResponse::default().with_error_message(Some(name("why"))));
    holds::<AddRaftVoterRequest>(|_| AddRaftVoterResponse::default().with_error_message(Some(name("why"))));
    holds::<RemoveRaftVoterRequest>(|_| RemoveRaftVoterResponse::default().with_error_message(None));
}

#[test]
fn four_bytes_of_count_reserve_nothing() {
    for count in [[0x7f, 0xff, 0xff, 0xff], [0, 1, 0, 0]] {
        let body = [&[0; 4][..], &count].concat();
        assert!(decode_answer::<FetchRequest>(4, body.into()).is_err());
    }
    let compact = [&[0; 11][..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    assert!(decode_answer::<FetchRequest>(12, compact.into()).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), version in 0_i16..20) {
        let bytes = Bytes::from(bytes);
        let _ = decode_answer::<FetchRequest>(version.clamp(4, 18), bytes.clone());
        let _ = decode_answer::<MetadataRequest>(version.min(13), bytes.clone());
        let _ = decode_answer::<ProduceRequest>(version.clamp(3, 13), bytes.clone());
        let _ = decode_answer::<ApiVersionsRequest>(version.min(4), bytes);
    }
}
