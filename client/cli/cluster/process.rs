//! Broker processes of this machine's cluster: started, asked whether they live, ended. Not here: which there should be.

use std::{
    fs::OpenOptions,
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tokio::{net::TcpStream, time::Instant};

use super::local::{LocalCluster, LocalNode};
use crate::failure::Failure;

/// How long a broker may take to open its port.
const START_MAX: Duration = Duration::from_secs(30);
/// How long a broker may take to stop cleanly.
const STOP_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

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

    /// Waits until its port takes connections.
    pub async fn ready(&self, cluster: &LocalCluster) -> Result<(), Failure> {
        let deadline = Instant::now() + START_MAX;
        while TcpStream::connect(("127.0.0.1", self.kafka)).await.is_err() {
            let ended = !self.lives(cluster);
            if ended || Instant::now() > deadline {
                let how = if ended { "ended" } else { "does not answer" };
                return Err(Failure::new(format!("broker {} {how}", self.id))
                    .next(format!("{} says why", cluster.log(self.id).display())));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
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
