//! An answer on its way to the socket: pieces of memory and of files, and how the connection must treat it.

use std::{future::Future, pin::Pin};

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::Encodable;

use crate::os::disk::SharedFile;

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

/// The body of an answer, without its header.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// One behind the other on the wire.
    pub parts: Vec<Part>,
}

impl Reply {
    /// An answer of one message.
    ///
    /// # Errors
    /// A field is set that the version cannot say: a handler's fault, which ends the connection.
    pub fn encode(message: &impl Encodable, version: i16) -> Result<Self, String> {
        let mut out = BytesMut::new();
        message.encode(&mut out, version).map_err(|error| error.to_string())?;
        Ok(Self { parts: vec![Part::Bytes(out.freeze())] })
    }
}

/// An answer that is not there yet. An error says why the connection must close without one.
pub type Waiting = Pin<Box<dyn Future<Output = Result<Reply, String>> + Send>>;

/// What a handler wants the connection to do.
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
