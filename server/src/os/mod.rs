//! What we ask of the operating system: the seams that a simulation or a test takes over.
//!
//! Not here: Kafka, Raft, any policy. This is the only room with `unsafe`.

pub mod boot;
pub mod budget;
pub mod checksum;
pub mod clock;
pub mod descriptors;
pub mod disk;
pub mod mapped;
pub mod memory;
pub mod network;
pub mod random;
pub mod thread;
