//! This broker's way into its cluster, from an open port to a registered broker; and out of it. Not here: what the loops do.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use uuid::Uuid;

use super::{
    desk::{Desk, Rooms},
    gather::{Came, belong, introduce, strayed},
    join::{Asking, Joining},
    links::Links,
    member::Member,
    metadata::Metadata,
    reconcile::reconcile,
    succession::succeed,
};
use crate::{
    api::Broker as Services,
    config::ClusterConfig,
    controller::{Controller, ImageListener, Registration},
    metadata::{Broker, Endpoint, Image},
    metrics::Registry,
    node::StartError,
    os::{network::Listener, random::Random},
    partition::Partitions,
    raft::{GroupTiming, Groups, NodeId, ReplicaKind, Storage, StorageError},
    tasks::{self, TaskKind},
    transport::{Identity, Seams, Transport, TransportConfig},
};

/// How long others get to take over. A message that waits for an answer may hold up the goodbye itself.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(8);

/// A broker that knows which cluster it belongs to.
#[derive(Debug)]
pub(in crate::node) struct Cluster {
    config: ClusterConfig,
    pub links: Links,
    desk: Arc<Desk>,
    came: Came,
    /// Of the metadata's replica here.
    node: NodeId,
    voters: Vec<NodeId>,
    raft: Endpoint,
    /// Set once this broker wants to stop.
    leaving: watch::Sender<bool>,
    /// Set once it may.
    stopped: watch::Sender<bool>,
}

impl Cluster {
    /// Opens the port for other brokers and waits until it is known which cluster this is.
    ///
    /// # Errors
    /// The brokers do not fit together, or the disk's.
    pub async fn gather(
        storage: &Arc<Storage>,
        config: &ClusterConfig,
        listener: Listener,
        (random, registry): (&Random, &Registry),
        stop: watch::Receiver<bool>,
    ) -> Result<Self, StartError> {
        let properties = storage.properties();
        let broker_id = properties.node_id;
        let bound = listener.local_addr().unwrap_or(config.raft_listener);
        let (host, port) = config.raft_advertised.clone().unwrap_or((bound.ip().to_string(), bound.port()));
        let raft = Endpoint { host, port };
        // a lone broker's cluster has no other broker that could know it
        let cluster_id = if properties.quorum.is_empty() { String::new() } else { properties.cluster_name() };
        let incarnation = properties.directory_uuid()?;
        let identity = Identity { cluster_id, broker_id, incarnation };
        let seams = Seams { random: random.clone(), ..Seams::default() };
        let transport = Transport::new(identity, TransportConfig::default(), seams, registry);
        let desk = Desk::new(storage.clone(), config.clone());
        let _serving = transport.serve(listener, desk.clone(), stop);
        introduce(&transport, config);
        let came = tokio::select! {
            came = belong(&transport, storage, config, random) => came?,
            said_by = taken(&transport) => return Err(StartError::IdTaken { broker_id, said_by }),
        };
        let properties = storage.properties();
        transport.join_cluster(&properties.cluster_name());
        let links = Links { transport, desk: Arc::downgrade(&desk), broker_id };
        let (node, voters) = (NodeId::new(broker_id, properties.incarnation), properties.quorum.iter());
        let voters = voters.map(|(id, _)| NodeId::new(*id, 0)).collect();
        let (config, leaving, stopped) = (config.clone(), watch::Sender::new(false), watch::Sender::new(false));
        Ok(Self { config, links, desk, came, node, voters, raft, leaving, stopped })
    }

