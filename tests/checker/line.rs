//! One line of a history. Not here: its JSON (`read`, `write`).

use super::settings::Settings;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Grows from line to line.
    pub index: u64,
    /// Monotonic clock, from the run's start; never goes back.
    pub time_ns: u64,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What the clients were told; before the first operation.
    Run(Settings),
    /// A client began or ended something.
    Operation(Operation),
    /// A fault begins or ends.
    Fault {
        /// Such as `leader kill`.
        kind: String,
        /// Begin or end.
        state: State,
        /// What exactly.
        detail: String,
    },
    /// The final phase begins, or has ended in time: all keys were read to their ends.
    Final(State),
    /// The replicas of a key were compared, and differ.
    Divergence {
        /// The key.
        key: String,
        /// Where, and what.
        detail: String,
    },
}

/// Of something that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// From here.
    Begin,
    /// Until here.
    End,
}

/// Begin or outcome of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It begins.
    Invoke,
    /// It is done.
    Ok,
    /// It is certainly not done.
    Fail,
    /// Nobody knows.
    Info,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Sends values.
    Send,
    /// Polls.
    Poll,
    /// Sends and polls in a transaction.
    Txn,
    /// Chooses the keys to poll.
    Assign,
    /// Lets a group choose them.
    Subscribe,
    /// Commits group offsets.
    Commit,
    /// Asks for offsets: LATEST, last stable, committed.
    Offsets,
    /// Moves a log's start: DeleteRecords, retention that was set.
    Delete,
    /// The client is dropped as if its process had died.
    Crash,
}

/// One client's operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// One producer and one consumer; retired after an unknown result.
    pub process: u32,
    /// Name and version; may be empty behind the first line of a process.
    pub client: String,
    /// Begin or outcome.
    pub kind: Kind,
    /// What it does.
    pub function: Function,
    /// Its parts; an invoke's without what is not known yet.
    pub ops: Vec<MicroOp>,
    /// What the client said.
    pub error: Option<String>,
    /// Index of the line that began it; a process that has one operation at a time need not say.
    pub invoke: Option<u64>,
    /// Assignments that a group gave or took meanwhile.
    pub rebalances: Vec<String>,
}

/// Something per key, in the order told.
pub type ByKey<T> = Vec<(String, T)>;

/// A part of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MicroOp {
    /// One value to one key.
    Send {
        /// `topic-partition`.
        key: String,
        /// Unique in the history.
        value: u64,
        /// Where it was stored, if that was told.
        offset: Option<i64>,
    },
    /// What was polled.
    Poll(ByKey<Vec<Polled>>),
    /// High watermarks that came with a poll.
    HighWatermark(ByKey<i64>),
    /// The answer to LATEST at read_uncommitted; an invoke has None.
    Latest(ByKey<Option<i64>>),
    /// The answer to LATEST at read_committed; an invoke has None.
    LastStable(ByKey<Option<i64>>),
    /// Group offsets to commit.
    Commit(String, ByKey<i64>),
    /// Committed group offsets as fetched; None: there is none, or an invoke.
    Committed(String, ByKey<Option<i64>>),
    /// New log starts.
    LogStart(ByKey<i64>),
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    /// Its offset.
    pub offset: i64,
    /// The value that it carries.
    pub value: u64,
    /// What of its key, headers or bytes is not as it was sent.
    pub flaw: Option<String>,
}
