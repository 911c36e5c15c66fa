//! Checks one segment with its index, frame by frame and row by row, and makes an index anew. For tools over a log that
//! nobody has open. Not here: which of the findings an operator must act on.

use std::path::Path;

use tidemark_record::{BatchHeader, Records, builder, compression::INFLATED_BYTES_MAX};

use super::{
    config::LogConfig,
    error::{LogError, at},
    frame::{HEADER_FRAME_LEN, SEGMENT_FORMAT, SegmentHeader},
    index::{Row, SegmentIndex},
    scan::{FrameScan, Scanned},
    segment::{Segment, file_name},
};
use crate::os::{checksum, disk::Disk};

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindingKind {
    /// The segment's header frame.
    Header,
    /// Bytes with good frames behind them: something was lost in the middle.
    Damage,
    /// Bytes behind the last good frame: a torn tail, or damage at the end.
    Tail,
    /// Good frames that do not follow each other.
    Order,
    /// A row of the index, or the file. Made anew from the segment.
    Index,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub kind: FindingKind,
    /// Where in the segment.
    pub position: u64,
    /// Raft index that the frame there has, where that can be told.
    pub index: Option<u64>,
    /// Offset behind the last good batch before it.
    pub offset: i64,
    /// In words.
    pub what: String,
}

/// What a segment holds.
#[derive(Debug, Clone)]
pub struct SegmentCheck {
    /// By its name.
    pub base_offset: i64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Its header frame, if that is whole.
    pub header: Option<SegmentHeader>,
    /// Good batches.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Good internal frames, the header frame included.
    pub internal_frames: u64,
    /// The first byte behind the last good frame.
    pub good_end: u64,
    /// Offset behind the last good batch.
    pub next_offset: i64,
    /// Raft index behind the last good frame; `None` once damage hides how many frames there were.
    pub next_index: Option<u64>,
    /// Leader epoch of the last good frame.
    pub last_leader_epoch: i32,
    /// All that is wrong, in the order of positions; rows of the index last.
    pub findings: Vec<Finding>,
}

/// Base offsets of the segments in a partition's directory, rising.
///
/// # Errors
/// The disk's.
pub fn segments_in(disk: &dyn Disk, dir: &Path) -> Result<Vec<i64>, LogError> {
    let entries = at(dir, disk.read_dir(dir))?;
    let base = |name: &str| name.strip_suffix(".log").filter(|stem| stem.len() == 20)?.parse().ok();
    let mut bases: Vec<i64> = entries.iter().filter_map(|entry| base(&entry.name)).collect();
    bases.sort_unstable();
    Ok(bases)
}

/// Reads a whole segment and its index. `active`: it is the log's last, whose newest rows may not be in the file.
///
/// # Errors
/// The disk's; everything else is a finding.
pub fn check_segment(disk: &dyn Disk, dir: &Path, base_offset: i64, active: bool) -> Result<SegmentCheck, LogError> {
    let path = dir.join(file_name(base_offset, "log"));
    let mut scan = FrameScan::open(disk, &path)?;
    let check = SegmentCheck {
        base_offset,
        bytes: scan.size(),
        header: None,
        batches: 0,
        records: 0,
        internal_frames: 0,
        good_end: 0,
        next_offset: base_offset,
        next_index: None,
        last_leader_epoch: -1,
        findings: Vec::new(),
    };
    let mut checker = Checker { check, rows: Rows::open(disk, dir, base_offset)?, running_crc: 0, max_timestamp: -1 };
    while let Some(scanned) = scan.next_scanned()? {
        match scanned {
            Scanned::Frame { position, header, bytes } => checker.frame(position, &header, &bytes),
            Scanned::Bad { from, to, cause } => checker.bad(from, to, &cause.to_string()),
        }
    }
    checker.finish(active);
    let Checker { mut check, rows, .. } = checker;
    check.findings.extend(rows.findings);
    Ok(check)
}

