//! Servers under test, each a process of its own: ours, the floor, Apache Kafka.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Failure, Options, machine};

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The least there is, answering from the page cache.
    Floor,
    /// The least there is with a sync before each answer.
    SyncedFloor,
    /// Ours.
    Tidemark,
    /// Apache Kafka, one node, through `kafka.sh`.
    Kafka,
}

impl Kind {
    /// As a table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::SyncedFloor => "floor, synced",
            Self::Tidemark => "tidemark",
            Self::Kafka => "Apache Kafka",
        }
    }
}

/// A running server; it is killed and its data removed when this is dropped.
#[derive(Debug)]
pub struct Server {
    /// Which one it is.
    pub kind: Kind,
    /// Its port on loopback.
    pub port: u16,
    /// Its data.
    pub dir: PathBuf,
    /// From the start of the process until its port was open.
    pub started_in: Duration,
    pid: u32,
    child: Option<Child>,
    program: PathBuf,
}

impl Server {
    /// Starts one with no data and waits until its port is open.
    pub fn start(kind: Kind, options: &Options) -> Result<Self, Failure> {
        let dir = machine::data_dir().join(kind.name().replace([' ', ','], "-"));
        fs::remove_dir_all(&dir).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        fs::create_dir_all(&dir)?;
        let port = free_port()?;
        let (program, started_in) = (options.program.clone(), Duration::ZERO);
        let mut server = Self { kind, port, dir, started_in, pid: 0, child: None, program };
        server.launch()?;
        Ok(server)
    }

    /// Starts it again over its data, after [`Self::stop`] or [`Self::kill`].
    pub fn launch(&mut self) -> Result<(), Failure> {
        let since = Instant::now();
        self.spawn()?;
        let patience = Duration::from_secs(120);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if since.elapsed() > patience || self.has_ended()? {
                return Err(format!("{} did not open its port; see its messages above", self.kind.name()).into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        self.started_in = since.elapsed();
        Ok(())
    }

    /// Starts the process only.
    pub fn spawn(&mut self) -> Result<(), Failure> {
        let listen = format!("127.0.0.1:{}", self.port);
        let mut command = match self.kind {
            Kind::Kafka => return self.spawn_kafka(),
            Kind::Tidemark => {
                let mut command = Command::new(&self.program);
                command.args(["server", "--no-http", "--listen", &listen, "--data"]).arg(&self.dir);
                command
            }
            Kind::Floor | Kind::SyncedFloor => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["floor", &self.port.to_string()]).arg(&self.dir);
                if self.kind == Kind::SyncedFloor {
                    command.arg("--sync");
                }
                command
            }
        };
        let log = fs::File::create(machine::data_dir().join(format!("{}.log", self.port)))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.pid = child.id();
        self.child = Some(child);
        Ok(())
    }

    fn kafka_sh(&self, args: &[&str]) -> Result<(), Failure> {
        kafka_sh(&self.dir, self.port, args)
    }

    fn spawn_kafka(&mut self) -> Result<(), Failure> {
        link_kafka(&self.dir)?;
        self.kafka_sh(&["up", "1"])?;
        self.pid = fs::read_to_string(self.dir.join("run/1.pid"))?.trim().parse()?;
        Ok(())
    }

    fn has_ended(&mut self) -> Result<bool, Failure> {
        let Some(child) = &mut self.child else { return Ok(false) };
        let ended = child.try_wait()?.is_some();
        if ended {
            eprintln!("{}", fs::read_to_string(machine::data_dir().join(format!("{}.log", self.port)))?);
        }
        Ok(ended)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Asks it to end, and waits.
    pub fn stop(&mut self) -> Result<(), Failure> {
        let Some(mut child) = self.child.take() else { return self.kafka_sh(&["down"]) };
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = child.wait()?;
        let fine = status.success() || self.kind != Kind::Tidemark;
        if fine { Ok(()) } else { Err(format!("{} ended with {status}", self.kind.name()).into()) }
    }

    /// kill -9.
    pub fn kill(&mut self) -> Result<(), Failure> {
        let Some(mut child) = self.child.take() else { return Err("Apache Kafka is only stopped".into()) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // its last words, if it ended by itself
        if let Err(error) = self.has_ended() {
            eprintln!("bench: {}: {error}", self.kind.name());
        }
        let ended = if self.kind == Kind::Kafka {
            self.kafka_sh(&["down"])
        } else if self.child.is_some() {
            self.kill()
        } else {
            Ok(())
        };
        if let Err(error) = ended.and_then(|()| Ok(fs::remove_dir_all(&self.dir)?)) {
            eprintln!("bench: {}: {error}", self.kind.name());
        }
    }
}

/// `kafka.sh` over a directory of the bench.
pub(super) fn kafka_sh(dir: &Path, port: u16, args: &[&str]) -> Result<(), Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = ["../shared/kafka/kafka.sh", "../../shared/kafka/kafka.sh"].map(|path| root.join(path));
    let script = beside.iter().find(|path| path.exists()).ok_or("there is no ../shared/kafka/kafka.sh")?;
    let status = Command::new("bash")
        .arg(script)
        .args(args)
        .env("KAFKA_HOME", dir)
        .env("KAFKA_PORT", port.to_string())
        .env("KAFKA_SERVER_CONF", "log.segment.delete.delay.ms=100\nlog.retention.check.interval.ms=5000")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("kafka.sh {args:?} failed").into()) }
}

/// Its jars are the installed ones; its data is the bench's.
pub(super) fn link_kafka(dir: &Path) -> Result<(), Failure> {
    let installed = std::env::var("HOME").map(|home| PathBuf::from(home).join(".cache/apache-kafka"))?;
    for entry in fs::read_dir(&installed)? {
        let entry = entry?;
        let link = dir.join(entry.file_name());
        if entry.file_name().to_string_lossy().starts_with(char::is_numeric) && !link.exists() {
            std::os::unix::fs::symlink(entry.path(), link)?;
        }
    }
    Ok(())
}

fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
