//! A raw Kafka connection: bytes out, frames in. Requests can be typed, or any bytes at all.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};

use crate::wait::PATIENCE;

/// Largest answer that a test takes.
const FRAME_BYTES_MAX: i32 = 256 << 20;

/// One socket.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    correlation_id: i32,
}

/// Bytes behind their length.
pub fn frame(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32).to_be_bytes(), body].concat()
}

/// Header and body of a request, without the length in front.
///
/// # Panics
/// If the request cannot be said in that version.
pub fn encode_request<R: Request>(request: &R, version: i16, correlation_id: i32) -> Bytes {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("tidemark-tests")));
    let mut out = BytesMut::new();
    header.encode(&mut out, R::header_version(version)).expect("a header of ours");
    let encoded = request.encode(&mut out, version);
    encoded.unwrap_or_else(|error| panic!("request {} v{version} cannot be encoded: {error}", R::KEY));
    out.freeze()
}

/// Reads the answer's header and body; the bytes behind them are given back.
///
/// # Errors
/// What the decoder says.
pub fn decode_response<R: Request>(mut bytes: Bytes, version: i16) -> Result<(R::Response, Bytes), String> {
    let header = ResponseHeader::decode(&mut bytes, R::Response::header_version(version));
    header.map_err(|error| format!("response header: {error}"))?;
    let response = R::Response::decode(&mut bytes, version).map_err(|error| format!("response body: {error}"))?;
    Ok((response, bytes))
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// If nobody listens.
    pub fn open(address: SocketAddr) -> Self {
        Self::try_open(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    /// Connects.
    ///
    /// # Errors
    /// The system's.
    pub fn try_open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, correlation_id: 0 })
    }

    /// How long a read may wait before it is an error.
    pub fn set_patience(&self, limit: Duration) {
        self.stream.set_read_timeout(Some(limit)).expect("a limit above zero");
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The socket's: the peer may have closed.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame without its length; `None` if the peer closed instead.
    ///
    /// # Errors
    /// Time ran out, or the answer's length is absurd.
    pub fn read_frame(&mut self) -> io::Result<Option<Bytes>> {
        let mut length = [0; 4];
        match self.stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if is_close(&error) => return Ok(None),
            Err(error) => return Err(error),
        }
        let length = i32::from_be_bytes(length);
        if !(0..=FRAME_BYTES_MAX).contains(&length) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of {length} bytes")));
        }
        let mut body = vec![0; length as usize];
        self.stream.read_exact(&mut body)?;
        Ok(Some(body.into()))
    }

    /// Sends a frame and reads the answer; `None` if the peer closes instead.
    ///
    /// # Errors
    /// Neither came in time.
    pub fn exchange(&mut self, body: &[u8]) -> io::Result<Option<Bytes>> {
        match self.send(&frame(body)) {
            Err(error) if is_close(&error) => return Ok(None),
            sent => sent?,
        }
        self.read_frame()
    }

    /// Asks and decodes the answer.
    ///
    /// # Panics
    /// If there is no answer, or one that does not decode to its last byte.
    pub fn ask<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.correlation_id += 1;
        let answer = self.exchange(&encode_request(request, version, self.correlation_id));
        let answer = answer.unwrap_or_else(|error| panic!("request {} v{version}: {error}", R::KEY));
        let bytes = answer.unwrap_or_else(|| panic!("request {} v{version}: the broker closed the connection", R::KEY));
        assert_eq!(bytes.get(..4), Some(self.correlation_id.to_be_bytes().as_slice()), "correlation id");
        let (response, rest) = decode_response::<R>(bytes, version).unwrap_or_else(|error| panic!("{error}"));
        assert!(rest.is_empty(), "{} bytes behind the answer to request {} v{version}", rest.len(), R::KEY);
        response
    }

    /// Waits until the peer closes; answers on the way are dropped.
    ///
    /// # Errors
    /// It did not close in time.
    pub fn await_close(&mut self) -> io::Result<()> {
        let mut sink = [0; 4096];
        loop {
            match self.stream.read(&mut sink) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_close(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says that nothing more will be sent.
    pub fn finish_sending(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

/// A close and a reset are the same news.
fn is_close(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}
