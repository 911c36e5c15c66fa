//! `tidemark produce`: lines in, records out.
//!
//! A thread reads and cuts lines (`input`), each becomes a record (`line`), `command` queues them and `sent` keeps count of
//! what was acknowledged. Reading, packing and sending go on side by side.

mod command;
mod input;
mod line;
mod sent;

pub(crate) use command::Produce;
