//! Takes in a request's body within its bounds, and inflates it. Not here: what it means.

use std::sync::Arc;

use axum::{
    body::{Body, HttpBody},
    http::{
        HeaderMap, HeaderValue,
        header::{ACCEPT_ENCODING, CONTENT_ENCODING},
    },
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tidemark_record::{Compression, compression::CompressionError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Kind, Problem};

/// What a body may have without a share of the common room: small records pass however many large ones are stuck.
const FREE_BYTES: usize = 32 * 1024;

/// Bounds of bodies: of each, and of all large ones together.
#[derive(Debug)]
pub(crate) struct BodyRoom {
    bytes_max: usize,
    room: Arc<Semaphore>,
}

/// A body and its share of the common room.
#[derive(Debug)]
pub(crate) struct TakenBody {
    pub(crate) bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl BodyRoom {
    pub(crate) fn new(bytes_max: usize, together_bytes_max: usize) -> Self {
        Self { bytes_max, room: Arc::new(Semaphore::new(together_bytes_max.min(Semaphore::MAX_PERMITS))) }
    }

    /// Reads a body to its end and inflates it.
    ///
    /// # Errors
    /// Too large, too slow, malformed, an encoding that is not known; or no room at the moment.
    pub(crate) async fn take(&self, headers: &HeaderMap, body: Body) -> Result<TakenBody, Problem> {
        let codec = encoding(headers)?;
        let taken = self.collect(body).await?;
        if codec == Compression::None {
            return Ok(taken);
        }
        let inflated = codec.decompress(&taken.bytes, self.bytes_max).map_err(|error| match error {
            CompressionError::TooLarge { .. } => self.too_large(),
            CompressionError::Damaged { codec, .. } => {
                Problem::new(Kind::InvalidBody, format!("the body is no {codec}, or damaged"))
            }
        })?;
        Ok(TakenBody { bytes: inflated.into(), ..taken })
    }

    async fn collect(&self, body: Body) -> Result<TakenBody, Problem> {
        if body.size_hint().lower() > self.bytes_max as u64 {
            return Err(self.too_large());
        }
        let mut pieces = body.into_data_stream();
        let mut share = None;
        let Some(first) = pieces.next().await else { return Ok(TakenBody { bytes: Bytes::new(), _share: None }) };
        let first = first.map_err(|error| failed(&error))?;
        self.admit(first.len(), &mut share)?;
        let Some(second) = pieces.next().await else { return Ok(TakenBody { bytes: first, _share: share }) };
        let mut all = BytesMut::from(first);
        let mut piece = second;
        loop {
            let bytes = piece.map_err(|error| failed(&error))?;
            self.admit(all.len() + bytes.len(), &mut share)?;
            all.extend_from_slice(&bytes);
            match pieces.next().await {
                Some(next) => piece = next,
                None => return Ok(TakenBody { bytes: all.freeze(), _share: share }),
            }
        }
    }

    /// Makes sure that a body may have `bytes` by now.
    fn admit(&self, bytes: usize, share: &mut Option<OwnedSemaphorePermit>) -> Result<(), Problem> {
        if bytes > self.bytes_max {
            return Err(self.too_large());
        }
        let held = share.as_ref().map_or(FREE_BYTES, |share| share.num_permits() + FREE_BYTES);
        if bytes <= held {
            return Ok(());
        }
        let full = || Problem::new(Kind::Overloaded, "too many large bodies are under way").closing();
        let more = u32::try_from(bytes - held).map_err(|_| full())?;
        let more = Arc::clone(&self.room).try_acquire_many_owned(more).map_err(|_| full())?;
        match share {
            Some(share) => share.merge(more),
            None => *share = Some(more),
        }
        Ok(())
    }

    fn too_large(&self) -> Problem {
        let detail = format!("at most {} bytes are taken, inflated ones too", self.bytes_max);
        Problem::new(Kind::TooLarge, detail).member("bytes_max", self.bytes_max).closing()
    }
}

/// The codec that a body was sent in.
fn encoding(headers: &HeaderMap) -> Result<Compression, Problem> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    let codec = match (values.next().map(HeaderValue::as_bytes), values.next()) {
        (None, _) => Some(Compression::None),
        (Some(one), None) if one.eq_ignore_ascii_case(b"identity") => Some(Compression::None),
        (Some(one), None) if one.eq_ignore_ascii_case(b"gzip") => Some(Compression::Gzip),
        (Some(one), None) if one.eq_ignore_ascii_case(b"zstd") => Some(Compression::Zstd),
        _ => None,
    };
    codec.ok_or_else(|| {
        Problem::new(Kind::UnsupportedEncoding, "one of gzip, zstd and identity may be used")
            .header(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"))
            .closing()
    })
}

/// The body ended before its end: late, malformed, or the client went away.
fn failed(error: &axum::Error) -> Problem {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut kind = None;
    while let Some(error) = cause {
        kind = kind.or_else(|| error.downcast_ref::<std::io::Error>().map(std::io::Error::kind));
        cause = error.source();
    }
    let problem = match kind {
        Some(std::io::ErrorKind::TimedOut) => Problem::new(Kind::SlowRequest, "the body took too long"),
        _ => Problem::new(Kind::MalformedRequest, "the body is malformed or ends early"),
    };
    problem.closing()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn pieces(bytes: usize, count: usize) -> Body {
        Body::from_stream(stream::iter((0..count).map(move |_| Ok::<_, std::io::Error>(Bytes::from(vec![7; bytes])))))
    }

    fn status(problem: Problem) -> u16 {
        axum::response::IntoResponse::into_response(problem).status().as_u16()
    }

    fn encoded(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(value))])
    }

    #[tokio::test]
    async fn bodies_are_bounded_whatever_they_claim() {
        let room = BodyRoom::new(1000, 1 << 20);
        let taken = room.take(&HeaderMap::new(), pieces(100, 10)).await.unwrap();
        assert_eq!(taken.bytes.len(), 1000);
        assert_eq!(status(room.take(&HeaderMap::new(), pieces(100, 11)).await.unwrap_err()), 413);
        assert_eq!(status(room.take(&HeaderMap::new(), Body::from(vec![0; 1001])).await.unwrap_err()), 413);
        assert!(room.take(&HeaderMap::new(), Body::empty()).await.unwrap().bytes.is_empty());
    }

    #[tokio::test]
    async fn bodies_are_inflated_up_to_the_bound() {
        let room = BodyRoom::new(100_000, 1 << 20);
        for (name, codec) in [("gzip", Compression::Gzip), ("ZSTD", Compression::Zstd)] {
            let text = b"reading ".repeat(1000);
            let body = Body::from(codec.compress(&text, None).unwrap());
            assert_eq!(room.take(&encoded(name), body).await.unwrap().bytes, text);
            let bomb = Body::from(codec.compress(&vec![0; 10_000_000], None).unwrap());
            assert_eq!(status(room.take(&encoded(name), bomb).await.unwrap_err()), 413);
            assert_eq!(status(room.take(&encoded(name), Body::from("no such bytes")).await.unwrap_err()), 400);
        }
        for name in ["br", "gzip, gzip", "", "x"] {
            assert_eq!(status(room.take(&encoded(name), Body::from("x")).await.unwrap_err()), 415, "{name}");
        }
    }

    #[tokio::test]
    async fn large_bodies_share_a_room_and_small_ones_need_none() {
        let room = BodyRoom::new(1 << 20, 100_000);
        let held = room.take(&HeaderMap::new(), pieces(10_000, 12)).await.unwrap();
        assert_eq!(status(room.take(&HeaderMap::new(), pieces(10_000, 8)).await.unwrap_err()), 503);
        assert!(room.take(&HeaderMap::new(), pieces(1000, 32)).await.is_ok());
        drop(held);
        assert!(room.take(&HeaderMap::new(), pieces(10_000, 8)).await.is_ok());
    }
}
