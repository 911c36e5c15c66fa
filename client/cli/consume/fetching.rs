//! One fetch under way: asked for before it is needed, so that the broker works while records are printed.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{
    future::{MaybeDone, maybe_done},
    poll,
};
use tidemark_client::{Client, FetchLimits, Fetched, Isolation, ReadError};

type Asked = Pin<Box<dyn Future<Output = Result<Fetched, ReadError>> + Send>>;

/// A partition to fetch from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub client: Client,
    pub topic: Arc<str>,
    pub partition: i32,
    pub limits: FetchLimits,
}

/// Limits that keep all partitions together within `memory_bytes`.
pub(super) fn limits(partitions: usize, memory_bytes: usize, wait_max: Duration, isolation: Isolation) -> FetchLimits {
    let share = (memory_bytes / partitions.max(1)).clamp(64 * 1024, 4 * 1024 * 1024);
    FetchLimits { bytes_max: share as i32, wait_max, isolation, ..FetchLimits::default() }
}

impl Source {
    /// Fetches from `offset` on.
    pub(super) fn fetch(&self, offset: i64) -> Asked {
        let Self { client, topic, partition, limits } = self.clone();
        Box::pin(async move { client.fetch_once(&topic, partition, offset, &limits).await })
    }
}

/// The fetch after the one that is used.
#[derive(Default)]
pub(super) struct Ahead(Option<Pin<Box<MaybeDone<Asked>>>>);

impl Ahead {
    /// Asks for it now.
    pub(super) async fn start(&mut self, source: &Source, offset: i64) {
        let mut asked = Box::pin(maybe_done(source.fetch(offset)));
        // sends the request; the answer is for later
        let _ = poll!(asked.as_mut());
        self.0 = Some(asked);
    }

    /// What was asked for, or if nothing was, a fetch from `offset`.
    pub(super) async fn take(&mut self, source: &Source, offset: i64) -> Result<Fetched, ReadError> {
        let Some(mut asked) = self.0.take() else { return source.fetch(offset).await };
        asked.as_mut().await;
        match asked.as_mut().take_output() {
            Some(answer) => answer,
            None => source.fetch(offset).await,
        }
    }
}
