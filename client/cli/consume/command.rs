//! What `tidemark consume` takes, and which way of reading it leads to.

use std::{sync::Arc, time::Duration};

use clap::Args;
use tidemark_client::{Client, Isolation, Reader, ReaderConfig, Start};

use super::{
    fetching::{Source, limits},
    follow::{Followed, Until, follow},
    lane::Lane,
    merge::merge,
    print::{Look, Printer},
    range::{self, Range},
    template::Template,
};
use crate::{
    connect::{self, Bootstrap},
    failure::Failure,
    output,
    position::Position,
    progress::{self, Unit},
    time,
};

/// Bytes of records that may be held at once, about.
const MEMORY_BYTES: usize = 64 << 20;
/// How long the broker waits for more before it answers with nothing, in a range whose records are there already.
const BOUNDED_WAIT_MAX: Duration = Duration::from_millis(500);

const EXAMPLES: &str = "\
Examples:
  tidemark consume sensors                                     everything there is, then ends
  tidemark consume sensors --follow                            what comes from now on, until Ctrl-C
  tidemark consume sensors --from -1h --follow                 the last hour, then what comes
  tidemark consume sensors --from @2026-11-23T10:00:00Z --to @2026-11-23T11:00:00Z --json
  tidemark consume sensors --partition 0 --from 1000 --to 2000
  tidemark consume sensors --reverse --max 10                  the last ten, newest first
  tidemark consume sensors --format '{partition} {offset} {time} {key}={value} {header:source}'

Positions: earliest, latest, an OFFSET, @TIME (2026-11-23T10:00:00Z, 2026-11-23, or milliseconds since 1970), or a span
back from now (-90s, -1h30m, -2d). --from is included, --to is not. A time stands for the first record at or after it.
Several partitions are merged by time, oldest first; with --follow records are shown as they come. The end of the log is
where it was when the command started.

--format knows {topic} {partition} {offset} {timestamp} {time} {key} {value} {headers} {header:NAME}, \\t \\n, {{ and }}.";

