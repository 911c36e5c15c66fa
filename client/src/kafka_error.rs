//! Kafka's error codes: name, meaning, and whether the same request may succeed later. The facts are those of
//! `org.apache.kafka.common.protocol.Errors` in 4.3. Not here: what each operation makes of them.

use std::{borrow::Cow, fmt};

/// An error as a broker answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaError {
    /// Kafka's number; never 0.
    pub code: i16,
    /// Kafka's name, or `UNKNOWN` for a code that this client does not know.
    pub name: &'static str,
    /// The broker's own words where it gave some, else the code's meaning.
    pub message: Cow<'static, str>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl KafkaError {
    /// The broker met an error it has no code for.
    pub const UNKNOWN_SERVER_ERROR: i16 = -1;
    /// The offset is not between the log's start and its end.
    pub const OFFSET_OUT_OF_RANGE: i16 = 1;
    /// The broker knows no such topic or partition.
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    /// The partition has no leader at the moment.
    pub const LEADER_NOT_AVAILABLE: i16 = 5;
    /// The broker gave up waiting.
    pub const REQUEST_TIMED_OUT: i16 = 7;
    /// The broker went away before it answered.
    pub const NETWORK_EXCEPTION: i16 = 13;
    /// Written, but to fewer replicas than the topic demands.
    pub const NOT_ENOUGH_REPLICAS_AFTER_APPEND: i16 = 20;
    /// The broker's disk failed.
    pub const KAFKA_STORAGE_ERROR: i16 = 56;
    /// The producer id does not belong to the producer.
    pub const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
    /// The batch is larger than the topic allows.
    pub const MESSAGE_TOO_LARGE: i16 = 10;
    /// The broker does not speak this version of the request.
    pub const UNSUPPORTED_VERSION: i16 = 35;
    /// A topic of this name exists.
    pub const TOPIC_ALREADY_EXISTS: i16 = 36;
    /// The sequence does not follow the last one written.
    pub const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    /// The sequence was written before.
    pub const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
    /// The leader is the one that was asked for.
    pub const ELECTION_NOT_NEEDED: i16 = 84;
    /// The broker knows no topic with this id.
    pub const UNKNOWN_TOPIC_ID: i16 = 100;
    /// The producer's epoch is not the current one.
    pub const INVALID_PRODUCER_EPOCH: i16 = 47;
    /// The broker remembers nothing of the producer id.
    pub const UNKNOWN_PRODUCER_ID: i16 = 59;

    /// The error of a code, in this table's words. Code 0 is no error; see [`Self::from_code`].
    pub fn new(code: i16) -> Self {
        let row = TABLE.binary_search_by_key(&code, |row| row.code).ok().and_then(|at| TABLE.get(at));
        let (name, message, retryable) = row
            .map_or(("UNKNOWN", "a code that this client does not know", false), |row| {
                (row.name, row.message, row.retryable)
            });
        Self { code, name, message: message.into(), retryable }
    }

    /// None for code 0.
    pub fn from_code(code: i16) -> Option<Self> {
        (code != 0).then(|| Self::new(code))
    }

    /// The broker's own words in place of the table's, if it gave some.
    #[must_use]
    pub fn with_message(mut self, message: Option<impl Into<String>>) -> Self {
        if let Some(message) = message.map(Into::into).filter(|message: &String| !message.is_empty()) {
            self.message = message.into();
        }
        self
    }

    /// Whether it shows that what is known of leaders or topics is stale.
    pub fn metadata_stale(&self) -> bool {
        matches!(self.code, 3 | 5 | 6 | 9 | 13 | 56 | 72 | 74 | 80 | 83 | 84 | 100 | 103 | 75)
    }
}

impl fmt::Display for KafkaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.name, self.code, self.message)
    }
}

impl std::error::Error for KafkaError {}

struct Row {
    code: i16,
    name: &'static str,
    retryable: bool,
    message: &'static str,
}

const fn fatal(code: i16, name: &'static str, message: &'static str) -> Row {
    Row { code, name, retryable: false, message }
}

const fn passing(code: i16, name: &'static str, message: &'static str) -> Row {
    Row { code, name, retryable: true, message }
}

