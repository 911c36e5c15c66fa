//! The command line of a bench, and its way in.

use std::{path::PathBuf, process::ExitCode};

use super::{Failure, machine};
use crate::floor;

/// What can be set; the same for all benches.
#[derive(Debug, Clone)]
pub struct Options {
    /// Repetitions of each measurement (`--rounds N`).
    pub rounds: usize,
    /// Megabytes of payload in one repetition, instead of the scenario's own (`--mb N`).
    pub mb: Option<usize>,
    /// Seconds of a timed measurement (`--seconds N`).
    pub seconds: u64,
    /// Apache Kafka too (`--kafka`).
    pub kafka: bool,
    /// Only rows whose name contains this (`--only TEXT`).
    pub only: Option<String>,
    /// The server's program (`--bin PATH`).
    pub program: PathBuf,
    /// Leaves memory as it is (`--no-touch`).
    pub no_touch: bool,
}

impl Options {
    /// Whether a row is wanted.
    pub fn wants(&self, row: &str) -> bool {
        self.only.as_ref().is_none_or(|only| row.contains(only.as_str()))
    }

    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut options = Self {
            rounds: 5,
            mb: None,
            seconds: 10,
            kafka: false,
            only: None,
            program: PathBuf::from(env!("CARGO_BIN_EXE_tidemark")),
            no_touch: false,
        };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} wants a value"));
            match arg.as_str() {
                // cargo's own
                "--bench" => {}
                "--rounds" => options.rounds = value()?.parse()?,
                "--mb" => options.mb = Some(value()?.parse()?),
                "--seconds" => options.seconds = value()?.parse()?,
                "--only" => options.only = Some(value()?),
                "--bin" => options.program = value()?.into(),
                "--kafka" => options.kafka = true,
                "--no-touch" => options.no_touch = true,
                other => {
                    return Err(format!(
                        "{other} is not known; there are --rounds N, --mb N, --seconds N, --only TEXT, --bin PATH, \
                         --kafka, --no-touch"
                    )
                    .into());
                }
            }
        }
        Ok(options)
    }
}

/// The main function of a bench: runs it, or the floor if this process was started as one.
pub fn bench(question: &str, run: fn(&Options) -> Result<(), Failure>) -> ExitCode {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let result = match args.as_slice() {
        [floor, port, dir, rest @ ..] if floor == "floor" => {
            port.parse().map_err(Failure::from).and_then(|port| Ok(floor::run(port, dir.into(), rest)?))
        }
        _ => Options::parse(args.into_iter()).and_then(|options| {
            let _cleanup = machine::Cleanup;
            println!("{question}\n{}\n", machine::description());
            if !options.no_touch {
                machine::fill_page_cache()?;
            }
            run(&options)
        }),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
