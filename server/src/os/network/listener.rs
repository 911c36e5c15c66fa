//! Where connections come from.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use tokio::{
    io::DuplexStream,
    net::{TcpListener, TcpSocket},
    sync::{mpsc, watch},
};

use super::Stream;

/// Connections the kernel may hold before they are accepted.
const BACKLOG: u32 = 1024;
/// In-process connections that may wait to be accepted.
const IN_PROCESS_BACKLOG: usize = 64;
/// Bytes that an in-process connection holds in each direction.
const IN_PROCESS_BUFFER_BYTES: usize = 256 * 1024;

/// A source of connections.
#[derive(Debug)]
pub enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// Connections made inside this process.
    InProcess(mpsc::Receiver<DuplexStream>),
}

/// Opens connections to an in-process listener; clones share it.
#[derive(Debug, Clone)]
pub struct InProcessConnector(mpsc::Sender<DuplexStream>);

/// A listener without a port, and what connects to it.
pub fn in_process() -> (Listener, InProcessConnector) {
    let (sender, receiver) = mpsc::channel(IN_PROCESS_BACKLOG);
    (Listener::InProcess(receiver), InProcessConnector(sender))
}

impl InProcessConnector {
    /// A new connection.
    ///
    /// # Errors
    /// `ConnectionRefused` once the listener is gone.
    pub async fn connect(&self) -> io::Result<DuplexStream> {
        let (ours, theirs) = tokio::io::duplex(IN_PROCESS_BUFFER_BYTES);
        self.0.send(theirs).await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        Ok(ours)
    }
}

impl Listener {
    /// Opens a TCP port; port 0 picks a free one.
    ///
    /// # Errors
    /// The machine's: the port is in use, or the address is none of this machine's.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Self::Tcp(socket.listen(BACKLOG)?))
    }

    /// The address it listens on; none inside the process.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::InProcess(_) => None,
        }
    }

    /// The next connection; `None` once `shutdown` is true, its sender is gone, or no more can come.
    pub async fn accept_until(&mut self, shutdown: &mut watch::Receiver<bool>) -> Option<io::Result<(Stream, IpAddr)>> {
        tokio::select! {
            biased;
            // an error means that the sender is gone, which says the same
            _ = shutdown.wait_for(|shutdown| *shutdown) => None,
            accepted = self.accept() => match accepted {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
                accepted => Some(accepted),
            },
        }
    }

    /// The next connection and who made it.
    ///
    /// # Errors
    /// Of one connection (try again), or `NotConnected` when no more can come.
    pub async fn accept(&mut self) -> io::Result<(Stream, IpAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), peer.ip()))
            }
            Self::InProcess(receiver) => match receiver.recv().await {
                Some(stream) => Ok((Stream::InProcess(stream), Ipv4Addr::LOCALHOST.into())),
                None => Err(io::ErrorKind::NotConnected.into()),
            },
        }
    }
}
