//! Answers onto a stream: memory pieces in vectored writes, file ranges by sendfile, as many answers at once as are there.

use std::{
    future::Future,
    io::{self, IoSlice},
    time::Duration,
};

use bytes::{Buf, Bytes};
use tokio::time::timeout;

use super::close::Close;
use crate::{
    api::Part,
    os::{disk::SharedFile, network::Stream},
};

/// Bytes of one write: a peer has the write timeout for each, however long the whole answer is. At the default of 30 s
/// a line of 5 KB/s is fast enough.
const WRITE_BYTES: usize = 128 * 1024;
/// A file range up to so long leaves in one packet with what stands around it. Longer ones leave in slices that are nearly a
/// packet each; what would be kept back of one makes the next odd (measured: 0.40 against 0.30 CPU s/GB).
const HELD_BYTES: usize = 32 * 1024;
/// Pieces of one vectored write.
const PIECES_MAX: usize = 64;

/// Pieces on their way out.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pieces: Vec<Bytes>,
    bytes: usize,
    /// Packets that are not full are kept back.
    holding: bool,
}

impl Writer {
    /// Adds a piece; writes first what has gathered, where that is enough or a file comes.
    pub(super) async fn add(&mut self, part: Part, stream: &mut Stream, patience: Duration) -> Result<(), Close> {
        match part {
            Part::Bytes(bytes) if bytes.is_empty() => Ok(()),
            Part::Bytes(bytes) => {
                self.bytes += bytes.len();
                self.pieces.push(bytes);
                if self.bytes >= WRITE_BYTES || self.pieces.len() >= PIECES_MAX {
                    return self.write(stream, false, patience).await;
                }
                Ok(())
            }
            Part::File { file, position, len } => {
                let held = len <= HELD_BYTES;
                if held != self.holding {
                    stream.hold(held).map_err(Close::Io)?;
                    self.holding = held;
                }
                self.write(stream, !held, patience).await?;
                send(stream, &file, position, len, patience).await
            }
        }
    }

    /// Writes what has gathered and lets the last packet go.
    pub(super) async fn flush(&mut self, stream: &mut Stream, patience: Duration) -> Result<(), Close> {
        self.write(stream, false, patience).await?;
        if std::mem::take(&mut self.holding) {
            stream.hold(false).map_err(Close::Io)?;
        }
        Ok(())
    }

    /// `more`: a file range follows at once.
    async fn write(&mut self, stream: &mut Stream, more: bool, patience: Duration) -> Result<(), Close> {
        let mut pieces = self.pieces.drain(..).collect::<std::collections::VecDeque<_>>();
        self.bytes = 0;
        while !pieces.is_empty() {
            let mut chunk = Vec::with_capacity(pieces.len());
            let mut room = WRITE_BYTES;
            while room > 0
                && let Some(piece) = pieces.front_mut()
            {
                let taken = piece.split_to(piece.len().min(room));
                room -= taken.len();
                chunk.push(taken);
                if !piece.has_remaining() {
                    pieces.pop_front();
                }
            }
            let mut slices: Vec<IoSlice<'_>> = chunk.iter().map(|bytes| IoSlice::new(bytes)).collect();
            in_time(patience, stream.write_parts(&mut slices, more)).await?;
        }
        Ok(())
    }
}

async fn send(
    stream: &mut Stream,
    file: &SharedFile,
    mut position: u64,
    mut len: usize,
    patience: Duration,
) -> Result<(), Close> {
    while len > 0 {
        let chunk = len.min(WRITE_BYTES);
        match in_time(patience, stream.send_file(&**file, position, chunk)).await {
            Err(Close::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(Close::ShortFile),
            sent => sent?,
        }
        position += chunk as u64;
        len -= chunk;
    }
    Ok(())
}

async fn in_time(patience: Duration, write: impl Future<Output = io::Result<()>>) -> Result<(), Close> {
    timeout(patience, write).await.map_err(|_| Close::SlowReader)?.map_err(Close::Io)
}
