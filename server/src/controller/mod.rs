//! Decides changes of the metadata: checks a request against the image, proposes records, publishes the new image.
//!
//! One change at a time: a mutex is held from the check to the commit, so two creations of one name cannot both pass. In a
//! cluster only the broker that leads the metadata's log decides (`role`); the others follow the log, say what they have to say
//! by messages (`agent`), and forward clients' requests (`api`). Who leads a partition is decided in its own Raft group: its leader
//! reports it, and the controller writes it down.
//!
//! Judged by pure code, each in its file: placement, reassignment, reports, balance, sessions. Tasks: one per order on its way.
//! Not here: the wire, logs, connections, timers.

mod agent;
mod balance;
mod configs;
#[allow(clippy::module_inception, reason = "the room's main type, named as the room")]
mod controller;
mod error;
mod handle;
mod log;
mod message;
mod peers;
mod placement;
mod producer_ids;
mod quorum;
mod reassignment;
mod registration;
mod reports;
mod role;
mod serve;
mod sessions;
mod snapshot;
mod topics;
mod transfers;
mod voters;
mod warnings;

#[cfg(test)]
mod tests;

pub use agent::{Agent, Step, View};
pub use balance::ElectionKind;
pub use configs::{ConfigChange, ConfigOp, NewConfigs, Resource};
pub use controller::{BALANCE_INTERVAL_MS, Controller, ControllerConfig, SESSION_TIMEOUT_MS, SNAPSHOT_BYTES};
pub use error::ControllerError;
pub use handle::{ImageHandle, ImageListener};
pub use log::{Changing, Committed, MetadataLog, ProposeError, Proposing, Starting};
pub use message::{Answer, Leadership, MessageError, Order, OrderAnswer, Refused, Registration, Request};
pub use peers::{Calling, MessageKind, Peers};
pub use quorum::{Quorum, QuorumReplica};
pub use reassignment::Reassignment;
pub use role::Role;
pub use sessions::Heartbeat;
pub use topics::{CreatedTopic, GrowTopic, NewTopic, TopicRef};
pub use voters::{VoterChange, VoterError, VoterKey};
