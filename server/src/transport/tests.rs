//! Brokers that call each other: over TCP where the kernel matters, in memory where time is moved by hand and links break.

use std::{
    collections::HashMap,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    sync::{Notify, watch},
    task::JoinHandle,
};
use uuid::Uuid;

use super::*;
use crate::{
    metrics::Registry,
    os::{
        network::{InProcessConnector, Listener, in_process},
        random::Random,
    },
    tasks::{self, TaskKind},
};

mod admitted;
mod bounds;
mod broken;
mod frames;
mod order;
mod refused;

const CLUSTER: &str = "a-cluster";
/// Longer than any wait of a test that goes well.
const PATIENCE: Duration = Duration::from_secs(60);

/// A kind that is echoed, one that is never answered, one that is refused, one that is no call, one whose answer is too long.
/// Answers whether the caller belongs to no cluster.
const STRANGER: u8 = 9;
const ECHO: u8 = 0;
const SILENCE: u8 = 1;
const REFUSED: u8 = 2;
const HOSTILE: u8 = 3;
const LONG: u8 = 4;
/// Answered once the gate opens.
const GATED: u8 = 7;
/// Panics.
const PANIC: u8 = 6;
/// Answered after as many yields as the first byte says.
const LATE: u8 = 5;

/// Answers by kind; remembers what came, in the order of first polls.
#[derive(Default)]
struct Scripted {
    seen: Mutex<Vec<(i32, Bytes)>>,
    /// Calls that are never answered and not dropped yet.
    held: Arc<AtomicUsize>,
    gate: Notify,
}

impl Scripted {
    fn seen(&self) -> Vec<Bytes> {
        self.seen.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }
}

struct Held(Arc<AtomicUsize>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The service, so that its futures can know it.
struct Script(Arc<Scripted>);

impl Service for Script {
    fn call(&self, from: Caller, kind: u8, body: Bytes) -> BoxFuture<'static, Result<Vec<Bytes>, Refusal>> {
        let script = self.0.clone();
        Box::pin(async move {
            script.seen.lock().unwrap().push((from.broker_id, body.clone()));
            match kind {
                ECHO => Ok(vec![body]),
                SILENCE => {
                    script.held.fetch_add(1, Ordering::SeqCst);
                    let _held = Held(script.held.clone());
                    std::future::pending().await
                }
                STRANGER => Ok(vec![vec![u8::from(from.stranger)].into()]),
                REFUSED => Err(Refusal::Answer("é".repeat(1000))),
                GATED => {
                    script.gate.notified().await;
                    Ok(vec![body])
                }
                PANIC => panic!("a bug in the service"),
                LONG => Ok(vec![vec![0; 3 << 20].into()]),
                LATE => {
                    for _ in 0..body[0] {
                        tokio::task::yield_now().await;
                    }
                    Ok(vec![body.slice(..1), body.slice(1..)])
                }
                _ => Err(Refusal::Close(format!("no kind {kind}"))),
            }
        })
    }
}

/// A broker under test.
struct Node {
    transport: Arc<Transport>,
    script: Arc<Scripted>,
    registry: Registry,
    shutdown: watch::Sender<bool>,
    serving: Vec<JoinHandle<()>>,
}

fn identity(broker_id: i32) -> Identity {
    let incarnation = Uuid::from_u128(broker_id as u128);
    Identity { cluster_id: CLUSTER.to_owned(), broker_id, incarnation }
}

fn config() -> TransportConfig {
    TransportConfig { frame_bytes_max: 2 << 20, ..TransportConfig::default() }
}

impl Node {
    fn new(broker_id: i32, config: TransportConfig, dialer: Arc<dyn Dialer>) -> Self {
        Self::with(identity(broker_id), config, dialer)
    }

    fn with(identity: Identity, config: TransportConfig, dialer: Arc<dyn Dialer>) -> Self {
        let registry = Registry::new();
        let seams = Seams { random: Random::os(), dialer };
        let transport = Transport::new(identity, config, seams, &registry);
        let (shutdown, _) = watch::channel(false);
        Self { transport, script: Arc::default(), registry, shutdown, serving: Vec::new() }
    }

    fn serve(&mut self, listener: Listener) {
        let service = Arc::new(Script(self.script.clone()));
        self.serving.push(self.transport.serve(listener, service, self.shutdown.subscribe()));
    }

    /// Opens a TCP port.
    fn serve_tcp(&mut self) -> u16 {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        self.serve(listener);
        port
    }

