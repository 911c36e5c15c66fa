//! One log line a second at most for what a hostile peer can cause at will. Not here: the lines.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

const INTERVAL: Duration = Duration::from_secs(1);

/// Counts what is not said.
#[derive(Debug, Default)]
pub struct LogLimit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    last: Option<Instant>,
    unsaid: u64,
}

impl LogLimit {
    /// `Some(lines left out since the last one)` if a line may be written now.
    pub fn allow(&self) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| last.elapsed() < INTERVAL) {
            state.unsaid += 1;
            return None;
        }
        state.last = Some(Instant::now());
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_line_a_second_says_how_many_were_left_out() {
        let limit = LogLimit::default();
        assert_eq!((limit.allow(), limit.allow(), limit.allow()), (Some(0), None, None));
        tokio::time::advance(INTERVAL).await;
        assert_eq!((limit.allow(), limit.allow()), (Some(2), None));
    }
}
