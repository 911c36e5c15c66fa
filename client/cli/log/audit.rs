//! What is wrong with a partition, and what that means: lost, mended at the next start, or only to be made anew.
//!
//! A checkpoint says up to where a log was synced. Below it everything must be there; above it the journal has every
//! acknowledged record, and the next start writes the segments again from it. Not here: reading bytes (`server::log`).

use std::path::{Path, PathBuf};

use tidemark_server::{
    journal::{self, JournalConfig, Recovery, ReplicaCheckpoint},
    log::{Finding, FindingKind, Log, SegmentCheck, check_segment, segments_in},
    os::disk::Disk,
};

use super::place::{Place, name};
use crate::failure::Failure;

/// What a remark leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Bytes that were synced are gone: only dropping everything behind them makes the log whole.
    Drop { base_offset: i64, position: u64, offset: i64 },
    /// A torn tail that no checkpoint and no journal knows: it is cut.
    Cut { base_offset: i64, position: u64 },
    /// The next start does it, from the journal.
    Start,
    /// An index is made anew.
    Index { base_offset: i64, active: bool },
    /// There is none here.
    None,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone)]
pub(super) struct Remark {
    pub text: String,
    pub remedy: Remedy,
}

impl Remark {
    /// Whether it is a fault, and not only what kill -9 leaves behind.
    pub(super) fn is_bad(&self) -> bool {
        self.remedy != Remedy::Start
    }
}

/// One partition.
#[derive(Debug)]
pub(super) struct Audit {
    pub dir: PathBuf,
    pub segments: Vec<SegmentCheck>,
    pub remarks: Vec<Remark>,
}

/// What the journal says, or why it cannot be read. `None` where there is no journal.
pub(super) fn read_journal(place: &Place) -> Option<Result<Recovery, String>> {
    let dir = place.journal()?;
    Some(journal::recover(&place.disk, &dir, JournalConfig::default()).map_err(|cause| cause.to_string()))
}

/// What is known of a log from outside.
#[derive(Debug, Clone, Copy)]
pub(super) enum Knowledge<'a> {
    /// It lies alone: what is whole is all there is.
    Alone,
    /// The journal has all of it: there has been no checkpoint since it was made.
    Journal,
    /// Synced up to here; the journal has what follows.
    Checkpoint(&'a ReplicaCheckpoint),
}

/// What journal and checkpoint know of the partition in `dir`.
pub(super) fn knowledge<'a>(journal: Option<&'a Result<Recovery, String>>, dir: &Path) -> Knowledge<'a> {
    let Some(Ok(recovery)) = journal else { return Knowledge::Alone };
    let name = name(dir);
    let known = recovery.checkpoint().and_then(|known| known.replicas.iter().find(|replica| replica.dir == name));
    known.map_or(Knowledge::Journal, Knowledge::Checkpoint)
}

/// Checks every byte of a partition.
pub(super) fn audit(place: &Place, dir: &Path, knowledge: Knowledge<'_>) -> Result<Audit, Failure> {
    let disk = &*place.disk;
    let bases = segments_in(disk, dir).map_err(Failure::new)?;
    let mut audit = Audit { dir: dir.to_path_buf(), segments: Vec::new(), remarks: Vec::new() };
    for (at, base_offset) in bases.iter().enumerate() {
        let active = at + 1 == bases.len();
        let check = check_segment(disk, dir, *base_offset, active).map_err(Failure::new)?;
        for finding in &check.findings {
            let remedy = remedy(&check, finding, active, knowledge);
            let text = format!("{base_offset:020}.log at {}: {}", finding.position, finding.what);
            audit.remarks.push(Remark { text, remedy });
        }
        audit.follows(&check);
        audit.segments.push(check);
    }
    audit.identity(disk);
    audit.reaches(knowledge);
    Ok(audit)
}

fn remedy(check: &SegmentCheck, finding: &Finding, active: bool, knowledge: Knowledge<'_>) -> Remedy {
    let base_offset = check.base_offset;
    if finding.kind == FindingKind::Index {
        return Remedy::Index { base_offset, active };
    }
    let drop = Remedy::Drop { base_offset, position: finding.position, offset: finding.offset };
    match knowledge {
        Knowledge::Journal => Remedy::Start,
        Knowledge::Checkpoint(known) if is_above(known, base_offset, finding.position) => Remedy::Start,
        Knowledge::Alone if finding.kind == FindingKind::Tail && active => {
            Remedy::Cut { base_offset, position: finding.position }
        }
        _ => drop,
    }
}

