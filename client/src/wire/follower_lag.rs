//! How far followers are behind, as a leader tells it in a tagged field of its own: Kafka has no place for it, and its clients skip
//! tags that they do not know.
//!
//! ```text
//! of each follower: broker i32, records i64, milliseconds i64              big endian; -1: not known
//! ```

/// The tag in a partition of a DescribeLogDirs answer. Far above those that Kafka gives out.
pub const TAG: i32 = 10_001;
const ENTRY_LEN: usize = 20;

/// One follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FollowerLag {
    /// Its broker.
    pub broker: i32,
    /// Records that the leader has and it has not; None if that is not known.
    pub records: Option<i64>,
    /// Milliseconds since it last had all that was committed; None if it never had.
    pub caught_up_ms: Option<i64>,
}

/// The field's bytes.
pub fn encode(lags: &[FollowerLag]) -> Vec<u8> {
    let mut out = Vec::with_capacity(lags.len() * ENTRY_LEN);
    for lag in lags {
        out.extend(lag.broker.to_be_bytes());
        out.extend(lag.records.unwrap_or(-1).to_be_bytes());
        out.extend(lag.caught_up_ms.unwrap_or(-1).to_be_bytes());
    }
    out
}

/// Reads such bytes; what is cut off at the end is left out.
pub fn decode(bytes: &[u8]) -> Vec<FollowerLag> {
    let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| i64::from_be_bytes(*bytes)).filter(|known| *known >= 0);
    let one = |entry: &[u8]| {
        let (broker, rest) = entry.split_first_chunk::<4>()?;
        let (records, caught_up_ms) = (number(rest), number(rest.get(8..)?));
        Some(FollowerLag { broker: i32::from_be_bytes(*broker), records, caught_up_ms })
    };
    bytes.chunks_exact(ENTRY_LEN).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_no_more() {
        let lags = [
            FollowerLag { broker: 2, records: Some(7), caught_up_ms: Some(3100) },
            FollowerLag { broker: 3, records: None, caught_up_ms: None },
        ];
        let bytes = encode(&lags);
        assert_eq!(decode(&bytes), lags);
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len]), lags[..len / ENTRY_LEN]);
        }
    }
}
