//! Why a frame gets no answer: the connection then closes, as Kafka's does, and the reason is logged and counted.

use tidemark_client::wire::shape::ShapeError;

/// A frame that is not handled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The header cannot be read.
    #[error("the request header {0}")]
    Header(&'static str),
    /// Not in the table.
    #[error("api key {0} is not served")]
    ApiKey(i16),
    /// In the table, in other versions.
    #[error("version {version} of {api} is not served")]
    Version {
        /// The API.
        api: &'static str,
        /// What was asked for.
        version: i16,
    },
    /// The body is not a message of its version.
    #[error("malformed {api} request of version {version}: {error}")]
    Malformed {
        /// The API.
        api: &'static str,
        /// Its version.
        version: i16,
        /// What is wrong.
        error: ShapeError,
    },
    /// Well formed, but the decoder refused it.
    #[error("undecodable {api} request of version {version}: {error}")]
    Undecodable {
        /// The API.
        api: &'static str,
        /// Its version.
        version: i16,
        /// What the decoder said.
        error: String,
    },
}

impl Refusal {
    /// A word for a metric's label.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::ApiKey(_) => "api_key",
            Self::Version { .. } => "version",
            Self::Malformed { .. } => "malformed",
            Self::Undecodable { .. } => "undecodable",
        }
    }
}
