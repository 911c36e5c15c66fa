//! Rows R2–R4, R8 and R11 of the bad-input catalogue, over TCP: each has its outcome, each is counted, and another broker's calls
//! go on. Rows about what is called (R5–R7, R9, R10) are the service's; R1 waits for TLS.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::{
    bounds::{admitted, framed, hello, next},
    frame::{Form, HEADER_BYTES, Header},
    *,
};
use crate::{
    os::checksum,
    transport::hello::{Answer, Hello, Spoken},
};

/// What must come of it, besides the metric.
enum Outcome {
    /// Closed without a word.
    Closed,
    /// The answer to the hello says so, then it closes.
    Heard(NotAdmitted),
    /// Served all the same.
    Answered(usize),
}

use Outcome::{Answered, Closed, Heard};

struct Row {
    name: &'static str,
    /// Whether a good hello goes before.
    greeted: bool,
    bytes: Vec<u8>,
    outcome: Outcome,
    reason: &'static str,
}

fn row(name: &'static str, greeted: bool, bytes: impl Into<Vec<u8>>, outcome: Outcome, reason: &'static str) -> Row {
    Row { name, greeted, bytes: bytes.into(), outcome, reason }
}

/// Bytes changed, and the checksum behind them made true again.
fn forged(mut bytes: Vec<u8>, edits: &[(usize, &[u8])], end: usize) -> Vec<u8> {
    for (at, new) in edits {
        bytes[*at..*at + new.len()].copy_from_slice(new);
    }
    let crc = checksum::crc32c(&bytes[..end - 4]);
    bytes[end - 4..end].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn hello_rows() -> Vec<Row> {
    let good = hello(10).encode();
    let end = good.len();
    let with = |change: &dyn Fn(&mut Hello)| {
        let mut hello = hello(10);
        change(&mut hello);
        hello.encode()
    };
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let other_cluster = NotAdmitted::Cluster { theirs: CLUSTER.to_owned() };
    let version = || Heard(NotAdmitted::Version { oldest: 1, newest: 1 });
    let target = || Heard(NotAdmitted::Target { actual: 2 });
    vec![
        row(
            "R2 other cluster",
            false,
            with(&|hello| hello.cluster_id = "other".into()),
            Heard(other_cluster),
            "cluster",
        ),
        row("R2 newer protocol", false, forged(good.clone(), &[(4, &[2, 9])], end), version(), "version"),
        row("R2 older protocol", false, forged(good.clone(), &[(4, &[0, 0])], end), version(), "version"),
        row("R3 somebody else's address", false, with(&|hello| hello.to = 3), target(), "target"),
        row("R3 no such broker", false, with(&|hello| hello.to = -1), target(), "target"),
        row("own id", false, with(&|hello| hello.from = 2), Heard(NotAdmitted::DuplicateId), "duplicate_id"),
        row(
            "R11 replaced directory",
            false,
            with(&|hello| hello.incarnation = RETIRED),
            Heard(NotAdmitted::Retired),
            "retired",
        ),
        row("bad checksum", false, flipped(end - 1), Closed, "hello"),
        row("bad word", false, flipped(20), Closed, "hello"),
        row("no such lane", false, forged(good.clone(), &[(8, &[7])], end), Closed, "hello"),
        row("cluster id no text", false, forged(good.clone(), &[(end - 5, &[0xff])], end), Closed, "hello"),
        row("words too short", false, enveloped(&[0; 10]), Closed, "hello"),
        row("no words", false, enveloped(&[]), Closed, "hello"),
        row("words too long", false, enveloped(&[0; 513]), Closed, "hello"),
        row("cut hello", false, &good[..end / 2], Closed, "inside_frame"),
        row("half a magic", false, &good[..3], Closed, "peer"),
        row("HTTP", false, &b"GET /metrics HTTP/1.1\r\n\r\n"[..], Closed, "foreign"),
        row("TLS", false, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], Closed, "foreign"),
        row("Kafka", false, &[0, 0, 0, 20, 0, 18, 0, 4, 0, 0, 0, 1, 0, 4][..], Closed, "foreign"),
        row("noise", false, vec![0xa5; 100_000], Closed, "foreign"),
        row("a call before the hello", false, framed(Form::Call, ECHO, 0, b"x"), Closed, "foreign"),
    ]
}

