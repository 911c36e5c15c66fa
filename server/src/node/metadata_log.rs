//! The metadata's log: records in batches of one partition, hidden from clients. One change is one batch.

use std::sync::Arc;

use tidemark_record::{BatchBuilder, BatchHeader, Records, batch, builder, compression::INFLATED_BYTES_MAX};

use super::error::StartError;
use crate::{
    controller::{Committed, MetadataLog, ProposeError, Proposing, Quorum, QuorumReplica},
    metadata::{Image, MetadataRecord},
    os::clock::Clock,
    partition::{AppendOptions, FetchParams, Partition},
};

/// Bytes read at once at start.
const READ_BYTES: usize = 1 << 20;

/// Where the controller's records go.
#[derive(Debug)]
pub(super) struct PartitionLog {
    pub partition: Arc<Partition>,
    pub clock: Clock,
    /// This broker, which is alone.
    pub node_id: i32,
}

impl MetadataLog for PartitionLog {
    fn propose(&self, records: &[MetadataRecord]) -> Proposing<'_> {
        let now_ms = self.clock.wall_ms();
        let mut builder = BatchBuilder::new();
        for record in records {
            builder.append_plain(now_ms, None, Some(&record.encode()));
        }
        let appended = builder.build().map_err(|error| error.to_string()).and_then(|batch| {
            self.partition.append(&batch, &AppendOptions::coordinator()).map_err(|error| error.to_string())
        });
        Box::pin(async move {
            let append = appended.map_err(ProposeError::Storage)?;
            let placed = append.done().await.map_err(|error| ProposeError::Storage(error.to_string()))?;
            Ok(Committed { base_offset: placed.base_offset, next_offset: placed.last_offset + 1 })
        })
    }

    fn end_offset(&self) -> i64 {
        self.partition.log_end_offset()
    }

    fn quorum(&self) -> Quorum {
        let now_ms = self.clock.wall_ms();
        let only = QuorumReplica {
            broker_id: self.node_id,
            log_end_offset: self.partition.log_end_offset(),
            last_fetch_ms: now_ms,
            last_caught_up_ms: now_ms,
        };
        Quorum {
            leader_id: self.node_id,
            leader_epoch: self.partition.leader_epoch(),
            high_watermark: self.partition.high_watermark(),
            voters: vec![only],
            observers: Vec::new(),
        }
    }
}

/// What all records of the log add up to.
///
/// # Errors
/// Damage, or a record of a newer version.
pub(super) fn replay(partition: &Partition) -> Result<Image, StartError> {
    let mut image = Image::default();
    let mut offset = partition.log_start_offset().max(0);
    while offset < partition.high_watermark() {
        let params = FetchParams {
            offset,
            max_bytes: READ_BYTES,
            min_one: true,
            read_committed: false,
            current_leader_epoch: -1,
            follower_may_serve: true,
        };
        let fetched = partition.fetch(&params).map_err(unreadable)?;
        let bytes = fetched.records.read_all().map_err(unreadable)?;
        let next = apply_batches(&bytes, &mut image)?;
        if next <= offset {
            return Err(unreadable(format!("nothing follows offset {offset}")));
        }
        offset = next;
    }
    Ok(image)
}

/// Applies the whole batches at the front; the offset behind the last.
fn apply_batches(mut rest: &[u8], image: &mut Image) -> Result<i64, StartError> {
    let mut next_offset = -1;
    while let Ok(header) = BatchHeader::parse(rest) {
        let Some((whole, after)) = rest.split_at_checked(header.size_in_bytes()) else { break };
        batch::verify(whole).map_err(unreadable)?;
        let records = builder::inflated(&header, whole, INFLATED_BYTES_MAX).map_err(unreadable)?;
        for record in Records::new(&records, header.records_count) {
            let value = record.map_err(unreadable)?.value.unwrap_or_default();
            image.apply(&MetadataRecord::decode(value).map_err(unreadable)?);
        }
        next_offset = header.next_offset();
        rest = after;
    }
    Ok(next_offset)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unreadable(cause: impl ToString) -> StartError {
    StartError::Metadata(cause.to_string())
}
