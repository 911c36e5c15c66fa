//! `tidemark consume`: records by offset or time, forwards, backwards, or as they come.
//!
//! ```text
//! earliest ≤ from ≤ end ≤ latest        a range of every partition, fixed when the command starts (`range`)
//!            |------>| forward           fetch after fetch, the next one under way while one is printed (`lane`)
//!            |<------| backward          windows of offsets from the end, each turned round (`lane`)
//! ```
//! Several bounded ranges are merged by timestamp (`merge`): each partition keeps its order, no record is left out or
//! comes twice. Following (`follow`) prints what comes as it comes. `print` and `template` say how a record looks.

mod command;
mod fetching;
mod follow;
mod lane;
mod merge;
mod print;
mod range;
mod template;

pub(crate) use command::Consume;
