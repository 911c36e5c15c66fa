//! The commands that make a cluster of this machine, change it, and take it down.

use std::{path::Path, process::Command};

use harness::BrokerOptions;

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
    assert!(local.cluster(&["remove", "3"]).failed().contains("broker 3 holds"));
    let status = local.cluster(&["status"]).fine();
    assert!(!status.lines().any(|line| line.starts_with('4') && line.contains("127.0.0.1")), "{status}");
    for topic in ["orders", "solo"] {
        assert_eq!(local.run(&["consume", topic]).fine().lines().count(), 500, "{topic}");
    }
    assert!(local.cluster(&["drain", "3"]).failed().contains("there are 2 other brokers"));
    assert!(local.cluster(&["down"]).fine().contains("broker 3 is stopped"));
    assert!(local.cluster(&["up", "--nodes", "5"]).failed().contains("holds a cluster of 3 voters"));
}

#[test]
fn the_directory_of_a_lone_broker_becomes_a_cluster_and_a_lone_brokers_again() {
    let local = Local(tempfile::tempdir().unwrap());
    let data = local.dir().join("data");
    let alone = || BrokerOptions::new(BINARY).data(&data).argument("--node-id").argument("2").start();
    let consumed = |address: &str| {
        let said = command(&["consume", "orders", "--bootstrap", address]).output().expect("the binary");
        Said::of(said).fine().lines().count()
    };
    let lines = local.dir().join("lines");
    std::fs::write(&lines, (0..500).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let mut broker = alone();
    let address = broker.kafka().to_string();
    let produced = command(&["produce", "orders", "--bootstrap", &address, "--file", lines.to_str().unwrap()]).output();
    Said::of(produced.expect("the binary")).fine();
    let from = ["up", "--from", data.to_str().unwrap()];
    let in_use = local.cluster(&from).failed();
    assert!(in_use.contains("cannot be used") && in_use.contains("stop its broker first"), "{in_use}");
    broker.kill();

    local.cluster(&from).fine();
    assert!(local.cluster(&["voters"]).fine().lines().filter(|line| line.contains("votes")).count() == 3);
    assert!(local.run(&["partition", "move", "orders", "0", "--to", "1,2,3"]).fine().contains("done"));
    local.cluster(&["kill", "2"]).fine();
    assert_eq!(local.run(&["consume", "orders"]).fine().lines().count(), 500);
    local.cluster(&["start", "2"]).fine();
    assert!(local.run(&["partition", "move", "orders", "0", "--to", "2"]).fine().contains("done"));
    for gone in ["1", "3"] {
        local.cluster(&["remove", gone]).fine();
    }
    assert!(local.cluster(&["voters", "4"]).failed().contains("broker 4 does not follow"));
    local.cluster(&["down"]).fine();
    let broker = alone();
    assert_eq!(consumed(&broker.kafka().to_string()), 500);
}
