//! One connection to one broker: requests pipelined, answers in order. Not here: which broker, what is asked of it, and
//! whether it is asked again.
//!
//! One task per connection writes what callers hand it and gives each answer to its caller. It ends, and with it every
//! call under way, when the stream does, when an answer is late or no answer, or when the last handle is dropped.

use std::{
    collections::{HashMap, VecDeque},
    io,
    marker::PhantomData,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use kafka_protocol::{
    messages::{ApiVersionsRequest, ApiVersionsResponse},
    protocol::{Message, StrBytes},
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, ReadHalf},
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};

use crate::{
    config::ClientConfig,
    connector::Stream,
    error::{ClientError, Subject},
    kafka_error::KafkaError,
    tasks,
    wire::{
        Call, decode_answer, encode_request,
        frame::{FrameReader, set_correlation, take_correlation},
    },
};

/// ApiVersions' own key, as a broker lists it.
const API_VERSIONS: i16 = 18;

/// A handle to an open connection; clones share it.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    address: Arc<str>,
    client_id: String,
    request_timeout: Duration,
    /// Bounds the requests that await answers.
    in_flight: Arc<Semaphore>,
    requests: mpsc::Sender<Outgoing>,
    /// What the broker speaks: key to first and last version.
    versions: HashMap<i16, (i16, i16)>,
    ending: Arc<Ending>,
}

/// Why a connection ended, once it has.
#[derive(Debug, Default)]
struct Ending {
    ended: AtomicBool,
    asked: Notify,
    cause: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Outgoing {
    frame: BytesMut,
    reply: Reply,
    caller: oneshot::Sender<Bytes>,
    /// Held until the answer is here, even if its caller has gone away.
    permit: OwnedSemaphorePermit,
}

/// What the broker will send back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A frame.
    Frame,
    /// Nothing: Produce with acks 0.
    None,
}

/// A request that was started.
#[derive(Debug)]
pub(crate) struct Started<C> {
    connection: Connection,
    version: i16,
    replied: oneshot::Receiver<Bytes>,
    call: PhantomData<fn() -> C>,
}

impl<C: Call> Started<C> {
    /// Waits for the answer.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub(crate) async fn answer(self, wait_max: Duration) -> Result<C::Response, ClientError> {
        let Self { connection, version, replied, .. } = self;
        let body = connection.0.waited(C::NAME, replied, wait_max).await?;
        connection.0.decoded::<C>(version, body)
    }

    /// Waits until the bytes were handed to the stream, for a request that has no answer.
    ///
    /// # Errors
    /// The connection was lost before.
    pub(crate) async fn written(self, wait_max: Duration) -> Result<(), ClientError> {
        self.connection.0.waited(C::NAME, self.replied, wait_max).await.map(drop)
    }
}

impl Connection {
    /// Speaks ApiVersions over a fresh stream (KIP-511: newest version first, then what the broker says it knows).
    ///
    /// # Errors
    /// The broker does not answer in the connect timeout, or not as a broker does.
    pub async fn open(address: &str, stream: Box<dyn Stream>, config: &ClientConfig) -> Result<Self, ClientError> {
        let (requests, outgoing) = mpsc::channel(config.in_flight_max.max(1));
        let ending = Arc::new(Ending::default());
        tasks::spawn(run(stream, outgoing, config.response_bytes_max, Arc::clone(&ending)));
        let mut shared = Shared {
            address: address.into(),
            client_id: config.client_id.clone(),
            request_timeout: config.connect_timeout,
            in_flight: Arc::new(Semaphore::new(config.in_flight_max.max(1))),
            requests,
            versions: HashMap::new(),
            ending,
        };
        shared.versions = shared.negotiate().await?;
        shared.request_timeout = config.request_timeout;
        Ok(Self(Arc::new(shared)))
    }

    /// Sends a request and waits for its answer. `build` gets the version that both sides know.
    ///
    /// # Errors
    /// No shared version, no answer in the request timeout, a lost connection, or bytes that are no answer. Except for
    /// the first, the request may have been done.
    pub async fn call<C: Call>(&self, build: impl FnOnce(i16) -> C) -> Result<C::Response, ClientError> {
        self.call_within(self.0.request_timeout, build).await
    }

