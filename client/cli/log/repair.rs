//! `tidemark log repair`: says what it would mend; mends it when told to; drops acknowledged data only when told so.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use clap::Args;
use tidemark_server::{
    log::{Extent, Log, LogConfig, LogIdentity, rebuild_index, segments_in},
    os::{disk::OpenMode, random::Random},
    raft::{Storage, StorageConfig},
};

use super::{
    audit::{Audit, Remedy, audit, knowledge, read_journal},
    place::{Place, name},
};
use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark log repair tidemark-data                          says what it would do, and does nothing
  tidemark log repair tidemark-data --yes                    does it: nothing that was acknowledged is lost
  tidemark log repair tidemark-data --drop-damaged --yes     and drops what cannot be read, with all that follows it

The broker must be stopped. Of a data directory it replays the journal as a start would, makes bad indexes anew and writes
a checkpoint; of a partition that lies alone, such as a copy, it cuts a torn tail. Damage in the middle is left alone
without --drop-damaged: the broker serves around it. Copy the directory first if in doubt.";

/// Says what it would mend; does it with --yes
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Repair {
    /// A data directory, or the directory of a partition that lies alone
    dir: PathBuf,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Drop damaged records and everything behind them in their partition
    #[arg(long)]
    drop_damaged: bool,
}

impl Repair {
    pub(super) fn run(self) -> Result<(), Failure> {
        let place = Place::open(&self.dir)?;
        if let Some(data_dir) = place.data_dir.as_ref().filter(|_| !place.whole) {
            return Err(Failure::new(format!(
                "{} is part of a data directory, whose journal knows more than the segments",
                self.dir.display()
            ))
            .next(format!("tidemark log repair {}", data_dir.display())));
        }
        let journal = read_journal(&place);
        if let Some(Err(cause)) = &journal {
            return Err(
                Failure::new(cause).next("a journal cannot be mended; copy the partitions out and repair each alone")
            );
        }
        let mut audits = Vec::new();
        for dir in &place.partitions {
            audits.push(audit(&place, dir, knowledge(journal.as_ref(), dir))?);
        }
        let mut out = output::stdout();
        let todo = self.say(&mut out, &audits)?;
        if place.whole {
            writeln!(out, "journal\n    -> is replayed as at every start, and a checkpoint is written")?;
        }
        out.flush()?;
        if !todo && !place.whole {
            output::say("nothing to do")?;
        } else if !self.yes {
            output::say("nothing was changed; --yes does it")?;
        } else {
            self.mend(place, &audits)?;
        }
        if audits.iter().flat_map(|audit| &audit.remarks).any(|remark| self.stays(remark.remedy)) {
            return Err(Failure::new("some damage stays"));
        }
        Ok(())
    }

    /// Prints what each remark leads to; whether there is anything to do.
    fn say(&self, out: &mut impl Write, audits: &[Audit]) -> Result<bool, Failure> {
        let mut todo = false;
        for audit in audits {
            writeln!(out, "{}", audit.summary())?;
            for remark in &audit.remarks {
                writeln!(out, "  {}", remark.text)?;
                writeln!(out, "    -> {}", self.plan(remark.remedy))?;
                todo |= !self.stays(remark.remedy);
            }
        }
        Ok(todo)
    }

    fn plan(&self, remedy: Remedy) -> String {
        match remedy {
            Remedy::Index { .. } => "its index is made anew from the segment".into(),
            Remedy::Start => "the journal has it: written again, as at every start".into(),
            Remedy::Cut { .. } => "the torn tail is cut".into(),
            Remedy::Drop { offset, .. } if self.drop_damaged => {
                format!("everything from offset {offset} on is DROPPED, and those offsets are given out again")
            }
            Remedy::Drop { offset, .. } => {
                format!("left alone; --drop-damaged would drop everything from offset {offset} on")
            }
            Remedy::None => "left alone: move the directory away, or restore what is missing".into(),
        }
    }

    fn stays(&self, remedy: Remedy) -> bool {
        match remedy {
            Remedy::None => true,
            Remedy::Drop { .. } => !self.drop_damaged,
            Remedy::Index { .. } | Remedy::Start | Remedy::Cut { .. } => false,
        }
    }

