//! Broker processes of this machine's cluster: started, asked whether they live, ended. Not here: which there should be.

use std::{
    fs::OpenOptions,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tidemark_client::{Client, ClientConfig};
use tokio::time::Instant;

use super::local::{LocalCluster, LocalNode};
use crate::failure::Failure;

/// How long a broker may take to answer its first client.
const START_MAX: Duration = Duration::from_secs(30);
/// How long a broker may take to stop cleanly.
const STOP_MAX: Duration = Duration::from_secs(30);
/// How long one question to a broker may take.
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// How long a new process may take to become this program.
const NAMED_WITHIN: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl LocalCluster {
    /// Waits until all brokers have found each other.
    pub async fn together(&self) -> Result<(), Failure> {
        let all: Vec<i32> = self.nodes.iter().map(|node| node.id).collect();
        self.found(&all).await
    }

    /// Waits until the others have found this broker.
    pub async fn shows(&self, id: i32) -> Result<(), Failure> {
        self.found(&[id]).await
    }

    async fn found(&self, ids: &[i32]) -> Result<(), Failure> {
        let begun = Instant::now();
        let bootstrap = self.bootstrap();
        let client = Client::connect(ClientConfig::new(bootstrap.split(','))).await?;
        loop {
            let brokers = client.admin().describe_cluster().await?.brokers;
            let missing = ids.iter().filter(|id| brokers.iter().all(|broker| broker.id != **id));
            let missing: Vec<String> = missing.map(i32::to_string).collect();
            if missing.is_empty() {
                return Ok(());
            }
            if begun.elapsed() > START_MAX {
                return Err(Failure::new(format!("the cluster has not found broker {}", missing.join(", ")))
                    .next(format!("the logs in {} say why", self.dir.display())));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl LocalNode {
    /// Whether its process runs: a number that another program has by now does not count.
    pub fn lives(&self, cluster: &LocalCluster) -> bool {
        let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.pid > 0) else { return false };
        let data = cluster.data(self.id);
        #[allow(clippy::disallowed_methods, reason = "the system's table of processes")]
        let line = std::fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        let named = line.split(|byte| *byte == 0).any(|argument| argument == data.as_os_str().as_encoded_bytes());
        named && test_kill_process(pid).is_ok()
    }

    /// Starts it in the background, apart from this terminal.
    pub fn start(&mut self, cluster: &LocalCluster) -> Result<(), Failure> {
        let program =
            std::env::current_exe().map_err(|cause| Failure::new(format!("cannot find this program: {cause}")))?;
        let path = cluster.log(self.id);
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let open = |cause: std::io::Error| Failure::new(format!("{}: {cause}", path.display()));
        let log = log.map_err(open)?;
        let (out, address) = (log.try_clone().map_err(open)?, |port: u16| format!("127.0.0.1:{port}"));
        let mut command = Command::new(program);
        command.args(["server", "--node-id", &self.id.to_string(), "--voters", &cluster.voters()]);
        command.args(["--listen", &address(self.kafka), "--http", &address(self.http), "--raft", &address(self.raft)]);
        command.arg("--data").arg(cluster.data(self.id));
        command.stdin(Stdio::null()).stdout(out).stderr(log).process_group(0);
        let child =
            command.spawn().map_err(|cause| Failure::new(format!("cannot start broker {}: {cause}", self.id)))?;
        self.pid = i32::try_from(child.id()).unwrap_or(0);
        Ok(())
    }

    /// Waits until it answers a client.
    pub async fn ready(&self, cluster: &LocalCluster) -> Result<(), Failure> {
        let begun = Instant::now();
        let address = format!("127.0.0.1:{}", self.kafka);
        let failed = |how: &str| {
            Failure::new(format!("broker {} {how}", self.id))
                .next(format!("{} says why", cluster.log(self.id).display()))
        };
        loop {
            let config = ClientConfig::new([address.as_str()]);
            if matches!(tokio::time::timeout(ASK_WITHIN, Client::connect(config)).await, Ok(Ok(_))) {
                return Ok(());
            }
            if begun.elapsed() > START_MAX {
                return Err(failed("does not answer"));
            }
            // a process that was just made may not be this program yet
            if begun.elapsed() > NAMED_WITHIN && !self.lives(cluster) {
                return Err(failed("ended"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Sends a signal, if it lives.
    pub fn signal(&self, cluster: &LocalCluster, signal: Signal) -> Result<bool, Failure> {
        if !self.lives(cluster) {
            return Ok(false);
        }
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(false) };
        kill_process(pid, signal).map_err(|cause| Failure::new(format!("broker {}: {cause}", self.id)))?;
        Ok(true)
    }

    /// Waits for its end.
    pub async fn gone(&self, cluster: &LocalCluster) -> Result<(), Failure> {
        let deadline = Instant::now() + STOP_MAX;
        while self.lives(cluster) {
            if Instant::now() > deadline {
                return Err(Failure::new(format!("broker {} (process {}) does not stop", self.id, self.pid))
                    .next(format!("`tidemark cluster kill {}` ends it at once", self.id)));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
