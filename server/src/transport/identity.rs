//! Who speaks, and on which lane.

use uuid::Uuid;

/// Who this broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster that it belongs to; at most 200 bytes. Empty: none yet, until [`Transport::join_cluster`](super::Transport::join_cluster).
    pub cluster_id: String,
    /// `node.id`.
    pub broker_id: i32,
    /// Which data directory: a wiped one comes back with another.
    pub incarnation: Uuid,
}

/// Who called: what the connection's handshake said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// Its `node.id`.
    pub broker_id: i32,
    /// Its data directory.
    pub incarnation: Uuid,
    /// It belongs to no cluster yet, and may only ask which there is.
    pub stranger: bool,
}

/// Which of the connections to a broker carries a call. Lanes do not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Calls that are answered at once, or a stall: appends, heartbeats, votes.
    Append,
    /// Calls that may take long: snapshots, catching up, forwarded requests.
    Bulk,
}

impl Lane {
    pub(super) const ALL: [Self; 2] = [Self::Append, Self::Bulk];

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Append => 0,
            Self::Bulk => 1,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.code() == code)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Bulk => "bulk",
        }
    }
}
