//! The words behind `tidemark cluster`.

use clap::Subcommand;

use super::{down::Down, kill::Kill, start::Start, status::Status, up::Up};
use crate::{connect, failure::Failure};

/// Runs a cluster on this machine, and shows how a cluster is
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Starts a cluster of several brokers on this machine
    Up(Up),
    /// Shows brokers, controller, leaders and replicas that lag
    Status(Status),
    /// Ends one broker of this machine's cluster at once, as a power cut of its process would
    Kill(Kill),
    /// Starts a broker of this machine's cluster again
    Start(Start),
    /// Stops this machine's cluster; its data stay
    Down(Down),
}

impl ClusterCommand {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Up(up) => connect::run(up.run()),
            Self::Status(status) => connect::run(status.run()),
            Self::Kill(kill) => kill.run(),
            Self::Start(start) => connect::run(start.run()),
            Self::Down(down) => connect::run(down.run()),
        }
    }
}
