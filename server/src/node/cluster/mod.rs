//! This broker among others: which cluster it belongs to, calls between brokers, the metadata's log as a group, and the loops that
//! make here what the metadata says. Not here: any decision (`controller`), Raft, sockets.
//!
//! Tasks: `Metadata` (follows the log and its leader), `Membership` (talks to the controller), `Groups` (starts and stops groups),
//! `Reconcile` (changes the members of groups that are led here), `Succession` (elects where a leader's broker is gone).

mod alone;
#[allow(clippy::module_inception, reason = "the room's main type, named as the room")]
mod cluster;
mod desk;
mod formation;
mod forward;
mod gather;
mod join;
mod kind;
mod links;
mod member;
mod metadata;
mod reconcile;
mod succession;

pub(super) use alone::{be_alone, end_groups, lead_metadata};
pub(super) use cluster::{Cluster, Follower};
