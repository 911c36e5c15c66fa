//! A set of broker processes, each with its arguments: killed, stopped for a while, started again as they were.

use std::{
    fs::OpenOptions,
    io::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{Broker, BrokerOptions, Starting, wait::PATIENCE};

struct Node {
    /// Says where its data are and, once it has run, where it listens.
    options: BrokerOptions,
    data: PathBuf,
    address: SocketAddr,
    /// Where clients find it; another than `address` if something stands in front.
    reached_at: SocketAddr,
    broker: Option<Broker>,
}

/// Broker processes, by their place from 0. Dropped, all are killed.
pub struct Fleet {
    nodes: Vec<Node>,
    /// Where what they print is kept; else it goes with each process.
    output: Option<PathBuf>,
    /// Data of all of them, if the fleet owns it.
    home: Option<tempfile::TempDir>,
}

impl Fleet {
    /// Starts brokers over temporary directories, all at once: those of a cluster wait for each other.
    ///
    /// # Panics
    /// If one does not start; the message holds what it printed.
    pub fn start(options: Vec<BrokerOptions>) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let data = (0..options.len()).map(|place| home.path().join(place.to_string())).collect();
        let mut fleet = Self::start_over(options, data);
        fleet.home = Some(home);
        fleet
    }

    /// Starts brokers over these directories.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn start_over(options: Vec<BrokerOptions>, data: Vec<PathBuf>) -> Self {
        let begin = |(options, data): (BrokerOptions, PathBuf)| {
            let options = options.data(&data);
            (options.clone().begin(), options, data)
        };
        let begun: Vec<_> = options.into_iter().zip(data).map(begin).collect();
        let node = |(starting, options, data): (Starting, BrokerOptions, PathBuf)| {
            let broker = starting.listening().unwrap_or_else(|said| panic!("a broker did not start; it said:\n{said}"));
            let address = broker.kafka();
            // from now on it is to be found where it is
            Node { options: options.listen(address), data, address, reached_at: address, broker: Some(broker) }
        };
        Self { nodes: begun.into_iter().map(node).collect(), output: None, home: None }
    }

    /// How many there are, dead or alive.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// `host:port` at which clients find all.
    pub fn bootstrap(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.reached_at.to_string()).collect()
    }

    /// From now on clients find one there; it must advertise that address itself.
    pub fn reach_at(&mut self, node: usize, address: SocketAddr) {
        self.nodes[node].reached_at = address;
    }

    /// Where one listens.
    pub fn address(&self, node: usize) -> SocketAddr {
        self.nodes[node].address
    }

    /// Where its data are.
    pub fn data(&self, node: usize) -> &PathBuf {
        &self.nodes[node].data
    }

    /// Its process, if it has one.
    pub fn process_id(&self, node: usize) -> Option<u32> {
        self.nodes[node].broker.as_ref().map(Broker::id)
    }

    /// Those that have a process, which may be stopped.
    pub fn alive(&self) -> Vec<usize> {
        (0..self.len()).filter(|node| self.nodes[*node].broker.is_some()).collect()
    }

    /// From now on what a process printed is added to `<stem>-<place>.log` when it ends.
    pub fn keep_output(&mut self, stem: &Path) {
        self.output = Some(stem.to_path_buf());
    }

    /// Removes what was kept, and keeps nothing more.
    pub fn forget_output(&mut self) {
        let Some(stem) = self.output.take() else { return };
        for node in 0..self.len() {
            let _ = std::fs::remove_file(log_of(&stem, node));
        }
    }

    fn keep(&self, node: usize, broker: &Broker) {
        let Some(stem) = &self.output else { return };
        let file = OpenOptions::new().create(true).append(true).open(log_of(stem, node));
        let _ = file.and_then(|mut file| writeln!(file, "--- process {}\n{}", broker.id(), broker.printed()));
    }

    /// `kill -9`; one that is dead stays so.
    ///
    /// # Panics
    /// If it had ended by itself: whatever we do to it, that is its fault. The message holds what it printed.
    pub fn kill(&mut self, node: usize) {
        self.expect_running(node);
        self.bury(node, Broker::kill);
    }

    /// Ends one, by us.
    fn bury(&mut self, node: usize, end: impl FnOnce(&mut Broker) -> ExitStatus) {
        if let Some(mut broker) = self.nodes[node].broker.take() {
            end(&mut broker);
            self.keep(node, &broker);
        }
    }

    /// # Panics
    /// If a process that nobody ended is gone; the message holds what it printed.
    pub fn expect_running(&mut self, node: usize) {
        if let Some(broker) = &mut self.nodes[node].broker
            && !broker.is_running()
        {
            let (status, id) = (broker.wait(), broker.id());
            panic!("broker {node} (process {id}) ended with {status}, not by us; it said:\n{}", broker.printed());
        }
    }

    /// `kill -9` of all, without a pause between them.
    pub fn kill_all(&mut self) {
        (0..self.len()).for_each(|node| self.expect_running(node));
        for node in &self.nodes {
            node.broker.iter().for_each(|broker| broker.signal(Signal::KILL));
        }
        (0..self.len()).for_each(|node| self.bury(node, Broker::kill));
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self, node: usize) {
        self.go_on(node);
        self.expect_running(node);
        self.bury(node, Broker::terminate);
    }

    /// SIGTERM to all at once, and waits for their ends.
    pub fn terminate_all(&mut self) {
        for node in 0..self.len() {
            self.go_on(node);
            self.expect_running(node);
        }
        for node in &self.nodes {
            node.broker.iter().for_each(|broker| broker.signal(Signal::TERM));
        }
        (0..self.len()).for_each(|node| self.bury(node, Broker::wait));
    }

    /// SIGSTOP.
    pub fn stop(&mut self, node: usize) {
        self.nodes[node].broker.iter().for_each(|broker| broker.signal(Signal::STOP));
    }

    /// SIGCONT.
    pub fn go_on(&mut self, node: usize) {
        self.nodes[node].broker.iter().for_each(|broker| broker.signal(Signal::CONT));
    }

    /// Starts one again with the arguments, data and port that it had; one that runs is left alone.
    ///
    /// # Panics
    /// If it does not start, or had ended by itself; the message holds what it printed.
    pub fn start_again(&mut self, node: usize) {
        self.start_all_again(&[node]);
    }

    /// The same for several, in this order and without waiting between them: one of a cluster listens once most others run.
    ///
    /// # Panics
    /// As [`Self::start_again`].
    pub fn start_all_again(&mut self, order: &[usize]) {
        order.iter().for_each(|node| self.expect_running(*node));
        let dead = order.iter().filter(|node| self.nodes[**node].broker.is_none());
        let mut starting: Vec<_> = dead.map(|node| (*node, self.nodes[*node].options.clone().begin())).collect();
        let end = Instant::now() + PATIENCE;
        while let Some((node, begun)) = starting.pop() {
            match begun.listening() {
                Ok(broker) => self.nodes[node].broker = Some(broker),
                // a client that looked for the broker may hold its port for a moment
                Err(said) if said.contains("in use") && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(50));
                    starting.push((node, self.nodes[node].options.clone().begin()));
                }
                Err(said) => panic!("broker {node} did not start again; it said:\n{said}"),
            }
        }
    }

    /// Kills one and removes all of its data.
    ///
    /// # Panics
    /// If the directory cannot be removed.
    pub fn wipe(&mut self, node: usize) {
        self.kill(node);
        std::fs::remove_dir_all(&self.nodes[node].data).expect("a data directory");
    }
}

fn log_of(stem: &Path, node: usize) -> String {
    format!("{}-{node}.log", stem.display())
}

impl Drop for Fleet {
    fn drop(&mut self) {
        (0..self.len()).for_each(|node| self.bury(node, Broker::kill));
    }
}

impl std::fmt::Debug for Fleet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fleet").field("addresses", &self.bootstrap()).finish_non_exhaustive()
    }
}
