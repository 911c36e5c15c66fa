//! Everything a broker is told at start, room by room. Not here: how a value is read from its text (`settings`).

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use super::{cluster::ClusterConfig, error::ConfigError, settings::Settings};
use crate::{
    api::ApiConfig,
    controller::{ControllerConfig, SESSION_TIMEOUT_MS, SNAPSHOT_BYTES},
    net::NetConfig,
    os::memory,
    partition::PartitionsConfig,
    raft::StorageConfig,
};

/// Settings of our own, with their defaults; all others are Kafka's.
pub const OWN_KEYS: &[(&str, &str)] = &[
    ("tidemark.http.listener", "127.0.0.1:8080"),
    ("tidemark.partitions.max", "10000"),
    ("tidemark.disk.reserve.bytes", "67108864"),
    ("tidemark.checkpoint.bytes", "67108864"),
    ("tidemark.scrub.interval.ms", "302400000"),
    ("tidemark.request.memory.bytes", "a quarter of the memory"),
    ("tidemark.allow.plaintext", "false"),
    ("tidemark.raft.listener", "the voter's own entry in controller.quorum.voters"),
    ("tidemark.raft.advertised", "the same"),
];
/// Memory that requests have even on the smallest machine: four of the longest.
const REQUEST_MEMORY_BYTES_MIN: u64 = 64 << 20;

/// Everything a broker is told at start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Kafka clients connect.
    pub kafka_listener: SocketAddr,
    /// Where HTTP clients connect; none: no bridge.
    pub http_listener: Option<SocketAddr>,
    /// What clients are told to connect to, if it is not the listener.
    pub advertised: Option<(String, u16)>,
    /// Other brokers; none for one that is alone.
    pub cluster: Option<ClusterConfig>,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// The data directory.
    pub storage: StorageConfig,
    /// Partitions.
    pub partitions: PartitionsConfig,
    /// Decisions.
    pub controller: ControllerConfig,
    /// Connections.
    pub net: NetConfig,
    /// Handlers.
    pub api: ApiConfig,
    /// Keys that are neither Kafka's nor ours.
    pub unknown: Vec<String>,
}

impl Config {
    /// From properties; a flag is a property that was put in last.
    ///
    /// # Errors
    /// The first value that does not fit.
    pub fn resolve(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let settings = Settings::check(properties)?;
        let node_id: i32 = settings.number("node.id", Some("broker.id"), 1)?;
        let broker_defaults = settings.broker_defaults();
        let mut storage = StorageConfig::new(settings.data_dir()?, node_id);
        storage.reserve_bytes = settings.own("tidemark.disk.reserve.bytes")?;
        storage.checkpoint_bytes = settings.own("tidemark.checkpoint.bytes")?;
        storage.scrub_interval = Duration::from_millis(settings.own("tidemark.scrub.interval.ms")?);
        let plaintext: bool = settings.own("tidemark.allow.plaintext")?;
        let cluster = ClusterConfig::resolve(&settings, node_id, plaintext)?;
        storage.lone = cluster.as_ref().is_none_or(|cluster| cluster.voters.is_empty());
        let http = settings.first(&["tidemark.http.listener"]).unwrap_or("127.0.0.1:8080");
        let ms = |key: &str, default: u64| settings.number(key, None, default).map(Duration::from_millis);
        let metadata_snapshot_bytes =
            settings.number("metadata.log.max.record.bytes.between.snapshots", None, SNAPSHOT_BYTES)?;
        let net_defaults = NetConfig::default();
        Ok(Self {
            kafka_listener: settings.listener("listeners", "127.0.0.1:9092", plaintext)?,
            http_listener: match http {
                "none" => None,
                _ => Some(settings.listener("tidemark.http.listener", "127.0.0.1:8080", plaintext)?),
            },
            advertised: settings.advertised()?,
            cluster,
            rack: settings.first(&["broker.rack"]).map(str::to_owned),
            storage,
            partitions: PartitionsConfig {
                node_id,
                retention_check_interval_ms: settings.number("log.retention.check.interval.ms", None, 300_000)?,
                metadata_segment_bytes: metadata_snapshot_bytes / SEGMENTS_PER_SNAPSHOT,
                replica_lag_ms_max: settings.number("replica.lag.time.max.ms", None, 30_000)?,
                producer_id_expiration_ms: settings.number("producer.id.expiration.ms", None, 86_400_000)?,
                broker_defaults: broker_defaults.clone(),
            },
            controller: ControllerConfig {
                node_id,
                default_partitions: settings.number("num.partitions", None, 1)?,
                default_replication_factor: settings.number("default.replication.factor", None, 1)?,
                partitions_max: settings.own("tidemark.partitions.max")?,
                broker_defaults,
                session_timeout_ms: settings.number("broker.session.timeout.ms", None, SESSION_TIMEOUT_MS)?,
                balance_interval_ms: settings.balance_interval_ms()?,
                snapshot_bytes: metadata_snapshot_bytes,
            },
            net: NetConfig {
                request_bytes_max: settings.number("socket.request.max.bytes", None, net_defaults.request_bytes_max)?,
                memory_bytes_max: settings.number(
                    "tidemark.request.memory.bytes",
                    None,
                    request_memory_bytes(memory::total_bytes()),
                )?,
                connections_max: settings.number("max.connections", None, net_defaults.connections_max)?,
                connections_per_ip_max: settings.number(
                    "max.connections.per.ip",
                    None,
                    net_defaults.connections_per_ip_max,
                )?,
                idle_max: ms("connections.max.idle.ms", 600_000)?,
                ..net_defaults
            },
            api: ApiConfig {
                auto_create_topics: settings.number("auto.create.topics.enable", None, true)?,
                delete_topics: settings.number("delete.topic.enable", None, true)?,
                transaction_timeout_max_ms: settings.number("transaction.max.timeout.ms", None, 900_000)?,
                described_partitions_max: settings.number("max.request.partition.size.limit", None, 2000)?,
                rack_aware: settings.rack_aware()?,
            },
            unknown: settings.unknown,
        })
    }
}

