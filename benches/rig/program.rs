//! What is run for each kind of server: ours, the floor, Apache Kafka through `kafka.sh`. Not here: its life (`server`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Failure, server::Node};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The least there is, answering from the page cache.
    Floor,
    /// The least there is with a sync before each answer.
    SyncedFloor,
    /// The least there is with a sync on two of three before each answer.
    ReplicatedFloor,
    /// Ours.
    Tidemark,
    /// Apache Kafka.
    Kafka,
}

impl Kind {
    /// As a table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::SyncedFloor => "floor, synced",
            Self::ReplicatedFloor => "floor, replicated",
            Self::Tidemark => "tidemark",
            Self::Kafka => "Apache Kafka",
        }
    }

    /// Whether others are compared with it.
    pub fn is_floor(self) -> bool {
        matches!(self, Self::Floor | Self::SyncedFloor | Self::ReplicatedFloor)
    }
}

/// The command for one node, with its place among all.
pub(super) fn command(kind: Kind, program: &Path, nodes: &[Node], place: usize) -> Result<Command, Failure> {
    let node = &nodes[place];
    let mut command = if kind.is_floor() { Command::new(std::env::current_exe()?) } else { Command::new(program) };
    command.stdin(Stdio::null());
    if !kind.is_floor() {
        command.args(["server", "--no-http", "--listen", &format!("127.0.0.1:{}", node.port), "--data"]);
        command.arg(&node.dir);
        if nodes.len() > 1 {
            let voter = |(place, node): (usize, &Node)| format!("{}@127.0.0.1:{}", place + 1, node.peer_port);
            let voters: Vec<_> = nodes.iter().enumerate().map(voter).collect();
            command.args(["--node-id", &(place + 1).to_string(), "--voters", &voters.join(",")]);
        }
        return Ok(command);
    }
    command.args(["floor", &node.port.to_string()]).arg(&node.dir);
    match (kind, place) {
        (Kind::SyncedFloor, _) => {
            command.arg("--sync");
        }
        (Kind::ReplicatedFloor, 0) => {
            let followers: Vec<_> = nodes[1..].iter().map(|node| node.port.to_string()).collect();
            command.args(["--sync", "--followers", &followers.join(",")]);
        }
        (Kind::ReplicatedFloor, _) => {
            command.arg("--follow");
        }
        _ => {}
    }
    Ok(command)
}

/// `kafka.sh` numbers its nodes' ports from the first one on.
pub(super) fn follow_on(nodes: &mut [Node]) {
    let first = nodes.first().map_or(0, |node| node.port);
    for (node, port) in nodes.iter_mut().zip(first..) {
        node.port = port;
    }
}

fn kafka_sh(dir: &Path, nodes: &[Node], args: &[&str]) -> Result<(), Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = ["../shared/kafka/kafka.sh", "../../shared/kafka/kafka.sh"].map(|path| root.join(path));
    let script = beside.iter().find(|path| path.exists()).ok_or("there is no ../shared/kafka/kafka.sh")?;
    let status = Command::new("bash")
        .arg(script)
        .args(args)
        .env("KAFKA_HOME", dir)
        .env("KAFKA_PORT", nodes.first().map_or(0, |node| node.port).to_string())
        .env("KAFKA_SERVER_CONF", "log.segment.delete.delay.ms=100\nlog.retention.check.interval.ms=5000")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("kafka.sh {args:?} failed").into()) }
}

/// Its jars are the installed ones; its data is the bench's. Gives the processes' ids.
pub(super) fn start_kafka(dir: &Path, nodes: &[Node]) -> Result<Vec<u32>, Failure> {
    let installed = std::env::var("HOME").map(|home| PathBuf::from(home).join(".cache/apache-kafka"))?;
    for entry in fs::read_dir(&installed)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let link = dir.join(&name);
        if name.contains('.') && name.starts_with(char::is_numeric) && !link.exists() {
            std::os::unix::fs::symlink(entry.path(), link)?;
        }
    }
    kafka_sh(dir, nodes, &["up", &nodes.len().to_string()])?;
    let pid = |node| Ok(fs::read_to_string(dir.join(format!("run/{node}.pid")))?.trim().parse()?);
    (1..=nodes.len()).map(pid).collect()
}

pub(super) fn stop_kafka(dir: &Path, nodes: &[Node]) -> Result<(), Failure> {
    kafka_sh(dir, nodes, &["down"])
}
