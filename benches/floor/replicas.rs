//! The floor three times: the first node sends the others what it writes, and hears how far each has synced. A frame is the
//! stream's position behind it (8 bytes), its length (4), and a batch as it was patched. Not here: who leads, or catching up.

use std::{io, os::unix::fs::FileExt, path::Path, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use tidemark_record::batch;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::{mpsc, watch},
};

use super::store::{SYNCED_FILE_BYTES, ring};

const HEAD_BYTES: usize = 12;
const READ_BYTES: usize = 64 * 1024;
/// Frames that one write takes.
const FRAMES_AT_ONCE: usize = 64;

/// The way to the others.
#[derive(Debug)]
pub struct Replicas(Vec<mpsc::UnboundedSender<Bytes>>);

impl Replicas {
    /// To the two at these ports, which may still be starting. Gives the position that two of three have synced too, since
    /// `own` says how far this one has.
    pub async fn connect(ports: &str, own: watch::Receiver<u64>) -> io::Result<(Self, watch::Receiver<u64>)> {
        let (mut senders, mut synced) = (Vec::new(), vec![own]);
        for port in ports.split(',') {
            let port: u16 = port.parse().map_err(|_| io::Error::other("not a port"))?;
            let stream = loop {
                match TcpStream::connect(("127.0.0.1", port)).await {
                    Ok(stream) => break stream,
                    Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => tokio::task::yield_now().await,
                    Err(error) => return Err(error),
                }
            };
            stream.set_nodelay(true)?;
            let (reading, writing) = stream.into_split();
            let (sender, frames) = mpsc::unbounded_channel();
            let (position, positions) = watch::channel(0);
            tokio::spawn(write(writing, frames));
            tokio::spawn(hear(reading, position));
            senders.push(sender);
            synced.push(positions);
        }
        let (committed, receiver) = watch::channel(0);
        tokio::spawn(commit(synced, committed));
        Ok((Self(senders), receiver))
    }

    /// Sends a batch that ends at this position of the stream.
    pub fn send(&self, stream_end: u64, batch: &[u8]) {
        let mut frame = BytesMut::with_capacity(HEAD_BYTES + batch.len());
        frame.put_u64(stream_end);
        frame.put_u32(batch.len() as u32);
        frame.extend_from_slice(batch);
        let frame = frame.freeze();
        for sender in &self.0 {
            if sender.send(frame.clone()).is_err() {
                fail(&io::Error::other("a follower is gone"));
            }
        }
    }
}

fn fail(error: &io::Error) -> ! {
    eprintln!("floor: {error}");
    std::process::exit(1)
}

async fn write(mut stream: tcp::OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<Bytes>) {
    let mut waiting = Vec::new();
    while frames.recv_many(&mut waiting, FRAMES_AT_ONCE).await > 0 {
        for frame in waiting.drain(..) {
            if let Err(error) = stream.write_all(&frame).await {
                fail(&error);
            }
        }
    }
}

async fn hear(mut stream: tcp::OwnedReadHalf, position: watch::Sender<u64>) {
    loop {
        match stream.read_u64().await {
            Ok(synced) => position.send_replace(synced),
            Err(error) => fail(&error),
        };
    }
}

/// The second highest of three positions, whenever one moves.
async fn commit(synced: Vec<watch::Receiver<u64>>, committed: watch::Sender<u64>) {
    let Ok([mut own, mut second, mut third]) = <[_; 3]>::try_from(synced) else {
        fail(&io::Error::other("there must be two followers"))
    };
    loop {
        tokio::select! {
            _ = own.changed() => {}
            _ = second.changed() => {}
            _ = third.changed() => {}
        }
        let mut positions = [*own.borrow_and_update(), *second.borrow_and_update(), *third.borrow_and_update()];
        positions.sort_unstable();
        committed.send_if_modified(|committed| std::mem::replace(committed, positions[1]) != positions[1]);
    }
}

/// Takes what the first node sends: checks, writes, syncs, and says how far.
pub async fn follow(listener: TcpListener, dir: &Path) -> io::Result<()> {
    let (file, commit) = ring(dir)?;
    // whoever only looks whether the port is open says nothing
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (mut reading, mut writing) = stream.into_split();
        let mut synced = commit.subscribe();
        tokio::spawn(async move {
            while synced.changed().await.is_ok() {
                let upto = *synced.borrow_and_update();
                if writing.write_u64(upto).await.is_err() {
                    return;
                }
            }
        });
        let (file, commit) = (Arc::clone(&file), Arc::clone(&commit));
        tokio::spawn(async move {
            let mut buf = BytesMut::with_capacity(READ_BYTES);
            while reading.read_buf(&mut buf).await.is_ok_and(|read| read > 0) {
                while let Some((stream_end, len)) = head(&buf).filter(|(_, len)| buf.len() >= HEAD_BYTES + len) {
                    let frame = &buf[HEAD_BYTES..HEAD_BYTES + len];
                    let position = (stream_end - len as u64) % SYNCED_FILE_BYTES;
                    let written = batch::verify(frame)
                        .map_err(|error| io::Error::other(error.to_string()))
                        .and_then(|_| file.write_all_at(frame, position));
                    if let Err(error) = written {
                        fail(&error);
                    }
                    commit.wrote(stream_end);
                    let _ = buf.split_to(HEAD_BYTES + len);
                }
                buf.reserve(head(&buf).map_or(READ_BYTES, |(_, len)| HEAD_BYTES + len));
            }
        });
    }
}

/// Of a frame: its end in the stream, its length.
fn head(buf: &[u8]) -> Option<(u64, usize)> {
    let (end, rest) = buf.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*end), u32::from_be_bytes(*rest.first_chunk()?) as usize))
}
