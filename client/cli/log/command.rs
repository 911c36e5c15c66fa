//! The words behind `tidemark log`.

use clap::Subcommand;

use super::{dump::Dump, repair::Repair, verify::Verify};
use crate::{failure::Failure, logging};

/// Looks into log files of a stopped broker, and mends them
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Shows batches and records, with their places
    Dump(Dump),
    /// Checks every byte: checksums, order, indexes, journal
    Verify(Verify),
    /// Says what it would mend; does it with --yes
    Repair(Repair),
}

impl LogCommand {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        logging::for_commands()?;
        match self {
            Self::Dump(dump) => dump.run(),
            Self::Verify(verify) => verify.run(),
            Self::Repair(repair) => repair.run(),
        }
    }
}
