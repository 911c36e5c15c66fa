//! What an answer means for the batch it is about. Pure.

use super::{batch::Batch, delivery::Outcome};
use crate::{ClientError, KafkaError, ProduceError};

/// What came back for a batch.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// It is in the log; nothing more is known with acks 0.
    Written { base_offset: Option<i64>, log_append_time_ms: Option<i64> },
    /// The broker refused it, and named these records of it.
    Refused { error: KafkaError, records: Vec<(u32, String)> },
    /// Nothing came back, or it could not be sent.
    Failed(ClientError),
}

/// What is done with the batch.
#[derive(Debug)]
pub(super) enum Verdict {
    Written(Outcome),
    /// It is sent again.
    Again {
        /// It and all behind it get new sequences first.
        renumber: bool,
        /// And a new producer id.
        forget: bool,
    },
    /// It is sent again in two halves.
    Split,
    GiveUp,
}

impl Answer {
    /// Whether the batch may have been written for all it says.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Written { .. } => false,
            Self::Refused { error, .. } => matches!(
                error.code,
                KafkaError::UNKNOWN_SERVER_ERROR
                    | KafkaError::REQUEST_TIMED_OUT
                    | KafkaError::NETWORK_EXCEPTION
                    | KafkaError::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                    | KafkaError::KAFKA_STORAGE_ERROR
            ),
            Self::Failed(error) => !matches!(
                error,
                ClientError::Connect { .. } | ClientError::UnsupportedVersion { .. } | ClientError::Invalid(_)
            ),
        }
    }

    pub(super) fn cause(&self) -> Option<String> {
        match self {
            Self::Written { .. } => None,
            Self::Refused { error, .. } => Some(error.to_string()),
            Self::Failed(error) => Some(error.to_string()),
        }
    }

    pub(super) fn metadata_stale(&self) -> bool {
        match self {
            Self::Written { .. } => false,
            Self::Refused { error, .. } => error.metadata_stale(),
            Self::Failed(_) => true,
        }
    }

    /// What a batch's records are told when it is given up for this.
    pub(super) fn refusal(&self, topic: String, partition: i32, maybe_written: bool) -> Outcome {
        match self {
            Self::Refused { error, records } => {
                let refused = ProduceError::Refused { topic, partition, error: error.clone(), maybe_written };
                if records.is_empty() {
                    return Outcome::Failed(refused);
                }
                let others = refused.clone().with_words("another record of the same batch was refused");
                Outcome::RecordsRefused { error: refused, others, refused: records.clone() }
            }
            Self::Failed(error) => Outcome::Failed(ProduceError::Client(error.clone())),
            Self::Written { .. } => Outcome::Failed(ProduceError::Closed),
        }
    }
}

/// `first`: nothing before the batch is still to be settled.
pub(super) fn judge(answer: &Answer, batch: &Batch, first: bool) -> Verdict {
    let again = Verdict::Again { renumber: false, forget: false };
    let error = match answer {
        Answer::Written { base_offset, log_append_time_ms } => {
            let (base_offset, log_append_time_ms) = (*base_offset, *log_append_time_ms);
            return Verdict::Written(Outcome::Written { base_offset, log_append_time_ms });
        }
        Answer::Failed(error) if error.retryable() || answer.is_silence() => return again,
        Answer::Failed(_) => return Verdict::GiveUp,
        Answer::Refused { error, .. } => error,
    };
    match error.code {
        KafkaError::DUPLICATE_SEQUENCE_NUMBER => {
            Verdict::Written(Outcome::Written { base_offset: None, log_append_time_ms: None })
        }
        // the broker lacks what came before: if that is given up, nothing from here on was written
        KafkaError::OUT_OF_ORDER_SEQUENCE_NUMBER | KafkaError::UNKNOWN_PRODUCER_ID if batch.sequence.is_some() => {
            Verdict::Again { renumber: first, forget: false }
        }
        KafkaError::INVALID_PRODUCER_EPOCH | KafkaError::INVALID_PRODUCER_ID_MAPPING
            if batch.sequence.is_some() && !batch.maybe_written =>
        {
            Verdict::Again { renumber: true, forget: true }
        }
        KafkaError::MESSAGE_TOO_LARGE if batch.records_count > 1 && !batch.maybe_written => Verdict::Split,
        _ if error.retryable => again,
        _ => Verdict::GiveUp,
    }
}
