//! A directory of a cluster that has lost a majority, under the hands of an operator: what its logs have, and how they become the
//! only voters of their groups. It serves nobody meanwhile. Not here: which log is to survive, and who may decide that.

use std::sync::Arc;

use super::{
    error::{ReplicaError, StorageError},
    group,
    node_id::NodeId,
    replica::{Durability, Replica},
    storage::{Entry, ReplicaKey, Storage},
};

/// How one replica stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remains {
    /// What it is called in its group; none for one that is alone.
    pub node: Option<NodeId>,
    /// Leader epoch and Raft index of its last frame; none for an empty log.
    pub last: Option<(i32, u64)>,
    /// Its first offset.
    pub log_start_offset: i64,
    /// Offset behind its last record.
    pub log_end_offset: i64,
    /// Offset behind the last record that it knows was committed. Above the log's end, records were lost here.
    pub high_watermark: i64,
    /// The newest term it knows of.
    pub epoch: i32,
    /// Who votes, as its log says last; while that changes, each list needs a majority of its own.
    pub voters: Vec<Vec<NodeId>>,
    /// How many ranges of offsets are damaged and refused.
    pub damages: usize,
    /// It may have lost what it promised: it has no vote under this name any more.
    pub given_up: bool,
    /// Why its log cannot be used.
    pub failure: Option<String>,
}

/// A log that becomes its group's only voter.
#[derive(Debug, Clone)]
pub struct Sole {
    /// Whose.
    pub key: ReplicaKey,
    /// What it is called from now on.
    pub node: NodeId,
    /// Above all that any member of the group knows of.
    pub epoch: i32,
    /// A batch that is appended behind it, committed with all the rest.
    pub batch: Option<Vec<u8>>,
}

impl Storage {
    /// How every replica here stands.
    pub fn remains(&self) -> Vec<(ReplicaKey, Remains)> {
        self.list().by_id.values().map(|entry| (entry.key, remains(entry))).collect()
    }

    /// Writes down that a recovery has begun, and how many there will have been: no broker starts over the directory before
    /// it has ended.
    ///
    /// # Errors
    /// The disk's.
    pub fn begin_recovery(&self, recovery: u32) -> Result<(), StorageError> {
        self.rewrite_properties(|properties| properties.recovering = Some(recovery))
    }

    /// Writes down that it has ended: the directory is of the cluster that was recovered so many times, whose metadata are in
    /// the directory `survivor`; `incarnation` is the metadata's replica here from now on.
    ///
    /// # Errors
    /// The disk's.
    pub fn end_recovery(&self, recovery: u32, survivor: (i32, String), incarnation: u32) -> Result<(), StorageError> {
        self.sync()?;
        self.rewrite_properties(|properties| {
            (properties.recovery, properties.recovering) = (recovery, None);
            (properties.quorum, properties.incarnation) = (vec![survivor], incarnation);
        })
    }

    /// Makes logs here the only voters of their groups: all that they hold will be committed, and who voted before counts no
    /// more. Durable when it returns; interrupted, each is what it was or what it shall be, and it can be done again.
    ///
    /// # Errors
    /// There is no such member, or the disk's.
    pub fn make_sole(&self, logs: &[Sole]) -> Result<(), StorageError> {
        let found = |log: &Sole| {
            let list = self.list();
            list.by_id.values().find(|entry| entry.key == log.key).map(|entry| entry.replica.clone())
        };
        let refused =
            |cause: ReplicaError| StorageError::Io { path: self.dir().into(), cause: std::io::Error::other(cause) };
        let logs = logs.iter().map(|log| Ok((log, found(log).ok_or(ReplicaError::Deleted)?)));
        let logs: Vec<(&Sole, Arc<Replica>)> = logs.collect::<Result<_, ReplicaError>>().map_err(refused)?;
        for (log, replica) in logs.iter().filter(|(log, replica)| replica.node() != Some(log.node)) {
            replica.forget_group();
            // whoever waits looks at the journal itself
            drop(replica.join(log.node).map_err(refused)?);
        }
        // votes first: a frame of an epoch that nobody voted in would be none
        for (log, replica) in &logs {
            StorageError::at(self.dir(), group::vote_for_itself(replica, log.epoch))?;
        }
        self.sync()?;
        for (log, replica) in &logs {
            StorageError::at(self.dir(), group::append_sole(replica, log.epoch, log.batch.as_deref()))?;
            if replica.durability() == Durability::WriteCaching {
                replica.flush().map_err(refused)?;
            }
        }
        self.sync()
    }
}

fn remains(entry: &Entry) -> Remains {
    let (replica, kept) = (&entry.replica, entry.last.member.as_ref().map(|member| &member.kept));
    let node = replica.node();
    let known = kept.and_then(|kept| kept.committed).map_or(0, |(_, _, offset)| offset);
    let (high_watermark, voters) = (replica.high_watermark().max(known), group::voters(replica));
    let look = replica.look(|log| {
        let last = log.next_index().checked_sub(1).map(|index| (log.last_leader_epoch(), index));
        Remains {
            node,
            last: last.filter(|(epoch, _)| *epoch >= 0),
            log_start_offset: log.log_start_offset(),
            log_end_offset: log.log_end_offset(),
            high_watermark,
            epoch: replica.leader_epoch().max(log.last_leader_epoch()),
            voters,
            damages: log.quarantined().len(),
            given_up: kept.is_some_and(|kept| kept.given_up),
            failure: None,
        }
    });
    look.unwrap_or_else(|failure| {
        let (epoch, failure) = (replica.leader_epoch(), Some(failure.to_string()));
        Remains { node, high_watermark: known, epoch, failure, ..Remains::default() }
    })
}
