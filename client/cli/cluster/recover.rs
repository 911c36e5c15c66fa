//! `tidemark cluster recover`: says what a cluster without a majority can be put on, and does it when told to. Not here: what is
//! picked, and how (`tidemark_server::node::recover`).

use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use serde_json::{Value, json};
use tidemark_server::{
    node::recover::{Fate, Found, Group, RecoverError, Recovery},
    os::{
        disk::{RealDisk, SharedDisk},
        random::Random,
    },
};

use super::local::LocalCluster;
use crate::{
    failure::Failure,
    logging,
    output::{self, ids, table},
};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster recover                          of ./tidemark-cluster: says what survives, and changes nothing
  tidemark cluster recover --yes                    puts the cluster on it
  tidemark cluster recover --data /srv/tidemark-1 --data /mnt/copy-of-2 --yes

For a cluster in which more than half of a group's voters have lost their disks, or what was not synced: it elects nobody. All its
brokers must be stopped. Give every data directory that is left, copied to this machine if need be: of each group the longest log
goes on, and a broker whose directory is not given has to start with an empty one. Without --yes the directories are opened as a
start would open them, and nothing else happens. Exit codes: 0 nothing to do, or done; 1 not possible; 2 there is something to do.";

/// There is something that --yes would do.
const EXIT_TO_DO: u8 = 2;

/// Puts a cluster that has lost a majority on what survives
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Recover {
    /// A data directory that is left; may be repeated [default: those of --dir]
    #[arg(long, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// A cluster on this machine, made by `tidemark cluster up`
    #[arg(long, value_name = "DIR", default_value = "tidemark-cluster", conflicts_with = "data")]
    dir: PathBuf,
    /// Do it
    #[arg(long)]
    yes: bool,
    /// Groups that are well, too
    #[arg(long)]
    all: bool,
    /// One JSON object per group, each on a line
    #[arg(long)]
    json: bool,
}

impl Recover {
    pub(super) fn run(self) -> Result<(), Failure> {
        logging::for_commands()?;
        let dirs = self.dirs()?;
        let disk: SharedDisk = Arc::new(RealDisk);
        let recovery = Recovery::open(&disk, &dirs, &Random::os()).map_err(failure)?;
        let mut out = output::stdout();
        let groups: Vec<&Group> = std::iter::once(&recovery.metadata).chain(&recovery.partitions).collect();
        if self.json {
            let shown = groups.iter().filter(|group| self.all || group.fate != Fate::Well);
            shown.map(|group| line(group)).try_for_each(|line| writeln!(out, "{line}"))?;
        } else {
            self.print(&mut out, &recovery, &groups)?;
        }
        out.flush()?;
        let (needed, missing, voters) = (recovery.is_needed(), recovery.missing(), recovery.metadata.brokers.clone());
        if !self.yes || !needed {
            recovery.close().map_err(failure)?;
            return if needed { Err(Failure::said().code(EXIT_TO_DO)) } else { Ok(()) };
        }
        recovery.carry_out().map_err(failure)?;
        if !self.json {
            say_next(&missing, &voters)?;
        }
        Ok(())
    }

    /// The directories given, or those that the cluster of this machine has left.
    fn dirs(&self) -> Result<Vec<PathBuf>, Failure> {
        if !self.data.is_empty() {
            return Ok(self.data.clone());
        }
        let dir = std::path::absolute(&self.dir).unwrap_or_else(|_| self.dir.clone());
        let cluster = LocalCluster::load(&dir)
            .map_err(|failure| failure.next("name the data directories that are left: --data DIR --data DIR …"))?;
        if let Some(node) = cluster.nodes.iter().find(|node| node.lives(&cluster)) {
            return Err(
                Failure::new(format!("broker {} runs", node.id)).next("`tidemark cluster down` stops all of them")
            );
        }
        let (left, gone): (Vec<_>, Vec<_>) = cluster.nodes.iter().partition(|node| holds_data(&cluster.data(node.id)));
        for node in gone {
            output::note(&format!("broker {}: {} holds nothing", node.id, cluster.data(node.id).display()));
        }
        Ok(left.into_iter().map(|node| cluster.data(node.id)).collect())
    }

