//! What the controller does about messages, and what it does by itself from time to time.

use uuid::Uuid;

use super::{
    controller::Controller,
    error::ControllerError,
    log::ProposeError,
    message::{Answer, Leadership, Refused, Request},
    reports,
    role::Role,
};
use crate::metadata::Image;

impl Controller {
    /// Answers a message of a broker. Anything may come: what is not a message, or speaks for another broker, is refused.
    pub async fn serve(&self, from: i32, message: &[u8]) -> Vec<u8> {
        let answer = match Request::decode(message) {
            Err(error) => Answer::Refused(Refused::Failed(error.to_string())),
            Ok(request) if request.broker_id() != from => {
                Answer::Refused(Refused::Failed("a broker speaks for itself only".into()))
            }
            Ok(request) => self.handle(request).await.unwrap_or_else(refusal),
        };
        answer.encode()
    }

    async fn handle(&self, request: Request) -> Result<Answer, ControllerError> {
        match request {
            Request::Register(registration) => self.register(&registration).await,
            Request::Heartbeat(heartbeat) => self.heartbeat(&heartbeat).await,
            Request::Report { broker_id, incarnation, leaderships } => {
                self.report(broker_id, incarnation, &leaderships).await
            }
            Request::TakeProducerIds { broker_id, incarnation } => {
                if !self.is_registered(broker_id, incarnation) {
                    return Ok(Answer::Refused(Refused::NotRegistered));
                }
                let (first, count) = self.take_producer_ids().await?;
                Ok(Answer::ProducerIds { first, count })
            }
            Request::ReplaceReplica { topic_id, partition, replica } => {
                self.replace_replica(topic_id, partition, replica).await.map(|()| Answer::Done)
            }
        }
    }

    fn is_registered(&self, broker_id: i32, incarnation: Uuid) -> bool {
        self.image.load().broker(broker_id).is_some_and(|known| known.incarnation == incarnation)
    }

    /// Writes down what a leader says of its partitions.
    async fn report(
        &self,
        broker_id: i32,
        incarnation: Uuid,
        leaderships: &[Leadership],
    ) -> Result<Answer, ControllerError> {
        let _deciding = self.decide().await?;
        if !self.is_registered(broker_id, incarnation) {
            return Ok(Answer::Refused(Refused::NotRegistered));
        }
        let mut image = Image::clone(&self.image.load());
        let mut records = Vec::new();
        for led in leaderships {
            let planned = reports::plan(&image, broker_id, led);
            planned.iter().for_each(|record| image.apply(record));
            records.extend(planned);
        }
        self.commit(&records).await?;
        Ok(Answer::Done)
    }

    /// To be called about twice a second on brokers of a cluster: the active controller fences who fell silent and, now and then,
    /// brings leaders home. A broker that is alone, or not the controller, does nothing here.
    pub async fn tick(&self) {
        if !matches!(self.role(), Role::Active { .. }) {
            return;
        }
        if let Err(error) = self.fence_silent().await {
            tracing::warn!(%error, "silent brokers could not be fenced");
        }
        self.balance();
    }
}

fn refusal(error: ControllerError) -> Answer {
    Answer::Refused(match error {
        ControllerError::Propose(ProposeError::NotController { leader }) => Refused::NotController { leader },
        other => Refused::Failed(other.to_string()),
    })
}