    /// As [`Self::call`], with another timeout, for requests that the broker may hold back.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_within<C: Call>(
        &self,
        wait_max: Duration,
        build: impl FnOnce(i16) -> C,
    ) -> Result<C::Response, ClientError> {
        let version = self.version_of::<C>()?;
        self.0.exchange(version, &build(version), wait_max).await
    }

    /// Puts a request behind those that were started before it, at once; what is returned waits for its answer. With
    /// [`Reply::None`], for a request that has no answer, it waits until the bytes were handed to the stream.
    ///
    /// # Errors
    /// No shared version, a lost connection, or as many requests in flight as there may be.
    pub(crate) fn start<C: Call>(&self, reply: Reply, build: impl FnOnce(i16) -> C) -> Result<Started<C>, ClientError> {
        let version = self.version_of::<C>()?;
        let permit = Arc::clone(&self.0.in_flight).try_acquire_owned();
        let permit = permit.map_err(|_| ClientError::Invalid("too many requests are in flight".to_owned()))?;
        let frame = encode_request(&self.0.client_id, version, &build(version)).map_err(ClientError::Invalid)?;
        let replied = self.0.enqueue(frame, reply, permit)?;
        Ok(Started { connection: self.clone(), version, replied, call: PhantomData })
    }

    /// The newest version of a request that both sides know.
    ///
    /// # Errors
    /// There is none.
    pub fn version_of<C: Call>(&self) -> Result<i16, ClientError> {
        let (theirs_min, theirs_max) = self.0.versions.get(&C::KEY).copied().unwrap_or((0, -1));
        let version = theirs_max.min(C::VERSION_MAX);
        if version >= theirs_min.max(C::VERSIONS.min) {
            Ok(version)
        } else {
            Err(ClientError::UnsupportedVersion { address: self.0.address.to_string(), api: C::NAME })
        }
    }

    /// Whether it has ended; further calls fail.
    pub fn is_closed(&self) -> bool {
        self.0.ending.ended.load(Ordering::Acquire)
    }

    /// The broker's `host:port`.
    pub fn address(&self) -> &str {
        &self.0.address
    }
}

impl Shared {
    async fn negotiate(&self) -> Result<HashMap<i16, (i16, i16)>, ClientError> {
        let mut version = ApiVersionsRequest::VERSION_MAX;
        loop {
            let request = ApiVersionsRequest::default()
                .with_client_software_name(StrBytes::from_static_str(env!("CARGO_PKG_NAME")))
                .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
            let body = self.transmit(version, &request, self.request_timeout).await?;
            // a broker that does not know the version answers with version 0 and this code
            let refused = body.starts_with(&KafkaError::UNSUPPORTED_VERSION.to_be_bytes());
            let answer: ApiVersionsResponse =
                self.decoded::<ApiVersionsRequest>(if refused { 0 } else { version }, body)?;
            let known = answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
            let known: HashMap<i16, (i16, i16)> = known.collect();
            if refused && version > 0 {
                let theirs = known.get(&API_VERSIONS).map_or(0, |(_, max)| *max);
                version = theirs.clamp(ApiVersionsRequest::VERSIONS.min, version - 1);
                continue;
            }
            return match KafkaError::from_code(answer.error_code) {
                Some(error) => Err(ClientError::kafka(Subject::Named(format!("broker {}", self.address)), error)),
                None => Ok(known),
            };
        }
    }

    async fn exchange<C: Call>(
        &self,
        version: i16,
        request: &C,
        wait_max: Duration,
    ) -> Result<C::Response, ClientError> {
        let body = self.transmit(version, request, wait_max).await?;
        self.decoded::<C>(version, body)
    }

    fn decoded<C: Call>(&self, version: i16, body: Bytes) -> Result<C::Response, ClientError> {
        decode_answer::<C>(version, body).map_err(|error| {
            let cause = error.to_string();
            self.ending.ask(&cause);
            ClientError::Malformed { address: self.address.to_string(), api: C::NAME, cause }
        })
    }

    async fn transmit<C: Call>(&self, version: i16, request: &C, wait_max: Duration) -> Result<Bytes, ClientError> {
        let frame = encode_request(&self.client_id, version, request).map_err(ClientError::Invalid)?;
        let exchange = async {
            let permit = Arc::clone(&self.in_flight).acquire_owned().await.map_err(|_| self.lost())?;
            let replied = self.enqueue(frame, Reply::Frame, permit)?;
            replied.await.map_err(|_| self.lost())
        };
        timeout(wait_max, exchange).await.unwrap_or_else(|_| Err(self.late(C::NAME, wait_max)))
    }

