//! Administrative requests through the dispatcher: what clients see, version by version where it differs.

use kafka_protocol::{
    error::ResponseError::{self, *},
    messages::{
        alter_configs_request, create_partitions_request::CreatePartitionsTopic, create_topics_request::*,
        delete_topics_request::DeleteTopicState, describe_configs_request::DescribeConfigsResource,
        describe_topic_partitions_request, incremental_alter_configs_request, metadata_request::MetadataRequestTopic,
        metadata_response::MetadataResponseTopic, *,
    },
};
use uuid::Uuid;

use super::*;

fn name(name: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(name))
}

fn new_topic(topic: &'static str, partitions: i32) -> CreatableTopic {
    CreatableTopic::default().with_name(name(topic)).with_num_partitions(partitions).with_replication_factor(1)
}

async fn create(client: &Client, topic: &'static str, partitions: i32) -> Uuid {
    let request = CreateTopicsRequest::default().with_topics(vec![new_topic(topic, partitions)]);
    let made = client.ask(7, request).await.topics.remove(0);
    assert_eq!(made.error_code, 0, "{:?}", made.error_message);
    made.topic_id
}

fn by_name(names: &[&'static str]) -> MetadataRequest {
    let topics = names.iter().map(|topic| MetadataRequestTopic::default().with_name(Some(name(topic)))).collect();
    MetadataRequest::default().with_topics(Some(topics))
}

fn code(error: ResponseError) -> i16 {
    error.code()
}

fn errors(topics: &[MetadataResponseTopic]) -> Vec<(String, i16)> {
    topics.iter().map(|topic| (topic.name.clone().unwrap_or_default().to_string(), topic.error_code)).collect()
}

#[tokio::test]
async fn api_versions_tells_the_table_and_checks_the_client_s_name() {
    let client = Client::new(ApiConfig::default()).await;
    for version in 0..=4 {
        let name = StrBytes::from_static_str(if version >= 3 { "tests" } else { "" });
        let number = StrBytes::from_static_str(if version >= 3 { "1.0" } else { "" });
        let request =
            ApiVersionsRequest::default().with_client_software_name(name).with_client_software_version(number);
        let answer = client.ask(version, request).await;
        let metadata = answer.api_keys.iter().find(|api| api.api_key == 3).unwrap();
        assert_eq!((answer.error_code, metadata.min_version, metadata.max_version), (0, 0, 13));
        assert!(answer.finalized_features.is_empty());
    }
    let odd = ApiVersionsRequest::default().with_client_software_name("-odd-".into());
    assert_eq!(client.ask(3, odd).await.error_code, code(InvalidRequest));
}

#[tokio::test]
async fn metadata_tells_brokers_under_the_listener_s_address() {
    let client = Client::new(ApiConfig::default()).await;
    let id = create(&client, "t", 3).await;
    for version in 0..=13 {
        let answer = client.ask(version, by_name(&["t"])).await;
        let broker = &answer.brokers[0];
        assert_eq!((&*broker.host, broker.port, broker.node_id.0), ("listener.test", 9, 1), "v{version}");
        let topic = &answer.topics[0];
        assert_eq!((topic.error_code, topic.partitions.len()), (0, 3), "v{version}");
        let partition = &topic.partitions[2];
        assert_eq!((partition.error_code, partition.leader_id.0, partition.partition_index), (0, 1, 2));
        assert_eq!(partition.replica_nodes, partition.isr_nodes);
        assert!(version < 7 || partition.leader_epoch >= 0, "v{version}");
        assert!(version < 10 || topic.topic_id == id, "v{version}");
        assert!(version < 2 || answer.cluster_id.as_deref() == Some("test-cluster"), "v{version}");
        assert_eq!(topic.topic_authorized_operations, i32::MIN);
    }
    let asked = by_name(&["t"]).with_include_topic_authorized_operations(true);
    assert_eq!(client.ask(12, asked).await.topics[0].topic_authorized_operations, 3576);
    let asked = by_name(&[]).with_include_cluster_authorized_operations(true);
    assert_eq!(client.ask(9, asked).await.cluster_authorized_operations, 8096);
}

#[tokio::test]
async fn metadata_knows_all_none_unknown_and_ids() {
    let client = Client::new(ApiConfig { auto_create_topics: false, ..ApiConfig::default() }).await;
    let id = create(&client, "a", 1).await;
    create(&client, "b", 1).await;
    let count = |answer: MetadataResponse| answer.topics.len();
    assert_eq!(count(client.ask(0, by_name(&[])).await), 2, "version 0: an empty list is all");
    assert_eq!(count(client.ask(1, by_name(&[])).await), 0, "an empty list is none");
    assert_eq!(count(client.ask(1, MetadataRequest::default().with_topics(None)).await), 2, "null is all");
    let answer = client.ask(1, by_name(&["b", "nope", "b", "no/pe"])).await;
    let expected = [("b", 0), ("nope", code(UnknownTopicOrPartition)), ("no/pe", code(InvalidTopicException))];
    assert_eq!(errors(&answer.topics), expected.map(|(name, error)| (name.to_owned(), error)));
    let ids = |ids: &[Uuid]| {
        let topics = ids.iter().map(|id| MetadataRequestTopic::default().with_topic_id(*id).with_name(None)).collect();
        MetadataRequest::default().with_topics(Some(topics))
    };
    let answer = client.ask(12, ids(&[id, Uuid::from_u128(9)])).await;
    assert_eq!((answer.topics[1].name.as_deref().map(|name| &**name), answer.topics[1].error_code), (Some("a"), 0));
    let unknown = &answer.topics[0];
    assert_eq!((&unknown.name, unknown.error_code), (&None, code(UnknownTopicId)));
    for version in [10, 11] {
        let answer = client.ask(version, ids(&[id])).await;
        assert_eq!(errors(&answer.topics), [(String::new(), code(InvalidRequest))], "v{version}");
        assert!(answer.brokers.is_empty());
    }
}

#[tokio::test]
async fn metadata_makes_topics_only_where_all_agree() {
    let client = Client::new(ApiConfig::default()).await;
    let unknown = code(UnknownTopicOrPartition);
    let forbidden = by_name(&["auto"]).with_allow_auto_topic_creation(false);
    for _ in 0..2 {
        assert_eq!(client.ask(9, forbidden.clone()).await.topics[0].error_code, unknown);
    }
    assert_eq!(client.ask(9, by_name(&["auto", "b/d"])).await.topics[0].error_code, unknown, "told when asked again");
    let answer = client.ask(9, by_name(&["auto", "b/d"])).await;
    assert_eq!(errors(&answer.topics), [("auto".into(), 0), ("b/d".into(), code(InvalidTopicException))]);
    assert_eq!(answer.topics[0].partitions.len(), 2, "num.partitions");
    let off = Client::new(ApiConfig { auto_create_topics: false, ..ApiConfig::default() }).await;
    for _ in 0..2 {
        assert_eq!(off.ask(9, by_name(&["auto"])).await.topics[0].error_code, unknown);
    }
}

#[tokio::test]
async fn topics_are_created_described_and_deleted() {
    let client = Client::new(ApiConfig::default()).await;
    let config = CreatableTopicConfig::default().with_name("retention.ms".into()).with_value(Some("1000".into()));
    let topic = new_topic("t", 2).with_configs(vec![config]);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    let dry = client.ask(7, request.clone().with_validate_only(true)).await.topics.remove(0);
    assert_eq!((dry.error_code, dry.num_partitions), (0, 2));
    let made = client.ask(7, request.clone()).await.topics.remove(0);
    assert_eq!((made.error_code, made.num_partitions, made.replication_factor), (0, 2, 1));
    let configs = made.configs.unwrap();
    let config = configs.iter().find(|config| &*config.name == "retention.ms").unwrap();
    assert_eq!((config.value.as_deref(), config.config_source), (Some("1000"), 1));
    for version in 2..=7 {
        let again = client.ask(version, request.clone()).await.topics.remove(0);
        assert_eq!(again.error_code, code(TopicAlreadyExists), "v{version}");
    }
    for version in 1..=5 {
        let unknown = DeleteTopicsRequest::default().with_topic_names(vec![name("nope")]);
        assert_eq!(client.ask(version, unknown).await.responses[0].error_code, code(UnknownTopicOrPartition));
    }
    let by_id = |id| DeleteTopicState::default().with_name(None).with_topic_id(id);
    let both = DeleteTopicState::default().with_name(Some(name("t"))).with_topic_id(made.topic_id);
    let request = DeleteTopicsRequest::default().with_topics(vec![both, by_id(Uuid::nil()), by_id(made.topic_id)]);
    let gone = client.ask(6, request.clone()).await.responses;
    assert_eq!((gone[0].error_code, gone[1].error_code), (code(InvalidRequest), code(InvalidRequest)));
    assert_eq!((gone[2].error_code, gone[2].name.as_deref().map(|name| &**name)), (0, Some("t")));
    assert_eq!(client.ask(6, request).await.responses[2].error_code, code(UnknownTopicId));
}

#[tokio::test]
async fn partitions_grow_only() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", 2).await;
    for version in 0..=3 {
        let count = 3 + i32::from(version);
        let grow = |count| {
            let topic = CreatePartitionsTopic::default().with_name(name("t")).with_count(count).with_assignments(None);
            CreatePartitionsRequest::default().with_topics(vec![topic])
        };
        assert_eq!(client.ask(version, grow(count)).await.results[0].error_code, 0, "v{version}");
        assert_eq!(client.ask(version, grow(count)).await.results[0].error_code, code(InvalidPartitions));
        assert_eq!(client.ask(1, by_name(&["t"])).await.topics[0].partitions.len(), count as usize);
    }
}

