//! `tidemark log`: looks into the files of a stopped broker, and mends them. No broker and no network.
//!
//! `place` finds out what a directory is and takes its lock; `dump` shows frames, `verify` (with `audit`) judges, `repair`
//! mends. Not here: the formats, which are the server's rooms `log` and `journal`.

mod audit;
mod command;
mod dump;
mod place;
mod repair;
mod verify;

pub(crate) use command::LogCommand;
