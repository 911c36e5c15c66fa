//! One connection through a front: who is at its ends, and what that means for its bytes at the moment.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::sync::watch;

use super::{
    connection_owner::owner,
    network::{Condition, Links, OUTSIDE},
};

/// How often the caller is looked for when a connection begins.
const ATTEMPTS: usize = 3;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From who called.
    There,
    /// To who called.
    Back,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Call {
    peer: SocketAddr,
    /// Who called; a broker may call before anybody knows its process, so it is asked for again.
    from: AtomicUsize,
    /// What was known when it was last asked for.
    asked: AtomicU64,
    to: usize,
    links: watch::Receiver<Links>,
    /// How often its link had been cut when it began.
    cuts: u64,
    carried: Arc<AtomicU64>,
}

impl Call {
    pub(super) fn new(peer: SocketAddr, to: usize, mut links: watch::Receiver<Links>, carried: Arc<AtomicU64>) -> Self {
        let known = links.borrow_and_update().clone();
        // the kernel's table is not read in one piece: an entry may be missed once
        let found = (0..ATTEMPTS).find_map(|_| owner(peer, known.processes()));
        let from = found.unwrap_or(OUTSIDE);
        let asked = AtomicU64::new(known.processes_known);
        Self { peer, from: AtomicUsize::new(from), asked, to, links, cuts: known.cuts(from, to), carried }
    }

    pub(super) fn links(&self) -> watch::Receiver<Links> {
        self.links.clone()
    }

    /// Who called, as far as is known.
    fn from(&self, links: &Links) -> usize {
        let from = self.from.load(Ordering::Relaxed);
        let asked = self.asked.swap(links.processes_known, Ordering::Relaxed);
        if from != OUTSIDE || asked == links.processes_known {
            return from;
        }
        let found = owner(self.peer, links.processes()).unwrap_or(OUTSIDE);
        self.from.store(found, Ordering::Relaxed);
        found
    }

    pub(super) fn condition(&self, links: &Links, way: Way) -> Condition {
        let from = self.from(links);
        match way {
            Way::There => links.condition(from, self.to),
            Way::Back => links.condition(self.to, from),
        }
    }

    fn is_passing(&self, links: &Links) -> bool {
        [Way::There, Way::Back].into_iter().all(|way| self.condition(links, way).is_passing())
    }

    /// Waits until both ways pass; false if it was a cut that ended.
    pub(super) async fn may_connect(&self) -> bool {
        let mut links = self.links();
        let is_cut = {
            let now = links.borrow_and_update().clone();
            [Way::There, Way::Back].into_iter().any(|way| self.condition(&now, way) == Condition::Cut)
        };
        links.wait_for(|links| self.is_passing(links)).await.is_ok() && !is_cut
    }

    /// Waits until a cut that came after the connection's begin has healed.
    pub(super) async fn outlived(&self) {
        let mut links = self.links();
        let healed = |links: &Links| links.cuts(self.from(links), self.to) > self.cuts && self.is_passing(links);
        if links.wait_for(healed).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn count(&self, bytes: usize) {
        self.carried.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
