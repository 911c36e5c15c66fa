//! A server under test: one process, or three that replicate, killed and removed at its end. Not here: what is run for each
//! kind (`program`).

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    process::Child,
    time::{Duration, Instant},
};

use super::{
    Failure, Options, machine,
    program::{self, Kind},
};

/// One process of it.
#[derive(Debug)]
pub(super) struct Node {
    /// Its port on loopback.
    pub port: u16,
    /// Where the others of its cluster find it.
    pub peer_port: u16,
    pub dir: PathBuf,
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
            Ok(Node { port: ports[0], peer_port: ports[1], dir, pid: 0, child: None })
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
        let patience = Duration::from_secs(120);
        for place in 0..self.nodes.len() {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, self.nodes[place].port)).is_err() {
                if since.elapsed() > patience || self.has_ended()? {
                    return Err(format!("{} did not open its port; see its messages above", self.kind.name()).into());
                }
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        self.started_in = since.elapsed();
        Ok(())
    }

    /// Starts the processes only.
    pub fn spawn(&mut self) -> Result<(), Failure> {
        if self.kind == Kind::Kafka {
            let pids = program::start_kafka(&self.dir, &self.nodes)?;
            self.nodes.iter_mut().zip(pids).for_each(|(node, pid)| node.pid = pid);
            return Ok(());
        }
        // the last one first: the first one of a floor connects to the others
        for place in (0..self.nodes.len()).rev() {
            let mut command = program::command(self.kind, &self.program, &self.nodes, place)?;
            let log = fs::File::create(log_of(&self.nodes[place]))?;
            let child = command.stdout(log.try_clone()?).stderr(log).spawn()?;
            self.nodes[place].pid = child.id();
            self.nodes[place].child = Some(child);
        }
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
            return program::stop_kafka(&self.dir, &self.nodes);
        }
        for node in &mut self.nodes {
            let Some(mut child) = node.child.take() else { continue };
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
            let status = child.wait()?;
            if !status.success() && self.kind == Kind::Tidemark {
                return Err(format!("{} ended with {status}", self.kind.name()).into());
            }
        }
        Ok(())
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<(), Failure> {
        if self.kind == Kind::Kafka {
            return Err("Apache Kafka is only stopped".into());
        }
        for node in &mut self.nodes {
            let Some(mut child) = node.child.take() else { continue };
            child.kill()?;
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
        let ended = if self.kind == Kind::Kafka { self.stop() } else { self.kill() };
        if let Err(error) = ended.and_then(|()| Ok(fs::remove_dir_all(&self.dir)?)) {
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
