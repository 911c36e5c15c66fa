//! How long to wait before something is tried again, and for how long at all. Not here: what may be tried again; the
//! errors know.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::Duration,
};

use tokio::time::{Instant, sleep};

/// Pauses that double from `pause_min` to `pause_max`, spread by a fifth either way, within `timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryConfig {
    /// Before the second attempt. Default 50 ms.
    pub pause_min: Duration,
    /// The longest pause. Default 1 s.
    pub pause_max: Duration,
    /// No attempt starts later than this after the first. Default 60 s; zero: one attempt.
    pub timeout: Duration,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
        }
    }
}

impl RetryConfig {
    /// The pause after `failures` failures in a row, 1 or more, spread so that clients do not come back all at once.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let doubled = self.pause_min.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
        let spread = random() % 401;
        doubled.min(self.pause_max).mul_f64(0.8 + spread as f64 / 1000.0)
    }
}

/// The attempts at one thing.
#[derive(Debug)]
pub(crate) struct Backoff<'a> {
    config: &'a RetryConfig,
    deadline: Instant,
    failures: u32,
}

impl<'a> Backoff<'a> {
    /// Before the first attempt.
    pub(crate) fn new(config: &'a RetryConfig) -> Self {
        Self { config, deadline: after(config.timeout), failures: 0 }
    }

    /// Waits before the next attempt.
    ///
    /// # Errors
    /// Gives the error back where the next attempt would be too late.
    pub(crate) async fn pause<E>(&mut self, error: E) -> Result<(), E> {
        self.failures += 1;
        let pause = self.config.pause(self.failures);
        if Instant::now() + pause > self.deadline {
            return Err(error);
        }
        sleep(pause).await;
        Ok(())
    }
}

/// A number that nobody can foresee, from what the standard library seeds its maps with.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The moment that lies `wait` ahead; far ahead where `wait` is more than a clock can hold.
pub(crate) fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or(now + FAR_AHEAD)
}

/// Thirty years.
const FAR_AHEAD: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let config = RetryConfig::default();
        for (failures, expected_ms) in [(1, 50), (2, 100), (3, 200), (6, 1000), (40, 1000), (u32::MAX, 1000)] {
            let pause = config.pause(failures).as_secs_f64() * 1000.0;
            assert!((0.79..=1.21).contains(&(pause / f64::from(expected_ms))), "{failures}: {pause} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_end_with_the_timeout_and_the_last_error() {
        let config = RetryConfig { timeout: Duration::from_secs(3), ..RetryConfig::default() };
        let (mut backoff, mut attempts) = (Backoff::new(&config), 1);
        while backoff.pause(attempts).await.is_ok() {
            attempts += 1;
        }
        assert!((5..=8).contains(&attempts), "{attempts}");
        let once = RetryConfig { timeout: Duration::ZERO, ..config };
        assert_eq!(Backoff::new(&once).pause("why").await, Err("why"));
    }
}
