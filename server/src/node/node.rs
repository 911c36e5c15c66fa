//! One broker: built, serving, and stopped.

use std::{future::Future, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

use super::{
    cluster::{Cluster, Follower, be_alone, end_groups, lead_metadata},
    error::{RunError, StartError},
    metadata_log::{self, PartitionLog},
};
use crate::{
    api::{Broker, Dispatcher, FetchSessions, Forward},
    config::{ClusterConfig, Config},
    controller::{Controller, ImageHandle, Registration},
    metadata::Endpoint,
    metrics::{Gauge, Registry},
    net::Net,
    os::{clock::Clock, descriptors, disk::SharedDisk, network::Listener, random::Random},
    partition::{self, Partitions},
    raft::{ReplicaKind, Storage},
    tasks::{self, TaskKind},
};

/// A broker that is ready: its log is recovered and its listeners serve.
#[derive(Debug)]
pub struct Node {
    storage: Arc<Storage>,
    partitions: Arc<Partitions>,
    registry: Registry,
    stop: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    cluster: Option<Cluster>,
}

/// A port for other brokers that was opened already.
pub type RaftListener = Option<Listener>;

impl Node {
    /// Recovers the data directory and serves the listeners; in a cluster, once this broker has taken its place in it. Blocks on
    /// the disk meanwhile.
    ///
    /// # Errors
    /// The data directory cannot be used, or the brokers do not fit together.
    pub async fn start(
        disk: SharedDisk,
        config: &Config,
        listeners: Vec<Listener>,
        raft: RaftListener,
    ) -> Result<Self, StartError> {
        descriptors::raise_limit();
        let (clock, random, registry) = (Clock::system(), Random::os(), Registry::new());
        let storage = Storage::open(disk, &config.storage, &random)?;
        let stop = watch::Sender::new(false);
        let voters = config.cluster.as_ref().filter(|cluster| !cluster.voters.is_empty());
        let cluster = match (voters, raft) {
            (Some(config), Some(listener)) => {
                renew_metadata(&storage, config, &random)?;
                let seams = (&random, &registry);
                Some(Cluster::gather(&storage, config, listener, seams, stop.subscribe()).await?)
            }
            _ => None,
        };
        let metadata = cluster.as_ref().map_or(ReplicaKind::Solo, Cluster::metadata_replica);
        let partitions =
            Arc::new(Partitions::new(config.partitions.clone(), storage.clone(), clock.clone(), metadata)?);
        let (metadata_log, node_id) = (partitions.metadata_log().clone(), config.controller.node_id);
        if cluster.is_none() {
            lead_metadata(&storage, &partitions).await?;
        }
        let (image, applied) = metadata_log::replay(&metadata_log)?;
        if cluster.is_none() {
            be_alone(&storage, &partitions, &image, &random).await?;
        }
        let links = cluster.as_ref().map(|cluster| cluster.links.clone());
        let follower = Arc::new(Follower::new(partitions.clone(), links.clone()));
        let log = PartitionLog { partition: metadata_log, clock: clock.clone(), node_id };
        let handle = ImageHandle::new(image, applied);
        let (config_of_controller, log) = (config.controller.clone(), Box::new(log));
        let controller = Controller::new(config_of_controller, handle, random.clone(), log, Box::new(follower.clone()));
        let controller = Arc::new(match links.clone() {
            Some(links) => controller.in_cluster(Box::new(links)),
            None => controller,
        });
        let (host, port) = advertised(config, &listeners);
        let rooms = (&partitions, &controller, &follower);
        take_place(cluster.as_ref(), config, &storage, rooms, (&host, port), (&random, stop.subscribe())).await?;
        let broker = Arc::new(Broker {
            node_id,
            partitions: partitions.clone(),
            controller,
            forward: links.map(|links| Arc::new(links) as Arc<dyn Forward>),
            fetch_sessions: FetchSessions::new(random.clone()),
            clock,
            config: config.api.clone(),
        });
        if let Some(cluster) = &cluster {
            cluster.take_forwarded(&broker);
        }
        let net = Net::new(config.net.clone(), Dispatcher::new(broker, &registry), &registry);
        let serve = |listener| net.serve(listener, &host, port, stop.subscribe());
        let listeners = listening(listeners)?.into_iter().map(serve).collect();
        let node = Self { storage, partitions, registry, stop, listeners, cluster };
        node.start_tasks();
        Ok(node)
    }

    fn start_tasks(&self) {
        let mut stopped = self.stop.subscribe();
        let retention = self.partitions.clone().run_retention();
        tasks::spawn(TaskKind::Retention, async move {
            tokio::select! {
                () = retention => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
    }

    /// Every metric of this broker.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Prometheus text, with the gauges that are only looked at when asked.
    pub fn metrics_page(&self) -> impl Fn() -> String + Send + Sync + 'static {
        let (registry, partitions, storage) = (self.registry.clone(), self.partitions.clone(), self.storage.clone());
        let gauge = |name, help| -> Gauge { registry.gauge(name, help, &[]) };
        let count = gauge("tidemark_partitions", "partitions on this broker");
        let bytes = gauge("tidemark_log_bytes", "bytes of all segments");
        let usable = gauge("tidemark_disk_usable_bytes", "bytes that the disk of the data still takes");
        let syncs = registry.counter("tidemark_journal_syncs_total", "syncs of the journal", &[]);
        let scrubbed =
            registry.counter("tidemark_scrubbed_bytes_total", "bytes read in search of rot in sealed segments", &[]);
        let damaged = gauge("tidemark_log_damages", "offset ranges and whole logs that are damaged and refused");
        let down = gauge(
            "tidemark_replicas_down",
            "replicas that take part in nothing: their group ended here, or their log is damaged",
        );
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        registry.gauge("tidemark_build_info", "1; the label says what runs", &version).set(1);
        move || {
            let dir = partitions.log_dir();
            let sizes = dir.partitions.iter().map(|partition| partition.size_bytes).sum::<u64>();
            count.set(dir.partitions.len() as i64);
            down.set(dir.partitions.iter().filter(|partition| partition.is_down).count() as i64);
            bytes.set(i64::try_from(sizes).unwrap_or(i64::MAX));
            usable.set(dir.usable_bytes);
            syncs.raise_to(storage.journal_syncs());
            scrubbed.raise_to(storage.scrubbed_bytes());
            damaged.set(i64::try_from(storage.damage_count()).unwrap_or(i64::MAX));
            registry.render()
        }
    }

    /// Serves until `shutdown` resolves, then stops cleanly: answers on their way leave, a last checkpoint is written.
    ///
    /// # Errors
    /// The disk failed: nothing more was acknowledged from that moment on.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let id_taken = async {
            match &self.cluster {
                Some(cluster) => cluster.id_taken().await,
                None => std::future::pending().await,
            }
        };
        let failed = tokio::select! {
            () = shutdown => None,
            reason = self.storage.failed() => Some(RunError::Disk(reason)),
            said_by = id_taken => Some(RunError::IdTaken { broker_id: self.storage.properties().node_id, said_by }),
        };
        if let (None, Some(cluster)) = (&failed, &self.cluster) {
            cluster.hand_over().await;
        }
        self.stop.send_replace(true);
        if let Some(failed) = failed {
            return Err(failed);
        }
        for listener in self.listeners {
            // a panic there has ended the process already
            let _ = listener.await;
        }
        if let Some(cluster) = &self.cluster {
            cluster.leave(&self.partitions).await;
        }
        Ok(self.storage.close()?)
    }
}

/// Clients are taken from now on.
fn listening(listeners: Vec<Listener>) -> Result<Vec<Listener>, StartError> {
    listeners.into_iter().map(|listener| listener.listen().map_err(StartError::Listen)).collect()
}

/// Takes this broker's place among others, or alone; it is registered when this returns.
async fn take_place(
    cluster: Option<&Cluster>,
    config: &Config,
    storage: &Storage,
    rooms: (&Arc<Partitions>, &Arc<Controller>, &Arc<Follower>),
    (host, port): (&str, u16),
    (random, stop): (&Random, watch::Receiver<bool>),
) -> Result<(), StartError> {
    let (partitions, controller, follower) = rooms;
    let cluster_id = storage.properties().cluster_id.clone();
    let Some(cluster) = cluster else {
        follower.start(controller)?;
        end_groups(partitions, stop)?;
        return Ok(controller.register_broker(&cluster_id, host, port, config.rack.as_deref()).await?);
    };
    let broker_id = config.controller.node_id;
    let registration = Registration {
        broker_id,
        incarnation: random.uuid(),
        directory_id: storage.properties().directory_uuid()?,
        cluster_id,
        client: Endpoint { host: host.to_owned(), port },
        raft: cluster.raft_endpoint(),
        rack: config.rack.clone(),
    };
    tokio::select! {
        entered = cluster.enter(storage, rooms, registration, stop) => entered,
        said_by = cluster.id_taken() => Err(StartError::IdTaken { broker_id, said_by }),
    }
}

/// Damaged metadata is filled anew, if there is another voter that could.
fn renew_metadata(storage: &Storage, config: &ClusterConfig, random: &Random) -> Result<(), StartError> {
    let own = storage.properties().node_id;
    match config.voters.iter().any(|voter| voter.id != own) {
        true => Ok(partition::renew_metadata(storage, random)?),
        false => Ok(()),
    }
}

/// What clients are told: as configured, else the first port.
fn advertised(config: &Config, listeners: &[Listener]) -> (String, u16) {
    if let Some((host, port)) = &config.advertised {
        return (host.clone(), *port);
    }
    let bound = listeners.iter().find_map(Listener::local_addr).unwrap_or(config.kafka_listener);
    (bound.ip().to_string(), bound.port())
}
