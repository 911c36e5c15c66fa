//! The real binary as a process: started on free ports over a temporary directory, killed, ended, started again.
//!
//! The ports come from the banner's line `listening kafka=HOST:PORT http=HOST:PORT`, so no test names one.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Arc,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{connection::Connection, process::Process, wait::PATIENCE};

/// How to start a broker.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    binary: PathBuf,
    listen: SocketAddr,
    http: bool,
    data: Option<PathBuf>,
    arguments: Vec<String>,
}

impl BrokerOptions {
    /// `binary` is `env!("CARGO_BIN_EXE_tidemark")`, which exists only in the root package's tests.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Self { binary: binary.into(), listen, http: false, data: None, arguments: Vec::new() }
    }

    /// Opens HTTP too.
    #[must_use]
    pub fn http(mut self) -> Self {
        self.http = true;
        self
    }

    /// Listens for Kafka clients there, and not on any free port.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Keeps data in a directory that the caller owns; else it is a temporary one that goes with the broker.
    #[must_use]
    pub fn data(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data = Some(dir.into());
        self
    }

    /// Sets a broker config.
    #[must_use]
    pub fn set(self, key: &str, value: &str) -> Self {
        self.argument("--set").argument(&format!("{key}={value}"))
    }

    /// Adds an argument behind `tidemark server …`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// If it ends or says nothing within [`PATIENCE`]; the message holds what it printed.
    pub fn start(self) -> Broker {
        self.try_start().unwrap_or_else(|said| panic!("the broker did not start; it said:\n{said}"))
    }

    /// Starts it.
    ///
    /// # Errors
    /// What it printed, if it ended instead of listening.
    pub fn try_start(self) -> Result<Broker, String> {
        let temporary = self.data.is_none().then(|| Arc::new(tempfile::tempdir().expect("a temporary directory")));
        let data =
            self.data.clone().or_else(|| temporary.as_ref().map(|dir| dir.path().join("data"))).expect("one of both");
        self.launch(data, temporary)
    }

    /// Starts it, and does not wait: one of a cluster listens once most of the others run.
    ///
    /// # Panics
    /// If no directory was given: nobody would own it.
    pub fn begin(self) -> Starting {
        let data = self.data.clone().expect("a directory");
        self.begin_over(data, None)
    }

    fn launch(self, data: PathBuf, temporary: Option<Arc<TempDir>>) -> Result<Broker, String> {
        self.begin_over(data, temporary).listening()
    }

    fn begin_over(self, data: PathBuf, temporary: Option<Arc<TempDir>>) -> Starting {
        let mut command = Command::new(&self.binary);
        command.arg("server").arg("--data").arg(&data).arg("--listen").arg(self.listen.to_string());
        if self.http {
            command.args(["--http", "127.0.0.1:0"]);
        } else {
            command.arg("--no-http");
        }
        command.args(&self.arguments);
        Starting { process: Process::start(command), data, options: self, temporary }
    }
}

/// A broker that may not listen yet. Dropped, it is killed.
#[derive(Debug)]
pub struct Starting {
    process: Process,
    data: PathBuf,
    options: BrokerOptions,
    temporary: Option<Arc<TempDir>>,
}

impl Starting {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it has printed these words.
    ///
    /// # Panics
    /// If it does not within [`PATIENCE`].
    pub fn says(&self, words: &str) {
        let said = self.process.await_line(PATIENCE, |line| line.contains(words).then_some(()));
        said.unwrap_or_else(|said| panic!("the broker did not say `{words}`; it said:\n{said}"));
    }

    /// Waits until it listens.
    ///
    /// # Errors
    /// What it printed, if it ended instead.
    pub fn listening(self) -> Result<Broker, String> {
        let Self { process, data, options, temporary } = self;
        let (kafka, http) = process.await_line(PATIENCE, listening)?;
        Ok(Broker { process, kafka, http, data, options, temporary })
    }
}

/// The banner's line, wherever it stands in a log line.
fn listening(line: &str) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let said = line.split_once("listening")?.1;
    let address = |name: &str| said.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok());
    Some((address("kafka=")?, address("http=")))
}

/// A running broker. Dropped, it is killed and its temporary data are removed.
#[derive(Debug)]
pub struct Broker {
    process: Process,
    kafka: SocketAddr,
    http: Option<SocketAddr>,
    data: PathBuf,
    options: BrokerOptions,
    temporary: Option<Arc<TempDir>>,
}

impl Broker {
    /// Where Kafka clients connect.
    pub fn kafka(&self) -> SocketAddr {
        self.kafka
    }

    /// Where HTTP is spoken, if it is.
    pub fn http(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Its page of metrics, with the answer's head.
    ///
    /// # Panics
    /// If HTTP is not open.
    pub fn metrics(&self) -> String {
        let mut page = String::new();
        let mut http = TcpStream::connect(self.http.expect("HTTP is open")).expect("it listens");
        http.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it reads");
        http.read_to_string(&mut page).expect("it answers");
        page
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A raw Kafka connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.kafka)
    }

    /// What it has printed.
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    /// Whether the process lives.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Resident memory in bytes, now.
    pub fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    /// The most memory that was resident so far, in bytes.
    pub fn resident_bytes_peak(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("the broker runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a known field");
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("kilobytes")
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> ExitStatus {
        self.process.signal(Signal::KILL);
        self.process.wait(PATIENCE)
    }

    /// SIGTERM, and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.wait(PATIENCE)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait(PATIENCE)
    }

    /// Starts a new process over the same data, on a new port; a process that still runs is killed first.
    #[must_use]
    pub fn restart(self) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        self.start_again(listen)
    }

    /// The same on the same port, for clients that are to find it again.
    #[must_use]
    pub fn restart_in_place(self) -> Self {
        let listen = self.kafka;
        self.start_again(listen)
    }

    fn start_again(mut self, listen: SocketAddr) -> Self {
        if self.process.is_running() {
            self.kill();
        }
        let options = BrokerOptions { listen, ..self.options.clone() };
        let started = options.launch(self.data.clone(), self.temporary.clone());
        started.unwrap_or_else(|said| panic!("the broker did not start again; it said:\n{said}"))
    }
}
