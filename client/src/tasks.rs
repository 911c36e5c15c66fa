//! The only place of this crate that starts a task.

use std::future::Future;

use tokio::task::JoinHandle;

/// Starts a task on the caller's runtime.
#[allow(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future)
}
