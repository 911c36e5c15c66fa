//! A common room of bytes for what is large: each takes a share for as long as it is held, and there is no more than the
//! room. Small things need none, so they pass however many large ones are stuck.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::error::{Kind, Problem};

/// What needs no share.
pub(crate) const FREE_BYTES: usize = 64 * 1024;
/// How long somebody waits for a share.
const PATIENCE: Duration = Duration::from_secs(2);

/// The room; its size is fixed.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: u32,
    free: Arc<Semaphore>,
}

/// A share of it, given back when dropped.
#[derive(Debug, Default)]
pub(crate) struct Share(Option<OwnedSemaphorePermit>);

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        Self { bytes, free: Arc::new(Semaphore::new(bytes as usize)) }
    }

    /// A share of `bytes`, or of the whole room where that is less; waits a while for it.
    ///
    /// # Errors
    /// None was given back in time.
    pub(crate) async fn share(&self, bytes: usize) -> Result<Share, Problem> {
        if bytes <= FREE_BYTES {
            return Ok(Share(None));
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes);
        match timeout(PATIENCE, Arc::clone(&self.free).acquire_many_owned(bytes)).await {
            Ok(Ok(permit)) => Ok(Share(Some(permit))),
            _ => Err(full()),
        }
    }
}

impl Share {
    /// Bytes that hold what they need of the room until the last of them is sent.
    ///
    /// # Errors
    /// They need more than the share, and there is no more.
    pub(crate) fn hold(mut self, room: &Room, bytes: Vec<u8>) -> Result<Bytes, Problem> {
        let needed = if bytes.len() <= FREE_BYTES { 0 } else { bytes.len().min(room.bytes as usize) };
        let held = self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if held < needed {
            let more = u32::try_from(needed - held).map_err(|_| full())?;
            let more = Arc::clone(&room.free).try_acquire_many_owned(more).map_err(|_| full())?;
            match &mut self.0 {
                Some(permit) => permit.merge(more),
                None => self.0 = Some(more),
            }
        } else if let Some(permit) = &mut self.0 {
            drop(permit.split(held - needed));
        }
        Ok(if needed == 0 { bytes.into() } else { Bytes::from_owner(Held { bytes, _share: self }) })
    }
}

fn full() -> Problem {
    Problem::new(Kind::Overloaded, "too many large answers are under way; ask for less")
}

struct Held {
    bytes: Vec<u8>,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn shares_are_held_by_the_bytes_and_bounded_together() {
        let room = Room::new(1_000_000);
        let share = room.share(900_000).await.unwrap();
        assert!(room.share(200_000).await.is_err());
        assert!(room.share(FREE_BYTES).await.is_ok());
        let bytes = share.hold(&room, vec![1; 300_000]).unwrap();
        let other = room.share(700_000).await.unwrap();
        assert!(room.share(100_000).await.is_err());
        let part = bytes.slice(299_999..);
        drop(bytes);
        assert!(room.share(100_000).await.is_err());
        drop(part);
        assert!(room.share(300_000).await.is_ok());
        // a small body gives all of it back
        let small = other.hold(&room, vec![1; 10]).unwrap();
        assert!(room.share(5_000_000).await.is_ok());
        assert_eq!(small.len(), 10);
        // one that outgrew its share takes more, if there is more
        let grown = Share::default().hold(&room, vec![1; 600_000]).unwrap();
        assert!(Share::default().hold(&room, vec![1; 600_000]).is_err());
        drop(grown);
        assert!(Share::default().hold(&room, vec![1; 2_000_000]).is_ok());
    }
}
