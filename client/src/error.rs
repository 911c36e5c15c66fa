//! What can go wrong, one enum per operation. Each says whether trying again can help, and what the broker said if it
//! spoke. Not here: the table of Kafka's codes.

use std::time::Duration;

use crate::kafka_error::KafkaError;

/// What an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The cluster or the request as a whole.
    Cluster,
    /// A topic.
    Topic(String),
    /// One partition of a topic.
    Partition(String, i32),
    /// Another named thing, such as a broker.
    Named(String),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster => f.write_str("cluster"),
            Self::Topic(topic) => write!(f, "topic {topic}"),
            Self::Partition(topic, partition) => write!(f, "partition {topic}-{partition}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// What any request may meet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// No stream to a broker could be opened.
    #[error("cannot connect to {address}: {cause}")]
    Connect {
        /// `host:port`.
        address: String,
        /// What the operating system says.
        cause: String,
    },
    /// The connection ended before the answer came: the request may have been done.
    #[error("connection to {address} ended: {cause}")]
    Disconnected {
        /// `host:port`.
        address: String,
        /// What the operating system says.
        cause: String,
    },
    /// No answer in time: the request may have been done.
    #[error("no answer to {api} from {address} in {after:?}")]
    Timeout {
        /// `host:port`.
        address: String,
        /// The request's name.
        api: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The broker's bytes are not what the protocol allows; the connection was closed.
    #[error("{address} answered {api} with bytes that are no answer: {cause}")]
    Malformed {
        /// `host:port`.
        address: String,
        /// The request's name.
        api: &'static str,
        /// What is wrong.
        cause: String,
    },
    /// Broker and client share no version of a request that both know.
    #[error("{address} and this client share no version of {api}")]
    UnsupportedVersion {
        /// `host:port`.
        address: String,
        /// The request's name.
        api: &'static str,
    },
    /// The broker answered with an error.
    #[error("{subject}: {error}")]
    Kafka {
        /// What it is about.
        subject: Subject,
        /// What the broker said.
        error: KafkaError,
    },
    /// A setting or an argument that can never work.
    #[error("{0}")]
    Invalid(String),
}

impl ClientError {
    /// An error that a broker answered.
    pub(crate) fn kafka(subject: Subject, error: KafkaError) -> Self {
        Self::Kafka { subject, error }
    }

    /// The same, as something that was asked for long enough.
    pub(crate) fn believed(mut self) -> Self {
        if let Self::Kafka { error, .. } = &mut self {
            error.retryable = false;
        }
        self
    }

    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Disconnected { .. } | Self::Timeout { .. } => true,
            Self::Malformed { .. } | Self::UnsupportedVersion { .. } | Self::Invalid(_) => false,
            Self::Kafka { error, .. } => error.retryable,
        }
    }

    /// What the broker said, if it spoke.
    pub fn kafka_error(&self) -> Option<&KafkaError> {
        match self {
            Self::Kafka { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// Why a record was not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProduceError {
    /// The broker refused it, and retries cannot help or have run out.
    #[error("partition {topic}-{partition}: {error}")]
    Refused {
        /// The record's topic.
        topic: String,
        /// The partition it was sent to.
        partition: i32,
        /// What the broker said.
        error: KafkaError,
        /// An earlier attempt went unanswered, so the record may have been written.
        maybe_written: bool,
    },
    /// No acknowledgement within the delivery timeout.
    #[error("partition {topic}-{partition}: not acknowledged in {after:?}: {cause}")]
    Timeout {
        /// The record's topic.
        topic: String,
        /// The partition it was meant for.
        partition: i32,
        /// The delivery timeout.
        after: Duration,
        /// What the last attempt met.
        cause: String,
        /// An attempt went unanswered, so the record may have been written.
        maybe_written: bool,
    },
    /// The record alone is larger than a request may be.
    #[error("topic {topic}: record of {bytes} bytes is above the limit of {bytes_max}")]
    RecordTooLarge {
        /// The record's topic.
        topic: String,
        /// Its size.
        bytes: usize,
        /// The producer's limit.
        bytes_max: usize,
    },
    /// The partition does not exist.
    #[error("topic {topic} has no partition {partition}: it has {partitions}")]
    NoSuchPartition {
        /// The record's topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// How many there are.
        partitions: i32,
    },
    /// The topic's metadata could not be had: nothing was sent.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The producer was closed before the record was acknowledged.
    #[error("the producer is closed")]
    Closed,
}

impl ProduceError {
    /// The same refusal in other words.
    pub(crate) fn with_words(mut self, words: &str) -> Self {
        if let Self::Refused { error, .. } = &mut self {
            *error = error.clone().with_message(Some(words));
        }
        self
    }

    /// Whether the same record may be taken later. A record that may have been written already could then be there twice.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Refused { error, .. } => error.retryable,
            Self::Timeout { .. } => true,
            Self::Client(error) => error.retryable(),
            Self::RecordTooLarge { .. } | Self::NoSuchPartition { .. } | Self::Closed => false,
        }
    }

    /// Whether the record may have been written although no acknowledgement came.
    pub fn maybe_written(&self) -> bool {
        match self {
            Self::Refused { maybe_written, .. } | Self::Timeout { maybe_written, .. } => *maybe_written,
            Self::Closed => true,
            Self::RecordTooLarge { .. } | Self::NoSuchPartition { .. } | Self::Client(_) => false,
        }
    }

    /// What the broker said, if it spoke.
    pub fn kafka_error(&self) -> Option<&KafkaError> {
        match self {
            Self::Refused { error, .. } => Some(error),
            Self::Client(error) => error.kafka_error(),
            _ => None,
        }
    }
}

/// Why records could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The offset asked for is not between the log's start and its end.
    #[error("partition {topic}-{partition}: offset {offset} is outside {earliest}..={latest}")]
    OffsetOutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset asked for.
        offset: i64,
        /// The first offset there is.
        earliest: i64,
        /// The offset that the next record will get.
        latest: i64,
    },
    /// A batch is damaged: checksum, compression or records.
    #[error("partition {topic}-{partition}: the batch at offset {offset} is damaged: {cause}")]
    Damaged {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The batch's base offset, or the offset asked for where none can be told.
        offset: i64,
        /// What is wrong.
        cause: String,
    },
    /// What any request may meet.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl ReadError {
    /// Whether the same read may succeed later.
    pub fn retryable(&self) -> bool {
        match self {
            Self::OffsetOutOfRange { .. } | Self::Damaged { .. } => false,
            Self::Client(error) => error.retryable(),
        }
    }

    /// What the broker said, if it spoke.
    pub fn kafka_error(&self) -> Option<KafkaError> {
        match self {
            Self::OffsetOutOfRange { .. } => Some(KafkaError::new(KafkaError::OFFSET_OUT_OF_RANGE)),
            Self::Damaged { .. } => None,
            Self::Client(error) => error.kafka_error().cloned(),
        }
    }
}
