//! Bytes that are no request: what closes a connection, and what must not.

use bytes::{BufMut, BytesMut};
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest};

use crate::peer::Peer;

/// A header of version 1: key, version, correlation id 7, client id "x".
fn header(key: i16, version: i16) -> BytesMut {
    let mut out = BytesMut::new();
    out.put_i16(key);
    out.put_i16(version);
    out.put_i32(7);
    out.put_slice(&[0, 1, b'x']);
    out
}

pub fn with(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut out = header(key, version);
    out.put_slice(body);
    out.to_vec()
}

pub fn tell(peer: &mut Peer) {
    for (case, key, version) in [
        ("an unknown key", 9999, 0),
        ("a negative key", -1, 0),
        ("a key that was removed", 4, 0),
        ("a version to come", 3, 99),
        ("a negative version", 3, -1),
        ("a version that was removed", 1, 3),
        ("a key that brokers speak among themselves", 52, 0),
        ("Produce of old", 0, 2),
    ] {
        peer.ask_bytes::<MetadataRequest>(&format!("raw, {case}"), &with(key, version, &[0, 0, 0, 0]), 1);
    }
    let metadata: &[(&str, i16, &[u8])] = &[
        ("an array that goes on past the end", 1, &[0, 0, 0, 9]),
        ("an array of 2^31 - 1", 1, &[0x7f, 0xff, 0xff, 0xff]),
        ("a string past the end", 1, &[0, 0, 0, 1, 0, 9, b'a']),
        ("a null name where none may be", 1, &[0, 0, 0, 1, 0xff, 0xff]),
        ("a string of length -2", 1, &[0, 0, 0, 1, 0xff, 0xfe]),
        ("an empty body", 1, &[]),
    ];
    for (case, version, body) in metadata {
        peer.ask_bytes::<MetadataRequest>(&format!("raw, Metadata with {case}"), &with(3, *version, body), *version);
    }
    let flexible: &[(&str, &[u8])] = &[
        ("no topics", &[0, 1, 1, 0, 0, 0]),
        ("an unknown tag", &[0, 1, 1, 0, 0, 1, 99, 2, 1, 2]),
        ("a tag in the header", &[1, 50, 1, 7, 1, 1, 0, 0, 0]),
        ("a tag that goes on past the end", &[0, 1, 1, 0, 0, 1, 99, 9, 1]),
        ("a tag in the header that goes on past the end", &[1, 50, 100, 1]),
        ("a compact array past the end", &[0, 9, 1, 0, 0, 0]),
        ("a compact array of 2^32 - 1", &[0, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        ("a varint that never ends", &[0, 0xff, 0xff]),
        ("a varint of six bytes", &[0, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 1, 0, 0, 0]),
    ];
    for (case, body) in flexible {
        peer.ask_bytes::<MetadataRequest>(&format!("raw, Metadata v9 with {case}"), &with(3, 9, body), 9);
    }
    peer.ask_bytes::<ProduceRequest>("raw, Produce cut short", &with(0, 3, &[0xff, 0xff, 0xff]), 3);
    let past_the_end = [0, 3, 0, 1, 0, 0, 0, 7, 0x7f, 0xff, b'x'];
    peer.ask_bytes::<MetadataRequest>("raw, a client id past the end", &past_the_end, 1);
    peer.ask_bytes::<ApiVersionsRequest>(
        "ApiVersions, a header without a client id",
        &[0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff],
        0,
    );
    peer.send_raw("raw, a length of -1", &[0xff, 0xff, 0xff, 0xff]);
    peer.send_raw("raw, a length of 2^31 - 1", &[0x7f, 0xff, 0xff, 0xff, 0, 0]);
    peer.send_raw("raw, an empty frame", &[0, 0, 0, 0]);
    peer.send_raw("raw, a frame of three bytes", &[0, 0, 0, 3, 0, 18, 0]);
    peer.send_raw("raw, HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    peer.send_raw("raw, a TLS hello", &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]);
}
