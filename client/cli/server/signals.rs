//! SIGTERM and Ctrl-C: the first stops cleanly, the second ends at once.

use tidemark_server::tasks::{self, TaskKind};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use crate::failure::Failure;

/// SIGXFSZ on Linux.
const FILE_TOO_LARGE: i32 = 25;
/// Exit code of an end without a clean stop: 128 + SIGINT, as shells show it.
const EXIT_AT_ONCE: i32 = 130;

/// Starts waiting; the value turns true at the first signal.
pub(super) fn watch() -> Result<watch::Receiver<bool>, Failure> {
    let failed = |cause: std::io::Error| Failure::new(format!("cannot wait for signals: {cause}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    // its default would kill: handled, a write beyond `ulimit -f` fails instead, and is reported as any failed write
    drop(signal(SignalKind::from_raw(FILE_TOO_LARGE)).map_err(failed)?);
    let (stop, stopped) = watch::channel(false);
    tasks::spawn(TaskKind::Signals, async move {
        let name = next(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "stopping; the same again ends at once");
        stop.send_replace(true);
        next(&mut terminate, &mut interrupt).await;
        tracing::warn!("ended without a clean stop; what was acknowledged is recovered at the next start");
        std::process::exit(EXIT_AT_ONCE);
    });
    Ok(stopped)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
