//! Threads start here and carry a name. Few do: the journal's sync thread is the main one.

use std::{io, thread};

/// Starts a named thread.
///
/// # Errors
/// The machine has no room for another thread.
pub fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}