/// In the order of the codes.
#[rustfmt::skip]
static TABLE: &[Row] = &[
    fatal(-1, "UNKNOWN_SERVER_ERROR", "the broker met an error it has no code for"),
    fatal(1, "OFFSET_OUT_OF_RANGE", "the offset is not between the log's start and its end"),
    passing(2, "CORRUPT_MESSAGE", "the batch fails its checksum or its own length, or a compacted topic got no key"),
    passing(3, "UNKNOWN_TOPIC_OR_PARTITION", "the broker knows no such topic or partition"),
    fatal(4, "INVALID_FETCH_SIZE", "the fetch size is not valid"),
    passing(5, "LEADER_NOT_AVAILABLE", "the partition has no leader at the moment"),
    passing(6, "NOT_LEADER_OR_FOLLOWER", "the broker is not the partition's leader, or holds no replica of it"),
    passing(7, "REQUEST_TIMED_OUT", "the broker gave up waiting"),
    fatal(8, "BROKER_NOT_AVAILABLE", "the broker is not available"),
    passing(9, "REPLICA_NOT_AVAILABLE", "the replica is not available"),
    fatal(10, "MESSAGE_TOO_LARGE", "the batch is larger than the topic allows"),
    fatal(11, "STALE_CONTROLLER_EPOCH", "the controller has moved to another broker"),
    fatal(12, "OFFSET_METADATA_TOO_LARGE", "the metadata beside a committed offset are too long"),
    passing(13, "NETWORK_EXCEPTION", "the broker went away before it answered"),
    passing(14, "COORDINATOR_LOAD_IN_PROGRESS", "the coordinator is still loading"),
    passing(15, "COORDINATOR_NOT_AVAILABLE", "there is no coordinator at the moment"),
    passing(16, "NOT_COORDINATOR", "the broker is not the coordinator"),
    fatal(17, "INVALID_TOPIC_EXCEPTION", "the topic's name is not valid, or the topic must not be written"),
    fatal(18, "RECORD_LIST_TOO_LARGE", "the batch is larger than a segment"),
    passing(19, "NOT_ENOUGH_REPLICAS", "fewer replicas are in sync than the topic demands; nothing was written"),
    passing(20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "written, but to fewer replicas than the topic demands"),
    fatal(21, "INVALID_REQUIRED_ACKS", "acks must be -1, 0 or 1"),
    fatal(22, "ILLEGAL_GENERATION", "the group has another generation"),
    fatal(23, "INCONSISTENT_GROUP_PROTOCOL", "the members share no protocol"),
    fatal(24, "INVALID_GROUP_ID", "the group's name is not valid"),
    fatal(25, "UNKNOWN_MEMBER_ID", "the coordinator knows no such member"),
    fatal(26, "INVALID_SESSION_TIMEOUT", "the session timeout is outside the broker's limits"),
    fatal(27, "REBALANCE_IN_PROGRESS", "the group is rebalancing"),
    fatal(28, "INVALID_COMMIT_OFFSET_SIZE", "the committed offsets are too large together"),
    fatal(29, "TOPIC_AUTHORIZATION_FAILED", "the principal may not do this with the topic"),
    fatal(30, "GROUP_AUTHORIZATION_FAILED", "the principal may not do this with the group"),
    fatal(31, "CLUSTER_AUTHORIZATION_FAILED", "the principal may not do this with the cluster"),
    fatal(32, "INVALID_TIMESTAMP", "the record's timestamp is outside the topic's limits"),
    fatal(33, "UNSUPPORTED_SASL_MECHANISM", "the broker offers no such SASL mechanism"),
    fatal(34, "ILLEGAL_SASL_STATE", "not allowed at this step of authentication"),
    fatal(35, "UNSUPPORTED_VERSION", "the broker does not speak this version of the request"),
    fatal(36, "TOPIC_ALREADY_EXISTS", "a topic of this name exists"),
    fatal(37, "INVALID_PARTITIONS", "the number of partitions is not valid"),
    fatal(38, "INVALID_REPLICATION_FACTOR", "the replication factor is below one or above the number of brokers"),
    fatal(39, "INVALID_REPLICA_ASSIGNMENT", "the replica assignment is not valid"),
    fatal(40, "INVALID_CONFIG", "a config has no valid value"),
    passing(41, "NOT_CONTROLLER", "the broker is not the controller"),
    fatal(42, "INVALID_REQUEST", "the request contradicts itself or the protocol"),
    fatal(43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", "the stored message format cannot answer this"),
    fatal(44, "POLICY_VIOLATION", "a policy of the cluster forbids it"),
    fatal(45, "OUT_OF_ORDER_SEQUENCE_NUMBER", "the sequence does not follow the last one written"),
    fatal(46, "DUPLICATE_SEQUENCE_NUMBER", "the sequence was written before"),
    fatal(47, "INVALID_PRODUCER_EPOCH", "the producer's epoch is not the current one"),
    fatal(48, "INVALID_TXN_STATE", "the transaction is not in a state that allows this"),
    fatal(49, "INVALID_PRODUCER_ID_MAPPING", "the producer id does not belong to the transactional id"),
    fatal(50, "INVALID_TRANSACTION_TIMEOUT", "the transaction timeout is above the broker's limit"),
    passing(51, "CONCURRENT_TRANSACTIONS", "another change of the same transaction is running"),
    fatal(52, "TRANSACTION_COORDINATOR_FENCED", "the transaction coordinator is no longer the current one"),
    fatal(53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "the principal may not use the transactional id"),
    fatal(54, "SECURITY_DISABLED", "security is switched off"),
    fatal(55, "OPERATION_NOT_ATTEMPTED", "not tried, because another part of the request failed"),
    passing(56, "KAFKA_STORAGE_ERROR", "the broker's disk failed"),
    fatal(57, "LOG_DIR_NOT_FOUND", "the broker has no such log directory"),
    fatal(58, "SASL_AUTHENTICATION_FAILED", "authentication failed"),
    fatal(59, "UNKNOWN_PRODUCER_ID", "the broker remembers nothing of the producer id"),
    fatal(60, "REASSIGNMENT_IN_PROGRESS", "the partition is being moved"),
    fatal(61, "DELEGATION_TOKEN_AUTH_DISABLED", "delegation tokens are switched off"),
    fatal(62, "DELEGATION_TOKEN_NOT_FOUND", "there is no such delegation token"),
    fatal(63, "DELEGATION_TOKEN_OWNER_MISMATCH", "the principal does not own the delegation token"),
    fatal(64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "delegation tokens may not be asked for over this connection"),
    fatal(65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", "the principal may not do this with the delegation token"),
    fatal(66, "DELEGATION_TOKEN_EXPIRED", "the delegation token has expired"),
    fatal(67, "INVALID_PRINCIPAL_TYPE", "the kind of principal is not supported"),
    fatal(68, "NON_EMPTY_GROUP", "the group has members"),
    fatal(69, "GROUP_ID_NOT_FOUND", "there is no such group"),
    passing(70, "FETCH_SESSION_ID_NOT_FOUND", "the broker has no such fetch session"),
    passing(71, "INVALID_FETCH_SESSION_EPOCH", "the fetch session is at another epoch"),
    passing(72, "LISTENER_NOT_FOUND", "the leader has no listener of the name that was asked through"),
    fatal(73, "TOPIC_DELETION_DISABLED", "topics may not be deleted here"),
    passing(74, "FENCED_LEADER_EPOCH", "the leader epoch is older than the broker's"),
    passing(75, "UNKNOWN_LEADER_EPOCH", "the leader epoch is newer than the broker's"),
    fatal(76, "UNSUPPORTED_COMPRESSION_TYPE", "the batch's codec is not supported here"),
    fatal(77, "STALE_BROKER_EPOCH", "the broker has registered anew"),
    passing(78, "OFFSET_NOT_AVAILABLE", "the new leader does not know its high watermark yet"),
    fatal(79, "MEMBER_ID_REQUIRED", "the member must join again with the id it was given"),
    passing(80, "PREFERRED_LEADER_NOT_AVAILABLE", "the preferred leader is not available"),
    fatal(81, "GROUP_MAX_SIZE_REACHED", "the group is full"),
    fatal(82, "FENCED_INSTANCE_ID", "another member uses the same instance id"),
    passing(83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", "no replica may be elected"),
    passing(84, "ELECTION_NOT_NEEDED", "the leader is the one that was asked for"),
    fatal(85, "NO_REASSIGNMENT_IN_PROGRESS", "no partition is being moved"),
    fatal(86, "GROUP_SUBSCRIBED_TO_TOPIC", "the group is subscribed to the topic"),
    fatal(87, "INVALID_RECORD", "a record breaks a rule of the topic"),
    passing(88, "UNSTABLE_OFFSET_COMMIT", "a transaction has pending offsets"),
    passing(89, "THROTTLING_QUOTA_EXCEEDED", "a quota is used up"),
    fatal(90, "PRODUCER_FENCED", "a newer producer has taken over"),
    fatal(91, "RESOURCE_NOT_FOUND", "there is no such resource"),
    fatal(92, "DUPLICATE_RESOURCE", "the same resource is named twice"),
    fatal(93, "UNACCEPTABLE_CREDENTIAL", "the credential is not acceptable"),
    fatal(94, "INCONSISTENT_VOTER_SET", "the broker is not one of the expected voters"),
    fatal(95, "INVALID_UPDATE_VERSION", "the version cannot be changed to that"),
    fatal(96, "FEATURE_UPDATE_FAILED", "features could not be updated"),
    fatal(97, "PRINCIPAL_DESERIALIZATION_FAILURE", "the forwarded principal could not be read"),
    fatal(98, "SNAPSHOT_NOT_FOUND", "there is no such snapshot"),
    fatal(99, "POSITION_OUT_OF_RANGE", "the position is outside the snapshot"),
    passing(100, "UNKNOWN_TOPIC_ID", "the broker knows no topic with this id"),
    fatal(101, "DUPLICATE_BROKER_REGISTRATION", "another broker uses this node id"),
    fatal(102, "BROKER_ID_NOT_REGISTERED", "no broker has registered with this node id"),
    passing(103, "INCONSISTENT_TOPIC_ID", "the log belongs to a topic with another id"),
    fatal(104, "INCONSISTENT_CLUSTER_ID", "the request is meant for another cluster"),
    fatal(105, "TRANSACTIONAL_ID_NOT_FOUND", "there is no such transactional id"),
    passing(106, "FETCH_SESSION_TOPIC_ID_ERROR", "the fetch session mixes topic names and ids"),
    fatal(107, "INELIGIBLE_REPLICA", "a replica may not join the in-sync replicas"),
    fatal(108, "NEW_LEADER_ELECTED", "done, but there is a new leader"),
    fatal(109, "OFFSET_MOVED_TO_TIERED_STORAGE", "the offset lies in tiered storage"),
    fatal(110, "FENCED_MEMBER_EPOCH", "the member's epoch is fenced; it must rejoin"),
    fatal(111, "UNRELEASED_INSTANCE_ID", "another member still holds the instance id"),
    fatal(112, "UNSUPPORTED_ASSIGNOR", "the group does not support the assignor"),
    fatal(113, "STALE_MEMBER_EPOCH", "the member's epoch is stale; it will get a newer one"),
    fatal(114, "MISMATCHED_ENDPOINT_TYPE", "the endpoint is of the wrong kind"),
    fatal(115, "UNSUPPORTED_ENDPOINT_TYPE", "endpoints of this kind are not supported"),
    fatal(116, "UNKNOWN_CONTROLLER_ID", "there is no such controller"),
    fatal(117, "UNKNOWN_SUBSCRIPTION_ID", "the telemetry subscription is not the current one"),
    fatal(118, "TELEMETRY_TOO_LARGE", "the telemetry are too large"),
    fatal(119, "INVALID_REGISTRATION", "the broker's registration is not valid"),
    fatal(120, "TRANSACTION_ABORTABLE", "the transaction cannot go on; abort it"),
    fatal(121, "INVALID_RECORD_STATE", "the record is not in a state that allows this"),
    passing(122, "SHARE_SESSION_NOT_FOUND", "there is no such share session"),
    passing(123, "INVALID_SHARE_SESSION_EPOCH", "the share session is at another epoch"),
    fatal(124, "FENCED_STATE_EPOCH", "the share state's epoch is fenced"),
    fatal(125, "INVALID_VOTER_KEY", "the voter's key is another one"),
    fatal(126, "DUPLICATE_VOTER", "the broker is a voter already"),
    fatal(127, "VOTER_NOT_FOUND", "the broker is not a voter"),
    fatal(128, "INVALID_REGULAR_EXPRESSION", "the regular expression is not valid"),
    fatal(129, "REBOOTSTRAP_REQUIRED", "the client's metadata are stale; it must start from the bootstrap brokers"),
    fatal(130, "STREAMS_INVALID_TOPOLOGY", "the topology is not valid"),
    fatal(131, "STREAMS_INVALID_TOPOLOGY_EPOCH", "the topology's epoch is not valid"),
    fatal(132, "STREAMS_TOPOLOGY_FENCED", "the topology's epoch is outdated"),
    passing(133, "SHARE_SESSION_LIMIT_REACHED", "there are too many share sessions"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_knows_every_code() {
        assert!(TABLE.windows(2).all(|rows| rows[0].code < rows[1].code));
        assert!((-1..=133).filter(|code| *code != 0).all(|code| KafkaError::new(code).name != "UNKNOWN"));
        assert_eq!(KafkaError::new(5000).name, "UNKNOWN");
        assert_eq!(KafkaError::from_code(0), None);
    }

    #[test]
    fn the_brokers_words_replace_the_tables() {
        let error = KafkaError::new(6).with_message(Some("moved"));
        assert_eq!(error.to_string(), "NOT_LEADER_OR_FOLLOWER (6): moved");
        assert!(error.retryable && error.metadata_stale());
        assert_eq!(KafkaError::new(36).with_message(None::<String>).message, "a topic of this name exists");
        assert_eq!(KafkaError::new(36).with_message(Some("")).message, "a topic of this name exists");
    }
}
