//! What every suite stands on: the real binary as a process, Apache Kafka beside it, raw connections, bounded waits.
//!
//! Nothing here knows how the broker works inside; it is driven through its command line, its sockets and signals.
//! Everything that waits has a limit, everything that is started ends when its value is dropped, and a failing test
//! prints what its broker said.
#![allow(
    clippy::disallowed_methods,
    reason = "a test stands outside the seams: real clock, real files, real processes"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a broken harness must fail the test at once"
)]

pub mod apache;
pub mod broker;
#[path = "../checker/mod.rs"]
pub mod checker;
pub mod connection;
pub mod files;
mod process;
#[path = "../rig/mod.rs"]
pub mod rig;
pub mod wait;

pub use apache::Apache;
pub use broker::{Broker, BrokerOptions, Starting};
pub use connection::{Connection, encode_request, frame};
pub use files::copy_dir;
pub use wait::eventually;
