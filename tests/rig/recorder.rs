//! Writes a history while it happens: one line after the other, each with its index and the time at which it was written.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Instant,
};

use crate::checker::{Event, Function, Kind, Line, MicroOp, Operation, Settings, State};

#[derive(Debug)]
struct Inner {
    out: BufWriter<File>,
    next_index: u64,
    /// Highest offset per key that any operation told.
    highest: HashMap<String, i64>,
}

/// A history in the making; shared by all who have something to say.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    began: Instant,
    inner: Mutex<Inner>,
    next_process: AtomicU32,
    next_value: AtomicU64,
    acked: AtomicU64,
}

impl Recorder {
    /// Begins a history in a file.
    ///
    /// # Errors
    /// The file's.
    pub fn create(path: &Path, settings: Settings) -> io::Result<Self> {
        let inner = Inner { out: BufWriter::new(File::create(path)?), next_index: 0, highest: HashMap::new() };
        let recorder = Self {
            path: path.to_path_buf(),
            began: Instant::now(),
            inner: Mutex::new(inner),
            next_process: AtomicU32::new(0),
            next_value: AtomicU64::new(1),
            acked: AtomicU64::new(0),
        };
        recorder.event(Event::Run(settings));
        Ok(recorder)
    }

    /// Where it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a line; gives its index.
    ///
    /// # Panics
    /// If the disk refuses it: what is not written down proves nothing.
    pub fn event(&self, event: Event) -> u64 {
        if let Event::Operation(operation) = &event {
            self.count(operation);
        }
        let mut inner = self.inner();
        let index = inner.next_index;
        inner.next_index += 1;
        // taken under the lock, so that time never goes back
        let time_ns = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let line = Line { index, time_ns, event };
        writeln!(inner.out, "{line}").expect("the history's file takes a line");
        if let Event::Operation(operation) = &line.event {
            note_offsets(&mut inner.highest, operation);
        }
        index
    }

    fn count(&self, operation: &Operation) {
        if operation.kind == Kind::Ok {
            let sends = operation.ops.iter().filter(|op| matches!(op, MicroOp::Send { .. })).count();
            self.acked.fetch_add(sends as u64, Ordering::Relaxed);
        }
    }

    /// A new process.
    pub fn new_process(&self) -> u32 {
        self.next_process.fetch_add(1, Ordering::Relaxed)
    }

    /// A value that nobody sent yet.
    pub fn new_value(&self) -> u64 {
        self.next_value.fetch_add(1, Ordering::Relaxed)
    }

    /// An operation begins; gives the index that its end names.
    pub fn invoke(&self, process: u32, client: &str, function: Function, ops: Vec<MicroOp>) -> u64 {
        self.event(Event::Operation(Operation {
            process,
            client: client.to_owned(),
            kind: Kind::Invoke,
            function,
            ops,
            error: None,
            invoke: None,
            rebalances: Vec::new(),
        }))
    }

    /// An operation ends: `what` is its process, function and the index of its begin.
    pub fn end(&self, what: (u32, Function, u64), kind: Kind, ops: Vec<MicroOp>, error: Option<String>) {
        let (process, function, invoke) = what;
        self.event(Event::Operation(Operation {
            process,
            client: String::new(),
            kind,
            function,
            ops,
            error,
            invoke: Some(invoke),
            rebalances: Vec::new(),
        }));
    }

    /// A fault begins or ends.
    pub fn fault(&self, kind: &str, state: State, detail: &str) {
        self.event(Event::Fault { kind: kind.to_owned(), state, detail: detail.to_owned() });
    }

    /// Sends that were acknowledged so far.
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// The highest offset that any operation told of a key.
    pub fn highest(&self, key: &str) -> Option<i64> {
        self.inner().highest.get(key).copied()
    }

    /// Hands all lines to the file.
    ///
    /// # Errors
    /// The file's.
    pub fn flush(&self) -> io::Result<()> {
        self.inner().out.flush()
    }
}

fn note_offsets(highest: &mut HashMap<String, i64>, operation: &Operation) {
    let mut note = |key: &str, offset: i64| match highest.get_mut(key) {
        Some(known) => *known = offset.max(*known),
        None => {
            highest.insert(key.to_owned(), offset);
        }
    };
    for op in &operation.ops {
        match op {
            MicroOp::Send { key, offset: Some(offset), .. } => note(key, *offset),
            MicroOp::Poll(polled) => {
                for (key, records) in polled {
                    records.iter().for_each(|record| note(key, record.offset));
                }
            }
            _ => {}
        }
    }
}
