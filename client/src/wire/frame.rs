//! Frames: a 32-bit length and that many bytes, the first four of which (eight in, for requests) are the correlation id.
//! Memory for a frame grows only as its bytes arrive.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of a frame's length.
pub const LENGTH_LEN: usize = 4;
/// Where a request's correlation id lies: behind length, API key and version.
const REQUEST_CORRELATION: std::ops::Range<usize> = 8..12;
/// Bytes of a response's correlation id, its first field.
const CORRELATION_LEN: usize = 4;
/// What is reserved at once for a frame that announces more.
const STEP_LEN: usize = 64 * 1024;
/// What is reserved at least, so that a small frame and its length come with one read.
const READ_LEN: usize = 4 * 1024;

/// Why no frame could be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The stream failed or ended inside a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A frame is negative or above the cap.
    #[error("a frame of {len} bytes is outside 0..={len_max}")]
    Length {
        /// What it announces.
        len: i32,
        /// The cap.
        len_max: usize,
    },
}

/// Reads frames from a stream, many at a time where they are small.
#[derive(Debug)]
pub struct FrameReader<R> {
    stream: R,
    buffer: BytesMut,
    len_max: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Frames above `len_max` bytes are refused.
    pub fn new(stream: R, len_max: usize) -> Self {
        Self { stream, buffer: BytesMut::new(), len_max }
    }

    /// The next frame without its length; None where the stream ends between frames.
    ///
    /// # Errors
    /// The stream fails or ends inside a frame, or the frame is too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FrameError> {
        if !self.fill(LENGTH_LEN).await? {
            return Ok(None);
        }
        let len = self.buffer.get_i32();
        let whole = usize::try_from(len).ok().filter(|len| *len <= self.len_max);
        let whole = whole.ok_or(FrameError::Length { len, len_max: self.len_max })?;
        if !self.fill(whole).await? && whole > 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        Ok(Some(self.buffer.split_to(whole).freeze()))
    }

    /// Reads until the buffer holds `len` bytes; false where the stream ends before the first of them.
    async fn fill(&mut self, len: usize) -> io::Result<bool> {
        while self.buffer.len() < len {
            let have = self.buffer.len();
            // at most as much again as has arrived, so that a length alone costs nothing
            let step = (len - have).clamp(1, have.max(STEP_LEN));
            self.buffer.reserve(step.max(READ_LEN));
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return if have == 0 { Ok(false) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
        Ok(true)
    }
}

/// Sets the correlation id of an encoded request.
pub fn set_correlation(request: &mut [u8], correlation_id: i32) {
    if let Some(place) = request.get_mut(REQUEST_CORRELATION) {
        place.copy_from_slice(&correlation_id.to_be_bytes());
    }
}

/// Takes the correlation id off a response; None if it is shorter.
pub fn take_correlation(response: &mut Bytes) -> Option<i32> {
    (response.len() >= CORRELATION_LEN).then(|| response.get_i32())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn frames(mut bytes: &[u8]) -> (Vec<Bytes>, Option<FrameError>) {
        let mut reader = FrameReader::new(&mut bytes, 100_000);
        let mut frames = Vec::new();
        loop {
            match reader.next().await {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, None),
                Err(error) => return (frames, Some(error)),
            }
        }
    }

    #[tokio::test]
    async fn frames_are_cut_at_their_lengths() {
        let big = vec![7; 90_000];
        let bytes = [&[0, 0, 0, 2, 1, 2, 0, 0, 0, 0][..], &90_000_i32.to_be_bytes(), &big].concat();
        let (found, error) = frames(&bytes).await;
        assert_eq!(found, [Bytes::from_static(&[1, 2]), Bytes::new(), Bytes::from(big)]);
        assert!(error.is_none());
    }

    #[tokio::test]
    async fn lengths_that_lie_are_refused() {
        for (bytes, frames_before) in [
            (&[0xff, 0xff, 0xff, 0xff][..], 0),
            (&[0x7f, 0xff, 0xff, 0xff, 1], 0),
            (&[0, 0, 0, 1, 5, 0, 0, 0], 1),
            (&[0, 0, 0, 1, 5, 0, 0, 0, 2, 9], 1),
            (&[0, 0, 0, 2], 0),
        ] {
            let (found, error) = frames(bytes).await;
            assert_eq!(found.len(), frames_before, "{bytes:?}");
            assert!(error.is_some(), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn an_announced_length_reserves_no_memory() {
        let mut bytes: &[u8] = &[0x3f, 0xff, 0xff, 0xff, 1, 2, 3];
        let mut reader = FrameReader::new(&mut bytes, usize::MAX);
        assert!(reader.next().await.is_err());
        assert!(reader.buffer.capacity() <= 2 * STEP_LEN);
    }
}