/// Reads records by offset or time, forwards, backwards or as they come
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Consume {
    /// Where records are read
    topic: String,
    /// Where to begin [default: earliest, with --follow: latest]
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    from: Option<Position>,
    /// Where to end, exclusive [default: latest, with --follow: never]
    #[arg(long, value_name = "POSITION", allow_hyphen_values = true)]
    to: Option<Position>,
    /// Go on with what comes
    #[arg(long, short = 'F')]
    follow: bool,
    /// Only this partition; may be repeated
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partition: Vec<i32>,
    /// End after so many records
    #[arg(long, short = 'n', value_name = "N")]
    max: Option<u64>,
    /// Newest first
    #[arg(long, short, conflicts_with = "follow")]
    reverse: bool,
    /// One JSON object per record: topic, partition, offset, timestamp, time, key, value, headers
    #[arg(long, short)]
    json: bool,
    /// Text with places, per record
    #[arg(long, short = 'o', value_name = "TEXT", conflicts_with = "json")]
    format: Option<Template>,
    /// Show keys too, with this text before the value
    #[arg(long, short, value_name = "TEXT", conflicts_with_all = ["json", "format"])]
    key_separator: Option<String>,
    /// What stands for null, except in JSON
    #[arg(long, value_name = "TEXT", default_value = "null")]
    null: String,
    /// Only records of committed transactions
    #[arg(long)]
    read_committed: bool,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

impl Consume {
    /// Prints until the range ends.
    pub(crate) fn run(self) -> Result<(), Failure> {
        if self.follow && matches!(self.to, Some(Position::Latest | Position::Earliest)) {
            return Err(Failure::new("--follow goes on behind the latest record, so --to must be an offset or a time"));
        }
        connect::run(self.consume())
    }

    async fn consume(self) -> Result<(), Failure> {
        let client = self.bootstrap.client().await?;
        let partitions = self.partitions(&client).await?;
        let from = self.from.unwrap_or(if self.follow { Position::Latest } else { Position::Earliest });
        let to = if self.follow { Position::Latest } else { self.to.unwrap_or(Position::Latest) };
        let now_ms = time::now_ms();
        let ranges = range::resolve(&client.admin(), &self.topic, &partitions, from, to, now_ms).await?;
        self.say_what_is_gone(&ranges);
        if self.follow { self.follow(&client, &ranges, now_ms).await } else { self.bounded(&client, ranges).await }
    }

    async fn bounded(&self, client: &Client, ranges: Vec<Range>) -> Result<(), Failure> {
        let offsets: u64 = ranges.iter().map(Range::offsets).sum();
        let total = self.max.map_or(offsets, |max| max.min(offsets));
        let mut printer = self.printer(Some(total));
        let ranges: Vec<_> = ranges.into_iter().filter(|range| range.offsets() > 0).collect();
        let limits = limits(ranges.len(), MEMORY_BYTES, BOUNDED_WAIT_MAX, self.isolation());
        let topic: Arc<str> = self.topic.as_str().into();
        let lane = |range: Range| {
            let (client, topic, limits) = (client.clone(), topic.clone(), limits.clone());
            let source = Source { client, topic, partition: range.partition, limits };
            if self.reverse { Lane::backward(source, range, self.max) } else { Lane::forward(source, range) }
        };
        let merged = merge(ranges.into_iter().map(lane).collect(), self.reverse, &mut printer).await;
        printer.finish()?;
        merged?;
        tracing::debug!(records = printer.printed(), "done");
        Ok(())
    }

    async fn follow(&self, client: &Client, ranges: &[Range], now_ms: i64) -> Result<(), Failure> {
        let mut printer = self.printer(self.max);
        let limits = limits(ranges.len(), MEMORY_BYTES, Duration::ZERO, self.isolation());
        let until = match self.to {
            Some(Position::Offset(offset)) => Until::Offset(offset),
            Some(Position::Time(moment)) => Until::Time(moment.resolve(now_ms)),
            _ => Until::Forever,
        };
        let mut followed = Vec::with_capacity(ranges.len());
        for range in ranges {
            let (start, config) = (Start::Offset(range.start), ReaderConfig { limits: limits.clone() });
            let reader = Reader::open(client.clone(), &self.topic, range.partition, start, config).await?;
            followed.push(Followed { reader, from: range.from, until });
        }
        let result = follow(followed, &mut printer).await;
        printer.finish()?;
        result
    }

    async fn partitions(&self, client: &Client) -> Result<Vec<i32>, Failure> {
        let described = client.admin().describe_topics(&[&self.topic]).await?;
        let Some((_, topic)) = described.into_iter().next() else { return Ok(Vec::new()) };
        let topic = topic?;
        let all: Vec<_> = topic.partitions.iter().map(|partition| partition.partition).collect();
        if let Some(missing) = self.partition.iter().find(|partition| !all.contains(partition)) {
            return Err(Failure::new(format!("topic {} has no partition {missing}: it has {}", self.topic, all.len())));
        }
        let wanted = |partition: &i32| self.partition.is_empty() || self.partition.contains(partition);
        Ok(all.into_iter().filter(wanted).collect())
    }

    /// A range that was asked for by offset and has lost its beginning is served, and the loss is told.
    fn say_what_is_gone(&self, ranges: &[Range]) {
        if !matches!(self.from, Some(Position::Offset(_))) {
            return;
        }
        for range in ranges {
            if range.from < range.earliest {
                let partition = range.partition;
                output::note(&format!(
                    "partition {partition} begins at offset {}: what was before is gone",
                    range.earliest
                ));
            } else if range.from > range.latest && !self.follow {
                output::note(&format!("partition {} ends at offset {}", range.partition, range.latest));
            }
        }
    }

    fn printer(&self, total: Option<u64>) -> Printer {
        let bar = progress::bar(output::progress_is_seen(), total, Unit::Records);
        Printer::new(&self.topic, self.look(), self.null.clone(), self.max, bar)
    }

    fn look(&self) -> Look {
        match (&self.format, &self.key_separator) {
            _ if self.json => Look::Json,
            (Some(template), _) => Look::Template(template.clone()),
            (None, Some(separator)) => Look::KeyValue(separator.clone()),
            (None, None) => Look::Value,
        }
    }

    fn isolation(&self) -> Isolation {
        if self.read_committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted }
    }
}