    async fn call(&self, to: i32, kind: u8, body: &'static [u8]) -> Result<Bytes, CallError> {
        self.transport.call(to, Lane::Append, kind, vec![Bytes::from_static(body)], PATIENCE).await
    }

    fn metric(&self, line: &str) -> i64 {
        let text = self.registry.render();
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }

    fn closed(&self, reason: &str) -> i64 {
        self.metric(&format!("tidemark_peer_connections_closed_total{{reason=\"{reason}\"}}"))
    }

    fn failed(&self, reason: &str) -> i64 {
        self.metric(&format!("tidemark_peer_calls_failed_total{{reason=\"{reason}\"}}"))
    }

    async fn stop(self) {
        self.shutdown.send_replace(true);
        for serving in self.serving {
            serving.await.unwrap();
        }
    }
}

/// Waits until something is so; where time is moved by hand, giving up takes a moment.
async fn until(what: impl Fn() -> bool) {
    let since = tokio::time::Instant::now();
    while !what() {
        assert!(since.elapsed() < 2 * PATIENCE, "it does not come true");
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Connections in memory that can be held and cut; hosts are not looked at.
#[derive(Debug, Default)]
struct Links {
    ports: Mutex<HashMap<u16, InProcessConnector>>,
    control: Arc<Control>,
}

/// What the links of one caller do.
#[derive(Debug, Default)]
struct Control {
    /// Nothing moves.
    held: AtomicBool,
    /// Counted up by each cut: links made before are dead.
    cuts: AtomicUsize,
    dialled: AtomicUsize,
    writes: AtomicUsize,
    wakers: Mutex<Vec<Waker>>,
}

impl Links {
    fn listen(&self, port: u16) -> Listener {
        let (listener, connector) = in_process();
        self.ports.lock().unwrap().insert(port, connector);
        listener
    }

    fn dialled(&self) -> usize {
        self.control.dialled.load(Ordering::SeqCst)
    }

    fn hold(&self, held: bool) {
        self.control.held.store(held, Ordering::SeqCst);
        self.control.wake();
    }

    fn cut(&self) {
        self.control.cuts.fetch_add(1, Ordering::SeqCst);
        self.control.wake();
    }
}

impl Control {
    fn wake(&self) {
        for waker in self.wakers.lock().unwrap().drain(..) {
            waker.wake();
        }
    }
}

impl Dialer for Links {
    fn dial(&self, _: String, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> {
        self.control.dialled.fetch_add(1, Ordering::SeqCst);
        let connector = self.ports.lock().unwrap().get(&port).cloned();
        let control = self.control.clone();
        Box::pin(async move {
            let connector = connector.ok_or(io::ErrorKind::ConnectionRefused)?;
            let made = control.cuts.load(Ordering::SeqCst);
            Ok(Box::new(Link { inner: connector.connect().await?, control, made }) as Box<dyn Wire>)
        })
    }
}

/// The caller's end of a connection.
struct Link {
    inner: DuplexStream,
    control: Arc<Control>,
    made: usize,
}

impl Link {
    /// The stream, unless it is cut or held.
    fn pass(&mut self, cx: &Context<'_>) -> Poll<io::Result<Pin<&mut DuplexStream>>> {
        self.control.wakers.lock().unwrap().push(cx.waker().clone());
        if self.control.cuts.load(Ordering::SeqCst) != self.made {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.control.held.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        Poll::Ready(Ok(Pin::new(&mut self.inner)))
    }
}

impl AsyncRead for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.pass(cx))?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        std::task::ready!(self.pass(cx))?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.control.writes.fetch_add(1, Ordering::SeqCst);
        std::task::ready!(self.pass(cx))?.poll_write_vectored(cx, parts)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.pass(cx))?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.pass(cx))?.poll_shutdown(cx)
    }
}

/// Broker 1, which calls broker 2 over links.
fn linked(config: &TransportConfig) -> (Node, Node, Arc<Links>) {
    let links = Arc::new(Links::default());
    let caller = Node::new(1, config.clone(), links.clone());
    let mut callee = Node::new(2, config.clone(), Arc::new(TcpDialer));
    callee.serve(links.listen(2));
    caller.transport.set_peer(2, "two", 2);
    (caller, callee, links)
}

/// Broker 1, which calls broker 2 over TCP.
fn over_tcp(config: &TransportConfig) -> (Node, Node) {
    let caller = Node::new(1, config.clone(), Arc::new(TcpDialer));
    let mut callee = Node::new(2, config.clone(), Arc::new(TcpDialer));
    let port = callee.serve_tcp();
    caller.transport.set_peer(2, "127.0.0.1", port);
    (caller, callee)
}
