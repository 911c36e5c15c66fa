//! Where proposed records go, and who may propose them. Not here: how they are stored and replicated.

use std::{future::Future, pin::Pin};

use super::{
    quorum::Quorum,
    voters::{VoterChange, VoterError},
};
use crate::metadata::MetadataRecord;

/// Why records were not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The log failed: KAFKA_STORAGE_ERROR (56).
    #[error("the metadata log failed: {0}")]
    Storage(String),
    /// Another broker decides, or none does yet: NOT_CONTROLLER (41). Whoever loses the leadership of the log while records wait
    /// cannot know whether they were committed; they are told this, too, as Kafka does.
    #[error("This is not the correct controller for this cluster.")]
    NotController {
        /// The broker that decides, if that is known.
        leader: Option<i32>,
    },
}

/// Where a batch of records lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Offset after its last record.
    pub next_offset: i64,
}

/// The answer of [`MetadataLog::propose`].
pub type Proposing<'a> = Pin<Box<dyn Future<Output = Result<Committed, ProposeError>> + Send + 'a>>;

/// The answer of [`MetadataLog::change_voters`].
pub type Changing<'a> = Pin<Box<dyn Future<Output = Result<(), VoterError>> + Send + 'a>>;

/// The answer of [`MetadataLog::start_at`]; an error says why it starts where it did.
pub type Starting<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// The log of metadata records.
pub trait MetadataLog: Send + Sync {
    /// Appends the records as one batch: all of them are committed, or none. Resolves once they survive.
    fn propose(&self, records: &[MetadataRecord]) -> Proposing<'_>;

    /// Offset after the last record, committed or not.
    fn end_offset(&self) -> i64;

    /// How its replicas stand, as this broker sees it.
    fn quorum(&self) -> Quorum;

    /// Bytes that it takes on this broker.
    fn size_bytes(&self) -> u64 {
        0
    }

    /// Lets it start at an offset: what lies below may go. Resolves once that survives.
    fn start_at(&self, _: i64) -> Starting<'_> {
        Box::pin(std::future::ready(Err("this log keeps all".to_owned())))
    }

    /// Changes its replicas. A log that has one, and can have no other, refuses.
    fn change_voters(&self, _: VoterChange) -> Changing<'_> {
        Box::pin(std::future::ready(Err(VoterError::Alone)))
    }
}
