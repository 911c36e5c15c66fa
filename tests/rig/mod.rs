//! The fault rig: real broker processes, faults by a seeded plan, clients that write down what they did and saw, and the
//! final phase after which `checker` judges.
//!
//! ```text
//! Fleet     a set of broker processes with their arguments: kill -9, stop and go on, start again, wipe
//! Network   TCP proxies in front of brokers: cut, cut one way, stall, delay, heal, per pair of brokers
//! Schedule  which fault when, from a seed; `Cluster` does them to a fleet and its network
//! Workload  processes of a client (`Factory`: own, librdkafka) that send, poll and ask, and log to a `Recorder`
//! ```
//! Threads: one per half of a client process (producer, consumer), one that runs the schedule (the caller's), one for the
//! proxies. Everything ends when its value is dropped.
//!
//! Not here: what a history means (`checker`), how a cluster is told to form (the story that starts it).

mod call;
mod client;
mod cluster;
mod connection_owner;
mod content;
mod final_phase;
mod fleet;
mod keys;
mod librdkafka;
mod network;
mod own;
mod pump;
mod questions;
mod random;
mod recorder;
mod replicas;
mod schedule;
mod slow_disk;
mod volume;
mod workload;

pub use client::{Done, Factory, Key, PolledKey, Reader, SendOutcome, Session, Start, Writer};
pub use cluster::{Cluster, WHOLE_WITHIN};
pub use content::Content;
pub use final_phase::final_phase;
pub use fleet::Fleet;
pub use keys::LiveKeys;
pub use librdkafka::Librdkafka;
pub use network::{Condition, Front, Network, OUTSIDE};
pub use own::Own;
pub use random::Random;
pub use recorder::Recorder;
pub use replicas::compare_replicas;
pub use schedule::{Fault, Faults, Pace, Schedule, Step, run};
pub use slow_disk::SlowDisk;
pub use volume::Volume;
pub use workload::{Load, Workload};
