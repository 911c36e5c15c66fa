//! Carries bytes between two sockets, each direction under its condition. What is read waits in a bounded queue with the
//! time at which it may arrive; while nothing passes, the queue fills and the sender's window closes.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    call::{Call, Way},
    network::Condition,
};

const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks on their way in one direction.
const CHUNKS_MAX: usize = 64;

/// Bytes, and when they were read; none: the end.
struct Chunk {
    bytes: Vec<u8>,
    read_at: Instant,
}

/// Carries both ways until both ended, one failed, or the connection lived through a cut that healed.
pub(super) async fn join(caller: TcpStream, callee: TcpStream, call: &Call) {
    let _ = (caller.set_nodelay(true), callee.set_nodelay(true));
    let (caller_in, caller_out) = caller.into_split();
    let (callee_in, callee_out) = callee.into_split();
    let both = async {
        tokio::try_join!(carry(caller_in, callee_out, call, Way::There), carry(callee_in, caller_out, call, Way::Back))
    };
    tokio::select! {
        _ = both => {}
        () = call.outlived() => {}
    }
}

async fn carry(from: OwnedReadHalf, to: OwnedWriteHalf, call: &Call, way: Way) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    tokio::try_join!(read(from, sender), write(to, receiver, call, way)).map(|_| ())
}

async fn read(mut from: OwnedReadHalf, sender: mpsc::Sender<Chunk>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        let chunk = Chunk { bytes: buffer[..count].to_vec(), read_at: Instant::now() };
        if sender.send(chunk).await.is_err() || count == 0 {
            return Ok(());
        }
    }
}

async fn write(mut to: OwnedWriteHalf, mut receiver: mpsc::Receiver<Chunk>, call: &Call, way: Way) -> io::Result<()> {
    let mut links = call.links();
    while let Some(chunk) = receiver.recv().await {
        let mut was_cut = false;
        loop {
            let condition = call.condition(&links.borrow_and_update(), way);
            was_cut |= condition == Condition::Cut;
            let Some(until) = held(condition, chunk.read_at) else { break };
            tokio::select! {
                changed = links.changed() => changed.map_err(io::Error::other)?,
                () = sleep_until(until) => {}
            }
        }
        if was_cut {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if chunk.bytes.is_empty() {
            return to.shutdown().await;
        }
        to.write_all(&chunk.bytes).await?;
        call.count(chunk.bytes.len());
    }
    Ok(())
}

/// Until when a chunk must wait, if it must; what is cut or stalled waits for a change.
fn held(condition: Condition, read_at: Instant) -> Option<Instant> {
    /// Longer than any run.
    const LONG: Duration = Duration::from_secs(24 * 3600);
    let until = match condition {
        Condition::Open => return None,
        Condition::Delayed(delay) => read_at + delay,
        Condition::Cut | Condition::Stalled => Instant::now() + LONG,
    };
    (until > Instant::now()).then_some(until)
}
