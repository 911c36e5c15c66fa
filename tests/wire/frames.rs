//! Rows K1, K3–K6: frames and fields that are no request. All close the connection, except where the row says otherwise.

use bytes::{BufMut, BytesMut};
use harness::frame;
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};

use crate::bystander::Attacked;

/// A request header of version 1 and a body, in a frame.
pub fn request(key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_i16(key);
    out.put_i16(version);
    out.put_i32(7);
    out.put_slice(&[0, 1, b'x']);
    out.put_slice(body);
    frame(&out)
}

/// Metadata of version 9: flexible header and body.
fn flexible(body: &[u8]) -> Vec<u8> {
    request(3, 9, body)
}

#[test]
fn what_is_no_request_closes_its_connection() {
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("K1 length -1", vec![0xff; 4]),
        ("K1 length i32::MIN", vec![0x80, 0, 0, 0]),
        ("K1 length 0", vec![0; 4]),
        ("K1 length 1", vec![0, 0, 0, 1, 0]),
        ("K1 length 3", vec![0, 0, 0, 3, 0, 18, 0]),
        ("K1 length 7", vec![0, 0, 0, 7, 0, 18, 0, 0, 0, 0, 0]),
        ("K1 length above the cap", vec![0x7f, 0xff, 0xff, 0xff]),
        ("K1 length 100 MiB", (100_u32 << 20).to_be_bytes().to_vec()),
        ("K3 HTTP", b"GET /v1/streams HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("K3 HTTP POST", b"POST / HTTP/1.1\r\n\r\n".to_vec()),
        ("K3 TLS", [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 200]].concat()),
        ("K3 SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("K4 unknown key", request(9999, 0, &[])),
        ("K4 negative key", request(-1, 0, &[])),
        ("K4 key that brokers speak among themselves", request(52, 0, &[0; 20])),
        ("K4 negative version", request(3, -1, &[0; 4])),
        ("K4 version too high", request(3, 99, &[0; 4])),
        ("K4 Produce v2", request(0, 2, &[0; 20])),
        ("K5 array count above what is left", request(3, 1, &[0, 0, 0, 5, 0, 1, b'a'])),
        ("K5 array count i32::MAX", request(3, 1, &[0x7f, 0xff, 0xff, 0xff])),
        ("K5 array count -2", request(3, 1, &[0xff, 0xff, 0xff, 0xfe])),
        ("K5 compact count above what is left", flexible(&[0, 9, 1, 0, 0, 0])),
        ("K5 compact count u32::MAX", flexible(&[0, 0xff, 0xff, 0xff, 0xff, 0x0f])),
        ("K5 varint of 6 bytes", flexible(&[0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 1, 0, 0, 0])),
        ("K5 varint of 5 bytes above 32 bits", flexible(&[0, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0, 0, 0])),
        ("K5 varint that never ends", flexible(&[0, 0xff, 0xff])),
        ("K5 null where none may be", request(3, 1, &[0, 0, 0, 1, 0xff, 0xff])),
        ("K5 string of length -2", request(3, 1, &[0, 0, 0, 1, 0xff, 0xfe])),
        ("K5 string that is no UTF-8", request(3, 1, &[0, 0, 0, 1, 0, 2, 0xc3, 0x28])),
        ("K5 bytes behind the request", request(3, 1, &[0, 0, 0, 0, 1, 2, 3])),
        ("K5 client id that is no UTF-8", frame(&[0, 3, 0, 1, 0, 0, 0, 7, 0, 2, 0xc3, 0x28, 0, 0, 0, 0])),
        ("K5 client id past the end", frame(&[0, 3, 0, 1, 0, 0, 0, 7, 0x7f, 0xff, b'x'])),
        ("K5 an empty body", request(3, 1, &[])),
        ("K6 a tag twice", flexible(&[0, 1, 1, 0, 0, 2, 50, 1, 1, 50, 1, 1])),
        ("K6 tags out of order", flexible(&[0, 1, 1, 0, 0, 2, 60, 1, 1, 50, 1, 1])),
        ("K6 tag count above what is left", flexible(&[0, 1, 1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f])),
        ("K6 tag size past the end", flexible(&[0, 1, 1, 0, 0, 1, 50, 100, 1])),
        ("K6 header tag size past the end", flexible(&[1, 50, 100, 1])),
    ];
    let mut attacked = Attacked::start(&[]);
    for (case, bytes) in rows {
        let mut connection = attacked.broker.connect();
        // the broker may close before the last byte is sent
        let _ = connection.send(&bytes);
        let answer =
            connection.read_frame().unwrap_or_else(|error| panic!("{case}: neither closed nor answered: {error}"));
        assert!(answer.is_none(), "{case}: answered {answer:?}");
        attacked.is_unharmed_by(case);
    }
}

#[test]
fn what_is_odd_but_legal_is_answered() {
    let mut attacked = Attacked::start(&[]);
    // K4: too high a version of ApiVersions is answered in version 0
    let mut connection = attacked.broker.connect();
    let answer = connection.exchange(&request(18, 99, &[1, 2, 3])[4..]).unwrap().expect("an answer");
    let (response, rest) = harness::connection::decode_response::<ApiVersionsRequest>(answer, 0).unwrap();
    assert_eq!((response.error_code, rest.len()), (kafka_protocol::error::ResponseError::UnsupportedVersion.code(), 0));
    assert_eq!(response.api_keys.iter().map(|key| key.api_key).collect::<Vec<_>>(), [18]);
    // K6: unknown tags are skipped, in the header and in the body, and so are very many of them
    for (case, body) in [
        ("K6 an unknown tag", vec![0, 1, 1, 0, 0, 1, 99, 2, 1, 2]),
        ("K6 an unknown tag in the header", vec![1, 99, 1, 7, 1, 1, 0, 0, 0]),
        ("K6 100,000 tags", many_tags(100_000)),
    ] {
        let answer = connection.exchange(&flexible(&body)[4..]).unwrap().unwrap_or_else(|| panic!("{case}: closed"));
        let decoded = harness::connection::decode_response::<MetadataRequest>(answer, 9);
        assert!(decoded.is_ok(), "{case}: {decoded:?}");
        attacked.is_unharmed_by(case);
    }
}

/// An empty Metadata request with so many unknown tags of one byte each.
fn many_tags(count: u32) -> Vec<u8> {
    let mut out = vec![0, 1, 1, 0, 0];
    varint(&mut out, count);
    for tag in 1000..1000 + count {
        varint(&mut out, tag);
        out.extend_from_slice(&[1, 0]);
    }
    out
}

fn varint(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
