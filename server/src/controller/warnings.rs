//! What Kafka accepts without a word though it will surprise: said in the log, once, when it is asked for.

use crate::metadata::PartitionInfo;

/// A topic that is made with this many replicas.
pub(super) fn of_factor(topic: &str, factor: usize) {
    if factor == 2 {
        tracing::warn!(topic, "replication factor 2: writes stop while either broker is down; 3 survives one");
    }
}

/// A topic's setting.
pub(super) fn of_setting(topic: &str, factor: usize, key: &str, value: &str) {
    match (key, value.trim()) {
        ("min.insync.replicas", text) if text.parse::<usize>().is_ok_and(|needed| needed > factor) => {
            tracing::warn!(
                topic,
                text,
                factor,
                "min.insync.replicas is above the replication factor: acks=all is refused"
            );
        }
        ("unclean.leader.election.enable", text) if text.eq_ignore_ascii_case("true") => {
            tracing::warn!(
                topic,
                "unclean.leader.election.enable has no effect: what was acknowledged is never given up"
            );
        }
        _ => {}
    }
}

/// How many replicas the partitions of a topic have.
pub(super) fn factor(partitions: &[PartitionInfo]) -> usize {
    partitions.first().map_or(1, |first| first.wanted().len())
}
