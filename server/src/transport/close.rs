//! Why a connection between brokers ends.

use std::io;

use super::error::NotAdmitted;

/// The reason, for the log and the metric.
#[derive(Debug, thiserror::Error)]
pub(super) enum Close {
    /// The peer left between frames.
    #[error("the peer closed it")]
    Peer,
    /// The peer left in the middle of a frame.
    #[error("the peer closed it inside a frame")]
    InsideFrame,
    /// The first bytes are those of somebody else's protocol.
    #[error("the peer speaks {0}; this port is for brokers of the cluster")]
    Foreign(&'static str),
    /// First words that no broker says.
    #[error("the peer's first words are wrong: {0}")]
    Hello(&'static str),
    /// First words that did not come, or took too long to judge.
    #[error("the handshake took too long")]
    SlowHello,
    /// A peer that may not call.
    #[error("broker {broker_id} not admitted: {why}")]
    NotAdmitted {
        /// Who it says it is.
        broker_id: i32,
        /// What it was told.
        why: NotAdmitted,
    },
    /// A header that is not what was sent.
    #[error("a frame's header does not match its checksum")]
    HeaderChecksum,
    /// A body that is not what was sent.
    #[error("a frame's body does not match its checksum")]
    BodyChecksum,
    /// A header with values that mean nothing here.
    #[error("a frame of unknown form {0}")]
    Form(u8),
    /// A body above the limit.
    #[error("a frame of {len} bytes is above the limit of {max}")]
    TooLong {
        /// Claimed.
        len: usize,
        /// Allowed.
        max: usize,
    },
    /// An answer to a call that was not made, or was answered.
    #[error("an answer to no call")]
    StrangeAnswer,
    /// A frame that does not arrive.
    #[error("a frame did not arrive in time")]
    SlowFrame,
    /// Bytes that are not taken.
    #[error("the peer takes no bytes")]
    SlowReader,
    /// A call without an answer.
    #[error("the peer leaves a call unanswered")]
    NoAnswer,
    /// The service wants it.
    #[error("a call was refused: {0}")]
    Hostile(String),
    /// The same broker has a newer connection, or its id is somebody else's.
    #[error("another connection took its place")]
    Replaced,
    /// The address is not that broker's any more.
    #[error("the broker was forgotten here, or moved")]
    Forgotten,
    /// This broker ends.
    #[error("this broker shuts down")]
    Shutdown,
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Close {
    /// A word for the metric's label.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::InsideFrame => "inside_frame",
            Self::Foreign(_) => "foreign",
            Self::Hello(_) => "hello",
            Self::SlowHello => "slow_hello",
            Self::NotAdmitted { why, .. } => why.reason(),
            Self::HeaderChecksum => "header_checksum",
            Self::BodyChecksum => "body_checksum",
            Self::Form(_) => "form",
            Self::TooLong { .. } => "too_long",
            Self::StrangeAnswer => "strange_answer",
            Self::SlowFrame => "slow_frame",
            Self::SlowReader => "slow_reader",
            Self::NoAnswer => "no_answer",
            Self::Hostile(_) => "hostile",
            Self::Replaced => "replaced",
            Self::Forgotten => "forgotten",
            Self::Shutdown => "shutdown",
            Self::Io(_) => "io",
        }
    }

    /// Whether the other side stands still, rather than being gone.
    pub(super) fn is_stall(&self) -> bool {
        matches!(self, Self::SlowFrame | Self::SlowReader | Self::NoAnswer)
    }

    /// Whether somebody should read about it; the rest is everyday life.
    pub(super) fn is_notable(&self) -> bool {
        !matches!(
            self,
            Self::Peer | Self::InsideFrame | Self::Replaced | Self::Forgotten | Self::Shutdown | Self::Io(_)
        )
    }
}
