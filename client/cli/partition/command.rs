//! The words behind `tidemark partition`.

use clap::Subcommand;

use super::{elect::Elect, relocate::Move};
use crate::{connect, failure::Failure};

/// Moves partitions to other brokers, and chooses who leads them
#[derive(Debug, Subcommand)]
pub(crate) enum PartitionCommand {
    /// Moves a partition to these brokers, and shows how far it is
    Move(Move),
    /// Lets preferred replicas lead
    Elect(Elect),
}

impl PartitionCommand {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Move(relocate) => connect::run(relocate.run()),
            Self::Elect(elect) => connect::run(elect.run()),
        }
    }
}
