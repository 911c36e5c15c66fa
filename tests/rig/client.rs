//! What the workload needs of a client: a producer and a consumer that are one process of the history.

use std::{fmt, time::Duration};

use crate::checker::{Kind, Polled};

use super::content::Content;

/// A topic's partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The topic.
    pub topic: String,
    /// From 0.
    pub partition: i32,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What became of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendOutcome {
    /// Ok, fail or info.
    pub kind: Kind,
    /// Where it was stored, if that was told.
    pub offset: Option<i64>,
    /// What the client said.
    pub error: Option<String>,
}

/// Is told the outcome of a send, once.
pub type Done = Box<dyn FnOnce(SendOutcome) + Send + Sync>;

/// Where a consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The first record there is.
    Earliest,
    /// At an offset.
    Offset(i64),
}

/// What a poll brought of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolledKey {
    /// The key.
    pub key: Key,
    /// In the order given.
    pub records: Vec<Polled>,
    /// If the client tells it.
    pub high_watermark: Option<i64>,
}

/// The producing half.
pub trait Writer: Send {
    /// Hands a record over; it is not waited for longer than a few seconds.
    fn send(&mut self, key: &Key, content: Content, done: Done);

    /// Lets outcomes come in for about so long.
    fn serve(&mut self, wait: Duration);

    /// Sends what is queued, and waits for outcomes up to a limit.
    fn flush(&mut self, limit: Duration);
}

/// The consuming half.
pub trait Reader: Send {
    /// From now on these keys are polled, from these places.
    ///
    /// # Errors
    /// In the client's words.
    fn assign(&mut self, keys: &[(Key, Start)]) -> Result<(), String>;

    /// What came within about `wait`.
    ///
    /// # Errors
    /// In the client's words; nothing was taken then.
    fn poll(&mut self, wait: Duration) -> Result<Vec<PolledKey>, String>;

    /// LATEST as the producing half's client is told it.
    ///
    /// # Errors
    /// In the client's words.
    fn latest(&mut self, key: &Key) -> Result<i64, String>;
}

/// Both halves. They share what a client knows of the cluster.
pub struct Session {
    /// Sends.
    pub writer: Box<dyn Writer>,
    /// Polls.
    pub reader: Box<dyn Reader>,
}

/// Makes sessions of one kind of client.
pub trait Factory: Send + Sync {
    /// Name and version.
    fn name(&self) -> &str;

    /// A new process.
    ///
    /// # Errors
    /// In the client's words: nobody is there, for example.
    fn connect(&self) -> Result<Session, String>;
}
