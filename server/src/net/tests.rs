//! Connections from end to end: in this process where time is moved by hand, over TCP where the kernel matters.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafka_protocol::messages::{
    ApiVersionsRequest, CreateTopicsRequest, DeleteTopicsRequest, FetchRequest, MetadataRequest, ProduceRequest,
    TopicName,
    create_topics_request::CreatableTopic,
    fetch_request::{FetchPartition, FetchTopic},
    produce_request::{PartitionProduceData, TopicProduceData},
};
use tidemark_record::BatchBuilder;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    net::{TcpSocket, TcpStream},
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    answers::{Answer, Answers, State},
    *,
};
use crate::{
    api::{
        ApiConfig, Dispatcher, Part, Reply, ReplyHeader,
        tests::{broker, frame},
    },
    metrics::Registry,
    os::network::{InProcessConnector, Listener, in_process},
    tasks::{self, TaskKind},
};

/// A room under test.
struct Room {
    net: Arc<Net>,
    registry: Registry,
    shutdown: watch::Sender<bool>,
    connector: InProcessConnector,
    serving: JoinHandle<()>,
}

impl Room {
    async fn new(config: NetConfig) -> Self {
        let registry = Registry::new();
        let dispatcher = Dispatcher::new(Arc::new(broker(ApiConfig::default()).await), &registry);
        let net = Net::new(config, dispatcher, &registry);
        let (shutdown, receiver) = watch::channel(false);
        let (listener, connector) = in_process();
        let serving = net.serve(listener, "localhost", 9092, receiver);
        Self { net, registry, shutdown, connector, serving }
    }

    async fn connect(&self) -> DuplexStream {
        self.connector.connect().await.unwrap()
    }

    /// Opens a TCP port on the same room.
    async fn connect_tcp(&self) -> TcpStream {
        self.connect_tcp_from("127.0.0.1").await
    }

    /// The same from another address of this machine.
    async fn connect_tcp_from(&self, from: &str) -> TcpStream {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        self.net.serve(listener, "localhost", 9092, self.shutdown.subscribe());
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from.parse::<std::net::Ipv4Addr>().unwrap(), 0).into()).unwrap();
        socket.connect(address).await.unwrap()
    }

    fn closed(&self, reason: &str) -> bool {
        self.registry.render().contains(&format!("tidemark_connections_closed_total{{reason=\"{reason}\"}} 1\n"))
    }
}

fn framed(frame: &Bytes) -> Vec<u8> {
    [&(frame.len() as u32).to_be_bytes()[..], frame].concat()
}

fn api_versions(correlation_id: i32) -> Vec<u8> {
    framed(&frame(0, correlation_id, &ApiVersionsRequest::default()))
}

/// A request of about this many bytes, about topics that are not there.
fn long_request(correlation_id: i32, bytes: usize) -> Vec<u8> {
    let names = (0..bytes / 100).map(|place| TopicName(format!("{place:0>98}").into())).collect();
    framed(&frame(1, correlation_id, &DeleteTopicsRequest::default().with_topic_names(names)))
}

/// The correlation id of the next answer.
async fn next_answer(stream: &mut (impl AsyncRead + Unpin)) -> i32 {
    let len = stream.read_u32().await.unwrap();
    let id = stream.read_i32().await.unwrap();
    let mut rest = vec![0; len as usize - 4];
    stream.read_exact(&mut rest).await.unwrap();
    id
}

/// Waits for the other side to close.
async fn is_closed(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut rest = Vec::new();
    timeout(Duration::from_secs(3600), stream.read_to_end(&mut rest)).await.is_ok() && rest.is_empty()
}

