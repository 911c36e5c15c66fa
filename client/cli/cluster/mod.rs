//! `tidemark cluster`: one file per verb. Brokers on this machine are processes of their own, kept in a directory that says
//! which they are.

mod add;
mod command;
mod down;
mod drain;
mod kill;
mod local;
mod process;
mod recover;
mod remove;
mod start;
mod status;
mod target;
mod up;
mod voters;

pub(crate) use command::ClusterCommand;
