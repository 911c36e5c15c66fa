//! Why a connection ends.

use std::io;

use crate::api::Refusal;

/// The reason, for the log and the metric.
#[derive(Debug, thiserror::Error)]
pub(super) enum Close {
    /// The peer left between requests.
    #[error("the peer closed it")]
    Peer,
    /// The peer left in the middle of a frame.
    #[error("the peer closed it inside a frame")]
    InsideFrame,
    /// A frame cannot be so short, or negative.
    #[error("frame length {0} is not a request's")]
    Length(i32),
    /// `socket.request.max.bytes`.
    #[error("frame length {len} is above socket.request.max.bytes {max}")]
    TooLong {
        /// Claimed.
        len: usize,
        /// Allowed.
        max: usize,
    },
    /// A browser, or curl at the wrong port.
    #[error("the peer speaks HTTP; this port speaks the Kafka protocol")]
    Http,
    /// A TLS client.
    #[error("the peer speaks TLS; this port is plaintext")]
    Tls,
    /// `connections.max.idle.ms`.
    #[error("idle for too long")]
    Idle,
    /// A frame that does not arrive.
    #[error("a frame did not arrive in time")]
    SlowFrame,
    /// Answers that are not read.
    #[error("the peer does not read its answers")]
    SlowReader,
    /// A frame that gets no answer.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// A handler wants it: acks=0 failed, or an answer could not be made.
    #[error("{0}")]
    Handler(String),
    /// A segment was shorter than promised: the peer would read nonsense.
    #[error("an answer's file was shorter than its range")]
    ShortFile,
    /// The broker ends.
    #[error("the broker shuts down")]
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
            Self::Length(_) => "length",
            Self::TooLong { .. } => "too_long",
            Self::Http => "http",
            Self::Tls => "tls",
            Self::Idle => "idle",
            Self::SlowFrame => "slow_frame",
            Self::SlowReader => "slow_reader",
            Self::Refused(refusal) => refusal.reason(),
            Self::Handler(_) => "handler",
            Self::ShortFile => "short_file",
            Self::Shutdown => "shutdown",
            Self::Io(_) => "io",
        }
    }

    /// Whether somebody should read about it; the rest is everyday life.
    pub(super) fn is_notable(&self) -> bool {
        !matches!(self, Self::Peer | Self::Idle | Self::Shutdown | Self::Io(_) | Self::InsideFrame)
    }
}
