//! The image written into the log, so that the log need not be kept from its beginning: one batch that stands for all before it,
//! and then the log starts there. A reader that has all before it has the image already. Not here: how a log gives up its beginning.

use std::sync::atomic::Ordering;

use tidemark_record::HEADER_LEN;

use super::controller::Controller;
use crate::metadata::{Image, MetadataRecord};

/// Bytes that a batch has around a record, at least.
const RECORD_OVERHEAD: usize = 7;
/// A batch goes through as a client's largest does.
const SNAPSHOT_BYTES_MAX: usize = 15 << 20;

impl Controller {
    /// Writes a snapshot, if enough was written since the last one. The caller holds the right to decide: nothing comes between
    /// the image and what stands for it.
    pub(super) async fn snapshot_if_due(&self) {
        let bytes = self.since_snapshot.load(Ordering::Relaxed);
        if bytes < self.config.snapshot_bytes {
            return;
        }
        // whatever comes of it, the next one is not tried at once
        self.since_snapshot.store(0, Ordering::Relaxed);
        match self.write_snapshot().await {
            Ok(offset) => tracing::info!(offset, bytes, "the metadata's log starts with a snapshot now"),
            Err(reason) => tracing::warn!(reason, "the metadata's log has no new snapshot"),
        }
    }

    /// Counts records that were committed.
    pub(super) fn count_towards_snapshot(&self, records: &[MetadataRecord]) {
        let bytes: usize = records.iter().map(|record| record.encode().len() + RECORD_OVERHEAD).sum();
        self.since_snapshot.fetch_add((bytes + HEADER_LEN) as u64, Ordering::Relaxed);
    }

    async fn write_snapshot(&self) -> Result<i64, String> {
        // in this order: the image may hold more by then, and what it holds more lies where the snapshot should
        let expected = self.image.applied();
        let records = records(&self.image.load())?;
        let committed = self.log.propose(&records).await.map_err(|error| error.to_string())?;
        if committed.base_offset != expected {
            // of an earlier decision that was given up on: whoever follows the log takes them in, and passes over the snapshot
            return Err(format!("records at offset {expected} came between"));
        }
        self.publisher.apply(committed.base_offset, &records, committed.next_offset);
        self.log.start_at(committed.base_offset).await?;
        Ok(committed.base_offset)
    }
}

/// The batch that stands for an image.
fn records(image: &Image) -> Result<Vec<MetadataRecord>, String> {
    let mut records = vec![MetadataRecord::Snapshot];
    records.extend(image.to_records());
    let bytes: usize = records.iter().map(|record| record.encode().len()).sum();
    if bytes > SNAPSHOT_BYTES_MAX {
        return Err(format!("it would have {bytes} bytes"));
    }
    Ok(records)
}
