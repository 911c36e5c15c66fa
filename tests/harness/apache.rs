//! Apache Kafka beside us, through `shared/kafka/kafka.sh`: the jars are shared, ports and data are each test's own.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::connection::Connection;

/// Address of a running Apache Kafka to use instead of starting one.
const RUNNING: &str = "APACHE_KAFKA";
/// Enough for the requests of a test.
const HEAP: &str = "-Xms256M -Xmx512M";
/// `kafka.sh` puts a node's controller this far above its client port.
const CONTROLLER_PORT_OFFSET: u16 = 100;

/// A running Apache Kafka of one node. Dropped, it is stopped and its data are removed.
#[derive(Debug)]
pub struct Apache {
    address: SocketAddr,
    _own: Option<Own>,
}

/// What a node of our own leaves behind when it goes.
#[derive(Debug)]
struct Own {
    script: PathBuf,
    home: TempDir,
}

impl Apache {
    /// Starts one; `settings` are lines of its properties. `repository` is the root package's `CARGO_MANIFEST_DIR`.
    ///
    /// # Panics
    /// If what it needs is missing; the message says what.
    pub fn start(repository: &Path, settings: &[(&str, &str)]) -> Self {
        if let Ok(address) = std::env::var(RUNNING) {
            let address = address.parse().unwrap_or_else(|error| panic!("{RUNNING}={address}: {error}"));
            return Self { address, _own: None };
        }
        let script = find_script(repository);
        let shared_home = installed_jars(&script);
        let home = tempfile::tempdir().expect("a temporary directory");
        for entry in std::fs::read_dir(&shared_home).expect("the folder of jars").flatten() {
            let name = entry.file_name();
            if entry.path().is_dir() && name != "data" && name != "run" {
                std::os::unix::fs::symlink(entry.path(), home.path().join(name)).expect("a link to the jars");
            }
        }
        let port = free_port();
        let settings: Vec<_> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let mut command = bash(&script, &["up", "1"]);
        command.env("KAFKA_HOME", home.path()).env("KAFKA_PORT", port.to_string()).env("KAFKA_HEAP", HEAP);
        // its output goes to files: a pipe would stay open in the broker that it leaves behind
        let said = home.path().join("up.log");
        let log = std::fs::File::create(&said).expect("a file in a temporary directory");
        command.env("KAFKA_SERVER_CONF", settings.join("\n")).stdout(log.try_clone().expect("a handle")).stderr(log);
        let own = Own { script, home };
        let status = command.status().expect("bash");
        assert!(status.success(), "Apache Kafka did not start: {}", std::fs::read_to_string(&said).unwrap_or_default());
        Self { address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)), _own: Some(own) }
    }

    /// Where clients connect.
    pub fn kafka(&self) -> SocketAddr {
        self.address
    }

    /// A raw connection.
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = bash(&self.script, &["down"]).env("KAFKA_HOME", self.home.path()).output();
    }
}

/// Runs one of Apache Kafka's own tools by its usual name, without `.sh`.
///
/// # Panics
/// If `kafka.sh` or the jars are missing.
pub fn tool(repository: &Path, arguments: &[&str]) -> Output {
    let script = find_script(repository);
    installed_jars(&script);
    bash(&script, arguments).output().expect("bash")
}

fn bash(script: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command.arg(script).args(arguments).stdin(std::process::Stdio::null());
    command
}

/// `shared/` lies beside the checkout, or above a folder of work trees.
fn find_script(repository: &Path) -> PathBuf {
    let places = ["../shared/kafka/kafka.sh", "../../shared/kafka/kafka.sh"].map(|place| repository.join(place));
    let found = places.iter().find(|place| place.exists());
    found
        .unwrap_or_else(|| panic!("Apache Kafka is needed here, and none of {places:?} exists; see CONTRIBUTING.md"))
        .clone()
}

/// Where `kafka.sh` keeps its jars by default, after it has installed them.
fn installed_jars(script: &Path) -> PathBuf {
    let installed = bash(script, &["install"]).output().expect("bash");
    let said = String::from_utf8_lossy(&installed.stderr);
    assert!(
        installed.status.success(),
        "Apache Kafka is needed here: install Java 17 and Maven, then run this again\n{said}"
    );
    let home = std::env::var_os("KAFKA_HOME").map(PathBuf::from);
    home.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache/apache-kafka"))
}

/// A port that is free together with the controller's above it.
fn free_port() -> u16 {
    let bind = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let pairs = (0..100).filter_map(|_| {
        let port = bind(0).ok()?.local_addr().ok()?.port();
        bind(port.checked_add(CONTROLLER_PORT_OFFSET)?).ok().map(|_| port)
    });
    pairs.into_iter().next().expect("two free ports")
}
