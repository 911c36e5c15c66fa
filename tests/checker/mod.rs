//! The history checker: what clients did and saw, as lines, judged against what a log of Kafka's kind may do.
//!
//! A history is JSON lines, written by the rig's clients (`rig::history`), one object a line; [`Line`] says what they mean:
//!
//! ```text
//! {"index":0,"time_ns":0,"type":"run","acks":-1,"idempotent":true,"read_committed":true}
//! {"index":1,"time_ns":5,"process":3,"client":"own 0.1.0","type":"invoke","f":"send","ops":[["s","a-0",17]]}
//! {"index":2,"time_ns":9,"process":3,"type":"ok","f":"send","invoke":1,"ops":[["s","a-0",17,4]]}
//! {"index":3,"time_ns":9,"type":"fault","fault":"leader kill","state":"begin","detail":"node 2"}
//! {"index":4,"time_ns":12,"type":"final","state":"begin"}
//! ```
//! micro-ops: `["s",key,value,offset?]` send · `["p",{key:[[offset,value,flaw?]…]}]` poll · `["h",{key:offset}]` high
//! watermarks that came with a poll · `["l",{key:offset?}]` LATEST · `["t",{key:offset?}]` last stable offset ·
//! `["c",group,{key:offset}]` commit · `["g",group,{key:offset?}]` committed offsets as fetched · `["d",{key:offset}]` the
//! log's start moved by a declared rule. A key is `topic-partition`; values are unique in a history.
//!
//! [`Checker`] takes lines one by one and keeps about 100 bytes per value, whatever the history's length; most tests wait
//! for [`Checker::finish`], when all offsets are known. No I/O here but in `read`, `segments` and the command `main`.
//!
//! Not here: who makes histories and faults (`rig`), and what the broker's files mean beyond Kafka's batches.

mod anomaly;
#[allow(clippy::module_inception, reason = "the room's main type, named as the room")]
mod checker;
mod complete;
mod cycle;
mod finish;
mod group_offsets;
mod key_log;
mod line;
mod outcome;
mod process;
mod read;
mod replicas;
mod report;
mod segments;
mod sends;
mod settings;
mod tally;
#[cfg(test)]
mod tests;
mod timeline;
mod transactions;
mod write;

pub use anomaly::Anomaly;
pub use checker::{Checker, Contradiction};
pub use line::{ByKey, Event, Function, Kind, Line, MicroOp, Operation, Polled, State};
pub use outcome::refusal;
pub use read::{BadLine, LINE_BYTES_MAX, check, parse};
pub use replicas::{Divergence, ReplicaBatch, compare};
pub use report::{FaultSeen, Report, Verdict};
pub use segments::{Replica, compare_directories};
pub use settings::Settings;
pub use tally::{CASES_MAX, Case, Found};
