//! Every room's settings, put together from a properties file with Kafka's key names and from flags. Nothing else reads them.
//!
//! Not here: reading the file, and what a setting does.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    time::Duration,
};

use crate::{
    api::ApiConfig,
    controller::ControllerConfig,
    metadata::topic_config::{BROKER_KEYS, BrokerDefaults, TOPIC_KEYS, Valid, check_value},
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
];
/// The data directory where nothing else is said.
const DATA_DIR: &str = "tidemark-data";
const KAFKA_PORT: u16 = 9092;
/// Memory that requests have even on the smallest machine: four of the longest.
const REQUEST_MEMORY_BYTES_MIN: u64 = 64 << 20;

/// Why settings do not make a broker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value does not fit its key.
    #[error("{0}")]
    Value(String),
    /// A listener or an advertised address is none.
    #[error("{key}={value} is no HOST:PORT ({why})")]
    Address {
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What is wrong.
        why: String,
    },
    /// A listener that others can reach, without encryption.
    #[error(
        "{address} can be reached from other machines and nothing on it is encrypted; say --allow-plaintext if that is meant, or listen on 127.0.0.1"
    )]
    Plaintext {
        /// The listener.
        address: SocketAddr,
    },
}

/// Everything a broker is told at start.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where Kafka clients connect.
    pub kafka_listener: SocketAddr,
    /// Where HTTP clients connect; none: no bridge.
    pub http_listener: Option<SocketAddr>,
    /// What clients are told to connect to, if it is not the listener.
    pub advertised: Option<(String, u16)>,
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
        let http = settings.first(&["tidemark.http.listener"]).unwrap_or("127.0.0.1:8080");
        let ms = |key: &str, default: u64| settings.number(key, None, default).map(Duration::from_millis);
        let net_defaults = NetConfig::default();
        Ok(Self {
            kafka_listener: settings.listener("listeners", "127.0.0.1:9092", plaintext)?,
            http_listener: match http {
                "none" => None,
                _ => Some(settings.listener("tidemark.http.listener", "127.0.0.1:8080", plaintext)?),
            },
            advertised: settings.advertised()?,
            rack: settings.first(&["broker.rack"]).map(str::to_owned),
            storage,
            partitions: PartitionsConfig {
                node_id,
                retention_check_interval_ms: settings.number("log.retention.check.interval.ms", None, 300_000)?,
                producer_id_expiration_ms: settings.number("producer.id.expiration.ms", None, 86_400_000)?,
                broker_defaults: broker_defaults.clone(),
            },
            controller: ControllerConfig {
                node_id,
                default_partitions: settings.number("num.partitions", None, 1)?,
                default_replication_factor: settings.number("default.replication.factor", None, 1)?,
                partitions_max: settings.own("tidemark.partitions.max")?,
                broker_defaults,
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
            },
            unknown: settings.unknown,
        })
    }
}

/// A quarter of what there is: the rest is the page cache's, which serves the reads.
fn request_memory_bytes(total_bytes: u64) -> usize {
    usize::try_from((total_bytes / 4).max(REQUEST_MEMORY_BYTES_MIN)).unwrap_or(usize::MAX)
}

/// Properties whose values were held against their types.
struct Settings<'a> {
    properties: &'a BTreeMap<String, String>,
    unknown: Vec<String>,
}

impl<'a> Settings<'a> {
    fn check(properties: &'a BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut unknown = Vec::new();
        for (key, value) in properties {
            let own = OWN_KEYS.iter().any(|(name, _)| name == key);
            let topic = TOPIC_KEYS.iter().find(|topic| topic.broker_key == Some(key.as_str()));
            let broker = BROKER_KEYS.iter().find(|(name, ..)| name == key);
            let checked = match (topic, broker) {
                (Some(topic), _) => check_value(key, topic.kind, topic.valid, value),
                (None, Some((_, kind, ..))) => check_value(key, *kind, Valid::Any, value),
                (None, None) => {
                    if !own {
                        unknown.push(key.clone());
                    }
                    Ok(())
                }
            };
            checked.map_err(ConfigError::Value)?;
        }
        Ok(Self { properties, unknown })
    }