/// What lies before a snapshot goes by whole segments.
const SEGMENTS_PER_SNAPSHOT: u64 = 4;

/// A quarter of what there is: the rest is the page cache's, which serves the reads.
fn request_memory_bytes(total_bytes: u64) -> usize {
    usize::try_from((total_bytes / 4).max(REQUEST_MEMORY_BYTES_MIN)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::settings::DATA_DIR;
    use super::*;

    fn resolve(properties: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::resolve(&properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn nothing_said_is_a_safe_broker() {
        let config = resolve(&[]).unwrap();
        assert_eq!(config.kafka_listener.to_string(), "127.0.0.1:9092");
        assert_eq!(config.http_listener.unwrap().to_string(), "127.0.0.1:8080");
        assert_eq!((config.storage.dir.to_str().unwrap(), config.controller.node_id), (DATA_DIR, 1));
    }

    #[test]
    fn kafkas_keys_are_followed_and_bad_values_named() {
        let config = resolve(&[
            ("broker.id", "7"),
            ("listeners", "PLAINTEXT://localhost:0"),
            ("advertised.listeners", "PLAINTEXT://edge.example:19092"),
            ("log.dirs", "/a"),
            ("log.retention.hours", "2"),
            ("tidemark.http.listener", "none"),
            ("made.up", "1"),
        ])
        .unwrap();
        assert_eq!((config.partitions.node_id, config.kafka_listener.port()), (7, 0));
        assert_eq!(config.advertised.unwrap(), ("edge.example".to_owned(), 19092));
        assert_eq!(config.partitions.broker_defaults.fixed["log.retention.ms"], "7200000");
        assert_eq!((config.http_listener, config.unknown), (None, vec!["made.up".to_owned()]));
        assert!(
            matches!(resolve(&[("num.partitions", "x")]), Err(ConfigError::Value(what)) if what.contains("num.partitions"))
        );
        let selector = |class| resolve(&[("replica.selector.class", class)]).map(|config| config.api.rack_aware);
        assert_eq!(selector("org.apache.kafka.common.replica.RackAwareReplicaSelector"), Ok(true));
        assert_eq!(selector("org.apache.kafka.common.replica.LeaderSelector"), Ok(false));
        assert!(selector("com.example.Own").is_err(), "there are no plugins");
        assert!(resolve(&[("listeners", "SSL://localhost:1")]).is_err());
        assert!(resolve(&[("listeners", "localhost:99999")]).is_err());
    }

    #[test]
    fn what_would_be_left_out_is_refused() {
        let shipped = resolve(&[("listeners", "CONTROLLER://localhost:9093, PLAINTEXT://localhost:9094")]).unwrap();
        assert_eq!(shipped.kafka_listener.port(), 9094);
        for (key, value) in [
            ("listeners", "localhost:1,localhost:2"),
            ("listeners", "PLAINTEXT://localhost:1,SSL://localhost:2"),
            ("listeners", "CONTROLLER://localhost:1"),
            ("advertised.listeners", "a:1,b:2"),
            ("log.dirs", "/a,/b"),
        ] {
            assert!(resolve(&[(key, value)]).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn requests_have_a_quarter_of_the_memory_and_never_too_little() {
        assert_eq!(request_memory_bytes(8 << 30), 2 << 30);
        assert_eq!(request_memory_bytes(100 << 20), 64 << 20);
        let default = resolve(&[]).unwrap().net.memory_bytes_max;
        assert_eq!(default, request_memory_bytes(memory::total_bytes()));
        let said = resolve(&[("tidemark.request.memory.bytes", "1048576")]).unwrap();
        assert_eq!(said.net.memory_bytes_max, 1 << 20);
        assert!(resolve(&[("tidemark.request.memory.bytes", "a lot")]).is_err());
    }

    #[test]
    fn a_port_for_everybody_must_be_asked_for() {
        assert!(matches!(resolve(&[("listeners", "0.0.0.0:9092")]), Err(ConfigError::Plaintext { .. })));
        assert!(resolve(&[("listeners", "0.0.0.0:9092"), ("tidemark.allow.plaintext", "true")]).is_ok());
    }
}
