//! Settings of topics and brokers: replacing them all (AlterConfigs) or changing single keys (IncrementalAlterConfigs).

use std::collections::{BTreeMap, HashSet};

use super::{
    controller::Controller,
    error::ControllerError::{self, InvalidConfig, InvalidRequest},
    warnings,
};
use crate::metadata::{
    Image, MetadataRecord, check_topic_name,
    topic_config::{BROKER_KEYS, ConfigKind, Valid, check_value, topic_key},
};

/// What has settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Resource {
    /// A topic.
    Topic(String),
    /// A broker; `None` is the default of all.
    Broker(Option<i32>),
}

/// Keys and values that replace all there were; a null value is refused.
pub type NewConfigs = Vec<(String, Option<String>)>;

/// What to do to one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOp {
    /// Set it.
    Set,
    /// Take it back to its default.
    Delete,
    /// Add items to a list.
    Append,
    /// Take items out of a list.
    Subtract,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// The key.
    pub key: String,
    /// What to do.
    pub op: ConfigOp,
    /// The value; needed except for a delete.
    pub value: Option<String>,
}

/// Checks a new topic's settings.
pub(super) fn check_topic_configs(
    configs: &[(String, Option<String>)],
) -> Result<BTreeMap<String, String>, ControllerError> {
    let mut checked = BTreeMap::new();
    for (key, value) in configs {
        let Some(value) = value else {
            return Err(InvalidConfig(format!("Null value not supported for topic configs: {key}")));
        };
        check_topic_config(key, value)?;
        checked.insert(key.clone(), value.clone());
    }
    Ok(checked)
}

fn check_topic_config(key: &str, value: &str) -> Result<(), ControllerError> {
    let known = topic_key(key).ok_or_else(|| InvalidConfig(format!("Unknown topic config name: {key}")))?;
    check_value(known.name, known.kind, known.valid, value).map_err(InvalidConfig)
}

fn check_broker_config(key: &str, value: &str) -> Result<(), ControllerError> {
    match BROKER_KEYS.iter().find(|(name, ..)| *name == key) {
        Some((name, kind, _, true)) => check_value(name, *kind, Valid::Any, value).map_err(InvalidRequest),
        Some(_) => Err(InvalidRequest(format!("Cannot update these configs dynamically: [{key}]"))),
        // Kafka keeps keys that it does not know: they may be a plugin's
        None => Ok(()),
    }
}

impl Resource {
    /// Its own settings, if it is there.
    fn own(&self, image: &Image, asked_at: i32) -> Result<BTreeMap<String, String>, ControllerError> {
        match self {
            Self::Topic(name) if name.is_empty() => {
                Err(InvalidRequest("Default topic resources are not allowed.".into()))
            }
            Self::Topic(name) => {
                check_topic_name(name).map_err(|error| ControllerError::InvalidTopic(error.to_string()))?;
                let topic = image.topic(name).ok_or_else(|| ControllerError::NoSuchTopic(name.clone()))?;
                Ok(topic.configs.clone())
            }
            Self::Broker(Some(id)) if *id != asked_at => {
                Err(InvalidRequest(format!("Unexpected broker id, expected {asked_at}, but received {id}")))
            }
            Self::Broker(id) => Ok(image.broker_configs(id.unwrap_or(-1)).cloned().unwrap_or_default()),
        }
    }

    fn check(&self, key: &str, value: &str) -> Result<(), ControllerError> {
        match self {
            Self::Topic(_) => check_topic_config(key, value),
            Self::Broker(_) => check_broker_config(key, value),
        }
    }

    fn warn(&self, image: &Image, key: &str, value: &str) {
        if let Self::Topic(name) = self
            && let Some(topic) = image.topic(name)
        {
            warnings::of_setting(name, warnings::factor(&topic.partitions), key, value);
        }
    }

    fn default_list(&self, key: &str) -> Option<String> {
        match self {
            Self::Topic(_) => topic_key(key).map(|known| known.default.to_owned()),
            Self::Broker(_) => {
                BROKER_KEYS.iter().find(|(name, ..)| *name == key).and_then(|known| known.2.map(str::to_owned))
            }
        }
    }

    fn is_list(&self, key: &str) -> bool {
        match self {
            Self::Topic(_) => topic_key(key).is_some_and(|known| known.kind == ConfigKind::List),
            Self::Broker(_) => BROKER_KEYS.iter().any(|(name, kind, ..)| *name == key && *kind == ConfigKind::List),
        }
    }

