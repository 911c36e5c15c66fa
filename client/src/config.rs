//! What a client is told when it is made. Producer and reader have their own settings beside them.

use std::time::Duration;

use crate::{connector::Connector, retry::RetryConfig};

/// Settings of a [`Client`](crate::Client). Start from [`ClientConfig::new`] and change fields.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `host:port` of brokers to ask first; one that answers is enough.
    pub bootstrap: Vec<String>,
    /// Sent with every request; brokers log it and count quotas by it.
    pub client_id: String,
    /// How long to wait for a stream and the first answer on it. Default 10 s.
    pub connect_timeout: Duration,
    /// How long to wait for an answer; then the connection is closed. Default 30 s.
    pub request_timeout: Duration,
    /// The most bytes one response may have; memory grows only as they arrive. Default 100 MiB.
    pub response_bytes_max: usize,
    /// Requests that may await answers on one connection. Default 64.
    pub in_flight_max: usize,
    /// Metadata older than this are fetched anew when next used; no timer runs for it. Default 5 min.
    pub metadata_age_max: Duration,
    /// How long a topic that no broker knows is asked for before that is believed: one just created is not known
    /// everywhere at once. Default 1 s; zero: believed at once.
    pub unknown_topic_wait: Duration,
    /// How requests that may be repeated are repeated.
    pub retry: RetryConfig,
    /// How streams are opened. Default TCP.
    pub connector: Connector,
}

impl ClientConfig {
    /// Defaults, for a cluster that is reached at these addresses.
    pub fn new<A: Into<String>>(bootstrap: impl IntoIterator<Item = A>) -> Self {
        Self {
            bootstrap: bootstrap.into_iter().map(Into::into).collect(),
            client_id: "tidemark".to_owned(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            response_bytes_max: 100 * 1024 * 1024,
            in_flight_max: 64,
            metadata_age_max: Duration::from_secs(300),
            unknown_topic_wait: Duration::from_secs(1),
            retry: RetryConfig::default(),
            connector: Connector::default(),
        }
    }
}
