//! `tidemark`: the command line. One file or folder per command; this one only reads the arguments and says how it ended.
//!
//! Commands that look at a cluster are clients of it and work against any Kafka-compatible broker; `server` assembles the
//! broker; `log` reads files. Not here: anything that another program could not do through the crates' public doors.

mod cluster;
mod command;
mod connect;
mod consume;
mod failure;
mod json;
mod log;
mod logging;
mod output;
mod partition;
mod position;
mod produce;
mod progress;
mod server;
mod time;
mod topic;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match command::Cli::try_parse() {
        Ok(cli) => match cli.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => failure.report(),
        },
        Err(said) => {
            // help that nobody reads any more is no failure
            let _ = said.print();
            if said.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
    }
}
