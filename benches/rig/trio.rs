//! Three servers that are one cluster: ours or Apache Kafka. One of them can be killed, and started again with the arguments that
//! it had.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Failure, Kind, Options, machine, server};

/// How many there are.
pub const BROKERS: usize = 3;
/// How long a cluster may take to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// One of the three.
#[derive(Debug)]
struct Member {
    port: u16,
    pid: u32,
    /// How it was started.
    command: Vec<String>,
    /// None: `kafka.sh` started it.
    child: Option<Child>,
}

/// A running cluster; its processes are killed and its data removed when this is dropped.
#[derive(Debug)]
pub struct Trio {
    /// Whose.
    pub kind: Kind,
    members: Vec<Member>,
    dir: PathBuf,
}

fn free_ports(count: usize) -> Result<Vec<u16>, Failure> {
    let held: Vec<_> = (0..count).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    Ok(held.iter().map(TcpListener::local_addr).map(|address| address.map(|at| at.port())).collect::<Result<_, _>>()?)
}

impl Trio {
    /// Starts three with no data and waits until their ports are open.
    pub fn start(kind: Kind, options: &Options) -> Result<Self, Failure> {
        let dir = machine::data_dir().join(format!("three-{}", kind.name().replace(' ', "-")));
        fs::create_dir_all(&dir)?;
        let mut trio = Self { kind, members: Vec::new(), dir };
        match kind {
            Kind::Kafka => trio.start_kafka()?,
            _ => trio.start_ours(options)?,
        }
        (0..BROKERS).try_for_each(|place| trio.await_port(place))?;
        Ok(trio)
    }

    fn start_ours(&mut self, options: &Options) -> Result<(), Failure> {
        let ports = free_ports(2 * BROKERS)?;
        let (clients, rafts) = ports.split_at(BROKERS);
        let voters: Vec<_> = rafts.iter().zip(1..).map(|(port, id)| format!("{id}@127.0.0.1:{port}")).collect();
        for (place, (client, raft)) in clients.iter().zip(rafts).enumerate() {
            let (id, data) = (place + 1, self.dir.join(place.to_string()));
            let arguments = format!(
                "server --no-http --node-id {id} --listen 127.0.0.1:{client} --raft 127.0.0.1:{raft} --voters {} --data",
                voters.join(",")
            );
            let program = [options.program.display().to_string()].into_iter();
            let command = program.chain(arguments.split(' ').map(str::to_owned)).chain([data.display().to_string()]);
            self.members.push(Member { port: *client, pid: 0, command: command.collect(), child: None });
            self.launch(place)?;
        }
        Ok(())
    }

    fn start_kafka(&mut self) -> Result<(), Failure> {
        let first = free_ports(1)?[0].min(u16::MAX - 200);
        server::link_kafka(&self.dir)?;
        server::kafka_sh(&self.dir, first, &["up", "3"])?;
        for id in 1..=BROKERS {
            let pid = fs::read_to_string(self.dir.join(format!("run/{id}.pid")))?.trim().parse()?;
            let words = fs::read(format!("/proc/{pid}/cmdline"))?;
            let words = words.split(|byte| *byte == 0).filter(|word| !word.is_empty());
            let command = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
            self.members.push(Member { port: first + id as u16 - 1, pid, command, child: None });
        }
        Ok(())
    }

    /// Starts one again over its data, and does not wait.
    pub fn launch(&mut self, place: usize) -> Result<(), Failure> {
        let member = &mut self.members[place];
        let log = fs::File::options().create(true).append(true).open(self.dir.join(format!("{place}.log")))?;
        let mut command = Command::new(&member.command[0]);
        command.args(&member.command[1..]);
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        (member.pid, member.child) = (child.id(), Some(child));
        Ok(())
    }

    /// Waits until one takes clients.
    pub fn await_port(&mut self, place: usize) -> Result<(), Failure> {
        let since = Instant::now();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.members[place].port));
        while TcpStream::connect(address).is_err() {
            let ended = self.members[place].child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if since.elapsed() > PATIENCE || ended.is_some() {
                eprintln!("{}", fs::read_to_string(self.dir.join(format!("{place}.log"))).unwrap_or_default());
                return Err(format!("{} {} did not open its port", self.kind.name(), place + 1).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// kill -9.
    pub fn kill(&mut self, place: usize) -> Result<(), Failure> {
        let member = &mut self.members[place];
        let pid = i32::try_from(member.pid).ok().and_then(Pid::from_raw).ok_or("no process")?;
        kill_process(pid, Signal::KILL)?;
        if let Some(mut child) = member.child.take() {
            child.wait()?;
        }
        member.pid = 0;
        Ok(())
    }

    /// Process ids.
    pub fn pids(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.pid).collect()
    }

    /// `host:port` of all.
    pub fn bootstrap(&self) -> Vec<String> {
        self.members.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect()
    }
}

impl Drop for Trio {
    fn drop(&mut self) {
        for place in 0..self.members.len() {
            if self.members[place].pid != 0
                && let Err(error) = self.kill(place)
            {
                eprintln!("bench: {} {}: {error}", self.kind.name(), place + 1);
            }
        }
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("bench: {}: {error}", self.dir.display());
        }
    }
}
