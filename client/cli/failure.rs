//! How a command ends badly: what stderr says, and the exit code. The only mapping from errors to either.

use std::{fmt, io, process::ExitCode};

use tidemark_client::{ClientError, KafkaError, ProduceError, ReadError};

use crate::output;

/// A use or configuration that cannot work, or a request that failed.
const EXIT_FAILURE: u8 = 1;
/// A write or a sync failed while the broker ran (EX_IOERR of sysexits).
pub(crate) const EXIT_DISK: u8 = 74;

/// Why a command did not do what was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    next: Option<String>,
    quiet: bool,
}

impl Failure {
    /// Exit code 1, with a message that names the thing and the cause.
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self { code: EXIT_FAILURE, message: message.to_string(), next: None, quiet: false }
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Another exit code.
    #[must_use]
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Exit code 1 for something that the command has said already.
    pub(crate) fn said() -> Self {
        Self { code: EXIT_FAILURE, message: String::new(), next: None, quiet: true }
    }

    /// Tells it on stderr.
    pub(crate) fn report(&self) -> ExitCode {
        if !self.quiet {
            output::note(&self.to_string());
        }
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tidemark: {}", self.message)?;
        self.next.as_ref().map_or(Ok(()), |next| write!(f, "\n  next: {next}"))
    }
}

/// What to try after an error of the broker.
fn advice(error: &KafkaError) -> Option<&'static str> {
    Some(match error.code {
        KafkaError::UNKNOWN_TOPIC_OR_PARTITION => "`tidemark topic list` shows what there is",
        KafkaError::MESSAGE_TOO_LARGE => {
            "raise the topic's limit: `tidemark topic config set TOPIC max.message.bytes=N`"
        }
        _ => return None,
    })
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let failure = Self::new(&error);
        match &error {
            ClientError::Connect { .. } => failure
                .next("is a broker running there? `tidemark server` starts one; --bootstrap HOST:PORT names another"),
            ClientError::Malformed { .. } => failure.next("is that a Kafka port?"),
            ClientError::Timeout { .. } => failure.next(
                "a broker answers once more than half of its cluster's voters are up, and its log says what it waits for; if their disks are lost: `tidemark cluster recover`",
            ),
            _ => match error.kafka_error().and_then(advice) {
                Some(next) => failure.next(next),
                None => failure,
            },
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Client(error) => error.into(),
            ReadError::Damaged { .. } => {
                Self::new(error).next("stop the broker and look at its files: `tidemark log verify DIR`")
            }
            ReadError::OffsetOutOfRange { .. } => {
                Self::new(error).next("records were deleted meanwhile: start again with --from earliest")
            }
        }
    }
}

impl From<ProduceError> for Failure {
    fn from(error: ProduceError) -> Self {
        match error {
            ProduceError::Client(error) => error.into(),
            other => {
                let failure = Self::new(&other);
                match other.kafka_error().and_then(advice) {
                    Some(next) => failure.next(next),
                    None => failure,
                }
            }
        }
    }
}

impl From<io::Error> for Failure {
    /// Of stdout: a reader that went away, such as `head`, is no failure.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { code: 0, message: String::new(), next: None, quiet: true };
        }
        Self::new(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_what_to_do() {
        let refused = ClientError::Connect { address: "127.0.0.1:1".into(), cause: "connection refused".into() };
        let said = Failure::from(refused).to_string();
        assert!(
            said.starts_with("tidemark: cannot connect to 127.0.0.1:1") && said.contains("`tidemark server`"),
            "{said}"
        );
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.quiet && failure.code == 0);
    }
}
