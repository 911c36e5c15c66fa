//! `tidemark log dump`: frames as they lie in the segments.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};
use tidemark_record::{BatchHeader, Records, TimestampType, builder, compression::INFLATED_BYTES_MAX};
use tidemark_server::log::{FrameScan, InternalKind, Scanned, SegmentHeader, segments_in};

use super::place::{Place, name};
use crate::{
    failure::Failure,
    json,
    output::{self, table},
    time,
};

const EXAMPLES: &str = "\
Examples:
  tidemark log dump tidemark-data/sensors-0              every batch: position, Raft index, offsets, epoch, codec, time
  tidemark log dump tidemark-data/sensors-0 --records    every record too
  tidemark log dump tidemark-data --internal             all partitions, with Raft's own frames
  tidemark log dump tidemark-data/sensors-0 --json | jq 'select(.codec == \"zstd\")'

The broker must be stopped. Checksums of all frames are checked; the exit code is 1 where one is bad.";

/// Shows batches and records, with their places
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Dump {
    /// A data directory, or the directory of one partition
    dir: PathBuf,
    /// Every record
    #[arg(long)]
    records: bool,
    /// Frames that no client sees: segment headers, membership, leader changes, lost entries
    #[arg(long)]
    internal: bool,
    /// One JSON object per frame
    #[arg(long)]
    json: bool,
}

const HEADS: [&str; 10] =
    ["POSITION", "INDEX", "OFFSETS", "RECORDS", "EPOCH", "CODEC", "BYTES", "CRC", "PRODUCER", "NEWEST TIMESTAMP"];
/// Rows that are laid out together, so that a large segment is shown from its beginning.
const PAGE_ROWS: usize = 500;

impl Dump {
    pub(super) fn run(self) -> Result<(), Failure> {
        let place = Place::open(&self.dir)?;
        let mut out = output::stdout();
        let mut whole = true;
        for dir in &place.partitions {
            for base_offset in segments_in(&*place.disk, dir).map_err(Failure::new)? {
                let path = dir.join(format!("{base_offset:020}.log"));
                let scan = FrameScan::open(&*place.disk, &path).map_err(Failure::new)?;
                whole &= self.segment(&mut out, dir, base_offset, scan)?;
            }
        }
        out.flush()?;
        if whole { Ok(()) } else { Err(Failure::said()) }
    }

    /// True if all of it is good.
    fn segment(
        &self,
        out: &mut impl Write,
        dir: &Path,
        base_offset: i64,
        mut scan: FrameScan,
    ) -> Result<bool, Failure> {
        let segment = format!("{}/{base_offset:020}.log", name(dir));
        if !self.json {
            writeln!(out, "{segment}  {} bytes", scan.size())?;
        }
        let mut page = Page::default();
        let (mut next_index, mut whole) = (None, true);
        while let Some(scanned) = scan.next_scanned().map_err(Failure::new)? {
            match scanned {
                Scanned::Frame { position, header, bytes } => {
                    let parsed = SegmentHeader::parse(&bytes).filter(|_| position == 0);
                    let index = if position == 0 { None } else { next_index };
                    next_index = parsed.map_or(next_index.map(|index| index + 1), |parsed| Some(parsed.first_index));
                    let frame = Frame { segment: &segment, position, index, header: &header, bytes: &bytes };
                    self.frame(out, &mut page, &frame)?;
                }
                Scanned::Bad { from, to, cause } => {
                    (next_index, whole) = (None, false);
                    page.print(out)?;
                    let to = to.map_or_else(|| "the end".to_owned(), |to| to.to_string());
                    if self.json {
                        writeln!(
                            out,
                            "{}",
                            json!({ "segment": segment, "position": from, "kind": "bad", "to": to, "cause": cause.to_string() })
                        )?;
                    } else {
                        writeln!(out, "  BAD from position {from} to {to}: {cause}")?;
                    }
                }
            }
        }
        page.print(out)?;
        Ok(whole)
    }

    fn frame(&self, out: &mut impl Write, page: &mut Page, frame: &Frame<'_>) -> Result<(), Failure> {
        if frame.header.is_internal() && !self.internal {
            return Ok(());
        }
        if self.json {
            writeln!(out, "{}", frame.json(self.records))?;
            return Ok(());
        }
        page.rows.push(frame.row());
        if self.records && !frame.header.is_internal() {
            page.print(out)?;
            for record in frame.records() {
                writeln!(out, "    {record}")?;
            }
        } else if page.rows.len() >= PAGE_ROWS {
            page.print(out)?;
        }
        Ok(())
    }
}

