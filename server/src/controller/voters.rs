//! Who votes on the metadata: what is asked for is held against the image, then the log's members change (Kafka `AddVoterHandler`,
//! `RemoveVoterHandler`). Not here: how they change.

use std::time::Duration;

use uuid::Uuid;

use super::{controller::Controller, error::ControllerError, log::ProposeError};

/// A voter, as a client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoterKey {
    /// The cluster that is meant; none: whichever it is.
    pub cluster_id: Option<String>,
    /// Its broker.
    pub broker_id: i32,
    /// Its data directory; nil: whichever it has.
    pub directory_id: Uuid,
}

/// A change of the replicas of the metadata's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoterChange {
    /// A broker that follows gets a vote, once it has all that is committed.
    Add {
        /// Which.
        broker_id: i32,
        /// How long it may take to catch up.
        within: Duration,
    },
    /// A broker loses its vote, and follows.
    Remove {
        /// Which.
        broker_id: i32,
    },
    /// A broker without a vote is sent nothing any more.
    Forget {
        /// Which.
        broker_id: i32,
    },
}

/// Why the replicas stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoterError {
    /// The broker has a vote.
    #[error("it votes already")]
    Votes,
    /// The broker has none.
    #[error("it has no vote")]
    HasNoVote,
    /// The broker does not follow the log.
    #[error("it does not follow the metadata's log")]
    DoesNotFollow,
    /// Somebody has to.
    #[error("it is the only one that votes")]
    OnlyVoter,
    /// A lone broker's log has one replica.
    #[error("this broker is alone: started with --voters it is a cluster, which others can join")]
    Alone,
    /// Another broker leads the log.
    #[error("another broker leads the metadata's log")]
    NotLeader {
        /// Which, if that is known.
        leader: Option<i32>,
    },
    /// It did not come about in time; it may still.
    #[error("not done in time: {0}")]
    NotInTime(String),
}

impl Controller {
    /// Gives a vote to a broker that follows the metadata.
    ///
    /// # Errors
    /// It has one, is not known, or does not catch up in time.
    pub async fn add_voter(&self, voter: &VoterKey, within: Duration) -> Result<(), ControllerError> {
        self.check_voter(voter).await?;
        self.change_voter(voter, VoterChange::Add { broker_id: voter.broker_id, within }).await?;
        tracing::info!(broker_id = voter.broker_id, "broker votes on the metadata from now on");
        Ok(())
    }

    /// Takes a broker's vote; it goes on following.
    ///
    /// # Errors
    /// It has none, or it is the last; NOT_CONTROLLER where it was this broker's own and another leads by now.
    pub async fn remove_voter(&self, voter: &VoterKey) -> Result<(), ControllerError> {
        self.check_voter(voter).await?;
        self.change_voter(voter, VoterChange::Remove { broker_id: voter.broker_id }).await?;
        tracing::info!(broker_id = voter.broker_id, "broker does not vote on the metadata any more");
        Ok(())
    }

    async fn check_voter(&self, voter: &VoterKey) -> Result<(), ControllerError> {
        self.lead().await?;
        let image = self.image.load();
        if voter.cluster_id.as_deref().is_some_and(|cluster_id| cluster_id != image.cluster_id()) {
            return Err(ControllerError::InconsistentClusterId);
        }
        // one that is not registered is known to the log alone, which knows nothing of directories
        let directory = image.broker(voter.broker_id).map_or(Uuid::nil(), |broker| broker.directory_id);
        if !voter.directory_id.is_nil() && !directory.is_nil() && directory != voter.directory_id {
            let broker_id = voter.broker_id;
            return Err(ControllerError::VoterNotFound(format!("Broker {broker_id} has another directory.")));
        }
        Ok(())
    }

    async fn change_voter(&self, voter: &VoterKey, change: VoterChange) -> Result<(), ControllerError> {
        let broker_id = voter.broker_id;
        let said = |error: &VoterError| format!("Broker {broker_id}: {error}.");
        self.log.change_voters(change).await.map_err(|error| match error {
            VoterError::Votes => ControllerError::DuplicateVoter(said(&error)),
            VoterError::HasNoVote | VoterError::DoesNotFollow => ControllerError::VoterNotFound(said(&error)),
            VoterError::OnlyVoter => ControllerError::InvalidRequest(said(&error)),
            VoterError::Alone => ControllerError::FixedVoters(error.to_string()),
            VoterError::NotLeader { leader } => ProposeError::NotController { leader }.into(),
            VoterError::NotInTime(_) => ControllerError::TimedOut(said(&error)),
        })
    }
}
