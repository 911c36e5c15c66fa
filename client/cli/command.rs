//! The first word behind `tidemark`. What each command takes stands with the command.

use clap::{Parser, Subcommand};

use crate::{
    cluster::ClusterCommand, consume::Consume, failure::Failure, log::LogCommand, partition::PartitionCommand,
    produce::Produce, server::Server, topic::TopicCommand,
};

const EXAMPLES: &str = "\
First steps, in two terminals:
  tidemark server                                   a broker on 127.0.0.1:9092, with HTTP on 127.0.0.1:8080
  echo 'hello' | tidemark produce greetings         writes one record, and makes the topic
  tidemark consume greetings                        reads it back
  tidemark consume greetings --from -1h --json      the last hour, with keys, times and offsets
  tidemark COMMAND --help                           more examples, for every command";

/// A replayable event log that Kafka clients use unchanged.
#[derive(Debug, Parser)]
#[command(name = "tidemark", version, after_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a broker, until Ctrl-C
    Server(Server),
    /// Creates, lists, describes, changes and deletes topics
    #[command(subcommand)]
    Topic(TopicCommand),
    /// Writes records: one per line of stdin or a file
    Produce(Produce),
    /// Reads records by offset or time, forwards, backwards or as they come
    Consume(Consume),
    /// Runs a cluster on this machine; shows and changes any cluster
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Moves partitions to other brokers, and chooses who leads them
    #[command(subcommand)]
    Partition(PartitionCommand),
    /// Looks into log files of a stopped broker, and mends them
    #[command(subcommand)]
    Log(LogCommand),
}

impl Cli {
    /// Does what was asked for.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Server(server) => server.run(),
            Command::Topic(topic) => topic.run(),
            Command::Produce(produce) => produce.run(),
            Command::Consume(consume) => consume.run(),
            Command::Cluster(cluster) => cluster.run(),
            Command::Partition(partition) => partition.run(),
            Command::Log(log) => log.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_commands_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_without_commands_of_its_own_shows_examples() {
        fn check(command: &clap::Command) {
            let leaf = !command.has_subcommands();
            let shown = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(!leaf || shown.contains("tidemark "), "{} has no examples", command.get_name());
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
