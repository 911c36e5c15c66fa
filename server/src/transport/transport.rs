//! The room's door: brokers by address, calls to them, and the port for theirs.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use uuid::Uuid;

use super::{
    admission::Admissions,
    calling,
    config::TransportConfig,
    dial::{Dialer, TcpDialer},
    error::CallError,
    identity::{Identity, Lane},
    line::{Line, Queued},
    listener::{Port, accept_loop},
    metrics::TransportMetrics,
    serving::Service,
    shared::{IdTaken, Losses, Shared},
};
use crate::{
    metrics::Registry,
    os::{network::Listener, random::Random},
    tasks::{self, TaskKind},
};

/// What comes from outside so that a test can own it.
#[derive(Debug, Clone)]
pub struct Seams {
    /// Of the process's mark and of the jitter between attempts.
    pub random: Random,
    /// Makes connections.
    pub dialer: Arc<dyn Dialer>,
}

impl Default for Seams {
    fn default() -> Self {
        Self { random: Random::os(), dialer: Arc::new(TcpDialer) }
    }
}

/// The connections between this broker and all others.
#[derive(Debug)]
pub struct Transport {
    pub(super) shared: Arc<Shared>,
    admissions: Arc<Admissions>,
    peers: RwLock<Peers>,
}

#[derive(Debug, Default)]
struct Peers {
    lines: HashMap<i32, [Arc<Line>; Lane::ALL.len()]>,
    closed: bool,
}

impl Transport {
    /// Without connections yet.
    pub fn new(identity: Identity, config: TransportConfig, seams: Seams, registry: &Registry) -> Arc<Self> {
        let metrics = TransportMetrics::new(registry);
        let shared = Arc::new(Shared::new(identity, config, (seams.random, seams.dialer), metrics));
        Arc::new(Self { shared, admissions: Arc::default(), peers: RwLock::default() })
    }

    /// Serves calls that other brokers make, until `shutdown` turns true (or its sender is gone); calls that are being served
    /// then are dropped. The task ends when its connections have.
    pub fn serve(
        &self,
        listener: Listener,
        service: Arc<dyn Service>,
        shutdown: watch::Receiver<bool>,
    ) -> JoinHandle<()> {
        let (shared, admissions) = (self.shared.clone(), self.admissions.clone());
        tasks::spawn(TaskKind::Listener, accept_loop(Port { shared, admissions, service, shutdown }, listener))
    }

    /// Says where a broker is. If it was elsewhere before, what is under way there fails.
    pub fn set_peer(&self, broker_id: i32, host: &str, port: u16) {
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let known = peers.lines.get(&broker_id).is_some_and(|[line, _]| line.host == host && line.port == port);
        if known || peers.closed || broker_id == self.shared.identity.broker_id {
            return;
        }
        let lines =
            Lane::ALL.map(|lane| Arc::new(Line::new(self.shared.clone(), broker_id, lane, host.to_owned(), port)));
        let former = peers.lines.insert(broker_id, lines);
        drop(peers);
        end(former.iter().flatten(), &CallError::NoAddress(broker_id));
    }

    /// This broker, which belonged to none, belongs to a cluster now: connections are made anew, and then all that the others
    /// serve may be called.
    pub fn join_cluster(&self, cluster_id: &str) {
        self.shared.join(cluster_id);
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let former: Vec<[Arc<Line>; Lane::ALL.len()]> = peers.lines.values().cloned().collect();
        for lines in peers.lines.values_mut() {
            let [line, _] = lines.clone();
            let (host, port) = (line.host.clone(), line.port);
            *lines = Lane::ALL.map(|lane| Arc::new(Line::new(self.shared.clone(), line.to, lane, host.clone(), port)));
        }
        drop(peers);
        end(former.iter().flatten(), &CallError::Stopped);
    }

    /// Makes no calls to a broker any more; what is under way fails.
    pub fn forget_peer(&self, broker_id: i32) {
        let former = self.peers.write().unwrap_or_else(PoisonError::into_inner).lines.remove(&broker_id);
        end(former.iter().flatten(), &CallError::NoAddress(broker_id));
    }

    /// From now on a data directory of a broker is not listened to and not called, whatever runs on it: it was replaced.
    pub fn retire(&self, broker_id: i32, incarnation: Uuid) {
        self.shared.retire(broker_id, incarnation);
        self.admissions.expel(broker_id, incarnation);
    }

    /// Calls a broker. The call takes its place behind earlier ones on its lane now, not when the future is first polled; if the
    /// future is dropped before the call is sent, it is not sent.
    ///
    /// # Errors
    /// [`CallError::may_have_arrived`] says of each whether the call may have been carried out.
    pub fn call(
        &self,
        to: i32,
        lane: Lane,
        kind: u8,
        body: Vec<Bytes>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Bytes, CallError>> + Send + 'static + use<> {
        let deadline = Instant::now() + timeout;
        let queued = self.queue(to, lane, kind, body);
        let shared = self.shared.clone();
        async move {
            let answered = queued.inspect_err(|error| shared.metrics.failed(error.reason()))?;
            match timeout_at(deadline, answered).await {
                Ok(Ok(result)) => result,
                // only where the runtime ends, or the connection's task has panicked
                Ok(Err(_)) => Err(CallError::Cut { broker_id: to, why: "its task ended".to_owned() }),
                Err(_) => {
                    shared.metrics.failed(CallError::Timeout.reason());
                    Err(CallError::Timeout)
                }
            }
        }
    }

    fn queue(
        &self,
        to: i32,
        lane: Lane,
        kind: u8,
        body: Vec<Bytes>,
    ) -> Result<oneshot::Receiver<Result<Bytes, CallError>>, CallError> {
        self.shared.metrics.calls.increment();
        let (len, max) = (body.iter().map(Bytes::len).sum(), self.shared.config.frame_bytes_max);
        if len > max {
            return Err(CallError::TooLarge { len, max });
        }
        let peers = self.peers.read().unwrap_or_else(PoisonError::into_inner);
        let lines = peers.lines.get(&to);
        let stopped = if peers.closed { CallError::Stopped } else { CallError::NoAddress(to) };
        let line = lines.and_then(|lines| lines.iter().find(|line| line.lane == lane)).ok_or(stopped)?;
        let (answered, receiver) = oneshot::channel();
        if line.push(Queued { kind, body, answered })? {
            tasks::spawn(TaskKind::Peer, calling::run(line.clone()));
        }
        Ok(receiver)
    }

    /// Turns `Some` once another broker has refused us because another live process runs with our id: this one must end.
    pub fn id_taken(&self) -> watch::Receiver<Option<IdTaken>> {
        self.shared.id_taken.subscribe()
    }

    /// Changes with each connection that breaks: a broker whose connections do is gone, most likely.
    pub fn losses(&self) -> watch::Receiver<Losses> {
        self.shared.losses.subscribe()
    }

    /// Makes no calls any more; what is under way fails.
    pub fn close(&self) {
        let lines = {
            let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
            peers.closed = true;
            std::mem::take(&mut peers.lines)
        };
        end(lines.values().flatten(), &CallError::Stopped);
    }
}

fn end<'a>(lines: impl Iterator<Item = &'a Arc<Line>>, error: &CallError) {
    for line in lines {
        line.end(error);
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.close();
    }
}
