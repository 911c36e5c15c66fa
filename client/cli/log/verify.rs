//! `tidemark log verify`: judges every byte, changes none.

use std::{io::Write, path::PathBuf};

use clap::Args;

use super::{
    audit::{audit, knowledge, read_journal},
    place::Place,
};
use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark log verify tidemark-data                    journal, checkpoint and all partitions
  tidemark log verify tidemark-data/sensors-0          one partition
  tidemark log verify /backup/sensors-0                a copy

The broker must be stopped. Exit code 1 if anything is bad, with its file and place. What a kill -9 leaves behind, a torn
tail that the journal covers, is only noted: the next start writes it again.";

/// Checks every byte: checksums, order, indexes, journal
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {
    /// A data directory, or the directory of one partition
    dir: PathBuf,
}

impl Verify {
    pub(super) fn run(self) -> Result<(), Failure> {
        let place = Place::open(&self.dir)?;
        let mut out = output::stdout();
        let journal = read_journal(&place);
        let mut good = true;
        match &journal {
            Some(Ok(recovery)) => {
                let replicas = recovery.checkpoint().map_or(0, |known| known.replicas.len());
                good &= recovery.damage().is_empty();
                let verdict = if good { "ok" } else { "BAD" };
                writeln!(
                    out,
                    "journal: {verdict}, ends at position {}, checkpoint of {replicas} logs",
                    recovery.end().0
                )?;
                for damage in recovery.damage() {
                    writeln!(
                        out,
                        "  BAD positions {} to {} were synced and cannot be read",
                        damage.from.0, damage.to.0
                    )?;
                }
            }
            Some(Err(cause)) => {
                good = false;
                writeln!(out, "journal: BAD, {cause}")?;
            }
            None => {}
        }
        if place.whole {
            match place.node_id() {
                Ok(node) => writeln!(out, "meta.properties: ok, node {node}")?,
                Err(failure) => {
                    good = false;
                    writeln!(out, "meta.properties: BAD, {failure}")?;
                }
            }
        }
        for dir in &place.partitions {
            let audit = audit(&place, dir, knowledge(journal.as_ref(), dir))?;
            good &= audit.is_good();
            writeln!(out, "{}: {}", audit.summary(), if audit.is_good() { "ok" } else { "BAD" })?;
            for remark in &audit.remarks {
                writeln!(out, "  {} {}", if remark.is_bad() { "BAD" } else { "note" }, remark.text)?;
            }
            out.flush()?;
        }
        out.flush()?;
        if good {
            return Ok(());
        }
        Err(Failure::new(format!("{} is not whole", self.dir.display()))
            .next(format!("`tidemark log repair {}` says what can be mended", self.dir.display())))
    }
}
