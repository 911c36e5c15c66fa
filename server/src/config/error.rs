//! Why settings do not make a broker. Not here: who says so.

use std::net::SocketAddr;

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