fn topic_configs(keys: Option<Vec<StrBytes>>) -> DescribeConfigsRequest {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name("t".into())
        .with_configuration_keys(keys);
    DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_synonyms(true)
}

#[tokio::test]
async fn configs_are_described_changed_and_replaced() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", 1).await;
    let all = client.ask(4, topic_configs(None).with_include_documentation(true)).await.results.remove(0);
    assert!(
        all.error_code == 0
            && all.configs.len() > 30
            && all.configs.iter().all(|config| config.documentation.is_some())
    );
    let set = |key: &'static str, op, value: &'static str| {
        let config = incremental_alter_configs_request::AlterableConfig::default()
            .with_name(key.into())
            .with_config_operation(op)
            .with_value(Some(value.into()));
        let resource = incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name("t".into())
            .with_configs(vec![config]);
        IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
    };
    for version in 0..=1 {
        let cases = [
            ("retention.ms", 0, "5", 0),
            ("cleanup.policy", 2, "compact", 0),
            ("retention.ms", 0, "x", code(InvalidConfig)),
            ("no.such.key", 0, "1", code(InvalidConfig)),
            ("retention.ms", 9, "1", code(InvalidRequest)),
        ];
        for (key, op, value, expected) in cases {
            assert_eq!(
                client.ask(version, set(key, op, value)).await.responses[0].error_code,
                expected,
                "{key}={value}"
            );
        }
    }
    let read = |keys: Vec<&'static str>| topic_configs(Some(keys.into_iter().map(StrBytes::from_static_str).collect()));
    for version in 1..=4 {
        let answer = client.ask(version, read(vec!["cleanup.policy", "retention.ms"])).await.results.remove(0);
        let found: Vec<_> = answer
            .configs
            .iter()
            .map(|config| (&*config.name, config.value.as_deref(), config.config_source))
            .collect();
        assert_eq!(
            found,
            [("cleanup.policy", Some("delete,compact"), 1), ("retention.ms", Some("5"), 1)],
            "v{version}"
        );
        let synonyms: Vec<_> =
            answer.configs[0].synonyms.iter().map(|synonym| (&*synonym.name, synonym.source)).collect();
        assert_eq!(synonyms, [("cleanup.policy", 1), ("log.cleanup.policy", 5)]);
    }
    let kept =
        alter_configs_request::AlterableConfig::default().with_name("segment.ms".into()).with_value(Some("7".into()));
    let resource = alter_configs_request::AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name("t".into())
        .with_configs(vec![kept]);
    for version in 0..=2 {
        let replaced = client.ask(version, AlterConfigsRequest::default().with_resources(vec![resource.clone()])).await;
        assert_eq!(replaced.responses[0].error_code, 0);
    }
    let answer = client.ask(4, read(vec!["retention.ms", "segment.ms"])).await.results.remove(0);
    let found: Vec<_> = answer.configs.iter().map(|config| (config.value.as_deref(), config.config_source)).collect();
    assert_eq!(found, [(Some("604800000"), 5), (Some("7"), 1)], "what was not named is back at its default");
}