    fn mend(&self, place: Place, audits: &[Audit]) -> Result<(), Failure> {
        let mut shortened = Vec::new();
        for audit in audits {
            if let Some((base_offset, position)) = self.cut_at(audit) {
                cut(&place, &audit.dir, base_offset, position)?;
                shortened.push(name(&audit.dir));
            }
            for remark in &audit.remarks {
                if let Remedy::Index { base_offset, active } = remark.remedy
                    && self.cut_at(audit).is_none_or(|(base, _)| base_offset < base)
                {
                    rebuild_index(&*place.disk, &audit.dir, base_offset, active).map_err(Failure::new)?;
                }
            }
        }
        match place.data_dir.clone().filter(|_| place.whole) {
            Some(data_dir) => {
                let node_id = place.node_id()?;
                let disk = place.disk.clone();
                // the broker's own recovery takes the lock itself
                drop(place);
                recover(disk, data_dir, node_id, &shortened)?;
            }
            None => {
                for audit in audits.iter().filter(|audit| !audit.remarks.iter().any(|remark| self.stays(remark.remedy)))
                {
                    reopen(&place, audit)?;
                }
            }
        }
        Ok(output::say("done; `tidemark log verify` looks again")?)
    }

    /// The first place from which on a partition is cut.
    fn cut_at(&self, audit: &Audit) -> Option<(i64, u64)> {
        let places = audit.remarks.iter().filter_map(|remark| match remark.remedy {
            Remedy::Drop { base_offset, position, .. } if self.drop_damaged => Some((base_offset, position)),
            Remedy::Cut { base_offset, position } => Some((base_offset, position)),
            _ => None,
        });
        places.min()
    }
}

/// Removes every segment behind the place, and what follows the place in its own; a segment without a whole header goes too.
fn cut(place: &Place, dir: &Path, base_offset: i64, position: u64) -> Result<(), Failure> {
    let disk = &*place.disk;
    let failed = |path: &Path, cause: std::io::Error| Failure::new(format!("{}: {cause}", path.display()));
    let first_gone = if position == 0 { base_offset } else { base_offset + 1 };
    let bases = segments_in(disk, dir).map_err(Failure::new)?;
    if bases.first().is_none_or(|first| *first >= first_gone) {
        return Err(Failure::new(format!("{}: nothing whole is left of it", dir.display()))
            .next("move the directory away; the topic can then be deleted and made anew"));
    }
    for base in bases.into_iter().filter(|base| *base >= first_gone) {
        for suffix in ["log", "index", "snapshot"] {
            let path = dir.join(format!("{base:020}.{suffix}"));
            if disk.exists(&path) {
                disk.remove_file(&path).map_err(|cause| failed(&path, cause))?;
            }
        }
    }
    if position > 0 {
        let path = dir.join(format!("{base_offset:020}.log"));
        let file = disk.open(&path, OpenMode::ReadWrite).map_err(|cause| failed(&path, cause))?;
        file.set_len(position).and_then(|()| file.sync_data()).map_err(|cause| failed(&path, cause))?;
        rebuild_index(disk, dir, base_offset, true).map_err(Failure::new)?;
    }
    disk.sync_dir(dir).map_err(|cause| failed(dir, cause))
}

/// What a start does: replay, cut torn tails, write a checkpoint.
fn recover(
    disk: tidemark_server::os::disk::SharedDisk,
    data_dir: PathBuf,
    node_id: i32,
    shortened: &[String],
) -> Result<(), Failure> {
    let config = StorageConfig::new(data_dir, node_id);
    let storage = Storage::open(disk, &config, &Random::os()).map_err(Failure::new)?;
    for name in shortened {
        match storage.reopen_as_it_lies(name).map_err(Failure::new)? {
            Some(end) => output::say(&format!("{name} ends at offset {end} now"))?,
            None => output::note(&format!("{name} is in no checkpoint: the next start sets it aside")),
        }
    }
    storage.close().map_err(Failure::new)
}

/// Makes the derived files of a log that lies alone anew.
fn reopen(place: &Place, audit: &Audit) -> Result<(), Failure> {
    let header = audit.segments.iter().find_map(|segment| segment.header);
    let Some(header) = header else {
        return Err(Failure::new(format!("{}: no segment has a whole header", audit.dir.display())));
    };
    let identity = LogIdentity { topic_id: header.topic_id, partition: header.partition };
    let opened = Log::open(place.disk.clone(), &audit.dir, identity, LogConfig::default(), Extent::LastSegment);
    let (mut log, report) = opened.map_err(Failure::new)?;
    log.capture().and_then(|capture| capture.sync()).map_err(Failure::new)?;
    let (end, cut) = (log.log_end_offset(), report.truncated_bytes);
    Ok(output::say(&format!("{}: ends at offset {end} ({cut} bytes more were cut)", name(&audit.dir)))?)
}