    fn print(&self, out: &mut impl Write, recovery: &Recovery, groups: &[&Group]) -> std::io::Result<()> {
        let brokers = ids(&recovery.brokers());
        writeln!(out, "cluster {}, directories of brokers {brokers}", recovery.cluster_id())?;
        for dir in &recovery.empty {
            writeln!(out, "{} belongs to no cluster yet, and is left alone", dir.display())?;
        }
        let heads = ["GROUP", "BROKERS", "LOG", "LAST", "OFFSETS", "COMMITTED", "OUTCOME"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for group in groups.iter().filter(|group| self.all || group.fate != Fate::Well) {
            rows.extend(rows_of(group));
        }
        if rows.len() > 1 {
            table(out, &rows)?;
        }
        let count = |fate: fn(&Fate) -> bool| groups.iter().filter(|group| fate(&group.fate)).count();
        let well = count(|fate| *fate == Fate::Well);
        let (alone, gone) = (count(|fate| matches!(fate, Fate::Survives { .. })), count(|fate| *fate == Fate::Gone));
        writeln!(out, "{well} groups are well, {alone} live on in one log, {gone} have none that is left")?;
        if alone > 0 {
            writeln!(out, "  acknowledged records behind the end of such a log are lost, if the others had any")?;
        }
        if gone > 0 {
            writeln!(
                out,
                "  a partition without any stays unavailable until its topic is deleted, or its directory is found"
            )?;
        }
        for group in groups {
            if let Some((from, to)) = group.lost() {
                writeln!(out, "{}: offsets {from} to {} were committed, and are LOST", name(group), to - 1)?;
            }
        }
        if recovery.was_interrupted() {
            writeln!(out, "a recovery was interrupted: --yes brings it to its end")?;
        }
        if !recovery.is_needed() {
            return writeln!(out, "nothing to do");
        }
        let missing = recovery.missing();
        if !missing.is_empty() {
            writeln!(out, "without the directories of brokers {}: if one is left, give it, too", ids(&missing))?;
        }
        if !self.yes {
            writeln!(out, "nothing was changed; --yes does it")?;
        }
        Ok(())
    }
}

fn say_next(missing: &[i32], voters: &[i32]) -> std::io::Result<()> {
    output::say("done; next:")?;
    if !missing.is_empty() {
        let missing = ids(missing);
        output::say(&format!(
            "  empty the directories of brokers {missing}, if there are any: they are turned away otherwise"
        ))?;
    }
    output::say("  start all brokers as before; replicas that are missing are filled by themselves")?;
    output::say("  tidemark cluster status                           shows how far they are")?;
    if voters.len() > 1 {
        let voters = format!("tidemark cluster voters {}", ids(voters));
        output::say(&format!("  {voters:<50}gives their votes on the metadata back, once these run"))?;
    }
    Ok(())
}

fn holds_data(dir: &Path) -> bool {
    dir.join("meta.properties").exists()
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn failure(error: RecoverError) -> Failure {
    let failure = Failure::new(&error);
    match error {
        RecoverError::OtherCluster { .. } => failure.next("give the directories of one cluster only"),
        RecoverError::LeftOut(_) => failure.next("leave it out here, and move it away before its broker starts"),
        RecoverError::NoMetadata => failure.next("give the directory of a broker that votes on the metadata, too"),
        RecoverError::NoData(_) => failure.next("name the directories that brokers were started with (--data)"),
        _ => failure,
    }
}

fn name(group: &Group) -> String {
    format!("{}-{}", group.topic, group.key.1)
}

fn outcome(group: &Group, found: Option<&Found>) -> &'static str {
    match (group.fate, found) {
        (Fate::Gone, _) => "no log is left",
        (Fate::Well, _) => "stays",
        (Fate::Survives { broker_id, .. }, Some(found)) if found.broker_id == broker_id => "goes on alone",
        (Fate::Survives { .. }, _) => "is filled anew",
    }
}

/// A line for each log that is left; one for a group without any.
fn rows_of(group: &Group) -> Vec<Vec<String>> {
    let dash = || "-".to_owned();
    if group.found.is_empty() {
        let cells = [name(group), ids(&group.brokers), dash(), dash(), dash(), dash(), outcome(group, None).to_owned()];
        return vec![cells.to_vec()];
    }
    let row = |found: &Found| {
        let remains = &found.remains;
        let last = remains.last.map_or_else(dash, |(epoch, index)| format!("{epoch}/{index}"));
        let offsets = format!("{} to {}", remains.log_start_offset, remains.log_end_offset);
        let outcome = match &remains.failure {
            Some(why) => format!("cannot be used: {why}"),
            None if remains.given_up => format!("{}; may lack its end", outcome(group, Some(found))),
            None => outcome(group, Some(found)).to_owned(),
        };
        let (broker, committed) = (found.broker_id.to_string(), remains.high_watermark.to_string());
        vec![name(group), ids(&group.brokers), broker, last, offsets, committed, outcome]
    };
    group.found.iter().map(row).collect()
}

fn line(group: &Group) -> Value {
    let log = |found: &Found| {
        let remains = &found.remains;
        json!({
            "broker": found.broker_id,
            "epoch": remains.last.map(|(epoch, _)| epoch),
            "index": remains.last.map(|(_, index)| index),
            "log_start_offset": remains.log_start_offset,
            "log_end_offset": remains.log_end_offset,
            "high_watermark": remains.high_watermark,
            "damages": remains.damages,
            "given_up": remains.given_up,
            "failure": remains.failure,
        })
    };
    let (fate, survivor) = match group.fate {
        Fate::Well => ("well", None),
        Fate::Survives { broker_id, .. } => ("survives", Some(broker_id)),
        Fate::Gone => ("gone", None),
    };
    json!({
        "topic": group.topic,
        "partition": group.key.1,
        "brokers": group.brokers,
        "logs": group.found.iter().map(log).collect::<Vec<_>>(),
        "fate": fate,
        "survivor": survivor,
        "may_lack_records": fate == "survives",
        "lost_offsets": group.lost().map(|(from, to)| json!([from, to - 1])),
    })
}