async fn in_order(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut requests = Vec::new();
    for id in 0..60 {
        match id % 3 {
            0 => requests.extend(api_versions(id)),
            1 => requests.extend(framed(&frame(9, id, &MetadataRequest::default()))),
            _ => requests.extend(long_request(id, 100 << (id % 12))),
        }
    }
    let (mut reading, mut writing) = tokio::io::split(&mut stream);
    let write = async {
        // in pieces that fall across every boundary
        for piece in requests.chunks(7001) {
            writing.write_all(piece).await.unwrap();
        }
    };
    let read = async {
        for id in 0..60 {
            assert_eq!(next_answer(&mut reading).await, id);
        }
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_requests() {
    let room = Room::new(NetConfig::default()).await;
    in_order(room.connect().await).await;
    in_order(room.connect_tcp().await).await;
}

#[tokio::test]
async fn a_frame_byte_by_byte_is_a_frame() {
    let room = Room::new(NetConfig::default()).await;
    let mut stream = room.connect().await;
    for byte in api_versions(5) {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(next_answer(&mut stream).await, 5);
}

#[tokio::test]
async fn a_long_frame_arrives_whole_and_its_memory_is_given_back() {
    let room = Room::new(NetConfig::default()).await;
    let free = room.net.budget.free_bytes();
    let mut stream = room.connect_tcp().await;
    for id in 0..3 {
        stream.write_all(&long_request(id, 3 << 20)).await.unwrap();
        assert_eq!(next_answer(&mut stream).await, id);
    }
    drop(stream);
    let given_back = async {
        while room.net.budget.free_bytes() != free {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), given_back).await.unwrap();
}

#[tokio::test]
async fn bad_lengths_and_foreign_protocols_close_at_once() {
    let max = NetConfig::default().request_bytes_max;
    let too_long = (max as u32 + 1).to_be_bytes();
    let cases: [(&[u8], &str); 9] = [
        (&[0xff, 0xff, 0xff, 0xff], "length"),
        (&[0x80, 0, 0, 0], "length"),
        (&[0, 0, 0, 0], "length"),
        (&[0, 0, 0, 7], "length"),
        (&too_long, "too_long"),
        (b"GET / HTTP/1.1\r\n", "http"),
        (b"POST /v1 HTTP/1.1\r\n", "http"),
        (&[0x16, 0x03, 0x01, 0x02, 0x00], "tls"),
        (&[0, 0, 0, 8, 0, 99, 0, 0, 0, 0, 0, 0], "api_key"),
    ];
    for (bytes, reason) in cases {
        let room = Room::new(NetConfig::default()).await;
        let mut stream = room.connect().await;
        stream.write_all(bytes).await.unwrap();
        assert!(is_closed(&mut stream).await, "{bytes:?}");
        assert!(room.closed(reason), "{reason}: {}", room.registry.render());
        assert_eq!(room.net.budget.free_bytes(), 256 << 20);
    }
}

#[tokio::test]
async fn lengths_that_are_only_claimed_take_no_memory_from_others() {
    let room = Room::new(NetConfig { memory_bytes_max: 20 << 20, ..NetConfig::default() }).await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        let mut stream = room.connect().await;
        stream.write_all(&(16_u32 << 20).to_be_bytes()).await.unwrap();
        stream.write_all(&[0; 100]).await.unwrap();
        silent.push(stream);
    }
    let mut stream = room.connect().await;
    stream.write_all(&long_request(1, 1 << 18)).await.unwrap();
    assert_eq!(next_answer(&mut stream).await, 1);
    assert_eq!(room.net.metrics.connections.get(), 201);
}

#[tokio::test(start_paused = true)]
async fn reading_pauses_while_memory_is_short() {
    let room = Room::new(NetConfig { memory_bytes_max: 1 << 20, ..NetConfig::default() }).await;
    let long = long_request(1, 700 << 10);
    let (mut first, mut second) = (room.connect().await, room.connect().await);
    let half = long.len() / 2;
    first.write_all(&long[..half]).await.unwrap();
    while room.net.budget.free_bytes() > 512 << 10 {
        tokio::task::yield_now().await;
    }
    let sent = tasks::spawn(TaskKind::Connection, {
        let long = long.clone();
        async move {
            second.write_all(&long).await.unwrap();
            next_answer(&mut second).await
        }
    });
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!sent.is_finished(), "the second frame waits for the first one's memory");
    first.write_all(&long[half..]).await.unwrap();
    assert_eq!(next_answer(&mut first).await, 1);
    assert_eq!(sent.await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn idle_and_slow_peers_are_closed_on_time() {
    let room = Room::new(NetConfig::default()).await;
    let begin = Instant::now();
    let mut slow = room.connect().await;
    slow.write_all(&api_versions(1)[..10]).await.unwrap();
    assert!(is_closed(&mut slow).await && room.closed("slow_frame"));
    assert_eq!(begin.elapsed().as_secs(), 30);
    let begin = Instant::now();
    let mut idle = room.connect().await;
    tokio::time::sleep(Duration::from_secs(500)).await;
    idle.write_all(&api_versions(1)).await.unwrap();
    assert_eq!(next_answer(&mut idle).await, 1);
    assert!(is_closed(&mut idle).await && room.closed("idle"));
    assert_eq!(begin.elapsed().as_secs(), 1100);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_closed() {
    let room = Room::new(NetConfig::default()).await;
    let stream = room.connect().await;
    let (reading, mut writing) = tokio::io::split(stream);
    let begin = Instant::now();
    let mut sent = 0;
    // more answers than the connection can hold, until the other side has had enough
    while writing.write_all(&long_request(sent, 100 << 10)).await.is_ok() {
        sent += 1;
        assert!(sent < 1000);
    }
    assert!(room.closed("slow_reader"), "{}", room.registry.render());
    assert_eq!(begin.elapsed().as_secs(), 30);
    drop(reading);
}

#[tokio::test]
async fn a_peer_that_closed_its_sending_side_still_gets_its_answers() {
    let room = Room::new(NetConfig::default()).await;
    let mut stream = room.connect_tcp().await;
    stream.write_all(&[api_versions(1), api_versions(2)].concat()).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!((next_answer(&mut stream).await, next_answer(&mut stream).await), (1, 2));
    assert!(is_closed(&mut stream).await);
}

#[tokio::test]
async fn too_many_connections_are_refused_and_others_stay() {
    let room = Room::new(NetConfig { connections_per_ip_max: 2, ..NetConfig::default() }).await;
    let _bridge = (room.connect().await, room.connect().await, room.connect().await);
    let (mut first, mut second) = (room.connect_tcp().await, room.connect_tcp().await);
    for stream in [&mut first, &mut second] {
        stream.write_all(&api_versions(8)).await.unwrap();
        assert_eq!(next_answer(stream).await, 8, "those inside the process count for nobody");
    }
    let mut third = room.connect_tcp().await;
    assert!(is_closed(&mut third).await);
    assert!(room.registry.render().contains("tidemark_connections_refused_total{reason=\"per_ip\"} 1\n"));
    first.write_all(&api_versions(9)).await.unwrap();
    assert_eq!(next_answer(&mut first).await, 9);
}

#[tokio::test]
async fn slow_frames_from_one_address_hold_up_no_other() {
    let room = Room::new(NetConfig { memory_bytes_max: 8 << 20, ..NetConfig::default() }).await;
    let long = long_request(1, 1 << 20);
    let mut slow = Vec::new();
    // enough of them for the whole budget
    for _ in 0..8 {
        let mut stream = room.connect_tcp_from("127.0.0.1").await;
        stream.write_all(&long[..128 << 10]).await.unwrap();
        slow.push(stream);
    }
    while room.net.budget.free_bytes() > 7 << 20 {
        tokio::task::yield_now().await;
    }
    let mut other = room.connect_tcp_from("127.0.0.2").await;
    other.write_all(&long).await.unwrap();
    assert_eq!(timeout(Duration::from_secs(20), next_answer(&mut other)).await.unwrap(), 1);
    assert!(room.net.budget.free_bytes() >= 6 << 20, "a quarter is for one address");
    // they get their turn one after the other
    let rest = slow.iter_mut().map(async |stream| {
        stream.write_all(&long[128 << 10..]).await.unwrap();
        next_answer(stream).await
    });
    assert_eq!(futures_util::future::join_all(rest).await, [1; 8]);
}

#[tokio::test]
async fn shutdown_ends_listeners_and_connections() {
    let room = Room::new(NetConfig::default()).await;
    let mut idle = room.connect().await;
    idle.write_all(&api_versions(1)).await.unwrap();
    assert_eq!(next_answer(&mut idle).await, 1);
    assert!(!room.serving.is_finished());
    room.shutdown.send(true).unwrap();
    timeout(Duration::from_secs(20), room.serving).await.unwrap().unwrap();
    assert!(is_closed(&mut idle).await);
    assert_eq!(room.net.metrics.connections.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_holds_up_no_shutdown() {
    let room = Room::new(NetConfig { write_max: Duration::from_secs(3600), ..NetConfig::default() }).await;
    let stream = room.connect().await;
    let (reading, mut writing) = tokio::io::split(stream);
    let full = async {
        for id in 0.. {
            writing.write_all(&long_request(id, 100 << 10)).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_secs(1), full).await.is_err(), "the broker takes no more");
    let begin = Instant::now();
    room.shutdown.send(true).unwrap();
    timeout(Duration::from_secs(60), room.serving).await.unwrap().unwrap();
    assert_eq!(begin.elapsed(), NetConfig::default().drain_max);
    drop(reading);
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_brings_a_long_request_unless_memory_is_short() {
    let long = long_request(1, 1 << 20);
    for (memory_bytes_max, comes) in [(256 << 20, true), (2 << 20, false)] {
        let room = Room::new(NetConfig { memory_bytes_max, ..NetConfig::default() }).await;
        let mut stream = room.connect().await;
        for piece in long.chunks(6 * 1024) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if stream.write_all(piece).await.is_err() {
                break;
            }
        }
        if comes {
            assert_eq!(next_answer(&mut stream).await, 1);
        } else {
            assert!(is_closed(&mut stream).await && room.closed("slow_frame"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_gets_a_long_answer() {
    let room = Room::new(NetConfig::default()).await;
    let mut stream = room.connect().await;
    stream.write_all(&long_request(1, 1 << 20)).await.unwrap();
    let mut left = stream.read_u32().await.unwrap() as usize;
    assert!(left > 1 << 20);
    let mut piece = vec![0; 6 * 1024];
    while left > 0 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let bytes = left.min(piece.len());
        stream.read_exact(&mut piece[..bytes]).await.unwrap();
        left -= bytes;
    }
}

#[tokio::test]
async fn ready_answers_behind_one_that_waits_are_held_up_to_a_bound() {
    let mut answers = Answers::default();
    let push = |answers: &mut Answers, state| {
        let header = ReplyHeader { correlation_id: 0, tagged: false };
        answers.push(Answer { header, api: 0, since: Instant::now(), state, charge: None });
    };
    let (ready, waits) = tokio::sync::oneshot::channel::<()>();
    let waiting = Box::pin(async move { waits.await.map(|()| Reply::default()).map_err(|gone| gone.to_string()) });
    push(&mut answers, State::Waiting { waiting, exclusive: false });
    let mut held = 0;
    while answers.may_read(128) {
        let bytes = vec![0; 300 << 10].into();
        push(&mut answers, State::Ready(Reply { parts: vec![Part::Bytes(bytes)], ..Reply::default() }));
        held += 1;
    }
    assert_eq!(held, 4);
    ready.send(()).unwrap();
    let mut left = 0;
    while let Some(_answer) = answers.pop_ready().await.unwrap() {
        left += 1;
    }
    assert!(left == 5 && answers.is_empty() && answers.may_read(128));
}

#[tokio::test]
async fn requests_are_counted_by_api() {
    let room = Room::new(NetConfig::default()).await;
    let mut stream = room.connect().await;
    stream.write_all(&[api_versions(1), api_versions(2)].concat()).await.unwrap();
    next_answer(&mut stream).await;
    next_answer(&mut stream).await;
    let text = room.registry.render();
    assert!(text.contains("tidemark_requests_total{api=\"ApiVersions\"} 2\n"), "{text}");
    assert!(text.contains("tidemark_request_seconds_count{api=\"ApiVersions\"} 2\n"), "{text}");
    assert!(text.contains("tidemark_connections 1\n"), "{text}");
}

fn topic_t() -> TopicName {
    TopicName("t".into())
}

fn create_t() -> Vec<u8> {
    let topic = CreatableTopic::default().with_name(topic_t()).with_num_partitions(1).with_replication_factor(1);
    framed(&frame(2, 0, &CreateTopicsRequest::default().with_topics(vec![topic])))
}

fn produce_to_t(correlation_id: i32, acks: i16, value_bytes: usize) -> Vec<u8> {
    let mut batch = BatchBuilder::new();
    batch.append_plain(1_000_000, None, Some(&vec![7; value_bytes]));
    let data = PartitionProduceData::default().with_records(Some(batch.build().unwrap()));
    let topic = TopicProduceData::default().with_name(topic_t()).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic]);
    framed(&frame(7, correlation_id, &request))
}

fn fetch_from_t(correlation_id: i32, offset: i64, max_wait_ms: i32) -> Vec<u8> {
    let partition = FetchPartition::default().with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(topic_t()).with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(max_wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic]);
    framed(&frame(4, correlation_id, &request))
}

#[tokio::test]
async fn produces_that_wait_for_their_commit_keep_their_place() {
    let room = Room::new(NetConfig { pipelined_max: 5, ..NetConfig::default() }).await;
    let mut stream = room.connect_tcp().await;
    stream.write_all(&create_t()).await.unwrap();
    assert_eq!(next_answer(&mut stream).await, 0);
    let mut requests = Vec::new();
    for id in 1..=90 {
        requests.extend(match id % 9 {
            3 => api_versions(id),
            6 => fetch_from_t(id, 0, 100),
            8 => produce_to_t(id, 1, 30_000),
            _ => produce_to_t(id, -1, 10 << (id % 9)),
        });
    }
    // nothing answers acks=0
    requests.extend(produce_to_t(91, 0, 10));
    requests.extend(api_versions(92));
    let (mut reading, mut writing) = tokio::io::split(stream);
    let write = async { writing.write_all(&requests).await.unwrap() };
    let read = async {
        for id in (1..=90).chain([92]) {
            assert_eq!(next_answer(&mut reading).await, id);
        }
    };
    tokio::join!(write, read);
}

#[tokio::test]
async fn a_long_poll_ends_with_its_peer() {
    let room = Room::new(NetConfig::default()).await;
    let mut stream = room.connect().await;
    stream.write_all(&create_t()).await.unwrap();
    assert_eq!(next_answer(&mut stream).await, 0);
    stream.write_all(&fetch_from_t(1, 0, i32::MAX)).await.unwrap();
    let asked = || room.registry.render().contains("tidemark_requests_total{api=\"Fetch\"} 1\n");
    while !asked() {
        tokio::task::yield_now().await;
    }
    assert!(!room.closed("peer"));
    drop(stream);
    let closed = async {
        while !room.closed("peer") {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), closed).await.unwrap();
}

#[tokio::test]
async fn acks_0_that_fails_closes_the_connection() {
    let room = Room::new(NetConfig::default()).await;
    let mut stream = room.connect().await;
    stream.write_all(&produce_to_t(1, 0, 10)).await.unwrap();
    assert!(is_closed(&mut stream).await && room.closed("handler"));
}
