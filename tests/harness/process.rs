//! A child process whose output is kept line by line and can be awaited.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Lines kept for a failing test; older ones are dropped.
const LINES_MAX: usize = 5_000;

#[derive(Debug, Default)]
struct Output {
    lines: Vec<String>,
    open_pipes: usize,
}

type SharedOutput = Arc<(Mutex<Output>, Condvar)>;

/// A running child. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    output: SharedOutput,
}

impl Process {
    /// Starts it without standard input.
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let output = SharedOutput::default();
        output.0.lock().unwrap().open_pipes = 2;
        keep(child.stdout.take().expect("piped"), Arc::clone(&output));
        keep(child.stderr.take().expect("piped"), Arc::clone(&output));
        Self { child, output }
    }

    /// The first line that `pick` accepts, among those printed already and those to come.
    ///
    /// # Errors
    /// All output, if the process closes it or `limit` passes before.
    pub fn await_line<T>(&self, limit: Duration, pick: impl Fn(&str) -> Option<T>) -> Result<T, String> {
        let end = Instant::now() + limit;
        let (lock, changed) = &*self.output;
        let mut output = lock.lock().unwrap();
        loop {
            if let Some(found) = output.lines.iter().find_map(|line| pick(line)) {
                return Ok(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if output.open_pipes == 0 || left.is_zero() {
                return Err(output.lines.join("\n"));
            }
            output = changed.wait_timeout(output, left).unwrap().0;
        }
    }

    /// All it has printed.
    pub fn printed(&self) -> String {
        self.output.0.lock().unwrap().lines.join("\n")
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; one that is gone already is left alone.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end within `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        super::wait::eventually("the process ends", limit, || self.child.try_wait().expect("a child of ours"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- printed by process {}:\n{}\n---", self.child.id(), self.printed());
        }
    }
}

fn keep(pipe: impl Read + Send + 'static, output: SharedOutput) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            let mut kept = output.0.lock().unwrap();
            if kept.lines.len() == LINES_MAX {
                kept.lines.drain(..LINES_MAX / 2);
            }
            kept.lines.push(String::from_utf8_lossy(&line).into_owned());
            output.1.notify_all();
        }
        output.0.lock().unwrap().open_pipes -= 1;
        output.1.notify_all();
    });
}
