//! Who is in the cluster: registration, heartbeats, fencing of silent brokers, goodbye (Kafka `ClusterControlManager`).

use uuid::Uuid;

use super::{
    balance,
    controller::Controller,
    error::ControllerError,
    message::{Answer, Refused, Registration},
    reassignment,
    sessions::{Heartbeat, Next},
    voters::VoterChange,
};
use crate::metadata::{Broker, Endpoint, MetadataRecord};

impl Controller {
    /// Makes sure that the cluster has an id and that this broker, which is alone, is registered under this address.
    ///
    /// # Errors
    /// The log failed.
    pub async fn register_broker(
        &self,
        cluster_id: &str,
        host: &str,
        port: u16,
        rack: Option<&str>,
    ) -> Result<(), ControllerError> {
        let _deciding = self.decide().await?;
        let image = self.image.load();
        let mut records = Vec::new();
        if image.cluster_id().is_empty() {
            records.push(MetadataRecord::Cluster { cluster_id: cluster_id.to_owned() });
        }
        let broker_id = self.config.node_id;
        let known = image.broker(broker_id).is_some_and(|known| {
            let lone = known.raft.is_none() && !known.fenced;
            known.host == host && known.port == port && known.rack.as_deref() == rack && lone
        });
        if !known {
            let (host, rack, incarnation) = (host.to_owned(), rack.map(str::to_owned), self.random.uuid());
            // without a cluster the metadata goes where its directory goes
            let (raft, directory_id, fenced) = (None, Uuid::nil(), false);
            let record =
                MetadataRecord::RegisterBroker { broker_id, incarnation, host, port, rack, raft, directory_id, fenced };
            records.push(record);
        }
        self.commit(&records).await
    }

    /// Takes in a broker's process. It is fenced until its image has caught up and it says so. One that comes with another data
    /// directory has lost all its logs: new ones take their places.
    pub(super) async fn register(&self, registration: &Registration) -> Result<Answer, ControllerError> {
        let _deciding = self.decide().await?;
        let image = self.image.load();
        let Registration { broker_id, incarnation, directory_id, cluster_id, client, raft, rack } =
            registration.clone();
        let mut records = Vec::new();
        if image.cluster_id().is_empty() {
            records.push(MetadataRecord::Cluster { cluster_id });
        } else if image.cluster_id() != cluster_id {
            let expected = image.cluster_id().to_owned();
            return Ok(Answer::Refused(Refused::OtherCluster { expected, found: cluster_id }));
        }
        if let Some(known) = image.broker(broker_id) {
            if known.incarnation == incarnation {
                return Ok(Answer::Done);
            }
            let (live, replaced) = {
                let sessions = self.sessions();
                (sessions.is_live(known, self.now_ms()), sessions.was_replaced(broker_id, incarnation))
            };
            let goes = known.fenced || self.leaving().contains(&broker_id) || is_restart(known, &client, &raft);
            if live && (replaced || !goes) {
                tracing::warn!(broker_id, host = client.host, "another live broker has this id");
                return Ok(Answer::Refused(Refused::DuplicateBroker));
            }
            if !known.directory_id.is_nil() && known.directory_id != directory_id {
                // in one batch with the registration: the broker must see both or neither
                records.extend(reassignment::plan_refill(&image, broker_id));
            }
        }
        let (host, port, raft, fenced) = (client.host, client.port, Some(raft), true);
        let record =
            MetadataRecord::RegisterBroker { broker_id, incarnation, host, port, rack, raft, directory_id, fenced };
        records.push(record);
        self.commit(&records).await?;
        let caught_up_at = self.image.applied();
        self.sessions().begin(broker_id, incarnation, caught_up_at, self.now_ms());
        Ok(Answer::Done)
    }

    /// Takes in a heartbeat. A broker that wants to stop may do so once nobody can lead what it leads.
    pub(super) async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<Answer, ControllerError> {
        self.lead().await?;
        let image = self.image.load();
        let Heartbeat { broker_id, incarnation, wants_shutdown, .. } = *heartbeat;
        let Some(broker) = image.broker(broker_id).filter(|known| known.incarnation == incarnation) else {
            return Ok(Answer::Refused(Refused::NotRegistered));
        };
        // before anything waits: whoever speaks is not silent, however long a decision takes
        let next = self.sessions().heard(heartbeat, broker, self.now_ms());
        let drain = if wants_shutdown { balance::to_drain(&image, broker_id, &self.leaving()) } else { Vec::new() };
        let may_stop = wants_shutdown && drain.is_empty();
        self.order(drain);
        let fenced = match next {
            Next::Unfence => {
                self.decide_alone(MetadataRecord::UnfenceBroker { broker_id, incarnation }).await?;
                tracing::info!(broker_id, "broker has caught up and is unfenced");
                false
            }
            _ if broker.fenced => true,
            _ if may_stop || next == Next::Fence => {
                self.decide_alone(MetadataRecord::FenceBroker { broker_id, incarnation }).await?;
                true
            }
            _ => false,
        };
        Ok(Answer::Heard { fenced, may_stop })
    }

    /// Commits a record that needs no other check than its own.
    async fn decide_alone(&self, record: MetadataRecord) -> Result<(), ControllerError> {
        let _deciding = self.decide().await?;
        self.commit(&[record]).await
    }

    /// Fences the brokers that fell silent.
    pub(super) async fn fence_silent(&self) -> Result<(), ControllerError> {
        let silent = |controller: &Self| controller.sessions().silent(&controller.image.load(), controller.now_ms());
        if silent(self).is_empty() {
            return Ok(());
        }
        let _deciding = self.decide().await?;
        // one may have spoken while another change was decided
        let silent = silent(self);
        let records: Vec<_> = silent
            .iter()
            .map(|(broker_id, incarnation)| MetadataRecord::FenceBroker {
                broker_id: *broker_id,
                incarnation: *incarnation,
            })
            .collect();
        self.commit(&records).await?;
        for (broker_id, _) in silent {
            tracing::warn!(broker_id, "broker was silent for a session's time and is fenced");
        }
        Ok(())
    }

    /// Forgets a broker for good (UnregisterBroker). Its replicas stay assigned until they are moved.
    ///
    /// # Errors
    /// BROKER_ID_NOT_REGISTERED.
    pub async fn unregister_broker(&self, broker_id: i32) -> Result<(), ControllerError> {
        let _deciding = self.decide().await?;
        let known = self.image.load().broker(broker_id).cloned();
        if known.is_none() {
            return Err(ControllerError::BrokerNotRegistered(broker_id));
        }
        let live = known.is_some_and(|known| !known.fenced && self.sessions().is_live(&known, self.now_ms()));
        self.commit(&[MetadataRecord::UnregisterBroker { broker_id }]).await?;
        self.sessions().end(broker_id);
        // one that runs registers again, and must hear of it
        if !live && let Err(error) = self.log.change_voters(VoterChange::Forget { broker_id }).await {
            tracing::warn!(broker_id, %error, "metadata is still sent to a broker that was unregistered");
        }
        Ok(())
    }
}

/// Whether the one that registers took the place of the one that is known. Two processes cannot have one port, so the other is
/// gone, and need not be waited for. (Kafka waits for the end of its session all the same.) A lone broker, without a port for
/// others, was the only one that could write here.
fn is_restart(known: &Broker, client: &Endpoint, raft: &Endpoint) -> bool {
    known.raft.is_none() || known.raft.as_ref() == Some(raft) && known.host == client.host && known.port == client.port
}
