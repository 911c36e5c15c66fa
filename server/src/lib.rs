//! The broker, from the door down to the disk.
//!
//! Data falls: net → api → partition → raft → log and journal. No arrow goes up; `tests/architecture.rs` holds the table.

pub mod api;
pub mod config;
pub mod controller;
pub mod journal;
pub mod log;
pub mod metadata;
pub mod metrics;
pub mod net;
pub mod node;
pub mod os;
pub mod partition;
pub mod raft;
pub mod tasks;
pub mod transport;
