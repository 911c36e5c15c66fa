//! `tidemark topic`: one file per verb.

mod alter;
mod command;
mod config;
mod create;
mod delete;
mod describe;
mod list;

pub(crate) use command::TopicCommand;
