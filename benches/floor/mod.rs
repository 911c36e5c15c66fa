//! The floor: the least work a tokio server can do for librdkafka. Frame, CRC-32C, patch the offset, pwrite; a fetch is a
//! header and sendfile. It is a yardstick, not a design: no recovery, no limits, no second copy, trust in every byte.
//!
//! `--sync` answers a produce after an fdatasync, one for all that was written while the last one ran, on one file whose
//! blocks were written before. `--followers` sends it to two others too, and answers when two of the three have synced it:
//! no terms, no elections, nobody catches up. Runs as a process of its own, so that its CPU is its own.

#![allow(clippy::disallowed_methods, reason = "a yardstick stands outside the seams")]

mod replicas;
mod server;
mod store;
mod sync;
mod wire;

pub use server::run;
