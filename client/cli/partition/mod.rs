//! `tidemark partition`: one file per verb. Moves that are under way are watched here for `tidemark cluster`, too.

mod command;
mod elect;
mod relocate;
mod watch;

pub(crate) use command::PartitionCommand;
pub(crate) use watch::{begin, watch};
