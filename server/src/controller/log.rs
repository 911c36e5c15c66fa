//! Where proposed records go. Not here: how they are stored.

use std::{future::Future, pin::Pin};

use crate::metadata::MetadataRecord;

/// Why records were not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The log failed: KAFKA_STORAGE_ERROR (56).
    #[error("the metadata log failed: {0}")]
    Storage(String),
}

/// The answer of [`MetadataLog::propose`].
pub type Proposing<'a> = Pin<Box<dyn Future<Output = Result<(), ProposeError>> + Send + 'a>>;

/// The log of metadata records.
pub trait MetadataLog: Send + Sync {
    /// Appends the records as one batch: all of them are committed, or none. Resolves once they survive.
    fn propose(&self, records: &[MetadataRecord]) -> Proposing<'_>;
}
