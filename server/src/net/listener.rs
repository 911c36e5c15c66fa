//! The accept loop of one listener.

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{close::Close, connection::Connection, quota::NotAdmitted, serve::Net};
use crate::{
    api::ConnectionInfo,
    os::network::{Listener, Stream},
    tasks::{self, TaskKind},
};

/// How long accepting rests after the machine refused, e.g. for want of descriptors.
const REST: Duration = Duration::from_millis(100);

/// Accepts until shutdown, then waits for the connections to end.
pub(super) async fn accept_loop(
    net: Arc<Net>,
    mut listener: Listener,
    host: Arc<str>,
    port: u16,
    mut shutdown: watch::Receiver<bool>,
) {
    // never carries anything: it is closed once the last connection has dropped its end
    let (alive, mut all_gone) = mpsc::channel::<()>(1);
    while let Some(accepted) = listener.accept_until(&mut shutdown).await {
        match accepted {
            Ok((stream, peer)) => {
                let info = ConnectionInfo { advertised_host: host.clone(), advertised_port: port, peer };
                start(&net, stream, info, shutdown.clone(), alive.clone());
            }
            Err(error) => {
                if let Some(unsaid) = net.log_limit.allow() {
                    tracing::warn!(%error, unsaid, "connection not accepted");
                }
                sleep(REST).await;
            }
        }
    }
    drop((alive, listener));
    let _ = all_gone.recv().await;
}

fn start(
    net: &Arc<Net>,
    stream: Stream,
    info: ConnectionInfo,
    shutdown: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
) {
    let peer = info.peer;
    // the bridge has limits of its own, and is not the clients that come from this machine
    let admission = match stream {
        Stream::Tcp(_) => match net.quota.admit(peer) {
            Ok(admission) => Some(admission),
            Err(why) => return not_admitted(net, peer, why),
        },
        Stream::InProcess(_) => None,
    };
    let budget = admission.as_ref().map_or(&net.budget, |admission| &admission.budget).clone();
    let net = net.clone();
    net.metrics.connections.add(1);
    net.metrics.accepted.increment();
    let open = Open { net: net.clone() };
    tasks::spawn(TaskKind::Connection, async move {
        let close = Connection::new(net.clone(), budget, Arc::new(info), stream, shutdown).run().await;
        closed(&net, peer, &close);
        drop((open, admission, alive));
    });
}

/// Counts a connection as open, even past a panic in its handler.
struct Open {
    net: Arc<Net>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.net.metrics.connections.add(-1);
    }
}

fn not_admitted(net: &Net, peer: IpAddr, why: NotAdmitted) {
    net.metrics.not_admitted(why.reason());
    if let Some(unsaid) = net.log_limit.allow() {
        tracing::warn!(%peer, %why, unsaid, "connection refused");
    }
}

fn closed(net: &Net, peer: IpAddr, why: &Close) {
    net.metrics.closed(why.reason());
    if !why.is_notable() {
        tracing::debug!(%peer, %why, "connection closed");
    } else if let Some(unsaid) = net.log_limit.allow() {
        tracing::warn!(%peer, %why, unsaid, "connection closed");
    }
}
