//! One connection: bytes both ways, and file ranges straight from the page cache to the socket.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::BytesMut;
use rustix::net::SendFlags;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, Interest, ReadBuf},
    net::TcpStream,
};

use crate::os::disk::File;

/// Bytes of one copy where there is no sendfile.
const COPY_BYTES: usize = 64 * 1024;
/// The most that one sendfile call may move: larger slices cost more CPU per byte (measured: 0.25 against 0.5 s/GB).
const SENDFILE_BYTES: usize = 64 * 1024;

/// A connection.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP, with Nagle's algorithm off.
    Tcp(TcpStream),
    /// Inside the process.
    InProcess(DuplexStream),
}

impl Stream {
    /// A new TCP connection; tries every address of the host.
    ///
    /// # Errors
    /// The machine's.
    pub async fn connect(host: &str, port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Waits until bytes (or the end) can be read, without holding a buffer meanwhile. An in-process stream cannot tell
    /// and answers at once.
    ///
    /// # Errors
    /// The machine's.
    pub async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::InProcess(_) => Ok(()),
        }
    }

    /// Reads what is there into `buf`'s spare room, up to `max` bytes; 0 at the end.
    ///
    /// # Errors
    /// The machine's.
    pub async fn read_some(&mut self, buf: &mut BytesMut, max: usize) -> io::Result<usize> {
        let mut limited = bytes::BufMut::limit(buf, max);
        self.read_buf(&mut limited).await
    }

    /// Waits for bytes and reads up to `max` of them; 0 at the end. Over TCP an empty `buf` gets its memory only when there
    /// are some. Can be dropped between polls without losing a byte.
    ///
    /// # Errors
    /// The machine's.
    pub async fn read_fresh(&mut self, buf: &mut BytesMut, max: usize) -> io::Result<usize> {
        loop {
            self.readable().await?;
            let fresh = buf.is_empty() && buf.capacity() < max;
            buf.reserve(max);
            let Self::Tcp(stream) = self else { return self.read_some(buf, max).await };
            match stream.try_read_buf(&mut bytes::BufMut::limit(&mut *buf, max)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if fresh {
                        *buf = BytesMut::new();
                    }
                }
                read => return read,
            }
        }
    }

    /// Keeps packets back that are not full, from `true` until `false`: an answer of memory and file ranges then leaves as one
    /// row of full packets, and its last bytes wake the peer once. Only over TCP.
    ///
    /// # Errors
    /// The machine's.
    pub fn hold(&self, on: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => Ok(rustix::net::sockopt::set_tcp_cork(stream, on)?),
            Self::InProcess(_) => Ok(()),
        }
    }

    /// Writes all parts. `more` says that a file range follows at once, so that the kernel may wait with a packet.
    ///
    /// # Errors
    /// The machine's.
    pub async fn write_parts(&mut self, parts: &mut [IoSlice<'_>], more: bool) -> io::Result<()> {
        let mut rest = parts;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let written = match self {
                Self::Tcp(stream) if more => {
                    let first: &[u8] = &rest[0];
                    let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
                    stream.async_io(Interest::WRITABLE, || Ok(rustix::net::send(&*stream, first, flags)?)).await?
                }
                _ => self.write_vectored(rest).await?,
            };
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }

    /// Sends `len` bytes of a file: sendfile on TCP, copies elsewhere.
    ///
    /// # Errors
    /// The machine's, or `UnexpectedEof` if the file is shorter: the peer then misses bytes, and the connection must close.
    pub async fn send_file(&mut self, file: &dyn File, mut offset: u64, mut len: usize) -> io::Result<()> {
        if let (Self::Tcp(stream), Some(fd)) = (&*self, file.as_fd()) {
            while len > 0 {
                let chunk = len.min(SENDFILE_BYTES);
                let call = || Ok(rustix::fs::sendfile(stream, fd, Some(&mut offset), chunk)?);
                match stream.async_io(Interest::WRITABLE, call).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    sent => len -= sent,
                }
            }
            return Ok(());
        }
        let mut buf = vec![0; len.min(COPY_BYTES)];
        while len > 0 {
            let chunk = len.min(COPY_BYTES);
            file.read_exact_at(&mut buf[..chunk], offset)?;
            self.write_all(&buf[..chunk]).await?;
            offset += chunk as u64;
            len -= chunk;
        }
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::InProcess(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::InProcess(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
            Self::InProcess(stream) => Pin::new(stream).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::InProcess(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::InProcess(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
