//! Bounded ranges of several partitions as one stream: always the lane whose next record is oldest (backwards: newest).
//!
//! Timestamps need not rise inside a partition; its own order is kept all the same.

use std::{cmp::Reverse, collections::BinaryHeap};

use futures_util::future::try_join_all;

use super::{lane::Lane, print::Printer};
use crate::failure::Failure;

/// Prints all lanes until they end or enough is printed.
pub(super) async fn merge(mut lanes: Vec<Lane>, newest_first: bool, printer: &mut Printer) -> Result<(), Failure> {
    let rank = |timestamp_ms: i64| Reverse(if newest_first { timestamp_ms.saturating_neg() } else { timestamp_ms });
    // all first fetches at once
    let heads = try_join_all(lanes.iter_mut().map(Lane::head)).await?;
    let ranked = heads.into_iter().enumerate();
    let mut heap: BinaryHeap<_> =
        ranked.filter_map(|(place, head)| head.map(|timestamp| (rank(timestamp), Reverse(place)))).collect();
    while let Some((_, Reverse(place))) = heap.pop() {
        let lane = &mut lanes[place];
        if let Some(record) = lane.take() {
            printer.print(lane.partition(), &record)?;
        }
        if printer.is_full() {
            break;
        }
        if let Some(timestamp) = lane.head().await? {
            heap.push((rank(timestamp), Reverse(place)));
        }
    }
    Ok(())
}
