//! The commands that make a cluster of this machine, change it, and take it down.

use std::{path::Path, process::Command};

use crate::brokers::{BINARY, Said, command};

/// A cluster of `cluster up`, ended whatever happens.
struct Local(tempfile::TempDir);

impl Local {
    fn dir(&self) -> &Path {
        self.0.path()
    }

    /// `tidemark cluster …` on it.
    fn cluster(&self, arguments: &[&str]) -> Said {
        let dir = self.dir().join("c");
        let mut command = command(&["cluster"]);
        Said::of(command.args(arguments).arg("--dir").arg(dir).output().expect("the binary"))
    }

    fn nodes(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read(self.dir().join("c/cluster.json")).unwrap_or_default();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        value["nodes"].as_array().cloned().unwrap_or_default()
    }

    /// Another command against it.
    fn run(&self, arguments: &[&str]) -> Said {
        let addresses: Vec<_> = self.nodes().iter().map(|node| format!("127.0.0.1:{}", node["kafka"])).collect();
        Said::of(command(arguments).env("TIDEMARK_BOOTSTRAP", addresses.join(",")).output().expect("the binary"))
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        for node in self.nodes() {
            let id = node["id"].to_string();
            let _ = Command::new(BINARY).args(["cluster", "kill", &id, "--dir"]).arg(self.dir().join("c")).output();
        }
    }
}

#[test]
fn a_cluster_grows_and_shrinks_while_its_records_stay() {
    let local = Local(tempfile::tempdir().unwrap());
    local.cluster(&["up", "--nodes", "3"]).fine();
    local.run(&["topic", "create", "orders", "-p", "2", "--replication-factor", "3"]).fine();
    local.run(&["topic", "create", "solo", "--replication-factor", "1"]).fine();
    let lines = local.dir().join("lines");
    std::fs::write(&lines, (0..500).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    for topic in ["orders", "solo"] {
        local.run(&["produce", topic, "--file", lines.to_str().unwrap()]).fine();
    }
    assert!(local.cluster(&["add"]).fine().starts_with("broker 4: "));
    let status = local.cluster(&["status"]).fine();
    assert!(status.lines().any(|line| line.starts_with('4') && line.contains("observer")), "{status}");
    assert!(status.contains("controller"), "{status}");

    let moved = local.run(&["partition", "move", "orders", "0", "--to", "4,2,3"]).fine();
    assert!(moved.ends_with("partition orders-0: done, on 4,2,3\n"), "{moved}");
    let raised = local.run(&["partition", "move", "solo", "0", "--to", "4,1"]).fine();
    assert!(raised.ends_with("partition solo-0: done, on 4,1\n"), "{raised}");
    let alone = local.run(&["partition", "move", "solo", "0", "--to", "4"]).fine();
    assert!(alone.ends_with("partition solo-0: done, on 4\n"), "{alone}");
    assert!(
        local.run(&["partition", "move", "orders", "0", "--to", "9"]).failed().contains("INVALID_REPLICA_ASSIGNMENT")
    );
    assert!(local.run(&["partition", "move", "orders", "0", "--cancel"]).failed().contains("NO_REASSIGNMENT"));
    local.run(&["partition", "elect"]).fine();

    assert!(local.cluster(&["remove", "4"]).failed().contains("broker 4 holds 2 partitions"));
    assert!(local.cluster(&["drain", "4", "--dry-run"]).fine().contains("partition solo-0: to "));
    assert!(local.cluster(&["drain", "4"]).fine().ends_with("broker 4 holds nothing any more\n"));
    local.cluster(&["remove", "4"]).fine();
    assert!(local.cluster(&["remove", "3"]).failed().contains("votes on the cluster's metadata"));
    let status = local.cluster(&["status"]).fine();
    assert!(!status.lines().any(|line| line.starts_with('4') && line.contains("127.0.0.1")), "{status}");
    for topic in ["orders", "solo"] {
        assert_eq!(local.run(&["consume", topic]).fine().lines().count(), 500, "{topic}");
    }
    assert!(local.cluster(&["drain", "3"]).failed().contains("there are 2 other brokers"));
    assert!(local.cluster(&["down"]).fine().contains("broker 3 is stopped"));
    assert!(local.cluster(&["up", "--nodes", "5"]).failed().contains("holds a cluster of 3 voters"));
}
