//! The only place of this crate that reads the wall clock. Durations and timeouts come from tokio's clock.

use std::time::SystemTime;

/// Milliseconds since 1970, 0 before. May jump either way.
#[allow(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
