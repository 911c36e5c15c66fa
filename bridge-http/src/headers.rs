//! Names of the headers that are ours. Those of HTTP come from its library.

use axum::http::HeaderName;

/// Request: `return=minimal`, `wait=SECONDS` (RFC 7240).
pub(crate) const PREFER: HeaderName = HeaderName::from_static("prefer");
/// Answer: which preferences were followed.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// `PARTITION:OFFSET` of a record.
pub(crate) const RECORD_POSITION: HeaderName = HeaderName::from_static("record-position");
/// A record's key, percent-encoded.
pub(crate) const RECORD_KEY: HeaderName = HeaderName::from_static("record-key");
/// A record's key in Base64.
pub(crate) const RECORD_KEY_BASE64: HeaderName = HeaderName::from_static("record-key-base64");
/// A record's time: milliseconds since 1970, or RFC 3339.
pub(crate) const RECORD_TIMESTAMP: HeaderName = HeaderName::from_static("record-timestamp");
/// `true`: the record has no value (Kafka's null), which is not the same as an empty one.
pub(crate) const RECORD_TOMBSTONE: HeaderName = HeaderName::from_static("record-tombstone");
/// What the names of a record's own headers begin with.
pub(crate) const RECORD_HEADER: &str = "record-header-";

/// Answer to a read: the offset to ask for next.
pub(crate) const NEXT_OFFSET: HeaderName = HeaderName::from_static("next-offset");
/// Answer to a read: the offset after the last committed record.
pub(crate) const HIGH_WATERMARK: HeaderName = HeaderName::from_static("high-watermark");
/// Answer to a read: the first offset there is.
pub(crate) const LOG_START_OFFSET: HeaderName = HeaderName::from_static("log-start-offset");
/// Answer to a read: whether nothing is left to read.
pub(crate) const UP_TO_DATE: HeaderName = HeaderName::from_static("up-to-date");