    /// A second directory would stay empty without a word, so it is refused.
    fn data_dir(&self) -> Result<PathBuf, ConfigError> {
        let dir = self.first(&["log.dirs", "log.dir"]).unwrap_or(DATA_DIR);
        match dir.split_once(',') {
            Some(_) => Err(ConfigError::Value(format!("log.dirs={dir} names more than one directory; one is used"))),
            None => Ok(PathBuf::from(dir.trim())),
        }
    }

    fn first(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.properties.get(*key)).map(String::as_str)
    }

    fn number<T: std::str::FromStr>(&self, key: &str, other: Option<&str>, default: T) -> Result<T, ConfigError> {
        let Some(text) = self.first(&[key]).or_else(|| other.and_then(|other| self.first(&[other]))) else {
            return Ok(default);
        };
        text.trim().parse().map_err(|_| ConfigError::Value(format!("{key}={text} is not in the range of its type")))
    }

    fn own<T: std::str::FromStr>(&self, key: &str) -> Result<T, ConfigError> {
        let default = OWN_KEYS.iter().find(|(name, _)| *name == key).map_or("", |(_, default)| *default);
        let text = self.first(&[key]).unwrap_or(default);
        text.trim().parse().map_err(|_| ConfigError::Value(format!("{key}={text} is not in the range of its type")))
    }

    /// What topics inherit, and DescribeConfigs shows. Kafka's coarser units count where the millisecond keys are absent.
    fn broker_defaults(&self) -> BrokerDefaults {
        let mut fixed = self.properties.clone();
        for (fine, coarse, unit_ms) in [
            ("log.retention.ms", "log.retention.minutes", 60_000),
            ("log.retention.ms", "log.retention.hours", 3_600_000),
            ("log.roll.ms", "log.roll.hours", 3_600_000_i64),
        ] {
            let units = self.first(&[coarse]).and_then(|text| text.trim().parse::<i64>().ok());
            if let Some(units) = units
                && !fixed.contains_key(fine)
            {
                let ms = if units < 0 { -1 } else { units.saturating_mul(unit_ms) };
                fixed.insert(fine.to_owned(), ms.to_string());
            }
        }
        BrokerDefaults { fixed }
    }

    fn listener(&self, key: &'static str, default: &'static str, plaintext: bool) -> Result<SocketAddr, ConfigError> {
        let text = self.first(&[key]).unwrap_or(default);
        let (host, port) = host_port(key, text)?;
        let bad = |why: String| ConfigError::Address { key, value: text.to_owned(), why };
        let mut addresses = (host.as_str(), port).to_socket_addrs().map_err(|error| bad(error.to_string()))?;
        let address = addresses.next().ok_or_else(|| bad("the host has no address".into()))?;
        if address.ip().is_loopback() || plaintext { Ok(address) } else { Err(ConfigError::Plaintext { address }) }
    }

    fn advertised(&self) -> Result<Option<(String, u16)>, ConfigError> {
        self.first(&["advertised.listeners"]).map(|text| host_port("advertised.listeners", text)).transpose()
    }
}

/// `HOST:PORT`, `PLAINTEXT://HOST:PORT`, `:PORT`, `HOST`. Of a list, all but one may be a controller's, as in the file that
/// Kafka ships.
fn host_port(key: &'static str, text: &str) -> Result<(String, u16), ConfigError> {
    let bad = |why: &str| ConfigError::Address { key, value: text.to_owned(), why: why.to_owned() };
    let is_controllers = |one: &&str| one.to_ascii_uppercase().starts_with("CONTROLLER://");
    let mut clients = text.split(',').map(str::trim).filter(|one| !is_controllers(one));
    let (Some(one), None) = (clients.next(), clients.next()) else { return Err(bad("one listener is served")) };
    let rest = match one.split_once("://") {
        Some((name, rest)) if name.eq_ignore_ascii_case("plaintext") => rest,
        Some(_) => return Err(bad("only PLAINTEXT is there yet")),
        None => one,
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| bad("the port is no number up to 65535"))?),
        None => (rest, KAFKA_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((if host.is_empty() { "0.0.0.0" } else { host }.to_owned(), port))
}

#[cfg(test)]
mod tests {
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