/// Rows that wait for their column widths.
#[derive(Default)]
struct Page {
    rows: Vec<Vec<String>>,
}

impl Page {
    fn print(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let heads = HEADS.map(str::to_owned).to_vec();
        let mut rows = vec![heads];
        rows.append(&mut self.rows);
        for row in &mut rows {
            row.insert(0, String::new());
        }
        table(out, &rows)
    }
}

struct Frame<'a> {
    segment: &'a str,
    position: u64,
    /// Raft index; a header frame has none.
    index: Option<u64>,
    header: &'a BatchHeader,
    bytes: &'a [u8],
}

impl Frame<'_> {
    fn kind(&self) -> &'static str {
        if !self.header.is_internal() {
            return if self.header.attributes.is_control() { "control" } else { "batch" };
        }
        match self.bytes.get(tidemark_record::HEADER_LEN).copied().and_then(InternalKind::from_byte) {
            Some(InternalKind::SegmentHeader) => "segment header",
            Some(InternalKind::Membership) => "membership",
            Some(InternalKind::Blank) => "new leader",
            Some(InternalKind::Void) => "void",
            Some(InternalKind::Command) => "command",
            None => "unknown",
        }
    }

    fn codec(&self) -> &'static str {
        self.header.compression().map_or("undefined", |codec| codec.name())
    }

    fn row(&self) -> Vec<String> {
        let header = self.header;
        let internal = header.is_internal();
        let producer = format!("{}/{} from {}", header.producer_id, header.producer_epoch, header.base_sequence);
        vec![
            self.position.to_string(),
            self.index.map_or_else(|| "-".to_owned(), |index| index.to_string()),
            if internal { self.kind().to_owned() } else { format!("{}..{}", header.base_offset, header.last_offset()) },
            header.records_count.to_string(),
            header.partition_leader_epoch.to_string(),
            if internal { "-".to_owned() } else { self.codec().to_owned() },
            self.bytes.len().to_string(),
            "ok".to_owned(),
            if header.has_producer_id() { producer } else { "-".to_owned() },
            if internal { "-".to_owned() } else { time::shown(header.max_timestamp) },
        ]
    }

    fn json(&self, with_records: bool) -> Value {
        let header = self.header;
        let internal = header.is_internal();
        let log_append = header.attributes.timestamp_type() == TimestampType::LogAppend;
        let mut value = json!({
            "segment": self.segment,
            "position": self.position,
            "kind": self.kind(),
            "raft_index": self.index,
            "base_offset": header.base_offset,
            "last_offset": (!internal).then(|| header.last_offset()),
            "records_count": header.records_count,
            "leader_epoch": header.partition_leader_epoch,
            "codec": self.codec(),
            "timestamp_type": if log_append { "LogAppendTime" } else { "CreateTime" },
            "base_timestamp": header.base_timestamp,
            "max_timestamp": header.max_timestamp,
            "producer_id": header.producer_id,
            "producer_epoch": header.producer_epoch,
            "base_sequence": header.base_sequence,
            "transactional": header.attributes.is_transactional(),
            "bytes": self.bytes.len(),
            "crc": format!("{:08x}", header.crc),
            "crc_ok": true,
        });
        if with_records && !internal {
            value["records"] = self.records().into();
        }
        value
    }

    /// Every record as JSON; one that cannot be read is an `error`, and the last.
    fn records(&self) -> Vec<Value> {
        let header = self.header;
        let payload = match builder::inflated(header, self.bytes, INFLATED_BYTES_MAX) {
            Ok(payload) => payload,
            Err(cause) => return vec![json!({ "error": cause.to_string() })],
        };
        let log_append = header.attributes.timestamp_type() == TimestampType::LogAppend;
        let shown = Records::new(&payload, header.records_count).map(|record| match record {
            Err(cause) => json!({ "error": cause.to_string() }),
            Ok(record) => {
                let created = header.base_timestamp.saturating_add(record.timestamp_delta);
                let headers: Vec<_> = record
                    .headers()
                    .map(|header| json!({ "name": json::bytes(Some(header.name)), "value": json::bytes(header.value) }))
                    .collect();
                json!({
                    "offset": header.base_offset.saturating_add(record.offset_delta.into()),
                    "timestamp": if log_append { header.max_timestamp } else { created },
                    "key": json::bytes(record.key),
                    "value": json::bytes(record.value),
                    "headers": headers,
                })
            }
        });
        shown.collect()
    }
}
