//! `tidemark cluster`: one file per verb. Brokers on this machine are processes of their own, kept in a directory that says
//! which they are.

mod command;
mod down;
mod kill;
mod local;
mod process;
mod start;
mod status;
mod up;

pub(crate) use command::ClusterCommand;
