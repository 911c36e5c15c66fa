//! TCP proxies between brokers: what one sends to another can be cut, held, delayed and healed while they run. A front
//! stands for one listener of a broker, and its address is what others are told; who calls is found by process id.
//!
//! Conditions are per direction, from → to:
//! - *cut*: nothing arrives, nobody is told; connections that lived through it end when it heals, as if their peers' timers
//!   had run out meanwhile;
//! - *stalled*: the same, but connections go on when it heals;
//! - *delayed*: bytes arrive so much later, in order.
//!
//! Calls of those who are no broker (clients, the test) are the node [`OUTSIDE`].

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
};

use super::{call::Call, pump::join};

/// Everybody who is no broker.
pub const OUTSIDE: usize = usize::MAX;

/// How a direction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Condition {
    /// As if nothing stood between.
    #[default]
    Open,
    /// Nothing arrives; connections do not survive it.
    Cut,
    /// Nothing arrives until it heals.
    Stalled,
    /// All arrives so much later.
    Delayed(Duration),
}

impl Condition {
    pub(super) fn is_passing(self) -> bool {
        matches!(self, Self::Open | Self::Delayed(_))
    }
}

/// All directions, as connections watch them.
#[derive(Debug, Clone, Default)]
pub(super) struct Links {
    conditions: HashMap<(usize, usize), Condition>,
    /// How often each was cut so far.
    cuts: HashMap<(usize, usize), u64>,
    processes: HashMap<usize, u32>,
    /// Grows whenever a process becomes known.
    pub(super) processes_known: u64,
}

impl Links {
    pub(super) fn condition(&self, from: usize, to: usize) -> Condition {
        self.conditions.get(&(from, to)).copied().unwrap_or_default()
    }

    /// How often anything between two was cut.
    pub(super) fn cuts(&self, one: usize, other: usize) -> u64 {
        let of = |direction| self.cuts.get(&direction).copied().unwrap_or(0);
        of((one, other)) + of((other, one))
    }

    pub(super) fn processes(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        self.processes.iter().map(|(node, pid)| (*node, *pid))
    }
}

/// What proxies share.
#[derive(Debug)]
struct Shared {
    links: watch::Sender<Links>,
    carried: Arc<AtomicU64>,
    calls: AtomicU64,
}

/// All proxies of a cluster. Dropped, they end and their connections with them.
#[derive(Debug)]
pub struct Network {
    shared: Arc<Shared>,
    runtime: Runtime,
}

/// The address that stands for one listener of a broker.
#[derive(Debug, Clone)]
pub struct Front {
    address: SocketAddr,
    target: Arc<Mutex<Option<SocketAddr>>>,
}

impl Front {
    /// What others are to be told.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the broker really listens. Before that, calls are dropped; it may change with every start.
    pub fn set_target(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(target);
    }

    fn target(&self) -> Option<SocketAddr> {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Network {
    /// No proxy yet, all directions open.
    ///
    /// # Panics
    /// If the system gives no thread.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("rig-network")
            .enable_all()
            .build()
            .expect("a runtime");
        let (links, _) = watch::channel(Links::default());
        let shared = Shared { links, carried: Arc::default(), calls: AtomicU64::new(0) };
        Self { shared: Arc::new(shared), runtime }
    }

    /// A proxy in front of a broker's listener, on a free port.
    ///
    /// # Panics
    /// If no port is free.
    pub fn front(&self, node: usize) -> Front {
        let bound = self.runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = bound.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let front = Front { address, target: Arc::default() };
        self.runtime.spawn(accept(Arc::clone(&self.shared), listener, node, front.clone()));
        front
    }

    /// Calls of this process are from that broker; also those that it made already.
    pub fn set_process(&self, node: usize, pid: u32) {
        self.shared.links.send_modify(|links| {
            links.processes.insert(node, pid);
            links.processes_known += 1;
        });
    }

    /// Sets one direction.
    pub fn set(&self, from: usize, to: usize, condition: Condition) {
        self.shared.links.send_modify(|links| {
            links.conditions.insert((from, to), condition);
            if condition == Condition::Cut {
                *links.cuts.entry((from, to)).or_default() += 1;
            }
        });
    }

    /// Nothing between two brokers, either way.
    pub fn cut(&self, one: usize, other: usize) {
        self.set(one, other, Condition::Cut);
        self.set(other, one, Condition::Cut);
    }

    /// Nothing between a broker and these others, either way; clients still reach it.
    pub fn isolate(&self, node: usize, others: impl IntoIterator<Item = usize>) {
        others.into_iter().filter(|other| *other != node).for_each(|other| self.cut(node, other));
    }

    /// All directions are open again.
    pub fn heal(&self) {
        self.shared.links.send_modify(|links| links.conditions.clear());
    }

    /// Calls that were taken so far, also those that wait.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// Bytes that arrived so far, in all directions.
    pub fn carried_bytes(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }
}

async fn accept(shared: Arc<Shared>, listener: TcpListener, node: usize, front: Front) {
    loop {
        let Ok((caller, peer)) = listener.accept().await else { continue };
        let call = Call::new(peer, node, shared.links.subscribe(), Arc::clone(&shared.carried));
        shared.calls.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve(caller, call, front.clone()));
    }
}

/// A call goes through only if both directions do; one that comes while they do not waits, and ends when they heal.
async fn serve(caller: TcpStream, call: Call, front: Front) {
    if !call.may_connect().await {
        return;
    }
    let Some(target) = front.target() else { return };
    let Ok(callee) = TcpStream::connect(target).await else { return };
    join(caller, callee, &call).await;
}

#[cfg(test)]
mod tests;
