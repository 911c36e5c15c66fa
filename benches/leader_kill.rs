//! How long does a key take no writes after its leader was killed, and while its leadership moves? What does it cost to notice?
//!
//! Gate: after a kill -9 of a leader under load every key is written again within 3 s (median) and 6 s (p99); a planned move
//! takes a key at most 300 ms. Three servers, replication factor 3, acks=all, librdkafka with its own settings for retries; each
//! round kills the leader of another partition. A window is the longest time without an acknowledgement, so the pause between two
//! records (20 ms) is in it. Idle, 100 partitions cost what is told of CPU: election times are paid for there.
#![allow(clippy::disallowed_methods, reason = "a bench reads the real clock and the real disk")]

mod floor;
mod rig;

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig as Settings, ClientContext, Message,
    producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer},
};
use rig::{Failure, Kind, Meter, Options, Series, Server, Unit};
use tidemark_client::{
    Client, ClientConfig,
    admin::{NewTopic, PartitionMove},
};

const LOADED: i32 = 30;
const IDLE: i32 = 70;
const TOPIC: &str = "loaded";
const RECORD_EVERY: Duration = Duration::from_millis(20);
/// How long a cluster may take to be whole, and a key to be written again.
const PATIENCE: Duration = Duration::from_secs(60);
/// Partitions whose leaders are moved, one after the other.
const MOVES: usize = 10;
const WINDOW: Unit = Unit { name: "ms, median (min–max)", digits: 0, ratio: false };
/// librdkafka connects to a broker that was dead when its own back-off is over, which grows to 10 s; until then a leadership that
/// moves there waits for the client, whatever the brokers do. So long is waited between two kills.
const RECONNECT: Duration = Duration::from_secs(11);
/// Behind the first acknowledgements, in case some are followed by another gap.
const CALM: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    rig::bench("leader_kill: the longest time without an ack after a kill -9 of a leader, and in a planned move", run)
}

fn run(options: &Options) -> Result<(), Failure> {
    Series::take(|series| {
        for kind in [Kind::Tidemark, Kind::Kafka] {
            if kind != Kind::Kafka || options.kafka {
                measure(options, kind, series)?;
            }
        }
        Ok(())
    })
}

/// When each partition was acknowledged, since an origin.
#[derive(Debug)]
struct Acks {
    origin: Instant,
    times: Mutex<HashMap<i32, Vec<Duration>>>,
    failed: AtomicBool,
}

impl Acks {
    fn between(&self, from: Duration) -> HashMap<i32, Vec<Duration>> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.iter().map(|(key, times)| (*key, times.iter().copied().filter(|time| *time >= from).collect())).collect()
    }
}

/// Longest time between two.
fn gap(times: &[Duration]) -> Duration {
    times.windows(2).map(|two| two[1].saturating_sub(two[0])).max().unwrap_or(PATIENCE)
}

#[derive(Debug, Clone)]
struct Context(Arc<Acks>);

impl ClientContext for Context {
    // that a killed broker is not there is no news
    fn log(&self, _: rdkafka::config::RDKafkaLogLevel, _: &str, _: &str) {}
    fn error(&self, _: rdkafka::error::KafkaError, _: &str) {}
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                let mut times = self.0.times.lock().unwrap_or_else(PoisonError::into_inner);
                times.entry(message.partition()).or_default().push(self.0.origin.elapsed());
            }
            Err(_) => self.0.failed.store(true, Ordering::Relaxed),
        }
    }
}

/// A cluster with a client that asks about it.
struct Stage {
    server: Server,
    client: Client,
    runtime: tokio::runtime::Runtime,
    acks: Arc<Acks>,
}

