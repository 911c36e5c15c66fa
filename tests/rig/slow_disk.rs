//! Syncs of a running process that take long: strace holds each of them back before it begins. Without strace there is no
//! such fault.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long strace may take to hold a process.
const HOLD_LIMIT: Duration = Duration::from_secs(10);

/// A process whose syncs are held back. Dropped, they are not any more.
#[derive(Debug)]
pub struct SlowDisk {
    strace: Child,
}

impl SlowDisk {
    /// Whether this machine has strace, and lets it hold a process that it did not start.
    pub fn is_possible() -> bool {
        let Ok(mut other) = Command::new("sleep").arg("60").spawn() else { return false };
        let held = Self::hold(other.id(), 0).is_some();
        let _ = (other.kill(), other.wait());
        held
    }

    /// Holds every sync of a process back for so long, from when it returns; None if it cannot be done.
    pub fn hold(pid: u32, delay_ms: u64) -> Option<Self> {
        let syncs = "fsync,fdatasync,sync_file_range,syncfs,msync";
        let mut command = Command::new("strace");
        command.args(["-f", "-q", "-o", "/dev/null", "-e", &format!("trace={syncs}")]);
        command.args(["-e", &format!("inject={syncs}:delay_enter={}", delay_ms * 1000)]);
        command.args(["-p", &pid.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut slow = Self { strace: command.spawn().ok()? };
        let end = Instant::now() + HOLD_LIMIT;
        while !is_held(pid) {
            if !matches!(slow.strace.try_wait(), Ok(None)) || Instant::now() > end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Some(slow)
    }
}

fn is_held(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // asked, not killed: it lets go of the process first
        let runs = matches!(self.strace.try_wait(), Ok(None));
        if let Some(pid) = Pid::from_raw(self.strace.id().cast_signed()).filter(|_| runs) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.strace.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a process takes for one sync, again and again; `dd` syncs once at its end.
    fn sync_takes(dir: &std::path::Path) -> Duration {
        let script =
            "while read line; do dd if=/dev/zero of=f bs=1 count=1 conv=fdatasync status=none; echo done; done";
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let slow = SlowDisk::hold(child.id(), 400).unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let began = Instant::now();
        std::io::Write::write_all(&mut input, b"go\n").unwrap();
        std::io::BufRead::read_line(&mut output, &mut String::new()).unwrap();
        let took = began.elapsed();
        drop((slow, input));
        assert!(child.wait().unwrap().success(), "the process outlives its slow disk");
        took
    }

    #[test]
    fn a_sync_is_held_back() {
        if SlowDisk::is_possible() {
            let dir = tempfile::tempdir().unwrap();
            assert!(sync_takes(dir.path()) >= Duration::from_millis(400));
        }
    }
}
