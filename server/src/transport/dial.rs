//! The seam under calls: how a connection to another broker is made. TLS will be another dialer.

use std::{fmt::Debug, io};

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::os::network::Stream;

/// Bytes both ways: TCP, TLS over it, or memory.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Makes connections.
pub trait Dialer: Debug + Send + Sync {
    /// A new connection to a host and port; dropped if it takes too long.
    fn dial(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Wire>>>;
}

/// Over TCP, as plain text.
#[derive(Debug, Clone, Copy, Default)]
pub struct TcpDialer;

impl Dialer for TcpDialer {
    fn dial(&self, host: String, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> {
        Box::pin(async move { Ok(Box::new(Stream::connect(&host, port).await?) as Box<dyn Wire>) })
    }
}
