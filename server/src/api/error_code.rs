//! The only place where errors of the rooms below become Kafka's error codes. Not here: which answer carries them.

use kafka_protocol::error::ResponseError;

use crate::{
    controller::{ControllerError, ProposeError},
    partition::{AppendError, CommitError, DeleteRecordsError, FetchError, OffsetError},
};

/// No error.
pub(super) const NONE: i16 = 0;

/// An error that a client can be told.
pub(super) trait ErrorCode {
    /// Kafka's name for it.
    fn response_error(&self) -> ResponseError;

    /// Kafka's number for it.
    fn error_code(&self) -> i16 {
        self.response_error().code()
    }
}

impl ErrorCode for ControllerError {
    fn response_error(&self) -> ResponseError {
        match self {
            Self::InvalidTopic(_) => ResponseError::InvalidTopicException,
            Self::TopicExists(_) => ResponseError::TopicAlreadyExists,
            Self::UnknownTopic | Self::NoSuchTopic(_) | Self::NoSuchPartition(_) => {
                ResponseError::UnknownTopicOrPartition
            }
            Self::UnknownTopicId => ResponseError::UnknownTopicId,
            Self::InvalidPartitions(_) => ResponseError::InvalidPartitions,
            Self::InvalidReplicationFactor(_) => ResponseError::InvalidReplicationFactor,
            Self::InvalidAssignment(_) => ResponseError::InvalidReplicaAssignment,
            Self::InvalidConfig(_) => ResponseError::InvalidConfig,
            Self::InvalidRequest(_) => ResponseError::InvalidRequest,
            Self::PolicyViolation(_) => ResponseError::PolicyViolation,
            Self::PreferredLeaderNotAvailable => ResponseError::PreferredLeaderNotAvailable,
            Self::EligibleLeadersNotAvailable => ResponseError::EligibleLeadersNotAvailable,
            Self::ElectionNotNeeded => ResponseError::ElectionNotNeeded,
            Self::NoReassignmentInProgress => ResponseError::NoReassignmentInProgress,
            Self::BrokerNotRegistered(_) => ResponseError::BrokerIdNotRegistered,
            Self::TimedOut(_) => ResponseError::RequestTimedOut,
            Self::FixedVoters(_) => ResponseError::UnsupportedVersion,
            Self::InconsistentClusterId => ResponseError::InconsistentClusterId,
            Self::DuplicateVoter(_) => ResponseError::DuplicateVoter,
            Self::VoterNotFound(_) => ResponseError::VoterNotFound,
            Self::Propose(error) => error.response_error(),
        }
    }
}

impl ErrorCode for ProposeError {
    fn response_error(&self) -> ResponseError {
        match self {
            Self::Storage(_) => ResponseError::KafkaStorageError,
            Self::NotController { .. } => ResponseError::NotController,
        }
    }
}

impl ErrorCode for AppendError {
    fn response_error(&self) -> ResponseError {
        match self {
            Self::CorruptMessage(_) => ResponseError::CorruptMessage,
            Self::InvalidRecord(_) => ResponseError::InvalidRecord,
            Self::InvalidTimestamp(_) => ResponseError::InvalidTimestamp,
            Self::MessageTooLarge { .. } => ResponseError::MessageTooLarge,
            Self::UnsupportedCompression(_) => ResponseError::UnsupportedCompressionType,
            Self::OutOfOrderSequence(_) => ResponseError::OutOfOrderSequenceNumber,
            Self::InvalidProducerEpoch(_) => ResponseError::InvalidProducerEpoch,
            Self::InvalidTxnState(_) => ResponseError::InvalidTxnState,
            // only a compare-and-append can fail so, and no Kafka API does one
            Self::UnexpectedEnd { .. } => ResponseError::UnknownServerError,
            Self::NotEnoughReplicas { .. } => ResponseError::NotEnoughReplicas,
            Self::NotEnoughReplicasAfterAppend { .. } => ResponseError::NotEnoughReplicasAfterAppend,
            Self::NotLeader => ResponseError::NotLeaderOrFollower,
            Self::Storage(_) => ResponseError::KafkaStorageError,
        }
    }
}

impl ErrorCode for CommitError {
    fn response_error(&self) -> ResponseError {
        match self {
            Self::Storage => ResponseError::KafkaStorageError,
            Self::NotLeader => ResponseError::NotLeaderOrFollower,
        }
    }
}

impl ErrorCode for FetchError {
    fn response_error(&self) -> ResponseError {
        match self {
            Self::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
            Self::FencedLeaderEpoch { .. } => ResponseError::FencedLeaderEpoch,
            Self::UnknownLeaderEpoch { .. } => ResponseError::UnknownLeaderEpoch,
            Self::NotLeader => ResponseError::NotLeaderOrFollower,
            Self::Storage(_) => ResponseError::KafkaStorageError,
        }
    }
}

impl ErrorCode for OffsetError {
    fn response_error(&self) -> ResponseError {
        match self {
            Self::FencedLeaderEpoch { .. } => ResponseError::FencedLeaderEpoch,
            Self::UnknownLeaderEpoch { .. } => ResponseError::UnknownLeaderEpoch,
            Self::OffsetNotAvailable => ResponseError::OffsetNotAvailable,
            Self::NotLeader => ResponseError::NotLeaderOrFollower,
            Self::Storage(_) => ResponseError::KafkaStorageError,
        }
    }
}

impl ErrorCode for DeleteRecordsError {
    fn response_error(&self) -> ResponseError {
        match self {
            Self::OffsetOutOfRange { .. } => ResponseError::OffsetOutOfRange,
            Self::PolicyViolation => ResponseError::PolicyViolation,
            Self::NotLeader => ResponseError::NotLeaderOrFollower,
            Self::Storage(_) => ResponseError::KafkaStorageError,
        }
    }
}
