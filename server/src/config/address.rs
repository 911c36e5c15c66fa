//! Addresses as Kafka's settings write them. Not here: opening them.

use super::error::ConfigError;

const KAFKA_PORT: u16 = 9092;

/// `HOST:PORT`, `PLAINTEXT://HOST:PORT`, `:PORT`, `HOST`. Of a list, all but one may be a controller's, as in the file that
/// Kafka ships.
pub(super) fn host_port(key: &'static str, text: &str) -> Result<(String, u16), ConfigError> {
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

/// `HOST:PORT` and nothing else: both must be said.
pub(super) fn plain_host_port(key: &'static str, text: &str) -> Result<(String, u16), ConfigError> {
    let bad = |why: &str| ConfigError::Address { key, value: text.to_owned(), why: why.to_owned() };
    let (host, port) = text.trim().rsplit_once(':').ok_or_else(|| bad("it has no port"))?;
    let port = port.parse().map_err(|_| bad("the port is no number up to 65535"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(bad("it has no host")) } else { Ok((host.to_owned(), port)) }
}

/// The controller's entry in a list of listeners.
pub(super) fn controller_of(listeners: &str) -> Option<String> {
    let mut entries = listeners.split(',').map(str::trim);
    entries.find_map(|one| {
        let (name, address) = one.split_once("://")?;
        name.eq_ignore_ascii_case("controller").then(|| address.to_owned())
    })
}
