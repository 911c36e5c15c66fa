//! A member that becomes the only voter of its group because an operator says so, in a directory that serves nobody. Not here: which
//! member (`node::recover`), when it is synced (`survivor`).

use std::{io, sync::Arc};

use bytes::Bytes;
use openraft::entry::RaftEntry;
use tidemark_record::BatchHeader;

use super::{
    super::{node_id::NodeId, replica::Replica},
    config::Vote,
    entry::{Effect, Entry, Frame, Payload},
    member::log_id,
    membership::of_voters,
};

/// Who votes, as the log says last; while that changes, each list needs a majority of its own.
pub fn voters(replica: &Replica) -> Vec<Vec<NodeId>> {
    let held = replica.read();
    let members = held.member.as_ref().and_then(|member| member.newest_members());
    let configs = members.map(|members| members.get_joint_config().clone()).unwrap_or_default();
    configs.into_iter().map(|config| config.into_iter().collect()).collect()
}

/// Votes for itself in a new term. Durable once the journal is synced.
pub fn vote_for_itself(replica: &Replica, epoch: i32) -> io::Result<()> {
    // whoever waits looks at the journal itself
    drop(replica.write_vote(&Vote::new(term(epoch)?, node_of(replica)?))?);
    Ok(())
}

/// Appends the frame that makes it the only voter, and a batch behind it.
pub fn append_sole(replica: &Arc<Replica>, epoch: i32, batch: Option<&[u8]>) -> io::Result<()> {
    let (index, end) = replica.look(|log| (log.next_index(), log.log_end_offset())).map_err(io::Error::other)?;
    let members = Payload::Membership(of_voters(&[node_of(replica)?]));
    let mut entries = vec![Entry::new(log_id(epoch, index), members)];
    if let Some(batch) = batch {
        let header = BatchHeader::parse(batch).map_err(io::Error::other)?;
        let mut bytes = batch.to_vec();
        // outside of the checksum, as a leader sets them
        bytes[0..8].copy_from_slice(&end.to_be_bytes());
        bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
        let next_offset = end + i64::from(header.last_offset_delta) + 1;
        let frame = Frame { size: bytes.len(), bytes: Bytes::from(bytes), next_offset, effect: Effect::Batch };
        entries.push(Entry::new(log_id(epoch, index + 1), Payload::Frame(frame)));
    }
    replica.append_entries(entries, Box::new(|_| ()))
}

fn node_of(replica: &Replica) -> io::Result<NodeId> {
    replica.node().ok_or_else(|| io::Error::other("the replica is in no group"))
}

fn term(epoch: i32) -> io::Result<u64> {
    u64::try_from(epoch).map_err(io::Error::other)
}
