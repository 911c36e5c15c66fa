//! Carries logs from one cluster (the source, often at the edge) to another (the target). Nothing is built here yet: this
//! page is the contract that the mirror will be held to.
//!
//! # What will live here
//!
//! `flow`, one source and one target with what is mirrored between them; `source` and `target`, the two ends, each a
//! `tidemark_client::Client`; `topic_sync`, which keeps topics and their configs alike; `offset_sync`, checkpoints and the
//! translation of group offsets; `heartbeat`, which tells a quiet source from a dead one. Never here: the server. Both ends
//! are spoken to in the protocol, so either may be any Kafka-compatible cluster.
//!
//! # What it promises
//!
//! * Batches are passed on as they were stored, never decoded and written anew: keys, values, headers, timestamps and codecs
//!   of the copy are those of the source, byte for byte.
//! * Between two Tidemark clusters a copy is exact: a record keeps its offset, gaps included. The target takes batches only
//!   at its own end (compare-and-append), so that a repeated request, a restart or a second mirror adds nothing twice.
//! * Where the target cannot do that, records may be there twice after a failure, never fewer than once, always in the order
//!   of their partition; offsets are then translated.
//! * An outage of the link loses nothing that the source still retains. What retention took before it was copied is said so
//!   and counted, never passed over in silence.
//! * All state lies in the target's own topics. A mirror that is started anywhere goes on from there.
