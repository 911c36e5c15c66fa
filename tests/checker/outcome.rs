//! What a client's error says about an operation: certainly not done, or unknown. When in doubt it is unknown.

use super::line::Kind;

/// Codes that mean that nothing was written, as long as no other attempt went unanswered.
const CERTAIN: [i16; 16] = [
    3,   // UNKNOWN_TOPIC_OR_PARTITION
    10,  // MESSAGE_TOO_LARGE
    17,  // INVALID_TOPIC_EXCEPTION
    18,  // RECORD_LIST_TOO_LARGE
    21,  // INVALID_REQUIRED_ACKS
    29,  // TOPIC_AUTHORIZATION_FAILED
    30,  // GROUP_AUTHORIZATION_FAILED
    31,  // CLUSTER_AUTHORIZATION_FAILED
    32,  // INVALID_TIMESTAMP
    43,  // UNSUPPORTED_FOR_MESSAGE_FORMAT
    44,  // POLICY_VIOLATION
    47,  // INVALID_PRODUCER_EPOCH
    53,  // TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    87,  // INVALID_RECORD
    90,  // PRODUCER_FENCED
    100, // UNKNOWN_TOPIC_ID
];

/// The kind of a send that a broker refused with a Kafka error code. `unanswered`: an earlier attempt may have been done.
pub fn refusal(code: i16, unanswered: bool) -> Kind {
    if !unanswered && CERTAIN.contains(&code) { Kind::Fail } else { Kind::Info }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_certain_is_a_failure() {
        assert_eq!(refusal(29, false), Kind::Fail);
        assert_eq!(refusal(29, true), Kind::Info);
        // REQUEST_TIMED_OUT, NOT_LEADER_OR_FOLLOWER, NOT_ENOUGH_REPLICAS_AFTER_APPEND, COORDINATOR_NOT_AVAILABLE
        for doubtful in [7, 6, 20, 15, -1] {
            assert_eq!(refusal(doubtful, false), Kind::Info, "{doubtful}");
        }
    }
}
