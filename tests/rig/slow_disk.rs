//! Syncs of a running process that take long: strace holds each of them back before it begins. Without strace there is no
//! such fault.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A process whose syncs are held back. Dropped, they are not any more.
#[derive(Debug)]
pub struct SlowDisk {
    strace: Child,
}

impl SlowDisk {
    /// Whether this machine can do it.
    pub fn is_possible() -> bool {
        let strace = Command::new("strace").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status();
        strace.is_ok_and(|status| status.success())
    }

    /// Holds every sync of a process back for so long; None if it cannot be done.
    pub fn hold(pid: u32, delay_ms: u64) -> Option<Self> {
        let syncs = "fsync,fdatasync,sync_file_range,syncfs,msync";
        let mut command = Command::new("strace");
        command.args(["-f", "-q", "-o", "/dev/null", "-e", &format!("trace={syncs}")]);
        command.args(["-e", &format!("inject={syncs}:delay_enter={}", delay_ms * 1000)]);
        command.args(["-p", &pid.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().ok().map(|strace| Self { strace })
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // asked, not killed: it lets go of the process first
        if let Some(pid) = Pid::from_raw(self.strace.id().cast_signed()) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.strace.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::wait::{PATIENCE, eventually};

    /// How long a process takes for one sync, again and again; `dd` syncs once at its end.
    fn sync_takes(dir: &std::path::Path) -> Duration {
        let script =
            "while read line; do dd if=/dev/zero of=f bs=1 count=1 conv=fdatasync status=none; echo done; done";
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let slow = SlowDisk::hold(child.id(), 400).unwrap();
        let traced = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
            status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0")).then_some(())
        };
        eventually("strace holds the process", PATIENCE, traced);
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
