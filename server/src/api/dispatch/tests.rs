//! The table against the decoder: random messages of every API and version, and mutations of them.

use bytes::Bytes;
use kafka_protocol::protocol::{Decodable, Encodable, Request};
use proptest::test_runner::{Config, TestRng, TestRunner};

use super::*;

/// Decodes, encodes and decodes again; the crate must take all bytes and lose nothing that it knows.
pub(super) fn round_trip<R: Request + PartialEq>(bytes: Bytes, version: i16) -> Result<(), String> {
    let first: R = decoded(bytes, version)?;
    let mut out = bytes::BytesMut::new();
    first.encode(&mut out, version).map_err(|error| error.to_string())?;
    let second: R = decoded(out.freeze(), version)?;
    if first == second { Ok(()) } else { Err("the second decoding differs".into()) }
}
