//! Settings as DescribeConfigs and CreateTopics show them: value, source, and every source that would take its place.

use std::collections::BTreeMap;

use crate::{
    controller::Controller,
    metadata::{
        Image,
        topic_config::{BROKER_KEYS, BrokerDefaults, BrokerKey, ConfigKind, TOPIC_KEYS, TopicKey, ValueSource},
    },
};

/// One setting.
#[derive(Debug, Clone)]
pub(super) struct ConfigEntry<'a> {
    pub(super) name: &'a str,
    /// None: null, or a secret.
    pub(super) value: Option<String>,
    pub(super) source: ValueSource,
    pub(super) read_only: bool,
    pub(super) sensitive: bool,
    /// Values by source, the one in force first. Empty where only Kafka's default is known.
    pub(super) synonyms: Vec<Synonym>,
    /// None: unknown.
    pub(super) kind: Option<ConfigKind>,
    pub(super) doc: Option<&'static str>,
}

/// A value that one source gives, under the name it has there.
#[derive(Debug, Clone)]
pub(super) struct Synonym {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) source: ValueSource,
}

/// Where a broker's settings come from.
struct BrokerSources<'a> {
    own: Option<&'a BTreeMap<String, String>>,
    all: Option<&'a BTreeMap<String, String>>,
    fixed: &'a BrokerDefaults,
}

impl<'a> BrokerSources<'a> {
    fn of(controller: &'a Controller, image: &'a Image, node_id: i32) -> Self {
        Self { own: image.broker_configs(node_id), all: image.broker_configs(-1), fixed: controller.broker_defaults() }
    }

    fn synonyms(&self, key: &str) -> Vec<Synonym> {
        let default = BROKER_KEYS.iter().find(|(name, ..)| *name == key).and_then(|(_, _, default, _)| *default);
        let found = [
            (self.own.and_then(|own| own.get(key)).map(String::as_str), ValueSource::Broker),
            (self.all.and_then(|all| all.get(key)).map(String::as_str), ValueSource::BrokerDefault),
            (self.fixed.fixed.get(key).map(String::as_str), ValueSource::Fixed),
            (default, ValueSource::Default),
        ];
        let synonym = |(value, source): (Option<&str>, _)| {
            value.map(|value| Synonym { name: key.to_owned(), value: Some(value.to_owned()), source })
        };
        found.into_iter().filter_map(synonym).collect()
    }
}

/// Settings of topics. What brokers say of them is looked up once, for all topics of an answer.
pub(super) struct TopicEntries {
    /// Beside the keys.
    inherited: Vec<Vec<Synonym>>,
}

impl TopicEntries {
    pub(super) fn new(controller: &Controller) -> Self {
        let image = controller.image();
        let sources = BrokerSources::of(controller, &image, controller.node_id());
        let of_brokers = |key: &TopicKey| key.broker_key.map_or_else(Vec::new, |key| sources.synonyms(key));
        Self { inherited: TOPIC_KEYS.iter().map(of_brokers).collect() }
    }

    /// Every setting of a topic with these own values.
    pub(super) fn of(&self, own: &BTreeMap<String, String>) -> impl Iterator<Item = ConfigEntry<'static>> {
        TOPIC_KEYS.iter().zip(&self.inherited).map(|(key, inherited)| topic_entry(key, own, inherited.clone()))
    }
}

fn topic_entry(
    key: &'static TopicKey,
    own: &BTreeMap<String, String>,
    mut synonyms: Vec<Synonym>,
) -> ConfigEntry<'static> {
    if let Some(value) = own.get(key.name) {
        let own = Synonym { name: key.name.to_owned(), value: Some(value.clone()), source: ValueSource::Topic };
        synonyms.insert(0, own);
    }
    let first = synonyms.first();
    ConfigEntry {
        name: key.name,
        value: Some(first.and_then(|first| first.value.clone()).unwrap_or_else(|| key.default.to_owned())),
        source: first.map_or(ValueSource::Default, |first| first.source),
        read_only: false,
        sensitive: false,
        kind: Some(key.kind),
        doc: Some(key.doc),
        synonyms,
    }
}

/// Every setting of this broker: those that Kafka has, and others that were set.
pub(super) fn broker_entries(controller: &Controller) -> Vec<ConfigEntry<'static>> {
    let image = controller.image();
    let sources = BrokerSources::of(controller, &image, controller.node_id());
    BROKER_KEYS.iter().map(|key| broker_entry(key, sources.synonyms(key.0))).collect()
}

fn broker_entry(key: &'static BrokerKey, mut synonyms: Vec<Synonym>) -> ConfigEntry<'static> {
    let (name, kind, _, changeable) = *key;
    let sensitive = kind == ConfigKind::Password;
    if sensitive {
        synonyms.iter_mut().for_each(|synonym| synonym.value = None);
    }
    let first = synonyms.first();
    ConfigEntry {
        name,
        value: first.and_then(|first| first.value.clone()),
        source: first.map_or(ValueSource::Default, |first| first.source),
        read_only: !changeable,
        sensitive,
        kind: Some(kind),
        doc: None,
        synonyms,
    }
}

/// The dynamic settings that all brokers share, as far as they are set.
pub(super) fn broker_default_entries(image: &Image) -> Vec<ConfigEntry<'_>> {
    let known = |name: &str| BROKER_KEYS.iter().find(|(known, ..)| *known == name);
    let entry = |(name, value): (&'_ String, &String)| {
        let kind = known(name).map(|(_, kind, ..)| *kind);
        // what Kafka does not know it takes for a secret
        let sensitive = kind.is_none_or(|kind| kind == ConfigKind::Password);
        let value = Some(value.clone()).filter(|_| !sensitive);
        let source = ValueSource::BrokerDefault;
        (kind, sensitive, value.clone(), vec![Synonym { name: name.clone(), value, source }])
    };
    let set = image.broker_configs(-1).into_iter().flatten();
    set.map(|(name, value)| {
        let (kind, sensitive, shown, synonyms) = entry((name, value));
        ConfigEntry {
            name,
            value: shown,
            source: ValueSource::BrokerDefault,
            read_only: false,
            sensitive,
            synonyms,
            kind,
            doc: None,
        }
    })
    .collect()
}
