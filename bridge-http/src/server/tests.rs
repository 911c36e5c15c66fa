//! Raw bytes over real sockets. The broker behind the bridge is a stub that knows no topic.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tidemark_client::{Client, ClientConfig, Connector};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

use crate::{BridgeConfig, serve};

/// Far beyond anything that is awaited here.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bridge under test.
struct Running {
    address: SocketAddr,
    /// Whether the stub answers.
    broker_up: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<std::io::Result<()>>,
}

async fn start(config: BridgeConfig) -> Running {
    start_with_page(config, "process_counter 1\n".to_owned()).await
}

#[allow(clippy::disallowed_methods, reason = "a test is outside the simulation")]
async fn start_with_page(config: BridgeConfig, page: String) -> Running {
    let broker_up = Arc::new(AtomicBool::new(true));
    let up = Arc::clone(&broker_up);
    let connector = Connector::new(move |_| {
        let up = Arc::clone(&up);
        async move {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            tokio::spawn(stub_broker(theirs, up));
            Ok(ours)
        }
    });
    let mut client = ClientConfig::new(["stub:9092"]);
    client.connector = connector;
    client.unknown_topic_wait = Duration::ZERO;
    client.retry.timeout = Duration::from_millis(200);
    client.request_timeout = Duration::from_millis(200);
    client.connect_timeout = Duration::from_millis(200);
    let client = Client::connect(client).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let page = Arc::new(move || page.clone());
    let served = tokio::spawn(serve(listener, client, config, page, async { drop(stopped.await) }));
    Running { address, broker_up, stop: Some(stop), served }
}

/// Answers ApiVersions (only version 0 is known) and Metadata version 1, without brokers and topics.
async fn stub_broker(mut stream: DuplexStream, up: Arc<AtomicBool>) {
    loop {
        let Ok(length) = stream.read_u32().await else { return };
        let mut frame = vec![0; length as usize];
        if stream.read_exact(&mut frame).await.is_err() || !up.load(Ordering::Relaxed) {
            return;
        }
        let mut answer = frame[4..8].to_vec();
        match (frame[1], frame[3]) {
            (18, version) => {
                let refused = if version > 0 { 35_u16 } else { 0 };
                answer.extend(refused.to_be_bytes());
                answer.extend([0, 0, 0, 2, 0, 18, 0, 0, 0, 0, 0, 3, 0, 1, 0, 1]);
            }
            (3, 1) => answer.extend([0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]),
            other => panic!("unexpected request {other:?}"),
        }
        stream.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// What every error says.
    fn problem(&self) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(problem["status"], self.status);
        assert!(problem["type"].as_str().unwrap().starts_with("/problems/"));
        assert!(problem["retryable"].is_boolean() && problem.get("kafka_error").is_some());
        problem
    }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(PATIENCE, &mut self.served).await.unwrap().unwrap().unwrap();
    }
}

/// Reads one answer; None: the connection ended instead.
async fn read_answer(stream: &mut TcpStream) -> Option<Answer> {
    let reading = async {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => bytes.push(byte),
                Err(_) => return None,
            }
        }
        let head = String::from_utf8(bytes).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: String::new() };
        let length = answer.header("content-length").unwrap_or("0").parse().unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        answer.body = String::from_utf8(body).unwrap();
        assert!(answer.header("date").is_some(), "{answer:?}");
        Some(answer)
    };
    timeout(PATIENCE, reading).await.unwrap()
}

/// Sends bytes on a connection of their own; answers what came, and whether the bridge ended the connection then.
async fn exchange(bridge: &Running, bytes: &[u8]) -> (Option<Answer>, bool) {
    let mut stream = bridge.connect().await;
    // the bridge may well refuse before it has read all
    let (mut read, mut write) = stream.split();
    let _ = &mut read;
    let _ = timeout(PATIENCE, write.write_all(bytes)).await.unwrap();
    let answer = read_answer(&mut stream).await;
    let closes = answer.as_ref().is_none_or(|answer| answer.header("connection") == Some("close"));
    if closes {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty(), "{}", rest.escape_ascii());
    }
    (answer, closes)
}

