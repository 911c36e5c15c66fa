//! Properties as typed values. Not here: which room wants which.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
};

use super::{address::host_port, config::OWN_KEYS, error::ConfigError};
use crate::{
    controller::BALANCE_INTERVAL_MS,
    metadata::topic_config::{BROKER_KEYS, BrokerDefaults, TOPIC_KEYS, Valid, check_value},
};

/// The data directory where nothing else is said.
pub(super) const DATA_DIR: &str = "tidemark-data";

/// Properties whose values were held against their types.
pub(super) struct Settings<'a> {
    properties: &'a BTreeMap<String, String>,
    pub unknown: Vec<String>,
}

impl<'a> Settings<'a> {
    pub fn check(properties: &'a BTreeMap<String, String>) -> Result<Self, ConfigError> {
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
    pub fn data_dir(&self) -> Result<PathBuf, ConfigError> {
        let dir = self.first(&["log.dirs", "log.dir"]).unwrap_or(DATA_DIR);
        match dir.split_once(',') {
            Some(_) => Err(ConfigError::Value(format!("log.dirs={dir} names more than one directory; one is used"))),
            None => Ok(PathBuf::from(dir.trim())),
        }
    }

    /// Whether consumers are sent to replicas in their rack: Kafka's two selectors by name, and no others.
    pub fn rack_aware(&self) -> Result<bool, ConfigError> {
        const KEY: &str = "replica.selector.class";
        match self.first(&[KEY]).unwrap_or_default() {
            "" | "org.apache.kafka.common.replica.LeaderSelector" => Ok(false),
            "org.apache.kafka.common.replica.RackAwareReplicaSelector" => Ok(true),
            other => Err(ConfigError::Value(format!(
                "{KEY}={other} is none of org.apache.kafka.common.replica.RackAwareReplicaSelector and LeaderSelector"
            ))),
        }
    }

    pub fn first(&self, keys: &[&str]) -> Option<&'a str> {
        keys.iter().find_map(|key| self.properties.get(*key)).map(String::as_str)
    }

    pub fn number<T: std::str::FromStr>(&self, key: &str, other: Option<&str>, default: T) -> Result<T, ConfigError> {
        let Some(text) = self.first(&[key]).or_else(|| other.and_then(|other| self.first(&[other]))) else {
            return Ok(default);
        };
        text.trim().parse().map_err(|_| ConfigError::Value(format!("{key}={text} is not in the range of its type")))
    }

    pub fn own<T: std::str::FromStr>(&self, key: &str) -> Result<T, ConfigError> {
        let default = OWN_KEYS.iter().find(|(name, _)| *name == key).map_or("", |(_, default)| *default);
        let text = self.first(&[key]).unwrap_or(default);
        text.trim().parse().map_err(|_| ConfigError::Value(format!("{key}={text} is not in the range of its type")))
    }

    pub fn balance_interval_ms(&self) -> Result<Option<i64>, ConfigError> {
        let on: bool = self.number("auto.leader.rebalance.enable", None, true)?;
        let seconds: i64 = self.number("leader.imbalance.check.interval.seconds", None, BALANCE_INTERVAL_MS / 1000)?;
        Ok(on.then(|| seconds.max(1).saturating_mul(1000)))
    }

    /// What topics inherit, and DescribeConfigs shows. Kafka's coarser units count where the millisecond keys are absent.
    pub fn broker_defaults(&self) -> BrokerDefaults {
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

    pub fn listener(
        &self,
        key: &'static str,
        default: &'static str,
        plaintext: bool,
    ) -> Result<SocketAddr, ConfigError> {
        self.address(key, self.first(&[key]).unwrap_or(default), plaintext)
    }

    /// Where to listen. What others can reach must be meant, since nothing is encrypted yet.
    pub fn address(&self, key: &'static str, text: &str, plaintext: bool) -> Result<SocketAddr, ConfigError> {
        let (host, port) = host_port(key, text)?;
        let bad = |why: String| ConfigError::Address { key, value: text.to_owned(), why };
        let mut addresses = (host.as_str(), port).to_socket_addrs().map_err(|error| bad(error.to_string()))?;
        let address = addresses.next().ok_or_else(|| bad("the host has no address".into()))?;
        if address.ip().is_loopback() || plaintext { Ok(address) } else { Err(ConfigError::Plaintext { address }) }
    }

    pub fn advertised(&self) -> Result<Option<(String, u16)>, ConfigError> {
        self.first(&["advertised.listeners"]).map(|text| host_port("advertised.listeners", text)).transpose()
    }
}
