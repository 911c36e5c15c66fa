//! A process seen through `/proc`: CPU, memory, wake-ups.

use std::{fs, time::Instant};

use super::{Failure, Server, machine};

/// CPU seconds (user and system) of processes, threads that ended included.
pub fn cpu_s(pids: &[u32]) -> Result<f64, Failure> {
    pids.iter().map(|pid| cpu_s_of(*pid)).sum()
}

fn cpu_s_of(pid: u32) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // the name may hold anything, a bracket too
    let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
    let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / machine::ticks_per_s())
}

/// A line of `/proc/PID/status` that ends in kB, as megabytes; the largest of several processes.
pub fn status_mb(pids: &[u32], name: &str) -> Result<f64, Failure> {
    pids.iter().map(|pid| status_mb_of(*pid, name)).try_fold(0.0, |most: f64, mb| Ok(most.max(mb?)))
}

fn status_mb_of(pid: u32, name: &str) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).ok_or("no such line")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0 / 1e6)
}

/// How often the threads of processes went to sleep of their own accord, and so how often they were woken.
pub fn wakeups(pids: &[u32]) -> Result<u64, Failure> {
    pids.iter().map(|pid| wakeups_of(*pid)).sum()
}

fn wakeups_of(pid: u32) -> Result<u64, Failure> {
    let mut count = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // a thread may end while we look
        let Ok(status) = fs::read_to_string(task?.path().join("status")) else { continue };
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count += line.and_then(|rest| rest.trim().parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(count)
}

/// From a moment on: what a server, this process and the rest of the machine used.
#[derive(Debug)]
pub struct Meter {
    pids: Vec<u32>,
    since: Instant,
    server_s: f64,
    own_s: f64,
    all_s: f64,
    wakeups: u64,
}

/// What a [`Meter`] saw.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Seconds on the wall.
    pub wall_s: f64,
    /// CPU seconds of the server.
    pub server_s: f64,
    /// CPU seconds of the client, which is this process.
    pub own_s: f64,
    /// CPU seconds of all others and of kernel threads: how quiet the machine was.
    pub others_s: f64,
    /// Wake-ups of the server's threads.
    pub wakeups: u64,
}

impl Used {
    /// CPU of the others in percent of the machine.
    pub fn others_share(&self) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.others_s * 100.0 / (self.wall_s * cores as f64)
    }
}

impl Meter {
    /// Starts.
    pub fn start(server: &Server) -> Result<Self, Failure> {
        let (pids, own_s) = (server.pids(), cpu_s_of(std::process::id())?);
        let (server_s, all_s, wakeups) = (cpu_s(&pids)?, machine::busy_s(), wakeups(&pids)?);
        Ok(Self { pids, since: Instant::now(), server_s, own_s, all_s, wakeups })
    }

    /// Reads.
    pub fn used(&self) -> Result<Used, Failure> {
        let wall_s = self.since.elapsed().as_secs_f64();
        let server_s = cpu_s(&self.pids)? - self.server_s;
        let own_s = cpu_s_of(std::process::id())? - self.own_s;
        let others_s = (machine::busy_s() - self.all_s - server_s - own_s).max(0.0);
        Ok(Used { wall_s, server_s, own_s, others_s, wakeups: wakeups(&self.pids)?.saturating_sub(self.wakeups) })
    }
}
