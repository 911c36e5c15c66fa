//! What a setting is: its type and what values it takes.

use super::keys::TOPIC_KEYS;

/// Types of settings; the numbers are DescribeConfigs' `config_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ConfigKind {
    /// `true` or `false`.
    Boolean = 1,
    /// Any text.
    String = 2,
    /// 32 bits.
    Int = 3,
    /// 16 bits.
    Short = 4,
    /// 64 bits.
    Long = 5,
    /// A fraction.
    Double = 6,
    /// Texts separated by commas.
    List = 7,
    /// A Java class; only ever shown.
    Class = 8,
    /// A secret; never shown.
    Password = 9,
}

/// Values that are allowed beyond what the type says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Valid {
    /// All.
    Any,
    /// This and above.
    Min(i64),
    /// Both ends included.
    Range(i64, i64),
    /// From 0 to 1.
    Share,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A list of these.
    ListOf(&'static [&'static str]),
}

/// A topic setting.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopicKey {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: ConfigKind,
    /// Kafka's default.
    pub default: &'static str,
    /// The broker setting that gives the default, if one does.
    pub broker_key: Option<&'static str>,
    /// What is allowed.
    pub valid: Valid,
    /// Whether Tidemark follows it today.
    pub acts: bool,
    /// One line for people.
    pub doc: &'static str,
}

/// The key of this name.
pub fn topic_key(name: &str) -> Option<&'static TopicKey> {
    TOPIC_KEYS.binary_search_by(|key| key.name.cmp(name)).ok().map(|place| &TOPIC_KEYS[place])
}

/// Checks a value against type and bounds.
///
/// # Errors
/// A message in Kafka's form, for INVALID_CONFIG.
pub fn check_value(name: &str, kind: ConfigKind, valid: Valid, value: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("Invalid value {value} for configuration {name}: {why}"));
    let number: Option<i64> = match kind {
        ConfigKind::Boolean if !value.eq_ignore_ascii_case("true") && !value.eq_ignore_ascii_case("false") => {
            return refuse("Expected value to be either true or false");
        }
        ConfigKind::Int => match value.trim().parse::<i32>() {
            Ok(number) => Some(number.into()),
            Err(_) => return refuse("Not a number of type INT"),
        },
        ConfigKind::Short => match value.trim().parse::<i16>() {
            Ok(number) => Some(number.into()),
            Err(_) => return refuse("Not a number of type SHORT"),
        },
        ConfigKind::Long => match value.trim().parse::<i64>() {
            Ok(number) => Some(number),
            Err(_) => return refuse("Not a number of type LONG"),
        },
        _ => None,
    };
    let list = || value.split(',').map(str::trim).filter(|item| !item.is_empty());
    match (valid, number) {
        (Valid::Min(min), Some(number)) if number < min => refuse(&format!("Value must be at least {min}")),
        (Valid::Range(min, _), Some(number)) if number < min => refuse(&format!("Value must be at least {min}")),
        (Valid::Range(_, max), Some(number)) if number > max => refuse(&format!("Value must be no more than {max}")),
        (Valid::Share, _) => match value.trim().parse::<f64>() {
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(()),
            Ok(share) => {
                let why = if share > 1.0 { "Value must be no more than 1" } else { "Value must be at least 0" };
                Err(format!("Invalid value {share:?} for configuration {name}: {why}"))
            }
            Err(_) => refuse("Not a number of type DOUBLE"),
        },
        (Valid::OneOf(names), _) if !names.contains(&value) => {
            refuse(&format!("String must be one of: {}", names.join(", ")))
        }
        (Valid::ListOf(names), _) if list().any(|item| !names.contains(&item)) => {
            refuse(&format!("String must be one of: {}", names.join(", ")))
        }
        _ => Ok(()),
    }
}
