//! Hostile bytes into the readers: no panic, no memory for what is only claimed, and whole frames come out as they went in.

use bytes::BytesMut;
use futures_util::FutureExt;
use proptest::prelude::*;

use super::{
    bounds::{framed, hello},
    close::Close,
    frame::{Form, HEADER_BYTES},
    reader::{CHUNK_BYTES, FrameReader},
    *,
};
use crate::{
    os::{budget::Budget, checksum},
    transport::hello::{Answer, Hello, Spoken},
};

/// What went in, or came out.
type Sent = (Form, u8, u64, Bytes);

const BODY_BYTES_MAX: usize = 200_000;
const BUDGET_BYTES: usize = 1 << 20;

/// A stream that gives what it has in pieces of these lengths.
struct Pieces<'a> {
    bytes: &'a [u8],
    lens: std::iter::Cycle<std::slice::Iter<'a, usize>>,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let len = (*self.lens.next().unwrap()).min(self.bytes.len()).min(buf.remaining());
        let (piece, rest) = self.bytes.split_at(len);
        buf.put_slice(piece);
        self.bytes = rest;
        Poll::Ready(Ok(()))
    }
}

/// All frames in the bytes, and how the stream ended.
fn read_all(bytes: &[u8], lens: &[usize]) -> (Vec<Sent>, Result<(), Close>) {
    let budget = Budget::new(BUDGET_BYTES);
    let mut reader = FrameReader::new(budget.clone(), BODY_BYTES_MAX);
    let mut stream = Pieces { bytes, lens: lens.iter().cycle() };
    let mut frames = Vec::new();
    let end = loop {
        let next = std::future::poll_fn(|cx| reader.poll_next(cx, &mut stream)).now_or_never().expect("never waits");
        let taken = bytes.len() - stream.bytes.len();
        assert!(reader.held_bytes() <= CHUNK_BYTES + BODY_BYTES_MAX + HEADER_BYTES);
        assert!(reader.held_bytes() <= CHUNK_BYTES || taken >= CHUNK_BYTES, "memory for a claim");
        match next {
            Ok(Some(frame)) => {
                assert_eq!(frame.charge.is_some(), HEADER_BYTES + frame.body.len() > CHUNK_BYTES);
                frames.push((frame.header.form, frame.header.kind, frame.header.id, frame.body));
            }
            Ok(None) => break Ok(()),
            Err(close) => break Err(close),
        }
    };
    drop(reader);
    assert_eq!(budget.free_bytes(), BUDGET_BYTES);
    (frames, end)
}

fn form() -> impl Strategy<Value = Form> {
    prop::sample::select(vec![Form::Call, Form::Answer, Form::Refusal, Form::Ping, Form::Pong])
}

fn some_frames() -> impl Strategy<Value = Vec<Sent>> {
    let len = prop_oneof![4 => 0..200_usize, 2 => 30_000..34_000_usize, 1 => 100_000..BODY_BYTES_MAX];
    let body = (len, any::<u8>()).prop_map(|(len, byte)| Bytes::from(vec![byte; len]));
    prop::collection::vec((form(), any::<u8>(), any::<u64>(), body), 0..12)
}

fn lens() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1..40_usize, 1000..100_000_usize], 1..10)
}

fn as_bytes(frames: &[Sent]) -> Vec<u8> {
    frames.iter().flat_map(|(form, kind, id, body)| framed(*form, *kind, *id, body)).collect()
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in(frames in some_frames(), lens in lens()) {
        let (found, end) = read_all(&as_bytes(&frames), &lens);
        prop_assert!(end.is_ok());
        prop_assert_eq!(found, frames);
    }

    #[test]
    fn a_changed_or_cut_frame_is_never_taken_for_another(
        frames in some_frames(), lens in lens(), at in any::<prop::sample::Index>(), flip in 1..=255_u8, cuts in any::<bool>(),
    ) {
        let mut bytes = as_bytes(&frames);
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        if cuts { bytes.truncate(at) } else { bytes[at] ^= flip }
        let (found, end) = read_all(&bytes, &lens);
        prop_assert_eq!(&found[..], &frames[..found.len()]);
        let whole = as_bytes(&frames[..found.len()]).len();
        prop_assert!(whole <= at);
        prop_assert!(if cuts && whole == at { end.is_ok() } else { end.is_err() }, "{:?}", end);
    }

    /// Headers with a true checksum, so that what they say is believed.
    #[test]
    fn what_a_header_claims_costs_nothing(
        len in any::<u32>(), rest in any::<[u8; 12]>(), body_crc in any::<u32>(), more in prop::collection::vec(any::<u8>(), 0..100),
        lens in lens(),
    ) {
        let mut bytes = BytesMut::new();
        bytes.extend_from_slice(&len.to_be_bytes());
        bytes.extend_from_slice(&rest);
        bytes.extend_from_slice(&body_crc.to_be_bytes());
        let crc = checksum::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_be_bytes());
        bytes.extend_from_slice(&more);
        let (_, end) = read_all(&bytes, &lens);
        if len as usize > BODY_BYTES_MAX {
            prop_assert!(matches!(end, Err(Close::TooLong { .. } | Close::Form(_))), "{:?}", end);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2000), lens in lens()) {
        let _ = read_all(&bytes, &lens);
        let mut first = hello(1).encode();
        first.splice(8.., bytes.iter().copied());
        for said in [bytes, first] {
            let mut stream = Pieces { bytes: &said, lens: lens.iter().cycle() };
            if let Ok(spoken) = Spoken::read(&mut stream).now_or_never().expect("never waits") {
                let _ = (Hello::decode(&spoken), Answer::decode(&spoken));
            }
        }
    }

    #[test]
    fn words_come_out_as_they_went_in(words in prop::collection::vec(any::<u8>(), 0..500), lens in lens()) {
        let mut said = hello(7);
        said.cluster_id = String::from_utf8_lossy(&words).chars().take(100).collect();
        let bytes = said.encode();
        let mut stream = Pieces { bytes: &bytes, lens: lens.iter().cycle() };
        let spoken = Spoken::read(&mut stream).now_or_never().expect("never waits").unwrap();
        prop_assert_eq!(Hello::decode(&spoken).unwrap(), said);
    }
}
