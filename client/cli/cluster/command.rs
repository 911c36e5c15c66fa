//! The words behind `tidemark cluster`.

use clap::Subcommand;

use super::{
    add::Add, down::Down, drain::Drain, kill::Kill, recover::Recover, remove::Remove, start::Start, status::Status,
    up::Up, voters::Voters,
};
use crate::{connect, failure::Failure};

/// Runs a cluster on this machine; shows and changes any cluster
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Starts a cluster of several brokers on this machine
    Up(Up),
    /// Shows brokers, controller, leaders, replicas that lag, and moves
    Status(Status),
    /// Adds a broker to this machine's cluster
    Add(Add),
    /// Shows who votes on the cluster's metadata, or changes it
    Voters(Voters),
    /// Moves every replica off a broker, and shows how far it is
    Drain(Drain),
    /// Takes a broker that holds nothing out of the cluster for good
    Remove(Remove),
    /// Ends one broker of this machine's cluster at once, as a power cut of its process would
    Kill(Kill),
    /// Starts a broker of this machine's cluster again
    Start(Start),
    /// Puts a cluster that has lost a majority on what survives
    Recover(Recover),
    /// Stops this machine's cluster; its data stay
    Down(Down),
}

impl ClusterCommand {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Up(up) => connect::run(up.run()),
            Self::Status(status) => connect::run(status.run()),
            Self::Add(add) => connect::run(add.run()),
            Self::Voters(voters) => connect::run(voters.run()),
            Self::Drain(drain) => connect::run(drain.run()),
            Self::Remove(remove) => connect::run(remove.run()),
            Self::Kill(kill) => kill.run(),
            Self::Start(start) => connect::run(start.run()),
            Self::Recover(recover) => recover.run(),
            Self::Down(down) => connect::run(down.run()),
        }
    }
}