#[tokio::test]
async fn brokers_show_every_key_and_refuse_others_ids() {
    let client = Client::new(ApiConfig::default()).await;
    let ask = |kind: i8, name: &'static str| {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(name.into())
            .with_configuration_keys(None);
        DescribeConfigsRequest::default().with_resources(vec![resource])
    };
    let own = client.ask(4, ask(4, "1")).await.results.remove(0);
    assert!(own.error_code == 0 && own.configs.len() > 200);
    let all = client.ask(4, ask(4, "")).await.results.remove(0);
    assert_eq!((all.error_code, all.configs.len()), (0, 0));
    let cases = [
        (4, "2", InvalidRequest),
        (4, "x", InvalidRequest),
        (99, "x", InvalidRequest),
        (2, "no", UnknownTopicOrPartition),
        (2, "/", InvalidTopicException),
    ];
    for (kind, name, error) in cases {
        let answer = client.ask(4, ask(kind, name)).await.results.remove(0);
        assert_eq!((answer.error_code, answer.configs.len()), (error.code(), 0), "{kind} {name}");
        // Kafka says no more of an unknown topic than its code
        assert_eq!(answer.error_message.is_some_and(|message| message.is_empty()), name == "no");
    }
}

#[tokio::test]
async fn describe_cluster_knows_endpoint_types() {
    let client = Client::new(ApiConfig::default()).await;
    for version in 0..=2 {
        let asked = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        let answer = client.ask(version, asked).await;
        assert_eq!((answer.error_code, &*answer.cluster_id, answer.controller_id.0), (0, "test-cluster", 1));
        assert_eq!((&*answer.brokers[0].host, answer.cluster_authorized_operations), ("listener.test", 8096));
    }
    for (kind, error) in [(2, MismatchedEndpointType), (7, UnsupportedEndpointType)] {
        let answer = client.ask(2, DescribeClusterRequest::default().with_endpoint_type(kind)).await;
        assert_eq!(answer.error_code, error.code());
    }
}