/// A connection that must not notice any of it.
async fn unaffected(stream: &mut TcpStream) {
    stream.write_all(b"GET /healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(read_answer(stream).await.unwrap().status, 200);
}

const POST: &str = "POST /v1/streams/t/records HTTP/1.1\r\nHost: x\r\n";

#[tokio::test]
async fn hostile_heads_are_refused_and_their_connection_ends() {
    let long = "x".repeat(64 * 1024);
    let many: String = (0..1000).map(|at| format!("h{at}: x\r\n")).collect();
    let cases: Vec<(String, u16, &str)> = [
        // H5: framing that two parsers could read differently
        (format!("{POST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"), 400),
        (format!("{POST}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\nx\r\n0\r\n\r\n"), 400),
        (format!("{POST}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"), 400),
        (format!("{POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx"), 400),
        (format!("{POST}Content-Length: 1, 1\r\n\r\nx"), 400),
        (format!("{POST}Content-Length: +1\r\n\r\nx"), 400),
        (format!("{POST}Content-Length: -1\r\n\r\nx"), 400),
        (format!("{POST}Content-Length: 99999999999999999999\r\n\r\nx"), 400),
        (format!("{POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 400),
        (format!("{POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\nHost: x\n\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n".to_owned(), 400),
        ("GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n".to_owned(), 400),
        ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET / x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET /a\"b HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("G(T / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03".to_owned(), 400),
        ("hello\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_owned(), 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 505),
        // H6: sizes
        (format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"), 431),
        (format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", &long[..8192]), 414),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), 414),
        // H15
        ("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        ("GET / HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\n\r\n".to_owned(), 403),
    ]
    .into_iter()
    .map(|(bytes, status)| (bytes, status, "close"))
    .collect();
    let bridge = start(BridgeConfig::default()).await;
    let mut other = bridge.connect().await;
    for (bytes, status, _) in &cases {
        let (answer, closes) = exchange(&bridge, bytes.as_bytes()).await;
        let shown = &bytes[..bytes.len().min(120)];
        let answer = answer.unwrap_or_else(|| panic!("{shown:?}: no answer"));
        assert_eq!((answer.status, closes), (*status, true), "{shown:?}: {answer:?}");
        answer.problem();
        unaffected(&mut other).await;
    }
    bridge.stop().await;
}

#[tokio::test]
async fn hostile_paths_and_names_are_refused() {
    let bridge = start(BridgeConfig::default()).await;
    let mut stream = bridge.connect().await;
    let topic = "x".repeat(250);
    let cases = [
        // H10
        ("/v1/streams/../../etc/passwd".to_owned(), 400),
        ("/v1/streams/%2e%2e/partitions/0/records".to_owned(), 400),
        ("/v1/streams/%2E./partitions/0/records".to_owned(), 400),
        ("/v1/streams/a%00b/partitions/0/records".to_owned(), 400),
        ("/v1/streams/a%252e/partitions/0/records".to_owned(), 400),
        ("/v1/streams/a%2fb/partitions/0/records".to_owned(), 400),
        ("/v1/streams/a%zzb/partitions/0/records".to_owned(), 400),
        ("/v1/streams/%ff/partitions/0/records".to_owned(), 400),
        ("/v1/streams/a%20b/partitions/0/records".to_owned(), 400),
        (format!("/v1/streams/{topic}/partitions/0/records"), 400),
        ("/v1/streams/t/partitions/-1/records".to_owned(), 400),
        ("/v1/streams/t/partitions/4294967296/records".to_owned(), 400),
        ("/v1/streams/t/partitions/x".to_owned(), 400),
        ("/v1/streams/t/partitions/0/records?ofset=1".to_owned(), 400),
        ("/v1/streams/t/partitions/0/records?offset=1&offset=2".to_owned(), 400),
        ("/v1/streams/t/partitions/0/records?offset=1&tail=2".to_owned(), 400),
        ("/v1/streams/t/partitions/0/records?offset=-1".to_owned(), 400),
        ("/v1/streams/t/partitions/0/records?limit=0".to_owned(), 400),
        ("/v1/streams/t/partitions/0/records?format=xml".to_owned(), 400),
        ("/v1/streams/t/partitions/0/records?isolation=none".to_owned(), 400),
        ("/v1/streams/t?x=1".to_owned(), 400),
        ("/v1/streams?x=1".to_owned(), 400),
        ("/nothing".to_owned(), 404),
        ("/v1/streams/".to_owned(), 404),
        ("/v1/streams/t/partitions/0/records".to_owned(), 404),
        ("/v1/streams/t/partitions/0".to_owned(), 404),
        ("/v1/streams/t".to_owned(), 404),
    ];
    for (path, status) in cases {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
        let answer = read_answer(&mut stream).await.unwrap();
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        answer.problem();
    }
    bridge.stop().await;
}

#[tokio::test]
async fn bodies_are_judged_before_anything_is_stored() {
    let config = BridgeConfig { body_bytes_max: 1000, ..BridgeConfig::default() };
    let bridge = start(config).await;
    let mut other = bridge.connect().await;
    let body = |headers: &str, body: &[u8]| {
        [format!("{POST}{headers}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
    };
    let bomb = tidemark_record::Compression::Gzip.compress(&vec![0; 100_000], None).unwrap();
    let chunk = format!("1f4\r\n{}\r\n", "x".repeat(500));
    let cases: Vec<(Vec<u8>, u16, bool)> = vec![
        // H1
        (body("", &[b'x'; 1001]), 413, true),
        (format!("{POST}Content-Length: 100000000000\r\n\r\n").into_bytes(), 413, true),
        (format!("{POST}Transfer-Encoding: chunked\r\n\r\n{chunk}{chunk}{chunk}").into_bytes(), 413, true),
        (body("Content-Encoding: gzip\r\n", &bomb), 413, true),
        // H2
        (body("Content-Encoding: br\r\n", b"x"), 415, true),
        (body("Content-Encoding: gzip, gzip\r\n", b"x"), 415, true),
        (body("Content-Type: nonsense\r\n", b"x"), 415, false),
        (body("Content-Type: application/json; charset=utf-16\r\n", b"x"), 415, false),
        (body("Content-Type: application/vnd.tidemark.record+json\r\n", b"{}"), 415, false),
        (body("Content-Encoding: gzip\r\n", b"no gzip"), 400, false),
        // H3
        (body("Content-Type: application/json\r\n", b"{]"), 400, false),
        (body("Content-Type: application/json\r\n", &b"[".repeat(900)), 400, false),
        (body("Content-Type: application/json\r\n", b"1e999"), 400, false),
        (body("Content-Type: application/json\r\n", b"{\"a\":1,\"a\":2}"), 400, false),
        (body("Content-Type: application/json\r\n", b"\"\\ud800\""), 400, false),
        // H4
        (body("Record-Key-Base64: ***\r\n", b"x"), 422, false),
        (body("Record-Key: %\r\n", b"x"), 422, false),
        (body("Record-Header-%ff: x\r\n", b"x"), 422, false),
        (body("Record-Timestamp: soon\r\n", b"x"), 400, false),
        (body("Record-Tombstone: true\r\n", b"x"), 400, false),
        // H5, in the body
        (format!("{POST}Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n").into_bytes(), 400, true),
        (format!("{POST}Transfer-Encoding: chunked\r\n\r\nx\r\n").into_bytes(), 400, true),
        (format!("{POST}Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n").into_bytes(), 400, true),
        // the stub knows no topic
        (body("", b"x"), 404, false),
    ];
    for (bytes, status, closes) in cases {
        let shown = bytes[..bytes.len().min(160)].escape_ascii().to_string();
        let (answer, closed) = exchange(&bridge, &bytes).await;
        let answer = answer.unwrap_or_else(|| panic!("{shown}: no answer"));
        assert_eq!((answer.status, closed), (status, closes), "{shown}: {answer:?}");
        answer.problem();
        unaffected(&mut other).await;
    }
    bridge.stop().await;
}

#[tokio::test]
async fn slow_senders_are_cut() {
    let config = BridgeConfig {
        head_timeout: Duration::from_millis(150),
        body_timeout: Duration::from_millis(150),
        idle_timeout: Duration::from_millis(150),
        ..BridgeConfig::default()
    };
    let bridge = start(config).await;
    // H7: half a head, half a body, nothing at all, nothing after an answer
    let (answer, closed) = exchange(&bridge, b"GET / HTTP/1.1\r\nHo").await;
    assert_eq!((answer.unwrap().status, closed), (408, true));
    let (answer, closed) = exchange(&bridge, format!("{POST}Content-Length: 5\r\n\r\nabc").as_bytes()).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, closed), (408, true));
    assert_eq!(answer.problem()["type"], "/problems/slow-request");
    assert!(exchange(&bridge, b"").await.0.is_none());
    let mut stream = bridge.connect().await;
    unaffected(&mut stream).await;
    assert!(read_answer(&mut stream).await.is_none());
    // a byte now and then does not help
    let mut stream = bridge.connect().await;
    let (mut read, mut write) = stream.split();
    let dripping = async {
        loop {
            if write.write_all(b"GET / HTTP/1.1\r\n".split_at(1).0).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut first = [0; 12];
    tokio::select! {
        () = dripping => panic!("cut without an answer"),
        answered = timeout(PATIENCE, read.read_exact(&mut first)) => drop(answered.unwrap().unwrap()),
    }
    assert_eq!(&first, b"HTTP/1.1 408");
    bridge.stop().await;
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_their_turn() {
    let bridge = start(BridgeConfig::default()).await;
    let mut stream = bridge.connect().await;
    let requests = format!(
        "\r\nGET /healthy HTTP/1.1\r\nHost: x\r\n\r\n{POST}Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nt: r\r\n\r\n\
         GET http://x/healthy HTTP/1.1\r\nHost: x\r\n\r\nHEAD /healthy HTTP/1.1\r\nHost: x\r\n\r\n"
    );
    // one byte at a time must do as well
    for byte in requests.as_bytes().chunks(7) {
        stream.write_all(byte).await.unwrap();
    }
    for status in [200, 404, 200] {
        assert_eq!(read_answer(&mut stream).await.unwrap().status, status);
    }
    let mut head = [0; 15];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200 OK");
    bridge.stop().await;
}

#[tokio::test]
async fn a_refusal_waits_for_the_answers_before_it() {
    let bridge = start(BridgeConfig::default()).await;
    let mut stream = bridge.connect().await;
    stream.write_all(b"GET /healthy HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\nHost: x\n\n").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.unwrap().status, 200);
    assert_eq!(read_answer(&mut stream).await.unwrap().status, 400);
    assert!(read_answer(&mut stream).await.is_none());
    bridge.stop().await;
}

#[tokio::test]
async fn methods_that_are_not_served_are_named() {
    let bridge = start(BridgeConfig::default()).await;
    let cases = [
        ("PUT /v1/streams/t/records", "POST"),
        ("GET /v1/streams/t/records", "POST"),
        ("POST /v1/streams", "GET,HEAD"),
        ("DELETE /v1/streams/t", "GET,HEAD"),
        ("OPTIONS /v1/streams", "GET,HEAD"),
        ("BREW /", "GET,HEAD"),
    ];
    for (line, allow) in cases {
        let (answer, _) = exchange(&bridge, format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        let answer = answer.unwrap();
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{line}: {answer:?}");
        answer.problem();
    }
    bridge.stop().await;
}

#[tokio::test]
async fn readiness_follows_the_broker() {
    let bridge = start(BridgeConfig::default()).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(exchange(&bridge, get("/ready").as_bytes()).await.0.unwrap().status, 200);
    let root = exchange(&bridge, get("/").as_bytes()).await.0.unwrap();
    let root: Value = serde_json::from_str(&root.body).unwrap();
    assert_eq!(root["version"], env!("CARGO_PKG_VERSION"));
    bridge.broker_up.store(false, Ordering::Relaxed);
    let down = exchange(&bridge, get("/ready").as_bytes()).await.0.unwrap();
    assert_eq!((down.status, down.header("retry-after")), (503, Some("1")));
    assert_eq!(down.problem()["retryable"], true);
    assert!(!down.body.contains("stub"), "{down:?}");
    assert_eq!(exchange(&bridge, get("/healthy").as_bytes()).await.0.unwrap().status, 200);
    let page = exchange(&bridge, get("/metrics").as_bytes()).await.0.unwrap();
    assert!(page.body.starts_with("process_counter 1\n"), "{page:?}");
    assert!(page.body.contains("tidemark_http_requests_total{method=\"GET\",status=\"503\"} 1\n"), "{page:?}");
    bridge.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_told_so() {
    let bridge = start(BridgeConfig { connections_max: 2, ..BridgeConfig::default() }).await;
    let (mut first, mut second) = (bridge.connect().await, bridge.connect().await);
    unaffected(&mut first).await;
    unaffected(&mut second).await;
    let mut third = bridge.connect().await;
    let mut said = Vec::new();
    timeout(PATIENCE, third.read_to_end(&mut said)).await.unwrap().unwrap();
    assert!(said.starts_with(b"HTTP/1.1 503 "), "{}", said.escape_ascii());
    unaffected(&mut first).await;
    drop(second);
    // the place is free once the bridge has noticed
    timeout(PATIENCE, async {
        loop {
            let mut again = bridge.connect().await;
            again.write_all(b"GET /healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut line = [0; 12];
            if again.read_exact(&mut line).await.is_ok() && &line == b"HTTP/1.1 200" {
                return;
            }
        }
    })
    .await
    .unwrap();
    bridge.stop().await;
}

#[tokio::test]
async fn stopping_ends_idle_connections_at_once() {
    let bridge = start(BridgeConfig { shutdown_timeout: PATIENCE * 2, ..BridgeConfig::default() }).await;
    let mut idle = bridge.connect().await;
    unaffected(&mut idle).await;
    bridge.stop().await;
    assert!(read_answer(&mut idle).await.is_none());
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut() {
    let write_timeout = Duration::from_millis(100);
    let config = BridgeConfig { write_timeout, shutdown_timeout: PATIENCE * 2, ..BridgeConfig::default() };
    let bridge = start_with_page(config, "x 1\n".repeat(8 << 20)).await;
    // H14: more than socket buffers hold, and nobody takes it
    let mut deaf = bridge.connect().await;
    deaf.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    timeout(PATIENCE, deaf.readable()).await.unwrap().unwrap();
    bridge.stop().await;
    let mut taken = Vec::new();
    let _ = timeout(PATIENCE, deaf.read_to_end(&mut taken)).await.unwrap();
    assert!(taken.len() < 32 << 20, "{} bytes came all the same", taken.len());
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let bridge = start(BridgeConfig { body_bytes_max: 1000, ..BridgeConfig::default() }).await;
    let mut stream = bridge.connect().await;
    stream.write_all(format!("{POST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n").as_bytes()).await.unwrap();
    let mut said = [0; 25];
    timeout(PATIENCE, stream.read_exact(&mut said)).await.unwrap().unwrap();
    assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hello").await.unwrap();
    assert_eq!(read_answer(&mut stream).await.unwrap().status, 404);
    // one that is too large is told before it is sent
    let head = format!("{POST}Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.unwrap().status, 413);
    bridge.stop().await;
}
