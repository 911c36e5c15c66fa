//! The machine: what it is, how busy it is, and the two traps of measuring on it.
//!
//! On a virtual machine the first touch of a page can cost more CPU than the work that touches it, since the host has taken
//! the page back; so new page-cache pages must come from reclaim. A file without blocks does that: reading it fills the
//! page cache and writes nothing. And a repetition must not pay for the write-back of the one before.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

/// Memory that is left free.
const FREE_KIB: u64 = 700 * 1024;
const SPARSE_BYTES: u64 = 1 << 40;
const STEP: u64 = 4 << 20;

/// One line about the machine.
pub fn description() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).map_or("", |rest| rest.trim());
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let memory_gb = meminfo_kib("MemTotal:").unwrap_or(0) as f64 * 1024.0 / 1e9;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores{model}, {memory_gb:.0} GB, Linux {}, load {}", kernel.trim(), load_average().trim())
}

/// The three load averages.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn meminfo_kib(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok())
}

/// Where benches keep their data: below the build's own folder, so that it is on the disk that the sources are on.
pub fn data_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", std::process::id()))
}

/// Reads nothing into memory until little of it is free.
pub fn fill_page_cache() -> io::Result<()> {
    static POSITION: AtomicU64 = AtomicU64::new(0);
    let dir = data_dir();
    fs::create_dir_all(&dir)?;
    let path = dir.join("no-blocks");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    file.set_len(SPARSE_BYTES)?;
    let mut buf = vec![0; STEP as usize];
    while meminfo_kib("MemFree:").is_some_and(|free| free > FREE_KIB) {
        for _ in 0..32 {
            let position = POSITION.fetch_add(STEP, Ordering::Relaxed) % SPARSE_BYTES;
            file.read_exact_at(&mut buf, position)?;
        }
    }
    Ok(())
}

/// Between repetitions: everything on the disk, no free page to be touched for the first time.
pub fn settle(touch: bool) -> io::Result<()> {
    rustix::fs::sync();
    if touch { fill_page_cache() } else { Ok(()) }
}

/// CPU seconds that all processes have used, and those of the kernel.
pub fn busy_s() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let mut fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1).map(str::parse::<f64>);
    let mut ticks = |count: usize| (0..count).map(|_| fields.next().and_then(Result::ok).unwrap_or(0.0)).sum::<f64>();
    let (busy, _idle_and_wait, interrupts) = (ticks(3), ticks(2), ticks(2));
    (busy + interrupts) / ticks_per_s()
}

/// Of utime and stime; 100 on every Linux of today.
pub fn ticks_per_s() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// Removes what the bench left. Called at its end, also after a failure.
#[derive(Debug)]
pub struct Cleanup;

impl Drop for Cleanup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(data_dir())
            && error.kind() != io::ErrorKind::NotFound
        {
            eprintln!("bench: {}: {error}", data_dir().display());
        }
    }
}
