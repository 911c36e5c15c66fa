//! Processes that send, poll and ask while faults come, and write down all of it. After an unknown result a process is
//! retired and a new one starts; now and then one is dropped as if it had crashed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{
    client::{Factory, Key, Reader, SendOutcome, Session, Start, Writer},
    content::Content,
    keys::LiveKeys,
    random::Random,
    recorder::Recorder,
};
use crate::checker::{Function, Kind, MicroOp};

/// How much a workload does.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Processes per kind of client at a time.
    pub processes: usize,
    /// Sends per second of each.
    pub sends_per_s: u64,
    /// Sends of each that may wait for an outcome.
    pub in_flight_max: usize,
    /// About how long a process lives before it is dropped.
    pub crash_every: Duration,
    /// How often the oldest topic goes.
    pub rotate_every: Duration,
    /// Decides what each process does.
    pub seed: u64,
}

/// One poll in so many is followed by a new assignment.
const ASSIGN_ONE_IN: u64 = 64;
/// One poll in so many is followed by a question for LATEST.
const LATEST_ONE_IN: u64 = 32;
/// How far behind the known end a consumer that begins anew starts.
const LOOK_BACK: i64 = 100;
/// Sends that may go at once after a pause.
const BURST_MAX: u64 = 50;
const POLL_WAIT: Duration = Duration::from_millis(50);
/// How long the last outcomes are waited for.
const FLUSH_LIMIT: Duration = Duration::from_secs(30);
/// Between attempts to connect.
const CONNECT_PAUSE: Duration = Duration::from_millis(200);

/// What all processes share.
struct Shared {
    recorder: Arc<Recorder>,
    keys: Arc<LiveKeys>,
    load: Load,
    stop: AtomicBool,
}

/// A running workload. Dropped, it stops.
pub struct Workload {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Workload {
    /// Starts processes of every kind.
    pub fn start(recorder: &Arc<Recorder>, keys: &Arc<LiveKeys>, factories: &[Arc<dyn Factory>], load: Load) -> Self {
        let shared = Arc::new(Shared {
            recorder: Arc::clone(recorder),
            keys: Arc::clone(keys),
            load,
            stop: AtomicBool::new(false),
        });
        let mut random = Random::new(load.seed);
        let mut threads = Vec::new();
        for factory in factories {
            for _ in 0..load.processes {
                let (shared, factory, random) = (Arc::clone(&shared), Arc::clone(factory), Random::new(random.draw()));
                threads.push(std::thread::spawn(move || processes(&shared, &*factory, random)));
            }
        }
        let rotating = Arc::clone(&shared);
        threads.push(std::thread::spawn(move || rotate(&rotating)));
        Self { shared, threads }
    }

    /// Ends all processes, after the outcomes of what they sent came or a limit passed.
    ///
    /// # Panics
    /// If a process did.
    pub fn stop(mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            thread.join().expect("a process of the workload failed");
        }
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

fn rotate(shared: &Shared) {
    let mut next = Instant::now() + shared.load.rotate_every;
    while !shared.is_stopped() {
        std::thread::sleep(POLL_WAIT);
        if Instant::now() >= next {
            shared.keys.rotate();
            next += shared.load.rotate_every;
        }
    }
}

/// One process after the other.
fn processes(shared: &Arc<Shared>, factory: &dyn Factory, mut random: Random) {
    let mut halves: Vec<JoinHandle<()>> = Vec::new();
    while !shared.is_stopped() {
        let Ok(Session { writer, reader }) = factory.connect() else {
            std::thread::sleep(CONNECT_PAUSE);
            continue;
        };
        let about = shared.load.crash_every.as_millis() as u64;
        let life = Duration::from_millis(random.between(about / 2, about * 3 / 2));
        let process = Arc::new(Process {
            shared: Arc::clone(shared),
            id: shared.recorder.new_process(),
            client: factory.name().to_owned(),
            end: Instant::now() + life,
            retired: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
        });
        let consumer = {
            let (process, random) = (Arc::clone(&process), Random::new(random.draw()));
            std::thread::spawn(move || process.consume(reader, random))
        };
        let writer = process.produce(writer, Random::new(random.draw()));
        // the next one does not wait for what this one still waits for
        halves.extend([consumer, std::thread::spawn(move || process.end(writer))]);
        let (finished, running) = halves.into_iter().partition(JoinHandle::is_finished);
        halves = running;
        join(finished);
    }
    join(halves);
}

fn join(halves: Vec<JoinHandle<()>>) {
    for half in halves {
        half.join().expect("half of a process failed");
    }
}

/// A producer and a consumer under one number.
struct Process {
    shared: Arc<Shared>,
    id: u32,
    client: String,
    end: Instant,
    /// A result was unknown.
    retired: AtomicBool,
    in_flight: AtomicUsize,
}

impl Process {
    fn goes_on(&self) -> bool {
        !self.shared.is_stopped() && !self.retired.load(Ordering::Relaxed) && Instant::now() < self.end
    }

    /// Sends at an even rate as long as the process lives.
    fn produce(self: &Arc<Self>, mut writer: Box<dyn Writer>, mut random: Random) -> Box<dyn Writer> {
        let load = self.shared.load;
        let began = Instant::now();
        let mut sent = 0;
        while self.goes_on() {
            let due = began.elapsed().as_millis() as u64 * load.sends_per_s / 1000;
            sent = u64::max(sent, due.saturating_sub(BURST_MAX));
            while sent < due && self.in_flight.load(Ordering::Relaxed) < load.in_flight_max && self.goes_on() {
                let key = self.shared.keys.any_live(&mut random);
                self.send(&mut *writer, &key);
                sent += 1;
            }
            writer.serve(Duration::from_millis(1));
        }
        writer
    }

