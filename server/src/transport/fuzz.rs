//! Any bytes as what a hostile broker sends: for the fuzz runner. Must never panic, nor hold memory that is only claimed.

use std::{future::poll_fn, pin::pin};

use futures_util::FutureExt;

use super::{
    hello::{Answer, Hello, Spoken},
    reader::FrameReader,
};
use crate::os::budget::Budget;

const BODY_BYTES_MAX: usize = 64 * 1024;

/// Reads the bytes as frames, and as first words.
pub fn fuzz_peer_bytes(bytes: &[u8]) {
    let mut reader = FrameReader::new(Budget::new(BODY_BYTES_MAX), BODY_BYTES_MAX);
    let (mut stream, mut taken) = (bytes, 0);
    while let Some(Ok(Some(frame))) = poll_fn(|cx| reader.poll_next(cx, &mut stream)).now_or_never() {
        taken += frame.body.len();
        assert!(taken <= bytes.len(), "frames hold more than was sent");
    }
    let mut stream = bytes;
    if let Some(Ok(spoken)) = pin!(Spoken::read(&mut stream)).now_or_never() {
        let _ = (Hello::decode(&spoken), Answer::decode(&spoken));
    }
}