fn measure(options: &Options, kind: Kind, series: &mut Series) -> Result<(), Failure> {
    let server = Server::start_nodes(kind, 3, options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let client = runtime.block_on(Client::connect(ClientConfig::new(server.address().split(','))))?;
    let acks = Arc::new(Acks { origin: Instant::now(), times: Mutex::default(), failed: AtomicBool::new(false) });
    let mut stage = Stage { server, client, runtime, acks };
    stage.create(TOPIC, LOADED)?;
    stage.create("idle", IDLE)?;
    stage.await_whole()?;
    // what follows a start is not idleness
    thread::sleep(Duration::from_secs(if kind == Kind::Kafka { 20 } else { 3 }));
    stage.idle(options, series)?;
    let producer: ThreadedProducer<Context> = Settings::new()
        .set("bootstrap.servers", stage.server.address())
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .create_with_context(Context(Arc::clone(&stage.acks)))?;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writing = scope.spawn(|| write(&producer, &stop));
        let measured = stage.warm_up().and_then(|()| {
            (0..options.rounds.min(3)).try_for_each(|_| stage.planned(series))?;
            (0..options.rounds).try_for_each(|round| stage.kill(round, series))
        });
        stop.store(true, Ordering::Relaxed);
        writing.join().map_err(|_| "the writer panicked")??;
        measured
    })?;
    producer.flush(PATIENCE)?;
    let failed = stage.acks.failed.load(Ordering::Relaxed);
    if failed { Err(format!("{}: a record was not acknowledged", kind.name()).into()) } else { Ok(()) }
}

/// A record to each partition in turn, evenly.
fn write(producer: &ThreadedProducer<Context>, stop: &AtomicBool) -> Result<(), Failure> {
    let (began, mut sent) = (Instant::now(), 0_u32);
    while !stop.load(Ordering::Relaxed) {
        let due = began + RECORD_EVERY * sent / LOADED as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let partition = (sent % LOADED as u32) as i32;
        let record = BaseRecord::<(), [u8]>::to(TOPIC).payload(&[7; 100]).partition(partition);
        // a queue that is full is part of what a client sees
        let _ = producer.send(record);
        sent += 1;
    }
    Ok(())
}

