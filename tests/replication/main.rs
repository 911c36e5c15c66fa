//! Several brokers as a user runs them: real processes, the real command line, short stories. Not here: load and faults under it
//! (`faults`), which check every record's history.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod brokers;
mod changes;
mod grow;
mod life;
mod misuse;
mod near;
mod power;
mod recover;
mod rot;