fn frame_rows() -> Vec<Row> {
    let call = framed(Form::Call, ECHO, 1, b"hello");
    let header = |edits: &[(usize, &[u8])]| forged(call.clone(), edits, HEADER_BYTES);
    let flipped = |at: usize| {
        let mut bytes = call.clone();
        bytes[at] ^= 1;
        bytes
    };
    let max = config().frame_bytes_max as u32;
    let twice = [&call[..], &call, &framed(Form::Call, ECHO, 0, b"older"), &call].concat();
    vec![
        row("R4 frame > cap", true, header(&[(0, &(max + 1).to_be_bytes())]), Closed, "too_long"),
        row("R4 frame of 4 GiB", true, header(&[(0, &u32::MAX.to_be_bytes())]), Closed, "too_long"),
        row("R4 unknown kind", true, framed(Form::Call, 99, 1, b""), Closed, "hostile"),
        row("R4 unknown form", true, header(&[(5, &[5])]), Closed, "form"),
        row("R4 reserved bytes", true, header(&[(6, &[1])]), Closed, "form"),
        row("R4 cut header", true, &call[..10], Closed, "inside_frame"),
        row("R4 cut body", true, &call[..HEADER_BYTES + 2], Closed, "inside_frame"),
        row("R4 bad length", true, flipped(3), Closed, "header_checksum"),
        row("R4 bad kind", true, flipped(4), Closed, "header_checksum"),
        row("R4 bad header checksum", true, flipped(HEADER_BYTES - 1), Closed, "header_checksum"),
        row("R4 bad body checksum", true, header(&[(16, &[0; 4])]), Closed, "body_checksum"),
        row("R4 bad body", true, flipped(HEADER_BYTES), Closed, "body_checksum"),
        row("R4 body of the next frame", true, header(&[(0, &4_u32.to_be_bytes())]), Closed, "body_checksum"),
        row("R4 zeros", true, vec![0; 100], Closed, "header_checksum"),
        row("R4 a second hello", true, hello(10).encode(), Closed, "header_checksum"),
        row("an answer to the side that serves", true, framed(Form::Answer, ECHO, 1, b"x"), Closed, "form"),
        row("a ping to the side that serves", true, framed(Form::Ping, 0, 1, b""), Closed, "form"),
        row(
            "a pong that nobody asked for",
            true,
            [framed(Form::Pong, 0, 0, b""), call.clone()].concat(),
            Answered(1),
            "",
        ),
        row("R8 duplicate, replayed, older id", true, twice, Answered(4), ""),
    ]
}

const RETIRED: Uuid = Uuid::from_u128(666);

fn enveloped(words: &[u8]) -> Vec<u8> {
    let mut bytes = hello(10).encode();
    bytes.truncate(8);
    bytes[6..8].copy_from_slice(&(words.len() as u16).to_be_bytes());
    bytes.extend(words);
    bytes.extend([0; 4]);
    let end = bytes.len();
    forged(bytes, &[], end)
}

async fn attack(row: &Row, port: u16) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    if row.greeted {
        admitted(&mut stream, 10).await;
    }
    // it may close before all is sent
    let _ = stream.write_all(&row.bytes).await;
    match &row.outcome {
        Answered(answers) => {
            for _ in 0..*answers {
                assert_eq!(next(&mut stream).await.unwrap().0.form, Form::Answer);
            }
            return;
        }
        Heard(why) => {
            let spoken = Spoken::read(&mut stream).await.unwrap();
            let judged =
                Answer::decode(&spoken).unwrap().judge(&spoken, &Identity { cluster_id: us(row), ..identity(10) }, 2);
            assert_eq!(judged.unwrap_err(), *why);
        }
        Closed => {}
    }
    let _ = stream.shutdown().await;
    let mut rest = Vec::new();
    // a reset is a close as well
    let _ = stream.read_to_end(&mut rest).await;
    let refusals = if row.reason == "hostile" { vec![Form::Refusal] } else { vec![] };
    let mut rest = &rest[..];
    for form in refusals {
        assert_eq!(next(&mut rest).await.unwrap().0.form, form);
    }
    assert!(rest.is_empty(), "{} bytes more were said", rest.len());
}

/// Whose answer it is held against: a caller of another cluster knows its own.
fn us(row: &Row) -> String {
    if row.reason == "cluster" { "other".to_owned() } else { CLUSTER.to_owned() }
}

#[tokio::test]
async fn each_row_has_its_outcome_and_hurts_nobody_else() {
    let mut node = Node::new(2, config(), Arc::new(TcpDialer));
    node.transport.retire(10, RETIRED);
    let port = node.serve_tcp();
    let bystander = Node::new(5, config(), Arc::new(TcpDialer));
    bystander.transport.set_peer(2, "127.0.0.1", port);
    bystander.call(2, ECHO, b"before").await.unwrap();
    for row in hello_rows().iter().chain(&frame_rows()) {
        let (name, before) = (row.name, node.closed(row.reason));
        timeout(PATIENCE, attack(row, port)).await.unwrap_or_else(|_| panic!("{name}: it does not end"));
        if !row.reason.is_empty() {
            let counted = until(|| node.closed(row.reason) == before + 1);
            timeout(PATIENCE, counted).await.unwrap_or_else(|_| panic!("{name}: {}", node.registry.render()));
        }
        assert_eq!(bystander.call(2, ECHO, b"on").await.unwrap(), "on", "{name}");
    }
    assert_eq!(bystander.metric("tidemark_peer_connections_closed_total{reason=\"cut\"}"), 0);
    assert_eq!(bystander.closed("peer") + bystander.closed("io"), 0, "the bystander's one connection held");
    node.stop().await;
}

