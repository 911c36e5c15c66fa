//! The port for other brokers: accepts, hears who calls, serves.

use std::{future::poll_fn, net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    admission::{Admissions, Admitted},
    close::Close,
    dial::Wire,
    error::NotAdmitted,
    hello::{Answer, Hello, Spoken},
    metrics::Open,
    serving::{Service, Serving},
    shared::Shared,
};
use crate::{
    os::network::Listener,
    tasks::{self, TaskKind},
};

/// How long accepting rests after the machine refused, e.g. for want of descriptors.
const REST: Duration = Duration::from_millis(100);

/// What a port serves, and for whom.
#[derive(Clone)]
pub(super) struct Port {
    pub(super) shared: Arc<Shared>,
    pub(super) admissions: Arc<Admissions>,
    pub(super) service: Arc<dyn Service>,
    pub(super) shutdown: watch::Receiver<bool>,
}

/// Accepts until shutdown, then waits for the connections to end.
pub(super) async fn accept_loop(port: Port, mut listener: Listener) {
    let handshakes = Arc::new(Semaphore::new(port.shared.config.handshakes_max));
    let mut shutdown = port.shutdown.clone();
    // never carries anything: it is closed once the last connection has dropped its end
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    while let Some(accepted) = listener.accept_until(&mut shutdown).await {
        match (accepted, handshakes.clone().try_acquire_owned()) {
            (Ok((stream, peer)), Ok(permit)) => {
                let (port, alive) = (port.clone(), alive.clone());
                tasks::spawn(TaskKind::Peer, async move {
                    port.serve(Box::new(stream), peer, permit).await;
                    drop(alive);
                });
            }
            (Ok((_, peer)), Err(_)) => {
                port.shared.metrics.closed("handshakes");
                if let Some(unsaid) = port.shared.log_limit.allow() {
                    tracing::warn!(%peer, unsaid, "too many connections that say nothing; this one is not served");
                }
            }
            (Err(error), _) => {
                if let Some(unsaid) = port.shared.log_limit.allow() {
                    tracing::warn!(%error, unsaid, "connection of a broker not accepted");
                }
                sleep(REST).await;
            }
        }
    }
    drop((alive, listener));
    let _ = all_gone.recv().await;
}

impl Port {
    async fn serve(mut self, stream: Box<dyn Wire>, peer: IpAddr, permit: OwnedSemaphorePermit) {
        let mut shutdown = self.shutdown.clone();
        let close = tokio::select! {
            biased;
            close = self.serve_to_end(stream, permit) => close,
            // an error means that the sender is gone, which says the same
            _ = shutdown.wait_for(|shutdown| *shutdown) => Close::Shutdown,
        };
        let shared = &self.shared;
        shared.metrics.closed(close.reason());
        if !close.is_notable() {
            tracing::debug!(%peer, %close, "connection of a broker ended");
        } else if let Some(unsaid) = shared.log_limit.allow() {
            if let Close::NotAdmitted { why: why @ NotAdmitted::DuplicateId, .. } = &close {
                tracing::error!(%peer, %close, unsaid, next_step = why.next_step(), "connection of a broker refused");
            } else {
                tracing::warn!(%peer, %close, unsaid, "connection of a broker closed");
            }
        }
    }

    async fn serve_to_end(&mut self, mut stream: Box<dyn Wire>, permit: OwnedSemaphorePermit) -> Close {
        let admitted = match timeout(self.shared.config.handshake_max, self.welcome(&mut stream)).await {
            Ok(Ok(admitted)) => admitted,
            Ok(Err(close)) => return close,
            Err(_) => return Close::SlowHello,
        };
        drop(permit);
        let (open, broker_id) = (Open::new(&self.shared.metrics.serving), admitted.caller.broker_id);
        let mut serving = Serving::new(self.shared.clone(), self.service.clone(), admitted, stream);
        let close = poll_fn(|cx| serving.poll(cx)).await;
        self.shared.note_end(broker_id, &close);
        drop(open);
        close
    }

    /// Hears who calls and says whether it may.
    async fn welcome(&self, stream: &mut Box<dyn Wire>) -> Result<Admitted, Close> {
        let spoken = Spoken::read(stream).await?;
        if !spoken.is_understood() {
            let why = NotAdmitted::Version { oldest: spoken.oldest, newest: spoken.newest };
            stream.write_all(&Answer::new(&self.shared.us(), Some(&why)).encode()).await?;
            stream.shutdown().await?;
            // words of another version: who speaks is not known
            return Err(Close::NotAdmitted { broker_id: -1, why });
        }
        let hello = Hello::decode(&spoken)?;
        let judged = self.admissions.admit(&self.shared, &hello).await;
        stream.write_all(&Answer::new(&self.shared.us(), judged.as_ref().err()).encode()).await?;
        stream.flush().await?;
        match judged {
            Ok(admitted) => {
                self.shared.note_arrival(hello.from);
                Ok(admitted)
            }
            Err(why) => {
                stream.shutdown().await?;
                let why = match why {
                    NotAdmitted::Cluster { .. } => NotAdmitted::Cluster { theirs: hello.cluster_id },
                    why => why,
                };
                Err(Close::NotAdmitted { broker_id: hello.from, why })
            }
        }
    }
}
