//! The census of tasks, and the only place that starts one. Each kind says what a panic in it means.

use std::{future::Future, process};

use tokio::task::JoinHandle;

/// Exit code of a process that ended because a task that it cannot live without panicked.
const EXIT_PANIC: i32 = 70;

/// What a task is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// Accepts connections of one listener; ends at shutdown.
    Listener,
    /// Serves one connection; ends with it.
    Connection,
    /// Carries the calls of one connection between brokers, at either end; ends with it.
    Peer,
    /// Carries one change of the metadata to its end, even if the client that asked for it leaves.
    Decision,
    /// Carries one order of the controller to a partition's leader; ends with its answer.
    Order,
    /// Lets retention act, every `log.retention.check.interval.ms`.
    Retention,
    /// Follows the metadata's log and its leader.
    Metadata,
    /// Talks to the controller.
    Membership,
    /// Starts and stops Raft groups.
    Groups,
    /// Changes the members of groups that are led here.
    Reconcile,
    /// Finds new leaders for groups whose leader's broker is gone.
    Succession,
    /// Lets one group give up what lies below its log start.
    Purge,
    /// Brings one group's member up again that ended here.
    Revive,
    /// The HTTP bridge.
    Bridge,
    /// Waits for SIGTERM and Ctrl-C.
    Signals,
}

impl TaskKind {
    /// Without it the broker would look alive and not be: a panic ends the process. One connection's panic ends that
    /// connection only.
    fn is_vital(self) -> bool {
        !matches!(self, Self::Connection | Self::Peer)
    }
}

/// Starts a task of a kind.
#[allow(clippy::disallowed_methods, reason = "this is the seam")]
pub fn spawn<F>(kind: TaskKind, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let guard = VitalGuard(kind);
    tokio::spawn(async move {
        let output = future.await;
        std::mem::forget(guard);
        output
    })
}

/// Dropped only by a panic or at the runtime's end; the first ends the process.
struct VitalGuard(TaskKind);

impl Drop for VitalGuard {
    fn drop(&mut self) {
        if self.0.is_vital() && std::thread::panicking() {
            eprintln!(
                "tidemark: task {:?} panicked; ending, so that a supervisor can start anew (exit code {EXIT_PANIC})",
                self.0
            );
            process::exit(EXIT_PANIC);
        }
    }
}
