//! Replicas: the only room that writes log plus journal, and the data directory as a whole. A partition with one replica
//! is `solo`; groups (openraft) are the next issue. Not here: Kafka's rules for batches, topics, APIs.

mod commit;

pub use commit::CommitListener;