/// Makes a segment's index anew from its frames. False if a bad frame ends it early.
///
/// # Errors
/// The disk's, or a header frame that cannot be read.
pub fn rebuild_index(disk: &dyn Disk, dir: &Path, base_offset: i64, active: bool) -> Result<bool, LogError> {
    let path = dir.join(file_name(base_offset, "log"));
    let mut scan = FrameScan::open(disk, &path)?;
    let mut segment = Segment::found(disk, dir, base_offset, scan.size())?;
    let header = segment.read_header(disk, dir)?;
    segment = Segment::empty(base_offset, header.first_index);
    let interval = LogConfig::default().index_interval_bytes;
    let (mut index, mut next_offset, mut whole) = (header.first_index, base_offset, true);
    while let Some(scanned) = scan.next_scanned()? {
        let Scanned::Frame { position, header, bytes } = scanned else {
            whole = false;
            break;
        };
        let full = segment.note_frame(&header, index, checksum::crc32c(&bytes), interval);
        index += u64::from(position > 0);
        next_offset = header.next_offset().max(next_offset);
        if full {
            segment.index.flush(disk, &segment.index_path(dir))?;
        }
    }
    if active || !whole {
        segment.index.flush(disk, &segment.index_path(dir))?;
    } else {
        segment.seal(disk, dir, index, next_offset)?;
    }
    Ok(whole)
}

struct Checker {
    check: SegmentCheck,
    rows: Rows,
    running_crc: u32,
    max_timestamp: i64,
}

impl Checker {
    fn find(&mut self, kind: FindingKind, position: u64, what: String) {
        let (index, offset) = (self.check.next_index, self.check.next_offset);
        self.check.findings.push(Finding { kind, position, index, offset, what });
    }

    fn frame(&mut self, position: u64, header: &BatchHeader, bytes: &[u8]) {
        if position == 0 {
            self.header_frame(header, bytes);
        } else {
            self.order(position, header);
        }
        let index =
            if position == 0 { self.check.header.map(|header| header.first_index) } else { self.check.next_index };
        let row = Row {
            index: index.unwrap_or(0),
            offset: header.base_offset,
            timestamp: self.max_timestamp,
            position: position as u32,
            running_crc: self.running_crc,
            internal_len: if header.is_internal() { bytes.len() as u32 } else { 0 },
        };
        self.rows.compare(&row, index.is_some());
        self.running_crc = checksum::append(self.running_crc, bytes);
        let check = &mut self.check;
        if header.is_internal() {
            check.internal_frames += 1;
        } else {
            check.batches += 1;
            check.records += u64::from(header.records_count.unsigned_abs());
            self.max_timestamp = self.max_timestamp.max(header.max_timestamp);
        }
        check.next_offset = check.next_offset.max(header.next_offset());
        check.next_index = if position == 0 { index } else { index.map(|index| index + 1) };
        check.last_leader_epoch = header.partition_leader_epoch;
        check.good_end = position + bytes.len() as u64;
        if !header.is_internal() && !header.attributes.is_control() {
            self.records(position, header, bytes);
        }
    }

    fn header_frame(&mut self, header: &BatchHeader, bytes: &[u8]) {
        let Some(parsed) = SegmentHeader::parse(bytes).filter(|_| bytes.len() == HEADER_FRAME_LEN) else {
            return self.find(FindingKind::Header, 0, "the first frame is no segment header".into());
        };
        if parsed.format > SEGMENT_FORMAT {
            let what =
                format!("segment format {} is newer than {SEGMENT_FORMAT}, which this program reads", parsed.format);
            self.find(FindingKind::Header, 0, what);
        }
        if header.base_offset != self.check.base_offset {
            let what = format!("the header says base offset {}, the file's name another", header.base_offset);
            self.find(FindingKind::Header, 0, what);
        }
        self.check.header = Some(parsed);
    }

    fn order(&mut self, position: u64, header: &BatchHeader) {
        let (next, epoch) = (self.check.next_offset, self.check.last_leader_epoch);
        if header.base_offset < next {
            self.find(FindingKind::Order, position, format!("base offset {} comes behind {next}", header.base_offset));
        }
        if header.partition_leader_epoch < epoch {
            let what = format!("leader epoch {} comes behind {epoch}", header.partition_leader_epoch);
            self.find(FindingKind::Order, position, what);
        }
    }

    /// The checksum holds; a producer may have sent records that are none all the same.
    fn records(&mut self, position: u64, header: &BatchHeader, bytes: &[u8]) {
        let walked = builder::inflated(header, bytes, INFLATED_BYTES_MAX).map_err(|cause| cause.to_string()).and_then(
            |payload| {
                let mut records = Records::new(&payload, header.records_count);
                let found = records.by_ref().try_fold(0, |count, record| record.map(|_| count + 1));
                found.map_err(|cause| cause.to_string()).map(|found| (found, records.finish().is_ok()))
            },
        );
        match walked {
            Ok((found, true)) if found == header.records_count => {}
            Ok((found, _)) => {
                let what = format!("{found} whole records where the header counts {}", header.records_count);
                self.find(FindingKind::Order, position, what);
            }
            Err(cause) => {
                self.find(FindingKind::Order, position, format!("its checksum holds, its records do not: {cause}"))
            }
        }
    }