    /// Waits for outcomes, or crashes.
    fn end(&self, mut writer: Box<dyn Writer>) {
        if self.shared.is_stopped() || self.retired.load(Ordering::Relaxed) {
            writer.flush(FLUSH_LIMIT);
        } else {
            let recorder = &self.shared.recorder;
            let invoke = recorder.invoke(self.id, &self.client, Function::Crash, Vec::new());
            drop(writer);
            recorder.end((self.id, Function::Crash, invoke), Kind::Ok, Vec::new(), None);
        }
    }

    fn send(self: &Arc<Self>, writer: &mut dyn Writer, key: &Key) {
        let value = self.shared.recorder.new_value();
        let name = key.to_string();
        let op = |offset| vec![MicroOp::Send { key: name.clone(), value, offset }];
        let invoke = self.shared.recorder.invoke(self.id, &self.client, Function::Send, op(None));
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let process = Arc::clone(self);
        let done = move |SendOutcome { kind, offset, error }| {
            let ops = vec![MicroOp::Send { key: name, value, offset }];
            process.shared.recorder.end((process.id, Function::Send, invoke), kind, ops, error);
            process.in_flight.fetch_sub(1, Ordering::Relaxed);
            if kind == Kind::Info {
                process.retired.store(true, Ordering::Relaxed);
            }
        };
        writer.send(key, Content::of(value), Box::new(done));
    }

    /// Polls as long as the process lives.
    fn consume(&self, mut reader: Box<dyn Reader>, mut random: Random) {
        let mut assigned = Vec::new();
        while self.goes_on() {
            if assigned.is_empty() || random.one_in(ASSIGN_ONE_IN) {
                assigned = self.assign(&mut *reader);
                if assigned.is_empty() {
                    std::thread::sleep(CONNECT_PAUSE);
                    continue;
                }
            }
            if !self.poll(&mut *reader) {
                assigned.clear();
            }
            if random.one_in(LATEST_ONE_IN) {
                let key = self.shared.keys.any_live(&mut random);
                latest(&self.shared.recorder, (self.id, &self.client), &mut *reader, &key);
            }
        }
    }

    /// The keys that live now, from a little before their ends; none if that failed.
    fn assign(&self, reader: &mut dyn Reader) -> Vec<Key> {
        let recorder = &self.shared.recorder;
        let live = self.shared.keys.live();
        let place = |key: &Key| {
            let known = recorder.highest(&key.to_string()).filter(|highest| *highest > LOOK_BACK);
            (key.clone(), known.map_or(Start::Earliest, |highest| Start::Offset(highest - LOOK_BACK)))
        };
        let places: Vec<_> = live.iter().map(place).collect();
        let invoke = recorder.invoke(self.id, &self.client, Function::Assign, Vec::new());
        let (kind, error, live) = match reader.assign(&places) {
            Ok(()) => (Kind::Ok, None, live),
            Err(error) => (Kind::Fail, Some(error), Vec::new()),
        };
        recorder.end((self.id, Function::Assign, invoke), kind, Vec::new(), error);
        live
    }

    /// False if the poll failed.
    fn poll(&self, reader: &mut dyn Reader) -> bool {
        poll(&self.shared.recorder, (self.id, &self.client), reader, POLL_WAIT).is_ok()
    }
}

/// Polls once and writes it down; gives the last offsets that came, by key.
pub(super) fn poll(
    recorder: &Recorder,
    (process, client): (u32, &str),
    reader: &mut dyn Reader,
    wait: Duration,
) -> Result<Vec<(Key, i64)>, String> {
    let invoke = recorder.invoke(process, client, Function::Poll, Vec::new());
    let what = (process, Function::Poll, invoke);
    match reader.poll(wait) {
        Ok(polled) => {
            let last = |of: &super::client::PolledKey| Some((of.key.clone(), of.records.last()?.offset));
            let ends = polled.iter().filter_map(last).collect();
            let marks: Vec<_> = polled.iter().filter_map(|of| Some((of.key.to_string(), of.high_watermark?))).collect();
            let records = polled.into_iter().map(|of| (of.key.to_string(), of.records)).collect();
            let mut ops = vec![MicroOp::Poll(records)];
            if !marks.is_empty() {
                ops.push(MicroOp::HighWatermark(marks));
            }
            recorder.end(what, Kind::Ok, ops, None);
            Ok(ends)
        }
        Err(error) => {
            recorder.end(what, Kind::Fail, Vec::new(), Some(error.clone()));
            Err(error)
        }
    }
}

/// Asks for LATEST and writes it down.
pub(super) fn latest(
    recorder: &Recorder,
    (process, client): (u32, &str),
    reader: &mut dyn Reader,
    key: &Key,
) -> Option<i64> {
    let ops = |told| vec![MicroOp::Latest(vec![(key.to_string(), told)])];
    let invoke = recorder.invoke(process, client, Function::Offsets, ops(None));
    let what = (process, Function::Offsets, invoke);
    match reader.latest(key) {
        Ok(told) => {
            recorder.end(what, Kind::Ok, ops(Some(told)), None);
            Some(told)
        }
        Err(error) => {
            recorder.end(what, Kind::Fail, ops(None), Some(error));
            None
        }
    }
}
