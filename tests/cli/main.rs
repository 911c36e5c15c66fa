//! The command line as a person uses it: the real binary against a real broker, and over its files once that has stopped.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod consume;
mod log_tools;
mod produce;
mod server;
mod topic;

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use harness::Broker;

/// The binary under test.
fn broker() -> harness::BrokerOptions {
    harness::BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark"))
}

/// What a command printed, and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).expect("UTF-8"),
            err: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Stdout of a command that must have worked.
    fn fine(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// Stderr of a command that must have failed with exit code 1.
    fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.err
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    command.args(arguments).env_remove("TIDEMARK_BOOTSTRAP").env_remove("TIDEMARK_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command that needs no broker.
fn alone(arguments: &[&str]) -> Said {
    Said::of(command(arguments).output().expect("the binary"))
}

/// Runs a client command against a broker.
fn tidemark(broker: &Broker, arguments: &[&str]) -> Said {
    let address = broker.kafka().to_string();
    Said::of(command(arguments).env("TIDEMARK_BOOTSTRAP", address).output().expect("the binary"))
}

/// The same with something on stdin.
fn tidemark_with(broker: &Broker, arguments: &[&str], stdin: &str) -> Said {
    let mut command = command(arguments);
    command.env("TIDEMARK_BOOTSTRAP", broker.kafka().to_string()).stdin(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    let mut pipe = child.stdin.take().expect("piped");
    let text = stdin.to_owned();
    let writer = std::thread::spawn(move || {
        // a command that fails does not read to the end
        let _ = pipe.write_all(text.as_bytes());
    });
    let output = child.wait_with_output().expect("the binary");
    writer.join().expect("the writer");
    Said::of(output)
}