    fn bad(&mut self, from: u64, to: Option<u64>, cause: &str) {
        if from == 0 {
            self.find(FindingKind::Header, 0, format!("the header frame is bad: {cause}"));
        }
        match to {
            Some(to) => {
                self.find(FindingKind::Damage, from, format!("bytes {from} to {to} are no good frames: {cause}"))
            }
            None if from > 0 => {
                let left = self.check.bytes - from;
                self.find(FindingKind::Tail, from, format!("{left} bytes behind the last good frame: {cause}"));
            }
            None => {}
        }
        self.check.next_index = None;
        self.rows.doubted = true;
    }

    fn finish(&mut self, active: bool) {
        let check = &self.check;
        let end = Row {
            index: check.next_index.unwrap_or(0),
            offset: check.next_offset,
            timestamp: self.max_timestamp,
            position: check.good_end as u32,
            running_crc: self.running_crc,
            internal_len: 0,
        };
        let whole = check.good_end == check.bytes;
        self.rows.finish(&end, active, whole);
    }
}

/// The index file's rows, held against the frames as these are walked.
struct Rows {
    rows: Vec<Option<Row>>,
    base_offset: i64,
    next: usize,
    missing_file: bool,
    /// Damage before: running checksums and Raft indexes can no longer be told.
    doubted: bool,
    findings: Vec<Finding>,
}

impl Rows {
    fn open(disk: &dyn Disk, dir: &Path, base_offset: i64) -> Result<Self, LogError> {
        let path = dir.join(file_name(base_offset, "index"));
        let missing_file = !disk.exists(&path);
        let rows = if missing_file { Vec::new() } else { SegmentIndex::read_rows(disk, &path)? };
        Ok(Self { rows, base_offset, next: 0, missing_file, doubted: false, findings: Vec::new() })
    }

    fn find(&mut self, position: u64, what: String) {
        // one reason is enough to make the file anew
        if self.findings.is_empty() {
            self.findings.push(Finding {
                kind: FindingKind::Index,
                position,
                index: None,
                offset: self.base_offset,
                what,
            });
        }
    }

    /// Offsets and leader epochs lie outside a batch's own checksum; the index remembers one over all bytes.
    fn changed(&mut self, before: u32) {
        self.doubted = true;
        let what =
            format!("bytes before {before} are not those that were written: an offset or a leader epoch has changed");
        self.findings.push(Finding {
            kind: FindingKind::Damage,
            position: 0,
            index: None,
            offset: self.base_offset,
            what,
        });
    }

    fn compare(&mut self, frame: &Row, index_known: bool) {
        while let Some(row) = self.rows.get(self.next).copied() {
            match row {
                None => {
                    self.find(frame.position.into(), format!("row {} of the index is damaged", self.next));
                }
                Some(row) if row.position > frame.position => break,
                Some(row) if row.position < frame.position => {
                    if !self.doubted {
                        self.find(row.position.into(), format!("row {} of the index points into a frame", self.next));
                    }
                }
                Some(row) => {
                    let same_place = row.offset == frame.offset && row.internal_len == frame.internal_len;
                    let trusted = !self.doubted && index_known;
                    let same_sums = row.index == frame.index && row.timestamp == frame.timestamp;
                    if !same_place || trusted && !same_sums {
                        self.find(
                            row.position.into(),
                            format!("row {} of the index is not what the segment says", self.next),
                        );
                    } else if trusted && row.running_crc != frame.running_crc {
                        self.changed(row.position);
                    }
                    self.next += 1;
                    return;
                }
            }
            self.next += 1;
        }
        if frame.internal_len > 0 && !self.missing_file && self.next < self.rows.len() {
            self.find(frame.position.into(), "the index lacks the row of an internal frame".into());
        }
    }

    fn finish(&mut self, end: &Row, active: bool, whole: bool) {
        if active || !whole || self.doubted {
            return;
        }
        if self.missing_file {
            return self.find(0, "a sealed segment has no index file".into());
        }
        match self.rows.get(self.next..) {
            Some([Some(row)]) if row == end => {}
            _ => self.find(end.position.into(), "the index does not end where the segment does".into()),
        }
    }
}

#[cfg(test)]
mod tests;
