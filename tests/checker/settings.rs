//! What the clients of a run were told, as far as it decides what is allowed.

/// Settings of a run; a history's line `run` says them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Producers' acks: -1 is all.
    pub acks: i16,
    /// Producers' enable.idempotence, or transactions.
    pub idempotent: bool,
    /// Consumers' isolation.level.
    pub read_committed: bool,
}

impl Default for Settings {
    /// The strictest.
    fn default() -> Self {
        Self { acks: -1, idempotent: true, read_committed: true }
    }
}
