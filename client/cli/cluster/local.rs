//! A cluster on this machine: the directory that holds it, and `cluster.json`, which says which brokers there are. Not here:
//! processes.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tidemark_server::os::disk::{Disk, RealDisk};

use crate::failure::Failure;

const FILE: &str = "cluster.json";

/// One broker of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalNode {
    pub id: i32,
    pub kafka: u16,
    pub http: u16,
    pub raft: u16,
    /// Where its data are; none: in the cluster's directory.
    pub data: Option<PathBuf>,
    /// Whether it votes on the metadata.
    pub voter: bool,
    /// The process that was started last.
    pub pid: i32,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalCluster {
    pub dir: PathBuf,
    pub nodes: Vec<LocalNode>,
}

impl LocalCluster {
    /// A new one, on free ports.
    pub fn plan(dir: &Path, count: i32) -> Result<Self, Failure> {
        Ok(Self { dir: dir.to_path_buf(), nodes: on_free_ports(1..=count)? })
    }

    /// A new one of a lone broker's data, and so many brokers in all; the others have no vote yet.
    pub fn plan_from(dir: &Path, data: &Path, count: i32) -> Result<Self, Failure> {
        let first = broker_of(data)?;
        // held for a moment: whoever starts next holds it
        let free = RealDisk.lock(&data.join(".lock")).map(drop);
        free.map_err(|cause| {
            Failure::new(format!("{} cannot be used: {cause}", data.display())).next("stop its broker first")
        })?;
        let others = (1..).filter(|id| *id != first);
        let ids = std::iter::once(first).chain(others).take(usize::try_from(count).unwrap_or(1));
        let mut nodes = on_free_ports(ids)?;
        for (place, node) in nodes.iter_mut().enumerate() {
            (node.voter, node.data) = (place == 0, (place == 0).then(|| data.to_path_buf()));
        }
        Ok(Self { dir: dir.to_path_buf(), nodes })
    }

    /// One more broker, without a vote.
    pub fn plan_observer(&self) -> Result<LocalNode, Failure> {
        let id = self.nodes.iter().map(|node| node.id).max().unwrap_or(0) + 1;
        let planned = on_free_ports(id..=id)?.into_iter().next();
        planned.map(|node| LocalNode { voter: false, ..node }).ok_or_else(|| Failure::new("no broker could be planned"))
    }

    /// Whether there is one in that directory.
    pub fn exists(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// The one in that directory.
    pub fn load(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join(FILE);
        #[allow(clippy::disallowed_methods, reason = "a file of the command's own, not of a broker's data")]
        let bytes = std::fs::read(&path).map_err(|cause| {
            Failure::new(format!("{}: {cause}", path.display()))
                .next("`tidemark cluster up` makes a cluster, with `--from tidemark-data` of the data of a lone broker; --dir DIR names another place")
        })?;
        let damaged = || {
            Failure::new(format!("{} does not say which brokers there are", path.display()))
                .next("stop the brokers by hand and remove the directory")
        };
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| damaged())?;
        let nodes = value["nodes"].as_array().ok_or_else(damaged)?;
        let nodes = nodes.iter().map(node).collect::<Option<Vec<_>>>().ok_or_else(damaged)?;
        Ok(Self { dir: dir.to_path_buf(), nodes })
    }

    /// Writes it down.
    pub fn save(&self) -> Result<(), Failure> {
        let nodes = self.nodes.iter().map(|node| {
            let LocalNode { id, kafka, http, raft, data, voter, pid } = node;
            json!({ "id": id, "kafka": kafka, "http": http, "raft": raft, "data": data, "voter": voter, "pid": pid })
        });
        let text = json!({ "nodes": nodes.collect::<Vec<_>>() }).to_string();
        let (path, temporary) = (self.dir.join(FILE), self.dir.join("cluster.json.tmp"));
        #[allow(clippy::disallowed_methods, reason = "a file of the command's own, not of a broker's data")]
        let saved = std::fs::create_dir_all(&self.dir)
            .and_then(|()| std::fs::write(&temporary, text))
            .and_then(|()| std::fs::rename(&temporary, &path));
        saved
            .map_err(|cause| Failure::new(format!("{}: {cause}", path.display())).next("name another place with --dir"))
    }

    /// One broker.
    pub fn node_mut(&mut self, id: i32) -> Result<&mut LocalNode, Failure> {
        let known = self.nodes.iter().map(|node| node.id.to_string()).collect::<Vec<_>>().join(", ");
        let found = self.nodes.iter_mut().find(|node| node.id == id);
        found.ok_or_else(|| Failure::new(format!("there is no broker {id}")).next(format!("there are {known}")))
    }