/// Whether a place lies behind what the checkpoint says was synced.
fn is_above(known: &ReplicaCheckpoint, base_offset: i64, position: u64) -> bool {
    let end = &known.end;
    base_offset > end.segment_base_offset || base_offset == end.segment_base_offset && position >= end.position
}

impl Audit {
    /// Whether nothing is at fault.
    pub(super) fn is_good(&self) -> bool {
        !self.remarks.iter().any(Remark::is_bad)
    }

    fn remark(&mut self, text: String, remedy: Remedy) {
        self.remarks.push(Remark { text, remedy });
    }

    /// A segment starts where the one before it ends.
    fn follows(&mut self, check: &SegmentCheck) {
        let Some(before) = self.segments.last() else { return };
        let (Some(header), Some(next_index)) = (check.header, before.next_index) else { return };
        let (base, next_offset, epoch) = (check.base_offset, before.next_offset, before.last_leader_epoch);
        let first_index = header.first_index;
        if base != next_offset || first_index != next_index || header.previous_epoch != epoch {
            let text = format!(
                "{base:020}.log says it follows Raft index {} and epoch {}, and the segment before it ends with offset {next_offset}, Raft index {} and epoch {epoch}: a segment is missing, or is of another log",
                first_index.wrapping_sub(1),
                header.previous_epoch,
                next_index.wrapping_sub(1),
            );
            self.remark(text, Remedy::None);
        }
    }

    /// All segments are of one topic and partition, the one that the directory says.
    fn identity(&mut self, disk: &dyn Disk) {
        let headers: Vec<_> =
            self.segments.iter().filter_map(|segment| Some((segment.base_offset, segment.header?))).collect();
        let partition = name(&self.dir).rsplit_once('-').and_then(|(_, number)| number.parse::<i32>().ok());
        let topic = Log::topic_id_in(disk, &self.dir).or_else(|| headers.first().map(|(_, header)| header.topic_id));
        for (base_offset, header) in headers {
            if Some(header.topic_id) != topic {
                let text =
                    format!("{base_offset:020}.log belongs to topic {}, the directory to another", header.topic_id);
                self.remark(text, Remedy::None);
            }
            if partition.is_some_and(|partition| partition != header.partition) {
                let text = format!("{base_offset:020}.log belongs to partition {}", header.partition);
                self.remark(text, Remedy::None);
            }
        }
    }

    /// Everything that was synced is there.
    fn reaches(&mut self, knowledge: Knowledge<'_>) {
        let Knowledge::Checkpoint(known) = knowledge else { return };
        let base_offset = known.end.segment_base_offset;
        let segment = self.segments.iter().find(|segment| segment.base_offset == base_offset);
        let bytes = segment.map_or(0, |segment| segment.bytes);
        if bytes >= known.end.position {
            return;
        }
        let text = match segment {
            Some(_) => {
                format!("{base_offset:020}.log has {bytes} bytes of the {} that were synced", known.end.position)
            }
            None => format!("{base_offset:020}.log is missing, and {} bytes of it were synced", known.end.position),
        };
        let last = self.segments.last();
        let remedy = last.map_or(Remedy::None, |last| Remedy::Drop {
            base_offset: last.base_offset,
            position: last.good_end,
            offset: last.next_offset,
        });
        self.remark(text, remedy);
    }

    /// For people.
    pub(super) fn summary(&self) -> String {
        let sum = |count: fn(&SegmentCheck) -> u64| self.segments.iter().map(count).sum::<u64>();
        let (first, end) = (self.segments.first(), self.segments.last());
        format!(
            "{}: {}, {}, {}, offsets {} to {} (exclusive), {} bytes",
            name(&self.dir),
            count(self.segments.len() as u64, "segment", "segments"),
            count(sum(|segment| segment.batches), "batch", "batches"),
            count(sum(|segment| segment.records), "record", "records"),
            first.map_or(0, |segment| segment.base_offset),
            end.map_or(0, |segment| segment.next_offset),
            sum(|segment| segment.bytes),
        )
    }
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!([0, 1, 2].map(|number| count(number, "batch", "batches")), ["0 batches", "1 batch", "2 batches"]);
    }
}
