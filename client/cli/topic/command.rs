//! The words behind `tidemark topic`.

use clap::Subcommand;
use tidemark_client::admin::Outcomes;

use super::{alter::Alter, config::ConfigCommand, create::Create, delete::Delete, describe::Describe, list::List};
use crate::{connect, failure::Failure, output};

/// Creates, lists, describes, changes and deletes topics
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    /// Creates topics
    Create(Create),
    /// Lists topics
    List(List),
    /// Shows partitions, leaders, offsets and changed settings of topics
    Describe(Describe),
    /// Raises the number of partitions
    Alter(Alter),
    /// Deletes topics with all their records
    Delete(Delete),
    /// Shows and changes settings of a topic
    #[command(subcommand)]
    Config(ConfigCommand),
}

impl TopicCommand {
    /// Does it.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => connect::run(create.run()),
            Self::List(list) => connect::run(list.run()),
            Self::Describe(describe) => connect::run(describe.run()),
            Self::Alter(alter) => connect::run(alter.run()),
            Self::Delete(delete) => connect::run(delete.run()),
            Self::Config(config) => connect::run(config.run()),
        }
    }
}

/// Prints what became of each thing; the command fails if any of them did.
pub(super) fn report<T>(outcomes: Outcomes<T>, done: impl Fn(&str, &T) -> String) -> Result<(), Failure> {
    let mut failed = false;
    for (name, outcome) in outcomes {
        match outcome {
            Ok(value) => output::say(&done(&name, &value))?,
            Err(error) => {
                failed = true;
                Failure::from(error).report();
            }
        }
    }
    if failed { Err(Failure::said()) } else { Ok(()) }
}
