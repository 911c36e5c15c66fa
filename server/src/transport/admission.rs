//! Who may call: what a hello is held against, and the open connections of other brokers, one per broker and lane.
//!
//! Of two processes with one id the one that is connected stays, if it proves that it lives; a restarted one takes the place of
//! connections that a dead process or a cut left behind.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Context,
};

use futures_util::{
    future::{join_all, select_all},
    task::AtomicWaker,
};
use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use super::{
    error::NotAdmitted,
    hello::Hello,
    identity::{Caller, Lane},
    shared::Shared,
};

/// The open connections of other brokers.
#[derive(Debug, Default)]
pub(super) struct Admissions(Mutex<HashMap<(i32, Lane), Arc<Seat>>>);

/// What others may ask of an open connection.
#[derive(Debug)]
struct Seat {
    process: Uuid,
    incarnation: Uuid,
    stop: AtomicBool,
    ping: AtomicBool,
    /// Wakes the connection's task.
    waker: AtomicWaker,
    /// Pongs so far; closed once the connection has ended.
    pongs: watch::Receiver<u64>,
}

/// An admitted connection's place; given up when dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    admissions: Arc<Admissions>,
    pub(super) caller: Caller,
    lane: Lane,
    seat: Arc<Seat>,
    pongs: watch::Sender<u64>,
}

/// Who is in the way of a new connection.
enum Blocker {
    /// Another process with the same id, on one lane or both.
    Rivals(Vec<Arc<Seat>>),
    /// The same process, which has made a new connection.
    Former(Arc<Seat>),
}

impl Admissions {
    /// Judges a hello in a version that both speak. Takes as long as [`probe_max`](super::TransportConfig::probe_max) where another
    /// process has the caller's id.
    pub(super) async fn admit(self: &Arc<Self>, shared: &Shared, hello: &Hello) -> Result<Admitted, NotAdmitted> {
        let us = shared.us();
        // who belongs to none yet may ask
        if hello.cluster_id != us.cluster_id && !hello.cluster_id.is_empty() {
            return Err(NotAdmitted::Cluster { theirs: us.cluster_id });
        }
        if hello.from == us.broker_id && hello.process != shared.process {
            return Err(NotAdmitted::DuplicateId);
        }
        if hello.to != us.broker_id || hello.from == us.broker_id {
            return Err(NotAdmitted::Target { actual: us.broker_id });
        }
        let is_retired = || shared.is_retired(hello.from, hello.incarnation);
        while !is_retired() {
            match self.sit(hello, shared.config.connections_max)? {
                // it may have been retired since, before there was anything to expel
                Ok(admitted) if !is_retired() => return Ok(admitted),
                Ok(_) => {}
                Err(Blocker::Former(seat)) => seat.leave().await,
                Err(Blocker::Rivals(seats)) => {
                    let any = select_all(seats.iter().map(|seat| Box::pin(seat.is_alive())));
                    match timeout(shared.config.probe_max, any).await {
                        Ok((true, ..)) => return Err(NotAdmitted::DuplicateId),
                        Ok((false, ..)) => {}
                        Err(_) => _ = join_all(seats.iter().map(|seat| seat.leave())).await,
                    }
                }
            }
        }
        Err(NotAdmitted::Retired)
    }

    fn sit(self: &Arc<Self>, hello: &Hello, max: usize) -> Result<Result<Admitted, Blocker>, NotAdmitted> {
        let mut seats = self.seats();
        let of_broker = Lane::ALL.into_iter().filter_map(|lane| seats.get(&(hello.from, lane)));
        let rivals: Vec<_> = of_broker.filter(|seat| seat.process != hello.process).cloned().collect();
        if !rivals.is_empty() {
            return Ok(Err(Blocker::Rivals(rivals)));
        }
        if let Some(former) = seats.get(&(hello.from, hello.lane)) {
            return Ok(Err(Blocker::Former(former.clone())));
        }
        if seats.len() >= max {
            return Err(NotAdmitted::Full);
        }
        let pongs = watch::Sender::new(0);
        let seat = Arc::new(Seat {
            process: hello.process,
            incarnation: hello.incarnation,
            stop: AtomicBool::new(false),
            ping: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            pongs: pongs.subscribe(),
        });
        seats.insert((hello.from, hello.lane), seat.clone());
        let stranger = hello.cluster_id.is_empty();
        let caller = Caller { broker_id: hello.from, incarnation: hello.incarnation, stranger };
        Ok(Ok(Admitted { admissions: self.clone(), caller, lane: hello.lane, seat, pongs }))
    }

    /// Closes the connections of a data directory.
    pub(super) fn expel(&self, broker_id: i32, incarnation: Uuid) {
        for lane in Lane::ALL {
            if let Some(seat) = self.seats().get(&(broker_id, lane)).filter(|seat| seat.incarnation == incarnation) {
                seat.stop();
            }
        }
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<(i32, Lane), Arc<Seat>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Makes it end, and waits until it has: what a new connection brings must come behind what this one brought.
    async fn leave(&self) {
        self.stop();
        let mut pongs = self.pongs.clone();
        while pongs.changed().await.is_ok() {}
    }

    /// Whether its process answers; false if it ends meanwhile.
    async fn is_alive(&self) -> bool {
        let mut pongs = self.pongs.clone();
        pongs.mark_unchanged();
        self.ping.store(true, Ordering::Release);
        self.waker.wake();
        pongs.changed().await.is_ok()
    }
}

impl Admitted {
    /// Whether the connection must end; else the task is woken when it must, or when a ping is wanted.
    pub(super) fn must_stop(&self, cx: &Context<'_>) -> bool {
        self.seat.waker.register(cx.waker());
        self.seat.stop.load(Ordering::Acquire)
    }

    /// Whether somebody asks if the peer lives.
    pub(super) fn take_ping(&self) -> bool {
        self.seat.ping.swap(false, Ordering::AcqRel)
    }

    pub(super) fn pong(&self) {
        self.pongs.send_modify(|pongs| *pongs += 1);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.admissions.seats().remove(&(self.caller.broker_id, self.lane));
    }
}
