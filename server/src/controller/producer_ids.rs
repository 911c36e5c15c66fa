//! Producer ids: handed out from a block in memory; a block is committed before its first id is used, so that no id comes
//! twice, at the price of a gap after a restart.

use super::{controller::Controller, error::ControllerError};
use crate::metadata::MetadataRecord;

/// Ids of one block (Kafka `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const BLOCK_SIZE: i64 = 1000;

/// What is left of the present block.
#[derive(Debug, Default)]
pub(super) struct ProducerIdBlock {
    next: i64,
    end: i64,
}

impl Controller {
    /// A producer id that was never given out.
    ///
    /// # Errors
    /// The log failed.
    pub async fn allocate_producer_id(&self) -> Result<i64, ControllerError> {
        let mut block = self.producer_ids.lock().await;
        if block.next == block.end {
            let _deciding = self.decide().await;
            let first = self.image.load().next_producer_id();
            let next_producer_id = first + BLOCK_SIZE;
            self.commit(&[MetadataRecord::ProducerIds { next_producer_id }]).await?;
            *block = ProducerIdBlock { next: first, end: next_producer_id };
        }
        block.next += 1;
        Ok(block.next - 1)
    }
}
