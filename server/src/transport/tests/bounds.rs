//! What a caller can make a broker hold: bytes on their way in, calls under way, answers that are not read.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{
    frame::{Form, HEADER_BYTES, Header},
    *,
};
use crate::transport::hello::{Answer, Hello, Spoken};

/// A frame as bytes.
pub(super) fn framed(form: Form, kind: u8, id: u64, body: &[u8]) -> Vec<u8> {
    let body = Bytes::copy_from_slice(body);
    [&Header::of(form, kind, id, std::slice::from_ref(&body)).encode()[..], &body].concat()
}

/// What broker `from` says first to broker 2.
pub(super) fn hello(from: i32) -> Hello {
    Hello {
        lane: Lane::Append,
        from,
        to: 2,
        incarnation: Uuid::from_u128(from as u128),
        process: Uuid::from_u128(u128::from(from as u32) << 32),
        cluster_id: CLUSTER.to_owned(),
    }
}

/// A caller that is admitted and then does what it likes.
pub(super) async fn admitted(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), from: i32) {
    stream.write_all(&hello(from).encode()).await.unwrap();
    let spoken = Spoken::read(stream).await.unwrap();
    Answer::decode(&spoken).unwrap().judge(&spoken, &identity(from), 2).unwrap();
}

/// The next frame's header and body.
pub(super) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Option<(Header, Vec<u8>)> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header).await.ok()?;
    let header = Header::decode(&header, usize::MAX).unwrap()?;
    let mut body = vec![0; header.body_len];
    stream.read_exact(&mut body).await.ok()?;
    Some((header, body))
}

async fn broker_2(config: TransportConfig) -> (Node, InProcessConnector) {
    let mut node = Node::new(2, config, Arc::new(TcpDialer));
    let (listener, connector) = in_process();
    node.serve(listener);
    (node, connector)
}

