//! What a queued record's sender waits on: one completion per batch, shared by its records.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use crate::ProduceError;

/// Where a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition {
    /// The partition.
    pub partition: i32,
    /// Its offset; None without acknowledgements, or where the broker only says that it had the record already.
    pub offset: Option<i64>,
    /// The timestamp it was stored with: the broker's under LogAppendTime, else the record's.
    pub timestamp_ms: i64,
}

/// A future that resolves when the record is acknowledged or given up. Dropping it loses only the answer.
#[derive(Debug)]
#[must_use = "a record may fail: await its delivery, or drop it on purpose"]
pub struct Delivery {}

impl Future for Delivery {
    type Output = Result<RecordPosition, ProduceError>;

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<Self::Output> {
        todo!()
    }
}
