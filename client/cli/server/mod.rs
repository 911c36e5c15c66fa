//! `tidemark server`: assembles the broker and the HTTP bridge in one process.
//!
//! `command` is the order of things, `settings` puts file and flags into one map, `properties` reads the file's form,
//! `bound` opens the ports, `http` joins the bridge to the broker, `signals` waits for the
//! end, `banner` says what there is. Not here: any decision of a broker.

mod banner;
mod bound;
mod command;
mod http;
pub(crate) mod properties;
mod settings;
mod signals;

pub(crate) use command::Server;
pub(crate) use settings::key_value;
