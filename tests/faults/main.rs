//! Faults under load, told to real processes by the rig and judged by the checker: one file per set of brokers.
//!
//! A run is told by `FAULTS_SEED` and `FAULTS_SECONDS`; its history and what the checker says are kept where the test fails,
//! or in the directory that `FAULTS_DIR` names.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod one_broker;
mod run;
mod three_brokers;
