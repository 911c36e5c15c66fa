//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.

use std::time::Duration;

use kafka_protocol::messages::{
    AlterConfigsRequest, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    alter_configs_request::{AlterConfigsResource, AlterableConfig},
    describe_configs_request::DescribeConfigsResource,
    incremental_alter_configs_request as incremental,
};

use super::producing::{create, text};
use crate::peer::Peer;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

fn describe(kind: i8, name: &str, keys: Option<&[&str]>) -> DescribeConfigsRequest {
    let keys = keys.map(|keys| keys.iter().map(|key| text(key)).collect());
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configuration_keys(keys);
    DescribeConfigsRequest::default().with_resources(vec![resource])
}

/// (key, operation, value); operations are 0 set, 1 delete, 2 append, 3 subtract.
type Operation<'a> = (&'a str, i8, Option<&'a str>);

fn alter(kind: i8, name: &str, operations: &[Operation]) -> IncrementalAlterConfigsRequest {
    let config = |(key, operation, value): &Operation| {
        incremental::AlterableConfig::default()
            .with_name(text(key))
            .with_config_operation(*operation)
            .with_value(value.map(text))
    };
    let configs = operations.iter().map(config).collect();
    let resource = incremental::AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(text(name))
        .with_configs(configs);
    IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
}

pub fn tell(peer: &mut Peer) {
    create(peer, "configured", 1, &[("retention.ms", "1000000")]);
    let name = peer.text("configured").to_string();
    for version in 1..=4 {
        peer.ask(&format!("DescribeConfigs v{version}, every key"), &describe(TOPIC, &name, None), version);
        let synonyms = describe(TOPIC, &name, Some(&["retention.ms", "segment.bytes"])).with_include_synonyms(true);
        peer.ask(&format!("DescribeConfigs v{version}, synonyms"), &synonyms, version);
    }
    peer.ask(
        "DescribeConfigs, documentation",
        &describe(TOPIC, &name, Some(&["retention.ms"])).with_include_documentation(true),
        4,
    );
    peer.ask("DescribeConfigs, no keys", &describe(TOPIC, &name, Some(&[])), 4);
    peer.ask("DescribeConfigs, an unknown key", &describe(TOPIC, &name, Some(&["no.such.key"])), 4);
    peer.ask("DescribeConfigs, an unknown topic", &describe(TOPIC, "nobody-at-all", None), 4);
    peer.ask("DescribeConfigs, a bad topic name", &describe(TOPIC, "a/b", None), 4);
    peer.ask("DescribeConfigs, an empty topic name", &describe(TOPIC, "", None), 4);
    peer.ask("DescribeConfigs, an unknown kind", &describe(99, &name, None), 4);
    peer.ask("DescribeConfigs, an unknown broker", &describe(BROKER, "77", None), 4);
    peer.ask("DescribeConfigs, a broker that is no number", &describe(BROKER, "x", None), 4);
    let broker_keys =
        ["num.partitions", "log.retention.ms", "message.max.bytes", "auto.create.topics.enable", "log.segment.bytes"];
    peer.ask("DescribeConfigs, the broker", &describe(BROKER, "1", Some(&broker_keys)), 4);
    peer.ask("DescribeConfigs, brokers' defaults", &describe(BROKER, "", Some(&broker_keys)), 4);
    let mut two = describe(TOPIC, &name, Some(&["retention.ms"]));
    two.resources.push(two.resources[0].clone());
    peer.ask("DescribeConfigs, one resource twice", &two, 4);
    peer.ask("DescribeConfigs, none", &DescribeConfigsRequest::default(), 4);
    incremental_alter(peer, &name);
    replace(peer, &name);
}

