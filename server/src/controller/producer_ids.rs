//! Producer ids: a broker hands them out from a block in memory; a block is committed before its first id is used, so that no id
//! comes twice, at the price of a gap after a restart. A broker that is not the controller asks it for blocks.

use super::{
    controller::Controller,
    error::ControllerError,
    log::ProposeError,
    message::{Answer, Refused, Request},
    peers::MessageKind,
    role::Role,
};
use crate::metadata::MetadataRecord;

/// Ids of one block (Kafka `ProducerIdsBlock.PRODUCER_ID_BLOCK_SIZE`).
const BLOCK_SIZE: i32 = 1000;

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
    /// The log failed, or no controller is at hand.
    pub async fn allocate_producer_id(&self) -> Result<i64, ControllerError> {
        let mut block = self.producer_ids.lock().await;
        if block.next == block.end {
            let (first, count) = match self.role() {
                Role::Alone | Role::Active { .. } => self.take_producer_ids().await?,
                Role::Observer { leader } => self.ask_for_producer_ids(leader).await?,
            };
            *block = ProducerIdBlock { next: first, end: first + i64::from(count) };
        }
        block.next += 1;
        Ok(block.next - 1)
    }

    /// A block for a broker: its first id, and how many.
    pub(super) async fn take_producer_ids(&self) -> Result<(i64, i32), ControllerError> {
        let _deciding = self.decide().await?;
        let first = self.image.load().next_producer_id();
        self.commit(&[MetadataRecord::ProducerIds { next_producer_id: first + i64::from(BLOCK_SIZE) }]).await?;
        Ok((first, BLOCK_SIZE))
    }

    async fn ask_for_producer_ids(&self, leader: Option<i32>) -> Result<(i64, i32), ControllerError> {
        let nobody = || ProposeError::NotController { leader: None };
        let image = self.image.load();
        let (to, me) = leader.zip(image.broker(self.config.node_id)).ok_or_else(nobody)?;
        let request = Request::TakeProducerIds { broker_id: me.id, incarnation: me.incarnation };
        let answer = self.peers.call(to, MessageKind::Request, request.encode()).await;
        match answer.map(|answer| Answer::decode(&answer)) {
            Ok(Ok(Answer::ProducerIds { first, count })) if first >= 0 && count > 0 => Ok((first, count)),
            Ok(Ok(Answer::Refused(Refused::NotController { leader }))) => {
                Err(ProposeError::NotController { leader }.into())
            }
            Ok(Ok(Answer::Refused(Refused::Failed(why)))) => Err(ProposeError::Storage(why).into()),
            _ => Err(nobody().into()),
        }
    }
}
