//! Three brokers on free ports over temporary directories, and the command line against them.

use std::{
    fs::File,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
};

use harness::{Broker, BrokerOptions, Starting, eventually, wait::PATIENCE};
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_tidemark");

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Stdout of a command that must have worked.
    pub fn fine(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// All that was said by a command that must have failed.
    pub fn failed(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        self.out + &self.err
    }
}

pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_remove("TIDEMARK_BOOTSTRAP").env_remove("TIDEMARK_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Waits for the end of a process that should end by itself.
pub fn ended(mut child: Child) -> Said {
    let what = "the process ends by itself";
    let end = std::time::Instant::now() + PATIENCE;
    while child.try_wait().expect("a child of ours").is_none() {
        if std::time::Instant::now() > end {
            child.kill().expect("a child of ours");
            panic!("{what}: {:?}", child.wait_with_output());
        }
        thread::sleep(std::time::Duration::from_millis(5));
    }
    Said::of(child.wait_with_output().expect("the binary"))
}

/// Ports that were free a moment ago, each another.
pub fn free_ports(count: usize) -> Vec<u16> {
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// `1@127.0.0.1:PORT,…`
pub fn voters(ports: &[u16]) -> String {
    let voters = (1..).zip(ports).map(|(id, port): (i32, _)| format!("{id}@127.0.0.1:{port}"));
    voters.collect::<Vec<_>>().join(",")
}

/// Brokers 1, 2 and 3.
pub struct Three {
    brokers: Vec<Option<Broker>>,
    options: Vec<BrokerOptions>,
    /// Without what makes them one of a cluster.
    plain: Vec<BrokerOptions>,
    pub voters: String,
    pub home: TempDir,
}

impl Three {
    pub fn start() -> Self {
        Self::start_with(|_, options| options)
    }

    /// Each with options of its own, by its id.
    pub fn start_with(with: impl Fn(u16, BrokerOptions) -> BrokerOptions) -> Self {
        let mut three = Self::of_none();
        let options = (1..=3).zip(&three.plain).map(|(id, plain): (u16, _)| {
            let arguments = ["--node-id", &id.to_string(), "--voters", &three.voters];
            with(id, arguments.into_iter().fold(plain.clone(), BrokerOptions::argument))
        });
        three.options = options.collect();
        three.start_again(&[1, 2, 3]);
        three
    }

    /// None of them yet: [`Self::start_as`] says what each is.
    pub fn of_none() -> Self {
        let (home, ports) = (tempfile::tempdir().unwrap(), free_ports(6));
        let plain = (1..=3).map(|id: u16| {
            let (data, listen) = (home.path().join(id.to_string()), ports[usize::from(id) + 2]);
            BrokerOptions::new(BINARY).data(data).listen((Ipv4Addr::LOCALHOST, listen).into())
        });
        let (plain, voters): (Vec<_>, _) = (plain.collect(), voters(&ports[..3]));
        Self { brokers: vec![None, None, None], options: plain.clone(), plain, voters, home }
    }

    /// The entry of one in the list of voters.
    pub fn voter(&self, id: usize) -> &str {
        self.voters.split(',').nth(id - 1).expect("one of three")
    }

    /// Starts one with these arguments, and with its port for others if there are any.
    pub fn start_as(&mut self, id: usize, arguments: &[&str]) {
        self.options[id - 1] = self.options_as(id, arguments);
        self.start_again(&[id]);
    }

    /// The same, and does not wait.
    pub fn begin_as(&self, id: usize, arguments: &[&str]) -> Starting {
        self.options_as(id, arguments).begin()
    }

    fn options_as(&self, id: usize, arguments: &[&str]) -> BrokerOptions {
        let raft = self.voter(id).split_once('@').expect("ID@HOST:PORT").1.to_owned();
        let id_text = id.to_string();
        let mut all = vec!["--node-id", &id_text];
        if !arguments.is_empty() {
            all.extend(["--raft", &raft]);
        }
        all.extend(arguments);
        let options = self.plain[id - 1].clone();
        all.into_iter().fold(options, BrokerOptions::argument)
    }

    /// What one says that does not start alone, whose process is ended before.
    pub fn refused_alone(&mut self, id: usize) -> String {
        self.kill(id);
        let options = self.plain[id - 1].clone().argument("--node-id").argument(&id.to_string());
        options.try_start().expect_err("it is not alone")
    }

    /// Starts these; they wait for each other.
    pub fn start_again(&mut self, ids: &[usize]) {
        let starting: Vec<_> = ids
            .iter()
            .map(|id| {
                let options = self.options[id - 1].clone();
                thread::spawn(move || options.start())
            })
            .collect();
        for (id, broker) in ids.iter().zip(starting) {
            self.brokers[id - 1] = Some(broker.join().expect("a broker that starts"));
        }
        eventually("all that run are found", PATIENCE, || {
            let status = self.run(&["cluster", "status"]).fine();
            let up = status.lines().filter(|line| line.contains(" up ")).count();
            (up == self.brokers.iter().flatten().count()).then_some(())
        });
    }

    /// Starts one that may have to wait, and does not wait for it.
    pub fn begin(&self, id: usize) -> Starting {
        self.options[id - 1].clone().begin()
    }

    pub fn kill(&mut self, id: usize) {
        self.brokers[id - 1].take().expect("it runs").kill();
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self, id: usize) {
        let ended = self.brokers[id - 1].take().expect("it runs").terminate();
        assert!(ended.success(), "{ended}");
    }

    pub fn broker(&self, id: usize) -> &Broker {
        self.running(id).expect("it runs")
    }

    pub fn running(&self, id: usize) -> Option<&Broker> {
        self.brokers[id - 1].as_ref()
    }

    /// Those that run.
    pub fn all_running(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter().flatten()
    }

    pub fn data(&self, id: usize) -> PathBuf {
        self.home.path().join(id.to_string())
    }

    /// A client command that knows all brokers that run.
    pub fn run(&self, arguments: &[&str]) -> Said {
        let addresses: Vec<_> = self.all_running().map(|broker| broker.kafka().to_string()).collect();
        Said::of(command(arguments).env("TIDEMARK_BOOTSTRAP", addresses.join(",")).output().expect("the binary"))
    }

    /// Writes lines by way of one broker.
    pub fn write(&self, by: usize, topic: &str, lines: std::ops::Range<usize>) {
        let address = self.broker(by).kafka().to_string();
        let mut command = command(&["produce", topic, "--bootstrap", &address]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the binary");
        let mut pipe = child.stdin.take().expect("piped");
        lines.for_each(|line| writeln!(pipe, "{line}").unwrap());
        drop(pipe);
        Said::of(child.wait_with_output().expect("the binary")).fine();
    }

    /// All lines of a topic by way of one broker, sorted.
    pub fn read(&self, by: usize, topic: &str) -> Vec<usize> {
        let address = self.broker(by).kafka().to_string();
        let said = Said::of(command(&["consume", topic, "--bootstrap", &address]).output().expect("the binary"));
        let mut lines: Vec<usize> = said.fine().lines().map(|line| line.parse().unwrap()).collect();
        lines.sort_unstable();
        lines
    }

    /// Every partition of a topic, as `cluster status` tells it.
    pub fn partitions(&self, topic: &str) -> Vec<serde_json::Value> {
        let status = self.run(&["cluster", "status", "--all", "--json"]).fine();
        let lines = status.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["topic"] == topic).collect()
    }
}

/// The directory of a log; while it is held its number is not given to another.
pub struct Place(PathBuf, File);

impl Place {
    pub fn of(path: PathBuf) -> Self {
        let held = File::open(&path).unwrap();
        Self(path, held)
    }

    pub fn is_as_it_was(&self) -> bool {
        self.0.metadata().is_ok_and(|now| now.ino() == self.1.metadata().unwrap().ino())
    }

    /// Waits until another log is there, and all replicas of the topic are in sync.
    pub fn await_refilled(&self, three: &Three, topic: &str) {
        eventually("another log takes the place of the one that cannot be trusted", PATIENCE, || {
            (self.0.exists() && !self.is_as_it_was()).then_some(())
        });
        eventually("it is a member", PATIENCE, || {
            let row = &three.partitions(topic)[0];
            let none = |key: &str| row[key].as_array().unwrap().is_empty();
            (none("damaged") && none("offline") && row["isr"].as_array().unwrap().len() == 3).then_some(())
        });
    }
}
