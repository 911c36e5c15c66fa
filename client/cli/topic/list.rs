//! `tidemark topic list`.

use std::io::Write;

use clap::Args;
use serde_json::json;

use crate::{
    connect::Bootstrap,
    failure::Failure,
    output::{self, table},
};

const EXAMPLES: &str = "\
Examples:
  tidemark topic list
  tidemark topic list --internal                    the cluster's own topics too
  tidemark topic list --json | jq -r .name";

/// Lists topics
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct List {
    /// The cluster's own topics too
    #[arg(long)]
    internal: bool,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

impl List {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let topics = self.bootstrap.client().await?.admin().list_topics().await?;
        let shown = topics.iter().filter(|topic| self.internal || !topic.internal);
        let mut out = output::stdout();
        if self.json {
            for topic in shown {
                let id = topic.id.map(|id| id.to_string());
                let line =
                    json!({ "name": topic.name, "id": id, "internal": topic.internal, "partitions": topic.partitions });
                writeln!(out, "{line}")?;
            }
        } else {
            let mut rows = vec![vec!["TOPIC".to_owned(), "PARTITIONS".to_owned()]];
            rows.extend(shown.map(|topic| vec![topic.name.clone(), topic.partitions.to_string()]));
            if rows.len() == 1 {
                output::note("no topics; `tidemark topic create NAME` makes one");
            } else {
                table(&mut out, &rows)?;
            }
        }
        Ok(out.flush()?)
    }
}
