//! How long to wait before something is tried again, and for how long at all. Not here: what may be tried again; the
//! errors know.

use std::time::Duration;

/// Pauses that double from `pause_min` to `pause_max`, spread by a fifth either way, within `timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryConfig {
    /// Before the second attempt. Default 50 ms.
    pub pause_min: Duration,
    /// The longest pause. Default 1 s.
    pub pause_max: Duration,
    /// No attempt starts later than this after the first. Default 60 s; zero: one attempt.
    pub timeout: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
        }
    }
}
