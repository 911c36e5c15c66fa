//! A server under test: one process, or three that replicate, killed and removed at its end. Not here: what is run for each
//! kind (`program`).

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{
    Failure, Options, machine,
    program::{self, Kind},
};

/// How long a server may take to open its port.
const PATIENCE: Duration = Duration::from_secs(120);

/// One process of it.
#[derive(Debug)]
pub(super) struct Node {
    /// Its port on loopback.
    pub port: u16,
    /// Where the others of its cluster find it.
    pub peer_port: u16,
    pub dir: PathBuf,
    /// Of Apache Kafka: how `kafka.sh` started it.
    command: Vec<String>,
    /// 0 if it does not run.
    pid: u32,
    child: Option<Child>,
}

/// A running server; it is killed and its data removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// Which one it is.
    pub kind: Kind,
    /// From the start of the processes until their ports were open.
    pub started_in: Duration,
    nodes: Vec<Node>,
    dir: PathBuf,
    program: PathBuf,
}

impl Server {
    /// Starts one with no data and waits until its port is open.
    pub fn start(kind: Kind, options: &Options) -> Result<Self, Failure> {
        Self::start_nodes(kind, 1, options)
    }

    /// Starts so many that replicate, with no data, and waits until their ports are open.
    pub fn start_nodes(kind: Kind, nodes: usize, options: &Options) -> Result<Self, Failure> {
        let dir = machine::data_dir().join(kind.name().replace([' ', ','], "-"));
        fs::remove_dir_all(&dir).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let ports = free_ports(nodes * 2)?;
        let node = |(place, ports): (usize, &[u16])| {
            let dir = dir.join((place + 1).to_string());
            fs::create_dir_all(&dir)?;
            Ok(Node { port: ports[0], peer_port: ports[1], dir, command: Vec::new(), pid: 0, child: None })
        };
        let mut nodes = ports.chunks(2).enumerate().map(node).collect::<Result<Vec<_>, Failure>>()?;
        if kind == Kind::Kafka {
            program::follow_on(&mut nodes);
        }
        let program = options.program.clone();
        let mut server = Self { kind, started_in: Duration::ZERO, nodes, dir, program };
        server.launch()?;
        Ok(server)
    }

    /// Starts it again over its data, after [`Self::stop`] or [`Self::kill`].
    pub fn launch(&mut self) -> Result<(), Failure> {
        let since = Instant::now();
        self.spawn()?;
        (0..self.nodes.len()).try_for_each(|place| self.await_port(place))?;
        self.started_in = since.elapsed();
        Ok(())
    }

    fn await_port(&mut self, place: usize) -> Result<(), Failure> {
        let since = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.nodes[place].port)).is_err() {
            if since.elapsed() > PATIENCE || self.has_ended()? {
                return Err(format!("{} did not open its port; see its messages above", self.kind.name()).into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Starts the processes only.
    pub fn spawn(&mut self) -> Result<(), Failure> {
        if self.kind == Kind::Kafka {
            let started = program::start_kafka(&self.dir, &self.nodes)?;
            for (node, (pid, command)) in self.nodes.iter_mut().zip(started) {
                (node.pid, node.command) = (pid, command);
            }
            return Ok(());
        }
        // the last one first: the first one of a floor connects to the others
        (0..self.nodes.len()).rev().try_for_each(|place| self.spawn_node(place))
    }

    /// Starts a node again that was killed, over its data, and waits until its port is open.
    pub fn launch_node(&mut self, place: usize) -> Result<(), Failure> {
        self.spawn_node(place)?;
        self.await_port(place)
    }

    fn spawn_node(&mut self, place: usize) -> Result<(), Failure> {
        let mut command = match self.nodes[place].command.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).stdin(Stdio::null());
                command
            }
            None => program::command(self.kind, &self.program, &self.nodes, place)?,
        };
        let node = &mut self.nodes[place];
        let log = fs::File::create(log_of(node))?;
        let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        (node.pid, node.child) = (child.id(), Some(child));
        Ok(())
    }

    fn has_ended(&mut self) -> Result<bool, Failure> {
        let mut ended = false;
        for node in &mut self.nodes {
            let Some(child) = &mut node.child else { continue };
            if child.try_wait()?.is_some() {
                ended = true;
                eprintln!("{}", fs::read_to_string(log_of(node))?);
            }
        }
        Ok(ended)
    }

    /// The process ids of all its nodes.
    pub fn pids(&self) -> Vec<u32> {
        self.nodes.iter().map(|node| node.pid).collect()
    }

    /// The port of its first node.
    pub fn port(&self) -> u16 {
        self.nodes.first().map_or(0, |node| node.port)
    }

    /// How many replicas a topic can have.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// `host:port` of all nodes that clients may connect to.
    pub fn address(&self) -> String {
        let open = if self.kind.is_floor() { 1 } else { self.nodes.len() };
        let addresses: Vec<_> = self.nodes[..open].iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        addresses.join(",")
    }

    /// Asks it to end, and waits.
    pub fn stop(&mut self) -> Result<(), Failure> {
        if self.kind == Kind::Kafka {
            self.nodes.iter_mut().for_each(|node| node.pid = 0);
            return program::stop_kafka(&self.dir, &self.nodes);
        }
        for node in &mut self.nodes {
            let Some(mut child) = node.child.take() else { continue };
            kill_process(Pid::from_child(&child), Signal::TERM)?;
            node.pid = 0;
            let status = child.wait()?;
            if !status.success() && self.kind == Kind::Tidemark {
                return Err(format!("{} ended with {status}", self.kind.name()).into());
            }
        }
        Ok(())
    }

    /// kill -9 of all its nodes.
    pub fn kill(&mut self) -> Result<(), Failure> {
        (0..self.nodes.len()).try_for_each(|place| self.kill_node(place))
    }

    /// kill -9 of one node, if it runs.
    pub fn kill_node(&mut self, place: usize) -> Result<(), Failure> {
        let node = &mut self.nodes[place];
        let (pid, child) = (std::mem::take(&mut node.pid), node.child.take());
        let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
        kill_process(pid, Signal::KILL)?;
        if let Some(mut child) = child {
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // its last words, if it ended by itself
        if let Err(error) = self.has_ended() {
            eprintln!("bench: {}: {error}", self.kind.name());
        }
        if let Err(error) = self.kill().and_then(|()| Ok(fs::remove_dir_all(&self.dir)?)) {
            eprintln!("bench: {}: {error}", self.kind.name());
        }
    }
}

fn log_of(node: &Node) -> PathBuf {
    machine::data_dir().join(format!("{}.log", node.port))
}

/// All different: none is given back before the last one is there.
fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    let bound = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = (0..count).map(|_| bound()).collect::<Result<Vec<_>, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
