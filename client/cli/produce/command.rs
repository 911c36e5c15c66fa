//! What `tidemark produce` takes, and how lines flow to the broker.

use std::{io::IsTerminal, path::PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use tidemark_client::{Acks, Client, ClientError, Compression, Header, KafkaError, Producer, ProducerConfig};
use tokio::{sync::mpsc, time::Instant};

use super::{
    input::{Chunk, LINE_BYTES_MAX, Source},
    line::LineFormat,
    sent::Sent,
};
use crate::{
    connect::{self, Bootstrap},
    failure::Failure,
    output,
    position::Position,
    progress::{self, Unit},
    server::key_value,
    time,
};

const EXAMPLES: &str = "\
Examples:
  echo hello | tidemark produce greetings
  tidemark produce sensors --file sensors.ndjson --compression zstd
  tidemark produce state --key-separator ':'         lines such as roof:21.5 have the key roof
  printf 'roof:-\\n' | tidemark produce state --key-separator ':' --null-value -      a tombstone
  tidemark produce sensors --header source=import --timestamp 2026-11-23T10:00:00Z < old.txt
  tidemark consume sensors --json | tidemark produce copy --json                     a copy, with keys, headers and times

A JSON line is an object: {\"value\": …, \"key\": …, \"headers\": [{\"name\": …, \"value\": …}], \"timestamp\": …}. Strings are
their bytes, {\"base64\": \"…\"} is any bytes, null is null (a null value is a tombstone), other JSON is its own text.
A topic that does not exist is made if the broker allows it (auto.create.topics.enable), unless --no-create is given.";

/// Writes records: one per line of stdin or a file
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Produce {
    /// Where records go
    topic: String,
    /// Read this file; - is stdin
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Lines are JSON objects with key, value, headers and timestamp
    #[arg(long, conflicts_with_all = ["key_separator", "null_value"])]
    json: bool,
    /// What stands between key and value of a line; without it there are no keys
    #[arg(long, short, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    key_separator: Option<String>,
    /// A value that is this text becomes null: a tombstone
    #[arg(long, value_name = "TEXT")]
    null_value: Option<String>,
    /// A header for every record; may be repeated
    #[arg(long, short = 'H', value_name = "NAME=VALUE", value_parser = key_value)]
    header: Vec<(String, String)>,
    /// Write to this partition [default: by the key's hash, as Kafka's clients do]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    /// Timestamp of every record: a time, milliseconds since 1970, or -1h [default: now]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = timestamp)]
    timestamp: Option<i64>,
    /// none, gzip, snappy, lz4 or zstd
    #[arg(long, short = 'z', value_name = "CODEC", default_value = "none", value_parser = codec)]
    compression: Compression,
    /// Who must have a record before it counts: all (in-sync replicas), 1 (the leader), 0 (nobody)
    #[arg(long, value_name = "0|1|all", default_value = "all", value_parser = acks, allow_hyphen_values = true)]
    acks: Acks,
    /// Fail if the topic does not exist
    #[arg(long)]
    no_create: bool,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

impl Produce {
    /// Writes until the input ends.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let source = Source::open(self.file.as_deref())?;
        connect::run(self.produce(source))
    }

    async fn produce(self, source: Source) -> Result<(), Failure> {
        let begun = Instant::now();
        let client = self.bootstrap.client().await?;
        self.look_for_topic(&client).await?;
        let producer = Producer::new(client, self.config());
        let typed = self.file.is_none() && std::io::stdin().is_terminal();
        let bar = progress::bar(!typed && std::io::stderr().is_terminal(), source.bytes, Unit::Bytes);
        let mut sent = Sent::default();
        let stopped_by = send_all(&producer, source.start(self.format())?, &mut sent, &bar).await.err();
        sent.finish().await;
        producer.close().await;
        bar.finish_and_clear();
        let took = begun.elapsed().as_secs_f64();
        output::say(&sent.summary(&self.topic, self.acks != Acks::None))?;
        tracing::debug!(records = sent.records(), seconds = took, "done");
        if let Some((line, error)) = sent.failure() {
            let unsure = if error.maybe_written() { "; it may have been written all the same" } else { "" };
            return Err(Failure::new(format!("line {line} and what follows it: {error}{unsure}")));
        }
        stopped_by.map_or(Ok(()), |failure| Err(failure.next("the lines before it were written")))
    }

    /// The producer asks the broker to make an unknown topic; its `auto.create.topics.enable` decides. A typing error should
    /// not go unseen.
    async fn look_for_topic(&self, client: &Client) -> Result<(), Failure> {
        let unknown = |error: &ClientError| {
            error.kafka_error().is_some_and(|error| error.code == KafkaError::UNKNOWN_TOPIC_OR_PARTITION)
        };
        let described = client.admin().describe_topics(&[&self.topic]).await?;
        match described.into_iter().next() {
            Some((_, Err(error))) if unknown(&error) && !self.no_create => {
                output::note(&format!("topic {} does not exist; asking the broker to make it", self.topic));
                Ok(())
            }
            Some((_, Err(error))) => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn config(&self) -> ProducerConfig {
        ProducerConfig {
            acks: self.acks,
            idempotent: self.acks == Acks::All,
            compression: self.compression,
            // how large a record may be is for the broker to say
            request_bytes_max: LINE_BYTES_MAX + 1024 * 1024,
            ..ProducerConfig::default()
        }
    }

    fn format(&self) -> LineFormat {
        LineFormat {
            topic: self.topic.clone(),
            json: self.json,
            key_separator: self.key_separator.clone(),
            null_value: self.null_value.clone(),
            headers: self.header.iter().map(|(name, value)| Header::new(name, value.clone())).collect(),
            partition: self.partition,
            timestamp_ms: self.timestamp,
        }
    }
}

/// Queues every record until the input ends or something fails; the error is the input's.
async fn send_all(
    producer: &Producer,
    mut chunks: mpsc::Receiver<Result<Chunk, Failure>>,
    sent: &mut Sent,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    while let Some(chunk) = chunks.recv().await {
        let Chunk { records, bytes } = chunk?;
        for (line, record) in records {
            match producer.queue(record).await {
                Ok(delivery) => sent.push(line, delivery),
                Err(error) => {
                    sent.refused(line, error);
                    return Ok(());
                }
            }
        }
        if !sent.take_ready() {
            return Ok(());
        }
        bar.inc(bytes);
    }
    Ok(())
}

fn codec(text: &str) -> Result<Compression, String> {
    Compression::from_name(text).ok_or_else(|| format!("`{text}` is none of none, gzip, snappy, lz4, zstd"))
}

fn acks(text: &str) -> Result<Acks, String> {
    match text {
        "0" => Ok(Acks::None),
        "1" => Ok(Acks::Leader),
        "all" | "-1" => Ok(Acks::All),
        _ => Err(format!("`{text}` is none of 0, 1, all")),
    }
}

fn timestamp(text: &str) -> Result<i64, String> {
    match text.parse() {
        Ok(Position::Time(moment)) => Ok(moment.resolve(time::now_ms())),
        _ => time::instant(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_or_refused() {
        assert_eq!(timestamp("2026-11-23T10:00:00Z"), Ok(1_795_428_000_000));
        assert_eq!(timestamp("@2026-11-23T10:00:00Z"), Ok(1_795_428_000_000));
        assert_eq!(timestamp("1795428000000"), Ok(1_795_428_000_000));
        assert!(timestamp("-1h").unwrap() > 1_700_000_000_000);
        assert!(timestamp("noon").is_err() && timestamp("latest").is_err());
        assert_eq!((acks("all"), acks("-1"), acks("0")), (Ok(Acks::All), Ok(Acks::All), Ok(Acks::None)));
        assert!(acks("2").is_err() && codec("brotli").is_err());
        assert_eq!(codec("zstd"), Ok(Compression::Zstd));
    }
}
