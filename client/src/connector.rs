//! How a connection to a broker is made: TCP, or what the caller hands in. Not here: what is spoken over it.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// What a connection runs over.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Stream>>> + Send>>;

/// Opens streams to brokers by their `host:port`. Clones share what it holds.
#[derive(Clone)]
pub struct Connector(Arc<dyn Fn(String) -> Opening + Send + Sync>);

impl Connector {
    /// Plain TCP with TCP_NODELAY.
    pub fn tcp() -> Self {
        Self::new(|address| async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }

    /// Streams from a closure that gets the `host:port` of the broker. One that reaches a broker in the same process
    /// ignores it:
    ///
    /// ```
    /// use tidemark_client::Connector;
    /// let (to_broker, mut accepts) = tokio::sync::mpsc::channel::<tokio::io::DuplexStream>(16);
    /// let connector = Connector::new(move |_address| {
    ///     let to_broker = to_broker.clone();
    ///     async move {
    ///         let (ours, theirs) = tokio::io::duplex(64 * 1024);
    ///         to_broker.send(theirs).await.map_err(|_| std::io::ErrorKind::ConnectionRefused)?;
    ///         Ok(ours)
    ///     }
    /// });
    /// ```
    pub fn new<O, F, S>(open: O) -> Self
    where
        O: Fn(String) -> F + Send + Sync + 'static,
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: Stream + 'static,
    {
        Self(Arc::new(move |address| {
            let opening = open(address);
            Box::pin(async move { Ok(Box::new(opening.await?) as Box<dyn Stream>) })
        }))
    }

    /// Opens a stream.
    pub(crate) async fn connect(&self, address: &str) -> io::Result<Box<dyn Stream>> {
        (self.0)(address.to_owned()).await
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::tcp()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}