#[tokio::test(start_paused = true)]
async fn long_bodies_wait_for_room_in_one_budget() {
    let config = TransportConfig { memory_bytes_max: 2 << 20, ..config() };
    let (node, connector) = broker_2(config).await;
    let body = vec![1; 1500 << 10];
    let mut streams = Vec::new();
    for from in [10, 11] {
        let mut stream = connector.connect().await.unwrap();
        admitted(&mut stream, from).await;
        let (frame, budget) = (framed(Form::Call, SILENCE, 0, &body), &node.transport.shared.budget);
        tokio::select! {
            written = stream.write_all(&frame) => written.unwrap(),
            // the second does not get through: what is sent of it lies in the pipe
            () = tokio::time::sleep(Duration::from_secs(60)) => assert_eq!(from, 11),
        }
        until(|| budget.free_bytes() < 600 << 10).await;
        streams.push(stream);
    }
    assert_eq!(node.script.held.load(Ordering::SeqCst), 1);
    // small frames need no room
    let mut third = connector.connect().await.unwrap();
    admitted(&mut third, 12).await;
    third.write_all(&framed(Form::Call, ECHO, 5, b"small")).await.unwrap();
    assert_eq!(next(&mut third).await.unwrap().1, b"small");
    // a minute of waiting for our memory was not the peer's fault: once the first is gone it goes on
    drop(streams.remove(0));
    streams[0].write_all(&[]).await.unwrap();
    until(|| node.transport.shared.budget.free_bytes() < 600 << 10).await;
    drop(streams);
    until(|| node.transport.shared.budget.free_bytes() == 2 << 20).await;
    assert_eq!(node.closed("slow_frame"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_reads_no_answers_is_read_no_further_and_then_closed() {
    let config = TransportConfig { answer_bytes_max: 1 << 20, ..config() };
    let (node, connector) = broker_2(config).await;
    let mut stream = connector.connect().await.unwrap();
    admitted(&mut stream, 10).await;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let frame = framed(Form::Call, ECHO, 0, &vec![1; 100 << 10]);
    let since = tokio::time::Instant::now();
    let write = async { while writing.write_all(&frame).await.is_ok() {} };
    write.await;
    assert_eq!(since.elapsed().as_secs(), 30);
    // a megabyte of answers, the pipe's quarter, and what was read ahead
    let seen = node.script.seen().len();
    assert!((10..20).contains(&seen), "{seen} calls of 100 KiB were served");
    until(|| node.closed("slow_reader") == 1).await;
    let mut rest = Vec::new();
    let _ = reading.read_to_end(&mut rest).await;
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_are_bounded_and_reading_goes_on_when_one_ends() {
    let config = TransportConfig { calls_max: 10, ..config() };
    let (node, connector) = broker_2(config).await;
    let mut stream = connector.connect().await.unwrap();
    admitted(&mut stream, 10).await;
    let frames: Vec<u8> = (0..10_000).flat_map(|id| framed(Form::Call, LATE, id, &[1 + (id % 5) as u8])).collect();
    let (mut reading, mut writing) = tokio::io::split(stream);
    let read = async {
        let mut ids = Vec::new();
        while ids.len() < 10_000 {
            ids.push(next(&mut reading).await.unwrap().0.id);
        }
        ids.sort_unstable();
        assert!(ids.into_iter().eq(0..10_000));
    };
    let (written, ()) = tokio::join!(writing.write_all(&frames), read);
    written.unwrap();
    // ten that end in one moment, with nothing else to wake the connection
    writing.write_all(&(0..30).flat_map(|id| framed(Form::Call, GATED, id, &[])).collect::<Vec<u8>>()).await.unwrap();
    for ten in 1..=3 {
        let all_here = until(|| node.script.seen().len() == 10_000 + 10 * ten);
        timeout(PATIENCE, all_here).await.expect("reading goes on");
        node.script.gate.notify_waiters();
    }
    let held: Vec<u8> = (0..50).flat_map(|id| framed(Form::Call, SILENCE, id, &[])).collect();
    writing.write_all(&held).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(node.script.held.load(Ordering::SeqCst), 10);
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_closed() {
    let (node, connector) = broker_2(config()).await;
    // nothing, or half a hello
    for said in [&[][..], &hello(10).encode()[..20]] {
        let mut stream = connector.connect().await.unwrap();
        stream.write_all(said).await.unwrap();
        let since = tokio::time::Instant::now();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(since.elapsed().as_secs(), 5);
    }
    // frames that begin and do not end, within the first chunk and beyond
    for sent in [1, 30, 500_000] {
        let mut stream = connector.connect().await.unwrap();
        admitted(&mut stream, 10).await;
        stream.write_all(&framed(Form::Call, ECHO, 0, &vec![0; 1 << 20])[..sent]).await.unwrap();
        let since = tokio::time::Instant::now();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(since.elapsed().as_secs(), 30, "{sent} bytes");
    }
    until(|| node.closed("slow_hello") == 2 && node.closed("slow_frame") == 3).await;
    // a silent connection between frames may stay
    let mut stream = connector.connect().await.unwrap();
    admitted(&mut stream, 10).await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    stream.write_all(&framed(Form::Call, ECHO, 0, b"still here")).await.unwrap();
    assert_eq!(next(&mut stream).await.unwrap().1, b"still here");
}

#[tokio::test(start_paused = true)]
async fn connections_that_say_nothing_are_few() {
    let config = TransportConfig { handshakes_max: 4, ..config() };
    let (node, connector) = broker_2(config).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(connector.connect().await.unwrap());
    }
    let mut fifth = connector.connect().await.unwrap();
    assert_eq!(fifth.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(node.closed("handshakes"), 1);
    drop(silent);
    let mut stream = connector.connect().await.unwrap();
    while node.closed("peer") < 4 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    stream = connector.connect().await.unwrap();
    admitted(&mut stream, 10).await;
}
