//! Writes records to stdout the way that was asked for, and counts them.

use std::io::{self, BufWriter, Stdout, Write};

use indicatif::ProgressBar;
use tidemark_client::Record;

use super::template::Template;
use crate::json;

/// Records between two moves of the bar.
const BAR_EVERY: u64 = 512;

/// How a record looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// The value and an end of line.
    Value,
    /// Key, this text, value, and an end of line.
    KeyValue(String),
    /// A JSON object on a line.
    Json,
    /// A template and an end of line.
    Template(Template),
}

/// Stdout with what is needed to write records to it.
pub(super) struct Printer {
    out: BufWriter<Stdout>,
    topic: String,
    look: Look,
    null: String,
    left: u64,
    printed: u64,
    bar: ProgressBar,
}

impl Printer {
    /// Prints at most `records_max`.
    pub(super) fn new(topic: &str, look: Look, null: String, records_max: Option<u64>, bar: ProgressBar) -> Self {
        let out = crate::output::stdout();
        Self { out, topic: topic.to_owned(), look, null, left: records_max.unwrap_or(u64::MAX), printed: 0, bar }
    }

    /// Whether nothing more is wanted.
    pub(super) fn is_full(&self) -> bool {
        self.left == 0
    }

    /// How many were printed.
    pub(super) fn printed(&self) -> u64 {
        self.printed
    }

    /// Prints one record, unless enough were printed.
    pub(super) fn print(&mut self, partition: i32, record: &Record) -> io::Result<()> {
        if self.is_full() {
            return Ok(());
        }
        self.left -= 1;
        self.printed += 1;
        if self.printed.is_multiple_of(BAR_EVERY) {
            self.bar.set_position(self.printed);
        }
        let null = self.null.as_bytes();
        match &self.look {
            Look::Value => self.out.write_all(record.value.as_deref().unwrap_or(null))?,
            Look::KeyValue(separator) => {
                self.out.write_all(record.key.as_deref().unwrap_or(null))?;
                self.out.write_all(separator.as_bytes())?;
                self.out.write_all(record.value.as_deref().unwrap_or(null))?;
            }
            Look::Json => serde_json::to_writer(&mut self.out, &json::record(&self.topic, partition, record))?,
            Look::Template(template) => template.write(&mut self.out, &self.topic, partition, record, &self.null)?,
        }
        self.out.write_all(b"\n")
    }

    /// Shows what was printed.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Shows what was printed, and takes the bar away.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.bar.finish_and_clear();
        self.out.flush()
    }
}