fn incremental_alter(peer: &mut Peer, name: &str) {
    let cases: &[(&str, &[Operation])] = &[
        ("set", &[("retention.ms", 0, Some("2000000")), ("flush.ms", 0, Some("5000"))]),
        ("delete", &[("retention.ms", 1, None)]),
        ("delete what is not set", &[("segment.ms", 1, None)]),
        ("append to a list", &[("cleanup.policy", 2, Some("compact"))]),
        ("append again", &[("cleanup.policy", 2, Some("compact"))]),
        ("subtract", &[("cleanup.policy", 3, Some("delete"))]),
        ("subtract what is not there", &[("cleanup.policy", 3, Some("delete"))]),
        ("append to a number", &[("retention.ms", 2, Some("1"))]),
        ("an unknown key", &[("no.such.key", 0, Some("1"))]),
        ("a bad value", &[("retention.ms", 0, Some("x"))]),
        ("a null value", &[("retention.ms", 0, None)]),
        ("a key twice", &[("retention.ms", 0, Some("1")), ("retention.ms", 0, Some("2"))]),
        ("nothing", &[]),
        ("one bad of two", &[("segment.ms", 0, Some("7000")), ("retention.ms", 0, Some("x"))]),
    ];
    for (case, operations) in cases {
        peer.ask(&format!("IncrementalAlterConfigs, {case}"), &alter(TOPIC, name, operations), 1);
        changed(peer, name, &format!("IncrementalAlterConfigs, after {case}"));
    }
    let checked = alter(TOPIC, name, &[("segment.ms", 0, Some("9000"))]).with_validate_only(true);
    peer.ask("IncrementalAlterConfigs v0, validate only", &checked, 0);
    changed(peer, name, "IncrementalAlterConfigs, after validate only");
    peer.ask(
        "IncrementalAlterConfigs, an unknown topic",
        &alter(TOPIC, "nobody-at-all", &[("retention.ms", 0, Some("1"))]),
        1,
    );
    peer.ask("IncrementalAlterConfigs, an unknown kind", &alter(99, name, &[("retention.ms", 0, Some("1"))]), 1);
    peer.ask(
        "IncrementalAlterConfigs, an unknown broker",
        &alter(BROKER, "77", &[("log.cleaner.threads", 0, Some("1"))]),
        1,
    );
    let mut twice = alter(TOPIC, name, &[("retention.ms", 0, Some("1"))]);
    twice.resources.push(twice.resources[0].clone());
    peer.ask("IncrementalAlterConfigs, one resource twice", &twice, 1);
}

fn replace(peer: &mut Peer, name: &str) {
    let replace = |configs: &[(&str, Option<&str>)]| {
        let config = |(key, value): &(&str, Option<&str>)| {
            AlterableConfig::default().with_name(text(key)).with_value(value.map(text))
        };
        let configs = configs.iter().map(config).collect();
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(name))
            .with_configs(configs);
        AlterConfigsRequest::default().with_resources(vec![resource])
    };
    for version in 0..=2 {
        let value = format!("{}", 3_000_000 + i32::from(version));
        peer.ask(&format!("AlterConfigs v{version}"), &replace(&[("retention.ms", Some(&value))]), version);
        changed(peer, name, &format!("AlterConfigs, after v{version}"));
    }
    type Case<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);
    let cases: &[Case<'_>] = &[
        ("another key", &[("segment.ms", Some("8000"))]),
        ("an unknown key", &[("no.such.key", Some("1"))]),
        ("a bad value", &[("segment.ms", Some("x"))]),
        ("a null value", &[("segment.ms", None)]),
        ("a key twice", &[("segment.ms", Some("1")), ("segment.ms", Some("2"))]),
        ("nothing", &[]),
    ];
    for (case, configs) in cases {
        peer.ask(&format!("AlterConfigs, {case}"), &replace(configs), 2);
        changed(peer, name, &format!("AlterConfigs, after {case}"));
    }
}

/// What the topic's own configs are after a change. A change reaches a broker a moment after its answer, so the answer
/// is taken when two in a row, 200 ms apart, are the same.
fn changed(peer: &mut Peer, name: &str, case: &str) {
    let keys = ["retention.ms", "flush.ms", "segment.ms", "cleanup.policy"];
    let request = describe(TOPIC, name, Some(&keys));
    let mut last = None;
    harness::eventually("the config settles", Duration::from_secs(10), || {
        let now = peer.prepare(&request, 4);
        let settled = last.as_ref() == Some(&now);
        last = Some(now);
        std::thread::sleep(Duration::from_millis(if settled { 0 } else { 200 }));
        settled.then_some(())
    });
    peer.ask(case, &request, 4);
}
