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
    /// A TCP port that is ours and refuses connections until [`Listener::listen`].
    Reserved(TcpSocket),
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
        Self::reserve(address)?.listen()
    }

    /// Takes a TCP port, and refuses whoever connects until [`Self::listen`]: who waits in the kernel's queue instead cannot know
    /// that nobody is there yet, and does not look elsewhere.
    ///
    /// # Errors
    /// Those of [`Self::bind`].
    pub fn reserve(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // of two sockets that have it and do not listen yet, both could be given one free port
        socket.set_reuseaddr(address.port() != 0)?;
        socket.bind(address)?;
        // its connections take it over: once they have ended, another process may have the port at once
        socket.set_reuseaddr(true)?;
        Ok(Self::Reserved(socket))
    }

    /// From now on connections are taken.
    ///
    /// # Errors
    /// The machine's: another process has taken the port meanwhile.
    pub fn listen(self) -> io::Result<Self> {
        match self {
            Self::Reserved(socket) => Ok(Self::Tcp(socket.listen(BACKLOG)?)),
            listening => Ok(listening),
        }
    }

    /// The address it listens on; none inside the process.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Reserved(socket) => socket.local_addr().ok(),
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
            Self::Reserved(_) => Err(io::ErrorKind::NotConnected.into()),
            Self::InProcess(receiver) => match receiver.recv().await {
                Some(stream) => Ok((Stream::InProcess(stream), Ipv4Addr::LOCALHOST.into())),
                None => Err(io::ErrorKind::NotConnected.into()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reserved_port_is_taken_and_refuses_until_it_listens() {
        let reserved = Listener::reserve("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = reserved.local_addr().unwrap();
        let refused = Stream::connect("127.0.0.1", address.port()).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let mut listening = reserved.listen().unwrap();
        assert_eq!(listening.local_addr(), Some(address));
        assert_eq!(Listener::reserve(address).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let ours = Stream::connect("127.0.0.1", address.port()).await.unwrap();
        let (theirs, _) = listening.accept().await.unwrap();
        // with connections of the one before not wholly gone, the next one gets the port
        drop((listening, theirs));
        let again = Listener::bind(address).unwrap();
        assert_eq!(again.local_addr(), Some(address));
        drop(ours);
    }
}
