//! The handle; its calls are in the files beside it. Also how answers are put in the order of the questions.

use std::time::Duration;

use kafka_protocol::{messages::TopicName, protocol::StrBytes};

use crate::{
    Client, ClientError, KafkaError, cluster::Cluster, connection::Connection, error::Subject, retry::Backoff,
    wire::Call,
};

/// One result per thing asked for, under its name, in the order asked.
pub type Outcomes<T> = Vec<(String, Result<T, ClientError>)>;

/// Calls that look at the cluster or change it. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    /// Admin calls over a client's connections.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    pub(super) fn cluster(&self) -> &Cluster {
        self.client.cluster()
    }

    /// A request that changes something, to the controller. It is repeated only while it cannot have been done.
    pub(super) async fn command<C: Call>(&self, build: impl Fn(i16) -> C) -> Result<C::Response, ClientError> {
        let cluster = self.cluster();
        unless_done(cluster, async || cluster.controller().await, build).await
    }

    /// Something that changes nothing: it is asked again while that may help.
    pub(super) async fn repeated<T, F>(&self, ask: impl Fn() -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut backoff = Backoff::new(self.cluster().retry());
        loop {
            match ask().await {
                Err(error) if error.retryable() => backoff.pause(error).await?,
                done => return done,
            }
        }
    }

    /// How long a broker may take for a change before it answers what it has.
    pub(super) fn timeout_ms(&self) -> i32 {
        let half: Duration = self.cluster().config.request_timeout / 2;
        i32::try_from(half.as_millis()).unwrap_or(i32::MAX)
    }
}

/// What became of a command about one broker.
pub(super) fn of_broker(broker: i32, code: i16, message: Option<StrBytes>) -> Result<(), ClientError> {
    outcome(code, message, ()).map_err(|error| ClientError::kafka(Subject::Named(format!("broker {broker}")), error))
}

/// Asks again only where no connection could be opened: nothing was sent then.
pub(super) async fn unless_done<C: Call>(
    cluster: &Cluster,
    connect: impl AsyncFn() -> Result<Connection, ClientError>,
    build: impl Fn(i16) -> C,
) -> Result<C::Response, ClientError> {
    let mut backoff = Backoff::new(cluster.retry());
    loop {
        match connect().await {
            Ok(connection) => return connection.call(&build).await,
            Err(error) if error.retryable() => backoff.pause(error).await?,
            Err(error) => return Err(error),
        }
    }
}

/// Puts answers in the order of the names; one that is missing is an error of its own.
pub(super) fn in_order<'a, T>(
    names: impl Iterator<Item = &'a str>,
    mut answers: Vec<(String, Result<T, KafkaError>)>,
    subject: impl Fn(&str) -> Subject,
) -> Outcomes<T> {
    let take = |name: &str| {
        let at = answers.iter().position(|(answered, _)| answered == name);
        let answer = at.map(|at| answers.swap_remove(at).1);
        let answer = answer.unwrap_or_else(|| Err(left_out()));
        (name.to_owned(), answer.map_err(|error| ClientError::kafka(subject(name), error)))
    };
    names.map(take).collect()
}

/// What is said of a thing that an answer leaves out.
pub(super) fn left_out() -> KafkaError {
    KafkaError::new(KafkaError::UNKNOWN_SERVER_ERROR).with_message(Some("the answer leaves it out"))
}

/// A code and the broker's words as a result.
pub(super) fn outcome<T>(code: i16, message: Option<StrBytes>, value: T) -> Result<T, KafkaError> {
    match KafkaError::from_code(code) {
        None => Ok(value),
        Some(error) => Err(error.with_message(message.map(|message| message.to_string()))),
    }
}

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}