#[tokio::test]
async fn topic_partitions_come_page_by_page() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "a", 3).await;
    create(&client, "b", 2).await;
    create(&client, "c", 1).await;
    let mut request = DescribeTopicPartitionsRequest::default().with_response_partition_limit(2);
    let mut pages = Vec::new();
    loop {
        let answer = client.ask(0, request.clone()).await;
        let page: Vec<_> = answer
            .topics
            .iter()
            .flat_map(|topic| {
                topic
                    .partitions
                    .iter()
                    .map(|partition| (topic.name.as_deref().unwrap().to_string(), partition.partition_index))
            })
            .collect();
        pages.push(page);
        let Some(next) = answer.next_cursor else { break };
        request.cursor = Some(
            describe_topic_partitions_request::Cursor::default()
                .with_topic_name(next.topic_name)
                .with_partition_index(next.partition_index),
        );
    }
    let expected = [vec![("a", 0), ("a", 1)], vec![("a", 2), ("b", 0)], vec![("b", 1), ("c", 0)]];
    assert_eq!(
        pages,
        expected.map(|page| page.into_iter().map(|(name, index)| (name.to_owned(), index)).collect::<Vec<_>>())
    );
    let asked = |names: &[&'static str]| {
        let topics =
            names.iter().map(|topic| describe_topic_partitions_request::TopicRequest::default().with_name(name(topic)));
        DescribeTopicPartitionsRequest::default().with_topics(topics.collect()).with_response_partition_limit(100)
    };
    let answer = client.ask(0, asked(&["nope", "b"])).await;
    let found: Vec<_> = answer.topics.iter().map(|topic| (topic.error_code, topic.partitions.len())).collect();
    assert_eq!(found, [(0, 2), (code(UnknownTopicOrPartition), 0)]);
    let cursor = describe_topic_partitions_request::Cursor::default().with_partition_index(-1);
    let answer = client.ask(0, asked(&["b"]).with_cursor(Some(cursor))).await;
    assert_eq!(answer.topics[0].error_code, code(InvalidRequest));
}

#[tokio::test]
async fn producer_ids_rise_and_transactions_wait_for_their_coordinator() {
    let client = Client::new(ApiConfig::default()).await;
    let mut last = -1;
    for version in 0..=5 {
        let plain = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let answer = client.ask(version, plain).await;
        assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
        assert!(answer.producer_id.0 > last);
        last = answer.producer_id.0;
    }
    let transactional = |id: &'static str, timeout_ms| {
        InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(id.into())))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1)
    };
    let cases = [
        ("", 1000, InvalidRequest),
        ("t", 0, InvalidTransactionTimeout),
        ("t", 900_001, InvalidTransactionTimeout),
        ("t", 900_000, CoordinatorNotAvailable),
    ];
    for (id, timeout_ms, error) in cases {
        let answer = client.ask(4, transactional(id, timeout_ms)).await;
        assert_eq!((answer.error_code, answer.producer_id.0, answer.producer_epoch), (error.code(), -1, -1));
    }
    let half =
        InitProducerIdRequest::default().with_transactional_id(None).with_producer_id(5.into()).with_producer_epoch(-1);
    assert_eq!(client.ask(4, half).await.error_code, code(InvalidRequest));
}
