//! Topic settings: the table of keys, checking a value, and resolving a topic's settings from its own values and the
//! broker's. Not here: which room uses a setting.

mod broker_keys;
mod key;
mod keys;
mod settings;

pub use broker_keys::{BROKER_KEYS, BrokerKey};
pub use key::{ConfigKind, TopicKey, Valid, check_value, topic_key};
pub use keys::TOPIC_KEYS;
pub use settings::{BrokerDefaults, TopicSettings, Value, ValueSource, effective};