    /// `1@127.0.0.1:PORT,…`
    pub fn voters(&self) -> String {
        let voters = self.nodes.iter().filter(|node| node.voter);
        let voters = voters.map(|node| format!("{}@127.0.0.1:{}", node.id, node.raft));
        voters.collect::<Vec<_>>().join(",")
    }

    /// Where clients may begin.
    pub fn bootstrap(&self) -> String {
        let addresses = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.kafka));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// Data of one broker.
    pub fn data(&self, id: i32) -> PathBuf {
        let elsewhere = self.nodes.iter().find(|node| node.id == id).and_then(|node| node.data.clone());
        elsewhere.unwrap_or_else(|| self.dir.join(format!("node-{id}")))
    }

    /// What that broker says.
    pub fn log(&self, id: i32) -> PathBuf {
        self.dir.join(format!("node-{id}.log"))
    }
}

impl LocalNode {
    /// Where it is, for people.
    pub fn place(&self) -> String {
        let Self { id, kafka, http, raft, pid, .. } = self;
        format!("broker {id}: kafka 127.0.0.1:{kafka}, http 127.0.0.1:{http}, raft 127.0.0.1:{raft}, process {pid}")
    }
}

/// The broker whose data lie in a directory.
fn broker_of(data: &Path) -> Result<i32, Failure> {
    let path = data.join("meta.properties");
    let no_data = |why: &str| {
        Failure::new(format!("{}: {why}", path.display()))
            .next("name the directory of a broker (`tidemark server --data`)")
    };
    #[allow(clippy::disallowed_methods, reason = "one look at whose directory it is; its broker opens it")]
    let text = std::fs::read_to_string(&path).map_err(|cause| no_data(&cause.to_string()))?;
    let id = text.lines().find_map(|line| line.trim().strip_prefix("node.id=")?.trim().parse().ok());
    id.ok_or_else(|| no_data("it has no node.id"))
}

fn on_free_ports(ids: impl Iterator<Item = i32>) -> Result<Vec<LocalNode>, Failure> {
    // all are held until all are found, so that none is handed out twice
    let mut held = Vec::new();
    let mut free = || -> Result<u16, Failure> {
        let taken = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
        let (port, listener) = taken.map_err(|cause| Failure::new(format!("no free port: {cause}")))?;
        held.push(listener);
        Ok(port)
    };
    ids.map(|id| Ok(LocalNode { id, kafka: free()?, http: free()?, raft: free()?, data: None, voter: true, pid: 0 }))
        .collect()
}

fn node(value: &Value) -> Option<LocalNode> {
    let port = |key: &str| value[key].as_u64().and_then(|port| u16::try_from(port).ok());
    let number = |key: &str| value[key].as_i64().and_then(|number| i32::try_from(number).ok());
    Some(LocalNode {
        id: number("id")?,
        kafka: port("kafka")?,
        http: port("http")?,
        raft: port("raft")?,
        data: value["data"].as_str().map(PathBuf::from),
        voter: value["voter"].as_bool()?,
        pid: number("pid")?,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_lone_brokers_data_keep_their_place_and_their_number() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("tidemark-data");
        assert!(LocalCluster::plan_from(dir.path(), &data, 3).is_err());
        std::fs::create_dir(&data).unwrap();
        let properties = b"version=1\nnode.id=2\n";
        let mut file = std::fs::OpenOptions::new();
        let file = file.write(true).create_new(true).open(data.join("meta.properties"));
        file.unwrap().write_all(properties).unwrap();
        let cluster = LocalCluster::plan_from(dir.path(), &data, 3).unwrap();
        assert_eq!(
            cluster.nodes.iter().map(|node| (node.id, node.voter)).collect::<Vec<_>>(),
            [(2, true), (1, false), (3, false)]
        );
        assert_eq!((cluster.data(2), cluster.data(1)), (data, dir.path().join("node-1")));
        cluster.save().unwrap();
        assert_eq!(LocalCluster::load(dir.path()).unwrap(), cluster);
    }

    #[test]
    fn a_cluster_is_found_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!LocalCluster::exists(dir.path()) && LocalCluster::load(dir.path()).is_err());
        let mut cluster = LocalCluster::plan(dir.path(), 3).unwrap();
        cluster.node_mut(2).unwrap().pid = 77;
        assert!(cluster.node_mut(4).is_err());
        let voters = cluster.voters();
        cluster.nodes.push(cluster.plan_observer().unwrap());
        assert_eq!((cluster.nodes[3].id, cluster.voters()), (4, voters), "the fourth has no vote");
        cluster.save().unwrap();
        assert_eq!(LocalCluster::load(dir.path()).unwrap(), cluster);
        let ports: std::collections::BTreeSet<u16> =
            cluster.nodes.iter().flat_map(|node| [node.kafka, node.http, node.raft]).collect();
        assert!(ports.len() >= 9, "every port of the first three is another");
    }
}
