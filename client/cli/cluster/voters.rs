//! `tidemark cluster voters`: who votes on the metadata, and changing that, one broker at a time. Not here: what a vote is.

use std::io::Write;

use clap::Args;
use tidemark_client::{
    Admin,
    admin::{QuorumDescription, QuorumReplica},
};

use super::{local::LocalCluster, target::Target};
use crate::{
    failure::Failure,
    output::{self, table},
};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster voters                           who votes, who follows
  tidemark cluster voters 1,2,3                     these vote from now on, and no other";

/// Shows who votes on the cluster's metadata, or changes it
///
/// The brokers that vote keep the metadata, and nothing can be changed without more than half of them; all others follow. With
/// three voters a cluster outlives one of them. A broker gets a vote once it has caught up; one that loses it goes on following.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Voters {
    /// The brokers that shall vote
    #[arg(value_name = "ID,…", value_delimiter = ',')]
    ids: Vec<i32>,
    #[command(flatten)]
    target: Target,
}

impl Voters {
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let admin = self.target.client().await?.admin();
        if self.ids.is_empty() {
            return show(&admin.describe_quorum().await?);
        }
        self.ids.sort_unstable();
        self.ids.dedup();
        if self.ids.len().is_multiple_of(2) {
            let (count, less) = (self.ids.len(), self.ids.len() - 1);
            output::note(&format!("warning: {count} voters stand no more losses than {less}"));
        }
        vote(&admin, &self.ids, self.target.local()?.as_mut()).await
    }
}

fn show(quorum: &QuorumDescription) -> Result<(), Failure> {
    let mut rows = vec![["BROKER", "METADATA"].map(str::to_owned).to_vec()];
    let row = |replica: &QuorumReplica, what: &str| vec![replica.broker_id.to_string(), what.to_owned()];
    rows.extend(quorum.voters.iter().map(|voter| match quorum.leader_id == Some(voter.broker_id) {
        true => row(voter, "votes, leads"),
        false => row(voter, "votes"),
    }));
    rows.extend(quorum.observers.iter().map(|observer| row(observer, "follows")));
    let mut out = output::stdout();
    table(&mut out, &rows)?;
    Ok(out.flush()?)
}

/// Gives votes, then takes others. A cluster of this machine notes each.
pub(super) async fn vote(admin: &Admin, ids: &[i32], mut local: Option<&mut LocalCluster>) -> Result<(), Failure> {
    let quorum = admin.describe_quorum().await?;
    let new = ids.iter().filter(|id| quorum.voters.iter().all(|voter| voter.broker_id != **id));
    for id in new {
        let known = quorum.observers.iter().find(|observer| observer.broker_id == *id);
        let known = known.ok_or_else(|| {
            Failure::new(format!("broker {id} does not follow the cluster's metadata"))
                .next("start it with --voters and an empty directory, or `tidemark cluster add` on this machine")
        })?;
        admin.add_raft_voter(*id, known.directory_id).await?;
        note(&mut local, *id, true)?;
        output::say(&format!("broker {id} votes on the metadata"))?;
    }
    for voter in quorum.voters.iter().filter(|voter| !ids.contains(&voter.broker_id)) {
        admin.remove_raft_voter(voter.broker_id, voter.directory_id).await?;
        note(&mut local, voter.broker_id, false)?;
        output::say(&format!("broker {} only follows the metadata", voter.broker_id))?;
    }
    Ok(())
}

/// So that brokers of this machine that start again ask those that vote.
fn note(local: &mut Option<&mut LocalCluster>, id: i32, votes: bool) -> Result<(), Failure> {
    let Some(cluster) = local else { return Ok(()) };
    cluster.node_mut(id)?.voter = votes;
    cluster.save()
}