    /// There is room for as many requests as there are permits.
    fn enqueue(
        &self,
        frame: BytesMut,
        reply: Reply,
        permit: OwnedSemaphorePermit,
    ) -> Result<oneshot::Receiver<Bytes>, ClientError> {
        let (caller, replied) = oneshot::channel();
        self.requests.try_send(Outgoing { frame, reply, caller, permit }).map_err(|_| self.lost())?;
        Ok(replied)
    }

    async fn waited(
        &self,
        api: &'static str,
        replied: oneshot::Receiver<Bytes>,
        wait_max: Duration,
    ) -> Result<Bytes, ClientError> {
        match timeout(wait_max, replied).await {
            Ok(body) => body.map_err(|_| self.lost()),
            Err(_) => Err(self.late(api, wait_max)),
        }
    }

    /// Answers come in order: behind a late one, all are late. So the connection ends.
    fn late(&self, api: &'static str, after: Duration) -> ClientError {
        self.ending.ask(&format!("no answer to {api} in {after:?}"));
        ClientError::Timeout { address: self.address.to_string(), api, after }
    }

    fn lost(&self) -> ClientError {
        ClientError::Disconnected { address: self.address.to_string(), cause: self.ending.cause() }
    }
}

impl Ending {
    /// Asks the task to end; the first cause stays.
    fn ask(&self, cause: &str) {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| cause.to_owned());
        self.ended.store(true, Ordering::Release);
        self.asked.notify_one();
    }

    fn cause(&self) -> String {
        let cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        cause.clone().unwrap_or_else(|| "the broker closed it".to_owned())
    }
}

/// Callers in the order of their requests.
type Pending = Mutex<VecDeque<Caller>>;

#[derive(Debug)]
struct Caller {
    /// What its answer must carry.
    correlation_id: i32,
    reply: oneshot::Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
}

async fn run(stream: Box<dyn Stream>, outgoing: mpsc::Receiver<Outgoing>, len_max: usize, ending: Arc<Ending>) {
    let (read, write) = tokio::io::split(stream);
    let pending = Pending::default();
    let cause = tokio::select! {
        cause = write_requests(write, outgoing, &pending) => cause,
        cause = read_answers(FrameReader::new(read, len_max), &pending) => cause,
        () = ending.asked.notified() => String::new(),
    };
    // the cause must be there before callers are let go, which dropping `pending` does
    ending.ask(&cause);
    tracing::debug!(cause = ending.cause(), "connection ended");
}

async fn write_requests(
    mut stream: impl AsyncWrite + Unpin,
    mut outgoing: mpsc::Receiver<Outgoing>,
    pending: &Pending,
) -> String {
    let mut correlation_id = 0_i32;
    while let Some(Outgoing { mut frame, reply, caller, permit }) = outgoing.recv().await {
        correlation_id = correlation_id.wrapping_add(1);
        set_correlation(&mut frame, correlation_id);
        let written = match reply {
            Reply::Frame => {
                let caller = Caller { correlation_id, reply: caller, _permit: permit };
                pending.lock().unwrap_or_else(PoisonError::into_inner).push_back(caller);
                None
            }
            Reply::None => Some(caller),
        };
        if let Err(cause) = write_frame(&mut stream, &frame).await {
            return cause.to_string();
        }
        if let Some(caller) = written {
            let _ = caller.send(Bytes::new());
        }
    }
    "the client closed it".to_owned()
}

async fn write_frame(stream: &mut (impl AsyncWrite + Unpin), frame: &[u8]) -> io::Result<()> {
    stream.write_all(frame).await?;
    stream.flush().await
}

async fn read_answers(mut frames: FrameReader<ReadHalf<Box<dyn Stream>>>, pending: &Pending) -> String {
    loop {
        let mut frame = match frames.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return "the broker closed it".to_owned(),
            Err(cause) => return cause.to_string(),
        };
        let expected = pending.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match (take_correlation(&mut frame), expected) {
            (Some(found), Some(caller)) if found == caller.correlation_id => {
                // a caller that has gone away needs no answer
                let _ = caller.reply.send(frame);
            }
            (found, expected) => {
                let expected = expected.map(|caller| caller.correlation_id);
                return format!("an answer with correlation id {found:?} came where {expected:?} was due");
            }
        }
    }
}

#[cfg(test)]
mod tests;