impl Stage {
    fn create(&self, name: &str, partitions: i32) -> Result<(), Failure> {
        let topic = NewTopic::new(name).partitions(partitions).replication_factor(3);
        // brokers take their places a moment after their ports opened
        let end = Instant::now() + PATIENCE;
        loop {
            let made = self.runtime.block_on(self.client.admin().create_topics(std::slice::from_ref(&topic), false));
            match made?.pop() {
                Some((_, Ok(_))) => return Ok(()),
                Some((_, Err(error))) if Instant::now() >= end => return Err(error.into()),
                _ => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Leaders of the loaded partitions, once all replicas of all topics are in sync.
    fn await_whole(&self) -> Result<Vec<i32>, Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let topics = self.runtime.block_on(self.client.admin().describe_topics(&[TOPIC, "idle"]));
            let topics: Vec<_> = topics.into_iter().flatten().filter_map(|(_, topic)| topic.ok()).collect();
            let mut partitions = topics.iter().flat_map(|topic| &topic.partitions);
            let whole = topics.len() == 2 && partitions.all(|at| at.leader.is_some() && at.isr.len() == 3);
            if whole && let Some(topic) = topics.iter().find(|topic| topic.name == TOPIC) {
                return Ok(topic.partitions.iter().filter_map(|at| at.leader).collect());
            }
            if Instant::now() > end {
                return Err(format!("{}: not all replicas are in sync", self.server.kind.name()).into());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn idle(&self, options: &Options, series: &mut Series) -> Result<(), Failure> {
        for _ in 0..options.rounds.min(3) {
            let meter = Meter::start(&self.server)?;
            thread::sleep(Duration::from_secs(options.seconds));
            let used = meter.used()?;
            let share = used.server_s * 100.0 / used.wall_s / self.server.nodes() as f64;
            let unit = Unit { name: "CPU % of a core, each broker", digits: 2, ratio: false };
            series.add("idle, 100 partitions of 3 replicas", None, self.server.kind, unit, share);
        }
        Ok(())
    }

    /// Until every key has been acknowledged since a moment, and a little longer.
    fn await_acks(&self, since: Duration) -> Result<HashMap<i32, Vec<Duration>>, Failure> {
        let end = Instant::now() + PATIENCE;
        loop {
            let acks = self.acks.between(since);
            if acks.values().filter(|times| !times.is_empty()).count() == LOADED as usize {
                thread::sleep(CALM);
                return Ok(self.acks.between(since));
            }
            if Instant::now() > end {
                return Err(format!("{}: a key is not written again", self.server.kind.name()).into());
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn warm_up(&self) -> Result<(), Failure> {
        self.await_acks(self.acks.origin.elapsed()).map(drop)
    }

    /// Kills the leader of a partition; how long each key, and all of them, took no writes.
    fn kill(&mut self, round: usize, series: &mut Series) -> Result<(), Failure> {
        let leaders = self.await_whole()?;
        let leader = leaders[round % leaders.len()];
        let place = usize::try_from(leader)? - 1;
        let struck = self.acks.origin.elapsed();
        self.server.kill_node(place)?;
        // an acknowledgement may be on its way
        self.await_acks(struck + Duration::from_millis(200))?;
        let acks = self.acks.between(struck.saturating_sub(Duration::from_secs(1)));
        let mut any: Vec<_> = acks.values().flatten().copied().collect();
        any.sort_unstable();
        let worst = acks.values().map(|times| gap(times)).max().unwrap_or(PATIENCE);
        let mut add = |name, window: Duration| {
            series.add(name, None, self.server.kind, WINDOW, window.as_secs_f64() * 1e3);
        };
        add("leader killed: the worst key", worst);
        let mut led: Vec<_> =
            (0..).zip(&leaders).filter(|(_, by)| **by == leader).map(|(key, _)| gap(&acks[&key])).collect();
        led.sort_unstable();
        add("leader killed: the middle one of its keys", led[led.len() / 2]);
        add("leader killed: any key", gap(&any));
        self.server.launch_node(place)?;
        self.await_whole()?;
        thread::sleep(RECONNECT);
        Ok(())
    }

    /// Lets another replica lead some partitions, one after the other; how long each took no writes.
    fn planned(&self, series: &mut Series) -> Result<(), Failure> {
        let topic = self.runtime.block_on(self.client.topic(TOPIC))?;
        let admin = self.client.admin();
        for at in topic.partitions.iter().take(MOVES) {
            let mut brokers = at.replicas.clone();
            brokers.rotate_left(1);
            let next = PartitionMove { topic: TOPIC.to_owned(), partition: at.partition, brokers: Some(brokers) };
            let began = self.runtime.block_on(admin.alter_partition_reassignments(&[next]))?;
            began.into_iter().try_for_each(|(.., begun)| begun)?;
        }
        let end = Instant::now() + PATIENCE;
        while !self.runtime.block_on(admin.list_partition_reassignments())?.is_empty() {
            if Instant::now() > end {
                return Err("the order of replicas does not change".into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.await_whole()?;
        thread::sleep(CALM);
        let began = self.acks.origin.elapsed();
        for at in topic.partitions.iter().take(MOVES) {
            let elected = self.runtime.block_on(admin.elect_leaders(Some(&[(TOPIC, at.partition)])))?;
            elected.into_iter().try_for_each(|(.., elected)| elected)?;
        }
        self.await_acks(self.acks.origin.elapsed())?;
        let acks = self.acks.between(began.saturating_sub(Duration::from_millis(500)));
        for at in topic.partitions.iter().take(MOVES) {
            let window = acks.get(&at.partition).map_or(PATIENCE, |times| gap(times));
            series.add("leader moved as planned", None, self.server.kind, WINDOW, window.as_secs_f64() * 1e3);
        }
        Ok(())
    }
}
