//! Group commit: one thread makes durable what was written while it was busy, and says up to where.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::watch;

/// Positions in the stream of all that was written; the file holds it modulo its length.
#[derive(Debug)]
pub struct GroupCommit {
    written: Mutex<u64>,
    work: Condvar,
    asleep: AtomicBool,
    synced: watch::Sender<u64>,
}

impl GroupCommit {
    /// Starts the thread.
    pub fn start(file: Arc<File>) -> io::Result<Arc<Self>> {
        let commit = Arc::new(Self {
            written: Mutex::new(0),
            work: Condvar::new(),
            asleep: AtomicBool::new(false),
            synced: watch::Sender::new(0),
        });
        let this = commit.clone();
        std::thread::Builder::new().name("floor-sync".into()).spawn(move || this.run(&file))?;
        Ok(commit)
    }

    /// Tells that everything below `end` is written.
    pub fn wrote(&self, end: u64) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = end;
        if self.asleep.load(Ordering::Acquire) {
            self.work.notify_one();
        }
    }

    /// Hears of each sync.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.synced.subscribe()
    }

    fn run(&self, file: &File) {
        let mut done = 0;
        loop {
            let upto = {
                let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
                while *written == done {
                    self.asleep.store(true, Ordering::Release);
                    written = self.work.wait(written).unwrap_or_else(PoisonError::into_inner);
                }
                self.asleep.store(false, Ordering::Release);
                *written
            };
            if let Err(error) = file.sync_data() {
                eprintln!("floor: sync failed: {error}");
                std::process::exit(1);
            }
            done = upto;
            self.synced.send_replace(upto);
        }
    }
}
