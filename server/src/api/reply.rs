//! An answer on its way to the socket: pieces of memory and of files, and how the connection must treat it.

use std::{future::Future, pin::Pin};

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;

use super::controller_answer::ControllerAnswer;
use crate::{
    os::disk::SharedFile,
    tasks::{self, TaskKind},
};

/// A piece of an answer.
#[derive(Debug, Clone)]
pub enum Part {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A range of a segment, sent from the page cache.
    File {
        /// The segment.
        file: SharedFile,
        /// First byte.
        position: u64,
        /// Bytes.
        len: usize,
    },
}

impl Part {
    /// Bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::File { len, .. } => *len,
        }
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What comes before an answer's body on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHeader {
    /// As the request said.
    pub correlation_id: i32,
    /// Header version 1: an empty tagged section follows.
    pub tagged: bool,
}

impl ReplyHeader {
    /// Length prefix and header before a body of `body_len` bytes. `None` where no frame can be so long.
    pub fn frame(self, body_len: usize) -> Option<Bytes> {
        let len = i32::try_from(body_len + 4 + usize::from(self.tagged)).ok()?;
        let mut head = BytesMut::with_capacity(9);
        head.extend_from_slice(&len.to_be_bytes());
        head.extend_from_slice(&self.correlation_id.to_be_bytes());
        head.extend_from_slice(if self.tagged { &[0] } else { &[] });
        Some(head.freeze())
    }
}

/// The body of an answer, without its header.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// One behind the other on the wire.
    pub parts: Vec<Part>,
    /// It says NOT_CONTROLLER: another broker may have a better answer.
    pub not_controller: bool,
}

impl Reply {
    /// An answer of one message.
    ///
    /// # Errors
    /// A field is set that the version cannot say: a handler's fault, which ends the connection.
    pub fn encode(message: &impl Encodable, version: i16) -> Result<Self, String> {
        let mut out = BytesMut::new();
        message.encode(&mut out, version).map_err(|error| error.to_string())?;
        Ok(Self { parts: vec![Part::Bytes(out.freeze())], not_controller: false })
    }

    /// Bytes of all parts.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An answer that is not there yet. An error says why the connection must close without one.
pub type Waiting = Pin<Box<dyn Future<Output = Result<Reply, String>> + Send>>;

/// What a handler wants the connection to do.
#[must_use]
pub enum Handling {
    /// Answer, in turn.
    Ready(Reply),
    /// Answer later, and read on meanwhile (Produce).
    Pipelined(Waiting),
    /// Answer later; read nothing before.
    Exclusive(Waiting),
    /// Answer nothing (Produce with acks=0).
    Silent,
    /// Close without an answer, for a logged reason.
    Close(String),
}

impl Handling {
    /// An answer in hand.
    pub fn ready(message: &impl Encodable, version: i16) -> Self {
        Reply::encode(message, version).map_or_else(Self::Close, Self::Ready)
    }

    /// Makes a change, then answers with a message; nothing is read before. A change that has begun is carried to its end
    /// in a task of its own, since the connection drops what it waits for when the peer leaves.
    pub(super) fn decided<M: Encodable + ControllerAnswer + Send + 'static>(
        version: i16,
        message: impl Future<Output = M> + Send + 'static,
    ) -> Self {
        let decision = tasks::spawn(TaskKind::Decision, message);
        Self::Exclusive(Box::pin(async move {
            let message = decision.await.map_err(|error| error.to_string())?;
            let not_controller = message.is_not_controller();
            Ok(Reply { not_controller, ..Reply::encode(&message, version)? })
        }))
    }
}