    fn record(&self, image: &Image, key: &str, value: Option<&str>) -> Result<MetadataRecord, ControllerError> {
        let (key, value) = (key.to_owned(), value.map(str::to_owned));
        Ok(match self {
            Self::Topic(name) => {
                let topic_id = image.topic(name).ok_or(ControllerError::UnknownTopic)?.id;
                MetadataRecord::TopicConfig { topic_id, key, value }
            }
            Self::Broker(id) => MetadataRecord::BrokerConfig { broker_id: id.unwrap_or(-1), key, value },
        })
    }
}

impl Controller {
    /// Changes single keys. Each resource is judged and committed by itself: all of its changes, or none. A broker's own settings
    /// are changed only where the client asked that broker.
    pub async fn incremental_alter_configs(
        &self,
        resources: &[(Resource, Vec<ConfigChange>)],
        asked_at: i32,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        match self.decide().await {
            Ok(_deciding) => self.change(resources, asked_at, validate_only).await,
            Err(error) => resources.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// The caller holds the right to decide.
    async fn change(
        &self,
        resources: &[(Resource, Vec<ConfigChange>)],
        asked_at: i32,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        let mut seen = HashSet::new();
        let doubled: HashSet<&Resource> =
            resources.iter().map(|(resource, _)| resource).filter(|resource| !seen.insert(*resource)).collect();
        let mut answers = Vec::with_capacity(resources.len());
        for (resource, changes) in resources {
            if doubled.contains(resource) {
                answers.push(Err(InvalidRequest("Each resource must appear at most once.".into())));
                continue;
            }
            answers.push(match self.plan_changes(resource, changes, asked_at) {
                Ok(records) if !validate_only => self.commit(&records).await,
                planned => planned.map(drop),
            });
        }
        answers
    }

    fn plan_changes(
        &self,
        resource: &Resource,
        changes: &[ConfigChange],
        asked_at: i32,
    ) -> Result<Vec<MetadataRecord>, ControllerError> {
        let image = self.image.load();
        let own = resource.own(&image, asked_at)?;
        let mut keys = HashSet::new();
        let mut records = Vec::new();
        for change in changes {
            let key = change.key.as_str();
            if !keys.insert(key) {
                return Err(InvalidRequest("Error due to duplicate config keys".into()));
            }
            let value = match (change.op, &change.value) {
                (ConfigOp::Delete, _) => None,
                (_, None) => return Err(InvalidRequest(format!("Null value not supported for : {key}"))),
                (ConfigOp::Set, Some(value)) => Some(value.clone()),
                (ConfigOp::Append | ConfigOp::Subtract, Some(_)) if !resource.is_list(key) => {
                    let op = if change.op == ConfigOp::Append { "APPEND" } else { "SUBTRACT" };
                    return Err(InvalidConfig(format!("Can't {op} to key {key} because its type is not LIST.")));
                }
                (op, Some(value)) => {
                    let now = own.get(key).cloned().or_else(|| resource.default_list(key)).unwrap_or_default();
                    Some(edit_list(&now, value, op == ConfigOp::Append))
                }
            };
            // a key that is not known may be taken back, as in Kafka: a newer version may have set it
            if let Some(value) = &value {
                resource.check(key, value)?;
                resource.warn(&image, key, value);
            }
            if own.get(key) != value.as_ref() {
                records.push(resource.record(&image, key, value.as_deref())?);
            }
        }
        Ok(records)
    }

    /// Replaces all settings of each resource: what is not named goes back to its default.
    pub async fn alter_configs(
        &self,
        resources: &[(Resource, NewConfigs)],
        asked_at: i32,
        validate_only: bool,
    ) -> Vec<Result<(), ControllerError>> {
        // what is to be dropped is what there is when nobody else decides
        let _deciding = match self.decide().await {
            Ok(deciding) => deciding,
            Err(error) => return resources.iter().map(|_| Err(error.clone())).collect(),
        };
        let image = self.image.load();
        let changes: Vec<(Resource, Vec<ConfigChange>)> = resources
            .iter()
            .map(|(resource, configs)| {
                let named: HashSet<&str> = configs.iter().map(|(key, _)| key.as_str()).collect();
                let own = resource.own(&image, asked_at).unwrap_or_default();
                let dropped = own.into_keys().filter(|key| !named.contains(key.as_str()));
                let deletes = dropped.map(|key| ConfigChange { key, op: ConfigOp::Delete, value: None });
                let sets = configs.iter().map(|(key, value)| ConfigChange {
                    key: key.clone(),
                    op: ConfigOp::Set,
                    value: value.clone(),
                });
                (resource.clone(), sets.chain(deletes).collect())
            })
            .collect();
        self.change(&changes, asked_at, validate_only).await
    }
}

fn edit_list(now: &str, change: &str, add: bool) -> String {
    let items = |text: &str| {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut list = items(now);
    for item in items(change) {
        list.retain(|known| add || *known != item);
        if add && !list.contains(&item) {
            list.push(item);
        }
    }
    list.join(",")
}
