//! Rows K2, K26, K27: peers that are slow, that do not read, that come in crowds.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use kafka_protocol::messages::MetadataRequest;

use crate::{bystander::Attacked, frames::request};

/// A frame that has begun may take 30 s; with time to spare for a loaded machine.
const SLOW_MAX: Duration = Duration::from_secs(60);

/// Waits until the socket is closed; what is sent meanwhile keeps it busy.
fn closes(mut stream: TcpStream, trickle: bool) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let end = Instant::now() + SLOW_MAX;
    let mut sink = [0; 1024];
    while Instant::now() < end {
        if trickle && stream.write_all(&[0]).is_err() {
            return true;
        }
        match stream.read(&mut sink) {
            Ok(0) => return true,
            Err(error) if !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                return true;
            }
            _ => {}
        }
    }
    false
}

#[test]
fn slow_senders_and_peers_that_do_not_read_are_closed() {
    let mut attacked = Attacked::start(&[]);
    let address = attacked.broker.kafka();
    let silent = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&[0, 0, 1, 0, 0, 3]).unwrap();
        closes(stream, false)
    });
    let trickling = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&[0, 0, 1, 0, 0, 3]).unwrap();
        closes(stream, true)
    });
    let unread = std::thread::spawn(move || never_reads(address));
    assert!(silent.join().unwrap(), "K2: a body that never comes");
    assert!(trickling.join().unwrap(), "K2: a byte every two seconds");
    assert!(unread.join().unwrap(), "K26: a peer that does not read");
    attacked.is_unharmed_by("K2, K26");
}

/// Pipelines requests and reads no answer: the broker must stop reading, then close.
fn never_reads(address: std::net::SocketAddr) -> bool {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    // all topics; the answers are larger than the requests
    let requests: Vec<u8> = request(3, 1, &[0xff, 0xff, 0xff, 0xff]).repeat(1000);
    let end = Instant::now() + SLOW_MAX;
    let mut sent = 0;
    while Instant::now() < end {
        match stream.write(&requests) {
            Ok(bytes) => sent += bytes,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return true,
        }
    }
    println!("{sent} bytes sent and never read");
    false
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut attacked = Attacked::start(&[]);
    let address = attacked.broker.kafka();
    let count = 20_000;
    let mut stream = TcpStream::connect(address).unwrap();
    let mut reader = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for correlation_id in 0..count {
            let body =
                harness::encode_request(&MetadataRequest::default().with_topics(Some(vec![])), 4, correlation_id);
            stream.write_all(&harness::frame(&body)).unwrap();
        }
    });
    for expected in 0..count {
        let mut head = [0; 8];
        reader.read_exact(&mut head).unwrap();
        let (length, correlation_id) =
            (u32::from_be_bytes(head[..4].try_into().unwrap()), i32::from_be_bytes(head[4..].try_into().unwrap()));
        assert_eq!(correlation_id, expected);
        reader.read_exact(&mut vec![0; length as usize - 4]).unwrap();
    }
    writer.join().unwrap();
    attacked.is_unharmed_by("20,000 pipelined requests");
}

#[test]
fn crowds_from_one_address_are_refused_above_the_limit() {
    let mut attacked = Attacked::start(&[("max.connections.per.ip", "20")]);
    let address = attacked.broker.kafka();
    let crowd: Vec<_> = (0..60).map(|_| TcpStream::connect(address).unwrap()).collect();
    let served = crowd
        .into_iter()
        .map(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            let _ = stream.write_all(&request(18, 0, &[]));
            let served = matches!(stream.read(&mut [0; 4]), Ok(4));
            (stream, served)
        })
        .collect::<Vec<_>>();
    // the bystander holds one of the twenty
    let count = served.iter().filter(|(_, served)| *served).count();
    assert_eq!(count, 19, "served beside the bystander");
    drop(served);
    attacked.is_unharmed_by("K27 a crowd");
    for _ in 0..2_000 {
        drop(TcpStream::connect(address));
    }
    attacked.is_unharmed_by("K27 a storm of connects");
    harness::eventually("a new connection is served again", SLOW_MAX, || {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(&request(18, 0, &[])).ok()?;
        matches!(stream.read(&mut [0; 4]), Ok(4)).then_some(())
    });
}