/// A broker that breaks the rules when it answers.
#[tokio::test(start_paused = true)]
async fn a_lying_answer_closes_the_connection() {
    let answers: Vec<(&str, Vec<u8>)> = vec![
        ("strange_answer", framed(Form::Answer, ECHO, 1, b"to nothing")),
        ("strange_answer", [framed(Form::Answer, ECHO, 0, b"x"), framed(Form::Answer, ECHO, 0, b"again")].concat()),
        ("strange_answer", framed(Form::Refusal, ECHO, u64::MAX, b"to nothing")),
        ("form", framed(Form::Call, ECHO, 0, b"a call")),
        ("form", framed(Form::Pong, ECHO, 0, b"")),
        ("body_checksum", {
            let mut bytes = framed(Form::Answer, ECHO, 0, b"x");
            bytes[HEADER_BYTES] = b'y';
            bytes
        }),
        ("too_long", {
            let header = Header { body_len: 64 << 20, kind: 0, form: Form::Answer, id: 0, body_crc: 0 };
            header.encode().to_vec()
        }),
    ];
    for (reason, bytes) in answers {
        let links = Arc::new(Links::default());
        let mut listener = links.listen(2);
        let caller = Node::new(1, config(), links);
        caller.transport.set_peer(2, "liar", 2);
        let lie = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            Spoken::read(&mut stream).await.unwrap();
            stream.write_all(&Answer::new(&identity(2), None).encode()).await.unwrap();
            next(&mut stream).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        };
        let (result, ()) = tokio::join!(caller.call(2, ECHO, b""), lie);
        assert_eq!(caller.closed(reason), 1, "{reason}");
        assert!(matches!(result, Err(CallError::Cut { .. })) || result == Ok(Bytes::from_static(b"x")), "{result:?}");
    }
}

/// A broker that admits calls that are meant for another.
#[tokio::test(start_paused = true)]
async fn who_answers_must_be_who_was_meant() {
    let links = Arc::new(Links::default());
    let mut listener = links.listen(2);
    let caller = Node::new(1, config(), links);
    caller.transport.set_peer(2, "three", 2);
    let admit = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        Spoken::read(&mut stream).await.unwrap();
        stream.write_all(&Answer::new(&identity(3), None).encode()).await.unwrap();
    };
    let (result, ()) = tokio::join!(caller.call(2, ECHO, b""), admit);
    assert_eq!(result, Err(CallError::NotAdmitted { broker_id: 2, why: NotAdmitted::Target { actual: 3 } }));
}

/// What the caller says of each, typed.
#[tokio::test(start_paused = true)]
async fn a_caller_hears_why_it_is_not_admitted() {
    let links = Arc::new(Links::default());
    let mut node = Node::new(2, config(), Arc::new(TcpDialer));
    node.serve(links.listen(2));
    let strangers = [
        (Identity { cluster_id: "other".into(), ..identity(1) }, 2, NotAdmitted::Cluster { theirs: CLUSTER.into() }),
        (identity(1), 3, NotAdmitted::Target { actual: 2 }),
    ];
    for (identity, to, why) in strangers {
        let caller = Node::with(identity, config(), links.clone());
        caller.transport.set_peer(to, "two", 2);
        assert_eq!(caller.call(to, ECHO, b"").await, Err(CallError::NotAdmitted { broker_id: to, why }));
        assert_eq!(*caller.transport.id_taken().borrow(), None);
    }
    assert!(node.script.seen().is_empty());
}

/// Who belongs to no cluster yet may ask, and is told apart; once it has joined it is one of them.
#[tokio::test(start_paused = true)]
async fn a_stranger_is_heard_as_one_until_it_joins() {
    let links = Arc::new(Links::default());
    let mut node = Node::new(2, config(), Arc::new(TcpDialer));
    node.serve(links.listen(2));
    let caller = Node::with(Identity { cluster_id: String::new(), ..identity(1) }, config(), links.clone());
    caller.transport.set_peer(2, "two", 2);
    assert_eq!(caller.call(2, STRANGER, b"").await, Ok(Bytes::from_static(&[1])));
    caller.transport.join_cluster(CLUSTER);
    assert_eq!(caller.call(2, STRANGER, b"").await, Ok(Bytes::from_static(&[0])));
    let late = Node::with(Identity { cluster_id: String::new(), ..identity(3) }, config(), links);
    late.transport.set_peer(2, "two", 2);
    late.transport.join_cluster("other");
    let refused = CallError::NotAdmitted { broker_id: 2, why: NotAdmitted::Cluster { theirs: CLUSTER.into() } };
    assert_eq!(late.call(2, STRANGER, b"").await, Err(refused));
}
