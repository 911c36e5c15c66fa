//! What every bench here stands on: servers as processes, librdkafka as the client, `/proc` as the meter, series and tables.
//!
//! Not here: the questions (one file each beside this folder) and the floor (`floor/`).
#![allow(dead_code, unused_imports, reason = "each bench uses its own part of the rig")]
#![allow(clippy::disallowed_methods, reason = "a bench measures the real machine: its clock, files, threads")]

mod failure;
mod latency;
mod load;
mod machine;
mod options;
mod process;
mod program;
mod raw;
mod series;
mod server;
mod topic;

pub use failure::Failure;
pub use latency::{Latency, at_fixed_rate};
pub use load::{Shape, consume, fresh_name, produce};
pub use machine::settle;
pub use options::{Options, bench};
pub use process::{Meter, Used, status_mb};
pub use program::Kind;
pub use raw::Raw;
pub use series::{Series, Unit, Verdict, median};
pub use server::Server;
pub use topic::{Durability, Topics};
