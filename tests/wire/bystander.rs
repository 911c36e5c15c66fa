//! A broker under attack and an honest client beside it.

use harness::{Broker, BrokerOptions, Connection};
use kafka_protocol::{
    messages::{
        CreateTopicsRequest, MetadataRequest, TopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
    },
    protocol::StrBytes,
};

/// The most that memory may grow under attack.
const GROWTH_BYTES_MAX: u64 = 64 << 20;

/// The broker and its honest client.
pub struct Attacked {
    pub broker: Broker,
    bystander: Connection,
    resident_before: u64,
}

impl Attacked {
    /// A broker with the topics `plain`, `compacted` and `small`.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        let options = BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark"));
        let broker = settings.iter().fold(options, |options, (key, value)| options.set(key, value)).start();
        let mut bystander = broker.connect();
        for (topic, key, value) in [
            ("plain", "retention.ms", "-1"),
            ("compacted", "cleanup.policy", "compact"),
            ("small", "max.message.bytes", "300"),
        ] {
            let config = CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)));
            let topic = CreatableTopic::default()
                .with_name(TopicName(text(topic)))
                .with_num_partitions(1)
                .with_replication_factor(1)
                .with_configs(vec![config]);
            let response =
                bystander.ask(&CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000), 7);
            assert_eq!(response.topics[0].error_code, 0);
        }
        let resident_before = broker.resident_bytes();
        Self { broker, bystander, resident_before }
    }

    /// The process lives, memory has not grown much at any time, the bystander is served on the connection it always had.
    pub fn is_unharmed_by(&mut self, case: &str) {
        assert!(self.broker.is_running(), "{case}: the process is gone: {}", self.broker.printed());
        let topics = self.bystander.ask(&MetadataRequest::default().with_topics(None), 9).topics;
        assert!(topics.len() >= 3, "{case}: the bystander sees {topics:?}");
        let growth = self.broker.resident_bytes_peak().saturating_sub(self.resident_before);
        assert!(growth < GROWTH_BYTES_MAX, "{case}: memory grew by {} MiB", growth >> 20);
    }
}

/// A string of the protocol.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