    /// What the metadata's replica is, where it has to be made.
    pub fn metadata_replica(&self) -> ReplicaKind<'_> {
        match self.came {
            Came::Back => ReplicaKind::Voter { node: self.node, voters: &self.voters },
            Came::Anew => ReplicaKind::Learner { node: self.node },
        }
    }

    /// Takes part: runs the metadata's group, registers, and makes here what the metadata says.
    ///
    /// # Errors
    /// The metadata's log cannot be read, or the disk's.
    pub async fn enter(
        &self,
        storage: &Storage,
        rooms: (&Arc<Partitions>, &Arc<Controller>, &Arc<Follower>),
        registration: Registration,
        stop: watch::Receiver<bool>,
    ) -> Result<(), StartError> {
        let (partitions, controller, follower) = rooms;
        let groups = Groups::new(Arc::new(self.links.clone()), GroupTiming::default())?;
        partitions.join_groups(groups.clone());
        let links = self.links.clone();
        let rooms =
            Rooms { groups: groups.clone(), controller: controller.clone(), partitions: partitions.clone(), links };
        self.desk.open(rooms);
        until_stopped(TaskKind::Succession, stop.clone(), succeed(self.links.transport.clone(), groups));
        partitions.start_metadata_group(self.node).await?;
        // brokers that no list of voters names
        for known in controller.image().brokers().filter(|known| !self.config.names(known.id)) {
            self.links.set_peer(known);
        }
        let (voters, learners) = partitions.metadata_log().members();
        let known = voters.contains(&self.node) || learners.contains(&self.node);
        let mut asking = Asking {
            links: &self.links,
            config: &self.config,
            joining: Joining { node: self.node, was_in: known, raft: self.raft.clone() },
            others: voters.iter().map(|voter| voter.broker()).collect(),
            replaced: false,
        };
        tokio::select! {
            () = asking.join(), if !known => {}
            strayed = strayed(&self.links.transport, storage, &self.config), if !known => return Err(strayed),
            else => {}
        }
        if known {
            asking.come_back().await?;
        }
        let metadata = Metadata { partitions: partitions.clone(), controller: controller.clone() };
        until_stopped(TaskKind::Metadata, stop.clone(), metadata.run());
        let incarnation = registration.incarnation;
        let member = Member {
            links: self.links.clone(),
            partitions: partitions.clone(),
            controller: controller.clone(),
            registration,
            stop: self.leaving.subscribe(),
            stopped: self.stopped.clone(),
        };
        tasks::spawn(TaskKind::Membership, member.run());
        tokio::select! {
            () = self.registered(controller, incarnation) => {}
            replaced = asking.stay_known() => return Err(replaced),
            strayed = strayed(&self.links.transport, storage, &self.config) => return Err(strayed),
        }
        follower.start(controller)?;
        until_stopped(TaskKind::Groups, stop.clone(), partitions.clone().run_groups());
        let image = controller.image_handle().clone();
        until_stopped(TaskKind::Reconcile, stop, reconcile(partitions.clone(), image));
        Ok(())
    }

    /// Waits until the image knows this process: then it holds all that was decided before.
    async fn registered(&self, controller: &Controller, incarnation: Uuid) {
        let mut followed = controller.image_handle().follow();
        let known =
            |image: &Image| image.broker(self.links.broker_id).is_some_and(|own| own.incarnation == incarnation);
        while !known(&controller.image()) {
            if followed.changed().await.is_err() {
                return;
            }
        }
    }

    /// From now on requests of clients that come to other brokers are answered.
    pub fn take_forwarded(&self, broker: &Arc<Services>) {
        self.desk.take_forwarded(broker.clone());
    }

    /// The address for other brokers.
    pub fn raft_endpoint(&self) -> Endpoint {
        self.raft.clone()
    }

    /// Resolves once another process turns out to have this broker's id, with the broker that says so.
    pub async fn id_taken(&self) -> i32 {
        taken(&self.links.transport).await
    }

    /// Waits, for a while, until others lead what this broker leads.
    pub async fn hand_over(&self) {
        self.leaving.send_replace(true);
        let mut stopped = self.stopped.subscribe();
        if tokio::time::timeout(HAND_OVER_WITHIN, stopped.wait_for(|stopped| *stopped)).await.is_err() {
            tracing::warn!("nobody takes over what this broker leads: stopping all the same");
        }
    }

    /// Ends all groups and calls.
    pub async fn leave(&self, partitions: &Partitions) {
        partitions.stop_groups().await;
        self.links.transport.close();
    }
}

async fn taken(transport: &Transport) -> i32 {
    let mut taken = transport.id_taken();
    match taken.wait_for(Option::is_some).await {
        Ok(taken) => taken.map_or(-1, |taken| taken.said_by),
        Err(_) => std::future::pending().await,
    }
}

fn until_stopped(kind: TaskKind, mut stop: watch::Receiver<bool>, work: impl Future<Output = ()> + Send + 'static) {
    tasks::spawn(kind, async move {
        tokio::select! {
            () = work => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
}

/// Partitions, and the addresses of brokers, follow the image.
#[derive(Debug)]
pub(in crate::node) struct Follower {
    partitions: Arc<Partitions>,
    links: Option<Links>,
    /// Before the start the image is not followed: what it says of this broker may be of a directory that is gone.
    started: Mutex<bool>,
}

impl Follower {
    pub fn new(partitions: Arc<Partitions>, links: Option<Links>) -> Self {
        Self { partitions, links, started: Mutex::new(false) }
    }

    /// Begins to follow.
    ///
    /// # Errors
    /// The disk's.
    pub fn start(&self, controller: &Controller) -> Result<(), StorageError> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        self.partitions.start(&controller.image())?;
        *started = true;
        Ok(())
    }
}

impl ImageListener for Arc<Follower> {
    fn image_changed(&self, old: &Image, new: &Image) {
        if let Some(links) = &self.links {
            // one that was there already may be elsewhere by now, as a newer list of voters says
            let is_news = |broker: &&Broker| old.broker(broker.id).is_none_or(|known| known.raft != broker.raft);
            new.brokers().filter(is_news).for_each(|broker| links.set_peer(broker));
        }
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if *started {
            self.partitions.apply(old, new);
        }
    }
}
