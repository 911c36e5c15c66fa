//! Open connections by broker. Shared ones carry many requests at once. Who sends what a broker may hold back, a fetch that
//! waits or records to write, borrows one of its own: answers come in order, and everything behind would wait too.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::OnceCell, time::timeout};

use crate::{ClientConfig, ClientError, connection::Connection};

/// Idle connections that are kept per broker for the next loan.
const IDLE_MAX: usize = 8;

type Slot = Arc<OnceCell<Connection>>;

#[derive(Debug, Default)]
pub(super) struct Pool {
    shared: Mutex<HashMap<String, Slot>>,
    idle: Mutex<HashMap<String, Vec<Connection>>>,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The shared connection; callers that find none wait for the same attempt.
    pub(super) async fn connection(&self, address: &str, config: &ClientConfig) -> Result<Connection, ClientError> {
        let slot = {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = shared.entry(address.to_owned()).or_default();
            if slot.get().is_some_and(Connection::is_closed) {
                *slot = Slot::default();
            }
            Arc::clone(slot)
        };
        slot.get_or_try_init(|| open(address, config)).await.cloned()
    }

    /// The shared connection, if it is open.
    pub(super) fn open_one(&self, address: &str) -> Option<Connection> {
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let open = shared.get(address)?.get()?;
        (!open.is_closed()).then(|| open.clone())
    }

    /// An idle connection, or a new one.
    pub(super) async fn lend(&self, address: &str, config: &ClientConfig) -> Result<Connection, ClientError> {
        let idle = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            let stack = idle.get_mut(address);
            stack.and_then(|stack| std::iter::from_fn(|| stack.pop()).find(|connection| !connection.is_closed()))
        };
        match idle {
            Some(connection) => Ok(connection),
            None => open(address, config).await,
        }
    }

    /// Keeps a connection that owes no answer for the next loan.
    pub(super) fn give_back(&self, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let stack = idle.entry(connection.address().to_owned()).or_default();
        if stack.len() < IDLE_MAX {
            stack.push(connection);
        }
    }
}

async fn open(address: &str, config: &ClientConfig) -> Result<Connection, ClientError> {
    let opening = timeout(config.connect_timeout, config.connector.connect(address)).await;
    let stream = opening.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    let stream =
        stream.map_err(|cause| ClientError::Connect { address: address.to_owned(), cause: cause.to_string() })?;
    Connection::open(address, stream, config).await
}
