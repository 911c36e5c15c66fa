//! How a bench fails.

/// Whatever goes wrong ends the bench with its message.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
