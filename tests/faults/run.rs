//! What every run does: load, faults by a plan, the final phase, the verdict.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use harness::{
    checker::{self, Report, Settings, Verdict},
    rig::{
        Cluster, Factory, Fault, Fleet, Librdkafka, LiveKeys, Load, Network, Own, Pace, Recorder, Schedule,
        WHOLE_WITHIN, Workload, compare_replicas, final_phase, run,
    },
};
use tidemark_client::{Client, ClientConfig, admin::NewTopic};

/// How long clients try to deliver a record, above any outage: most outcomes are known.
pub const PATIENT: Duration = Duration::from_secs(60);
/// Below many outages: outcomes are unknown, and processes are retired. Not for librdkafka, see there.
pub const IMPATIENT: Duration = Duration::from_millis(1_200);
const TOPICS: usize = 5;
const PARTITIONS: i32 = 2;
static ALONE: Mutex<()> = Mutex::new(());

/// One run at a time: each is held to a rate.
pub type Alone = MutexGuard<'static, ()>;

/// Waits for the runs before; to be had before a broker starts.
pub fn alone() -> Alone {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number that the environment may set.
pub fn number_from(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// A cluster with topics, clients and a history.
pub struct Run {
    pub cluster: Cluster,
    pub recorder: Arc<Recorder>,
    name: &'static str,
    seed: u64,
    keys: Arc<LiveKeys>,
    factories: Vec<Arc<dyn Factory>>,
    _alone: Alone,
}

impl Drop for Run {
    /// History and what brokers printed are kept where a test failed, or where that was asked for.
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("FAULTS_DIR").is_some() {
            return;
        }
        self.cluster.fleet.forget_output();
        let _ = std::fs::remove_file(self.recorder.path());
    }
}

/// Where a history is kept.
fn place(name: &str, seed: u64) -> PathBuf {
    let dir = std::env::var_os("FAULTS_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    dir.join(format!("tidemark-{name}-{seed}-{}.jsonl", std::process::id()))
}

/// Waits until all brokers have taken their places: one does a moment after its port answers.
async fn await_brokers(client: &Client, count: usize) {
    let end = std::time::Instant::now() + harness::wait::PATIENCE;
    loop {
        let there = client.admin().describe_cluster().await.map(|described| described.brokers.len());
        if there.as_ref().is_ok_and(|there| *there == count) {
            return;
        }
        assert!(std::time::Instant::now() < end, "of {count} brokers there are {there:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn create_topics(bootstrap: &[String], topics: &[String], replication_factor: i16) {
    let client = Client::connect(ClientConfig::new(bootstrap.iter().cloned())).await.expect("a client");
    await_brokers(&client, bootstrap.len()).await;
    let topics: Vec<_> = topics
        .iter()
        .map(|name| NewTopic::new(name).partitions(PARTITIONS).replication_factor(replication_factor))
        .collect();
    for (name, created) in client.admin().create_topics(&topics, false).await.expect("an answer") {
        created.unwrap_or_else(|error| panic!("topic {name}: {error}"));
    }
}

impl Run {
    /// Makes the topics on a running fleet, whose brokers have these ids. Our client tries to deliver a record for so long.
    pub fn prepare(
        name: &'static str,
        mut fleet: Fleet,
        network: Option<Network>,
        node_ids: Vec<i32>,
        delivery_timeout: Duration,
        alone: Alone,
    ) -> Self {
        let seed = number_from("FAULTS_SEED", 1);
        let topics: Vec<_> = (0..TOPICS).map(|n| format!("{name}-{n}")).collect();
        let bootstrap = fleet.bootstrap();
        let replication_factor = i16::try_from(fleet.len().min(3)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(create_topics(&bootstrap, &topics, replication_factor));
        let history = place(name, seed);
        fleet.keep_output(&history.with_extension("broker"));
        let recorder = Recorder::create(&history, Settings::default()).expect("a file for the history");
        let keys = Arc::new(LiveKeys::new(topics, PARTITIONS));
        let factories: Vec<Arc<dyn Factory>> =
            vec![Arc::new(Own::new(&bootstrap, delivery_timeout)), Arc::new(Librdkafka::new(&bootstrap, PATIENT))];
        let cluster = Cluster::new(fleet, network, node_ids, Arc::clone(&keys));
        Self { cluster, recorder: Arc::new(recorder), name, seed, keys, factories, _alone: alone }
    }

    /// Load of both kinds of client, until the workload is stopped. Returns when it is under way.
    pub fn load(&self) -> Workload {
        let load = Load {
            processes: 2,
            sends_per_s: 400,
            in_flight_max: 300,
            crash_every: Duration::from_secs(5),
            rotate_every: Duration::from_secs(3),
            seed: self.seed,
        };
        let workload = Workload::start(&self.recorder, &self.keys, &self.factories, load);
        self.await_acks(200);
        workload
    }

    /// Waits for so many acknowledgements more.
    pub fn await_acks(&self, count: u64) {
        let enough = self.recorder.acked() + count;
        let is_enough = || (self.recorder.acked() >= enough).then_some(());
        harness::eventually("records are acknowledged", harness::wait::PATIENCE, is_enough);
    }

    /// Follows a plan under load for so many seconds, if no others are asked for, with about so much calm before each fault;
    /// all is healed when it ends. Gives the number of faults that were done.
    pub fn faults(&mut self, mix: &[(Fault, u64)], seconds: u64, calm_ms: u64) -> usize {
        self.long_faults(mix, seconds, calm_ms, 1_500)
    }

    /// The same; each fault lasts up to so long, as far as its kind does.
    pub fn long_faults(&mut self, mix: &[(Fault, u64)], seconds: u64, calm_ms: u64, lasts_ms_max: u64) -> usize {
        let seconds = number_from("FAULTS_SECONDS", seconds);
        let pace = Pace { total_ms: seconds * 1000, calm_ms: (calm_ms / 2, calm_ms * 3 / 2), lasts_ms_max };
        let schedule = Schedule::draw(self.seed, pace, mix);
        println!("{}: FAULTS_SEED={} FAULTS_SECONDS={seconds}\n{schedule}", self.name, self.seed);
        let workload = self.load();
        let done = run(&schedule, &mut self.cluster, &self.recorder);
        workload.stop();
        done
    }

    /// The final phase, the replicas, and the verdict. No broker runs behind it.
    pub fn judge(&mut self, limit: Duration, expected: Verdict) -> Report {
        let keys = self.keys.all();
        if final_phase(&self.recorder, &self.factories, &keys, limit) {
            self.cluster.await_whole(WHOLE_WITHIN);
            println!("not in sync, says the metadata: {:?}", self.cluster.out_of_sync());
            let logs = compare_replicas(&mut self.cluster.fleet, &keys, &self.recorder);
            println!("{logs} logs compared");
        }
        self.recorder.flush().expect("the history's file");
        let path = self.recorder.path();
        let file = std::fs::File::open(path).expect("the history");
        let report = checker::check(std::io::BufReader::new(file));
        let report = report.unwrap_or_else(|bad| panic!("{}: {bad}", path.display()));
        println!("{}: {report}", path.display());
        assert_eq!(report.verdict, expected, "{}", path.display());
        report
    }
}
