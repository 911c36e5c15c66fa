//! What a caller is told when a call fails, and what a service says instead of an answer. Not here: why a connection ended.

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody told this broker where that one is.
    #[error("broker {0} has no address here")]
    NoAddress(i32),
    /// No connection, or none yet again: it was not sent.
    #[error("broker {broker_id} cannot be reached: {why}")]
    Unreachable {
        /// Called.
        broker_id: i32,
        /// What went wrong last.
        why: String,
    },
    /// Who answers does not talk to us, or is not who was meant: it was not sent.
    #[error("broker {broker_id} does not take calls from here: {why}")]
    NotAdmitted {
        /// Called.
        broker_id: i32,
        /// What it said.
        why: NotAdmitted,
    },
    /// Too much waits already for that broker on that lane: it was not sent.
    #[error("too much waits to be sent to broker {0} already")]
    QueueFull(i32),
    /// It was not sent.
    #[error("a body of {len} bytes is above the limit of {max}")]
    TooLarge {
        /// Bytes of the body.
        len: usize,
        /// Allowed.
        max: usize,
    },
    /// The caller's own patience ended; the connection goes on.
    #[error("no answer in time")]
    Timeout,
    /// That broker took no bytes, or left a call unanswered, for too long; every call of the connection fails with it.
    #[error("broker {0} stalled")]
    Stalled(i32),
    /// The connection ended meanwhile.
    #[error("the connection to broker {broker_id} ended: {why}")]
    Cut {
        /// Called.
        broker_id: i32,
        /// How it ended.
        why: String,
    },
    /// It arrived and was not carried out.
    #[error("refused: {0}")]
    Refused(String),
    /// This broker makes no calls any more.
    #[error("this broker shuts down")]
    Stopped,
}

impl CallError {
    /// Whether it may have been carried out all the same.
    pub fn may_have_arrived(&self) -> bool {
        matches!(self, Self::Timeout | Self::Stalled(_) | Self::Cut { .. })
    }

    /// A word for the metric's label.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NoAddress(_) => "no_address",
            Self::Unreachable { .. } => "unreachable",
            Self::NotAdmitted { .. } => "not_admitted",
            Self::QueueFull(_) => "queue_full",
            Self::TooLarge { .. } => "too_large",
            Self::Timeout => "timeout",
            Self::Stalled(_) => "stalled",
            Self::Cut { .. } => "cut",
            Self::Refused(_) => "refused",
            Self::Stopped => "stopped",
        }
    }
}

/// Why a broker does not take another's calls.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// No version of the protocol between brokers that both speak.
    #[error("it speaks versions {oldest} to {newest} of the protocol between brokers")]
    Version {
        /// Its oldest.
        oldest: u8,
        /// Its newest.
        newest: u8,
    },
    /// Another cluster.
    #[error("it belongs to cluster {theirs}")]
    Cluster {
        /// Its cluster id.
        theirs: String,
    },
    /// Another broker lives at that address.
    #[error("at its address is broker {actual}")]
    Target {
        /// Who is there.
        actual: i32,
    },
    /// Another process with the caller's id is connected and alive.
    #[error("another process runs with this broker's id")]
    DuplicateId,
    /// The caller's data directory was replaced.
    #[error("this broker's data directory was replaced by another")]
    Retired,
    /// It has too many connections.
    #[error("it has too many connections")]
    Full,
}

impl NotAdmitted {
    /// What whoever runs the caller can do.
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Version { .. } => "upgrade the older broker first; brokers one version apart understand each other",
            Self::Cluster { .. } => "correct the address, or start this broker on a data directory of that cluster",
            Self::Target { .. } => "correct the voters' addresses: one of them names the wrong broker",
            Self::DuplicateId => "stop one of the two, or give it another node.id and a data directory of its own",
            Self::Retired => "do not bring back the old directory; start with the new one",
            Self::Full => "look for brokers that should not be there, or raise the limit",
        }
    }

    /// A word for the metric's label.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Version { .. } => "version",
            Self::Cluster { .. } => "cluster",
            Self::Target { .. } => "target",
            Self::DuplicateId => "duplicate_id",
            Self::Retired => "retired",
            Self::Full => "full",
        }
    }
}

/// The longest text of a refusal.
pub(super) const REFUSAL_BYTES_MAX: usize = 1024;

/// What a service says instead of an answer. Texts above 1 KiB are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The caller hears it, and calls go on.
    Answer(String),
    /// The caller hears it, and the connection is closed: the bytes were no call.
    Close(String),
}
