//! Retention: every so often old records go, by time and by size. The wall clock may delete only while it is plausible.
//!
//! An edge clock without a battery starts in 1970 and jumps; one with a bad server can jump years ahead, and would take
//! every record for old. Then retention by time is held, and says so; retention by size goes on. Not here: which segments
//! are old (`log`), DeleteRecords. A round may free what a partition's making lacked, so it tries that again.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{partition::Partition, partitions::Partitions};

const HOUR_MS: i64 = 3_600_000;
/// The wall clock may run ahead of the monotonic one by this much between two looks.
const JUMP_MS_MAX: i64 = HOUR_MS;
/// At a start, the clock may be this far ahead of the newest record: a broker that was switched off for so long.
const START_GAP_MS_MAX: i64 = 30 * 24 * HOUR_MS;
/// A record this close to the clock is a witness for it.
const WITNESS_MS: i64 = HOUR_MS;
/// After so long without a further jump the clock is believed.
const HOLD_MS_MAX: i64 = 24 * HOUR_MS;

/// Judges the wall clock. Pure: it is told the times.
#[derive(Debug, Default)]
pub struct ClockTrust {
    /// Wall and monotonic milliseconds at the last look.
    last: Option<(i64, i64)>,
    held_since_ms: Option<i64>,
}

impl ClockTrust {
    /// Whether the wall clock may expire records now. `newest_record_ms` is the largest timestamp of the newest segments.
    pub fn judge(&mut self, wall_ms: i64, monotonic_ms: i64, newest_record_ms: i64) -> bool {
        let suspicious = match self.last {
            Some((wall, monotonic)) => {
                wall_ms.saturating_sub(wall).saturating_sub(monotonic_ms - monotonic) > JUMP_MS_MAX
            }
            None => newest_record_ms >= 0 && wall_ms.saturating_sub(newest_record_ms) > START_GAP_MS_MAX,
        };
        self.last = Some((wall_ms, monotonic_ms));
        if suspicious {
            self.held_since_ms = Some(monotonic_ms);
        }
        if let Some(since) = self.held_since_ms {
            let witnessed = wall_ms.saturating_sub(newest_record_ms).saturating_abs() <= WITNESS_MS;
            if witnessed || monotonic_ms - since >= HOLD_MS_MAX {
                self.held_since_ms = None;
            }
        }
        self.held_since_ms.is_none()
    }
}

impl Partitions {
    /// Applies retention to every partition, every `log.retention.check.interval.ms`, for ever.
    pub async fn run_retention(self: Arc<Self>) {
        let mut trust = ClockTrust::default();
        let start = Instant::now();
        let every = Duration::from_millis(self.config.retention_check_interval_ms.max(1));
        loop {
            tokio::time::sleep(every).await;
            let monotonic_ms = i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX);
            self.apply_retention(&mut trust, monotonic_ms).await;
        }
    }

    /// One round. `monotonic_ms` is any clock that only runs forward, for `trust`.
    pub async fn apply_retention(&self, trust: &mut ClockTrust, monotonic_ms: i64) {
        let partitions = self.all();
        let newest =
            |partition: &Arc<Partition>| partition.replica.look(crate::log::Log::newest_timestamp).unwrap_or(-1);
        let newest_record_ms = partitions.iter().map(newest).max().unwrap_or(-1);
        let wall_ms = self.clock.wall_ms();
        let trusted = trust.judge(wall_ms, monotonic_ms, newest_record_ms);
        if !trusted {
            tracing::warn!(
                wall_ms,
                newest_record_ms,
                "the clock jumped ahead: retention by time is held until records agree with it"
            );
        }
        for partition in partitions {
            partition.retain(trusted.then_some(wall_ms)).await;
        }
        self.make_missing();
    }
}

impl Partition {
    /// Drops what its topic's settings let go; without a time, by size only.
    async fn retain(&self, now_ms: Option<i64>) {
        if let Some(now_ms) = now_ms {
            self.replica.expire_producers(now_ms);
        }
        // members that follow drop what the leader drops
        if !self.role().leads() {
            return;
        }
        let expired = self.replica.look(|log| log.expired_log_start(now_ms.unwrap_or(i64::MIN)));
        // a replica without a log, or one whose segment cannot be read, keeps what it has
        let Ok(Ok(Some(start))) = expired else { return };
        let start = start.min(self.high_watermark());
        if let Ok(moved) = self.move_log_start(start) {
            // the journal's failure has ended the broker already
            let _ = moved.low_watermark().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn a_clock_that_jumps_years_ahead_is_held_until_a_record_agrees() {
        let mut trust = ClockTrust::default();
        assert!(trust.judge(NOW, 0, NOW - 1000));
        assert!(trust.judge(NOW + 300_000, 300_000, NOW));
        let later = NOW + 10 * 365 * 24 * HOUR_MS;
        assert!(!trust.judge(later, 600_000, NOW));
        assert!(!trust.judge(later + 300_000, 900_000, NOW));
        assert!(trust.judge(later + 600_000, 1_200_000, later));
    }

    #[test]
    fn a_jump_is_believed_after_a_day_and_one_back_is_no_danger() {
        let mut trust = ClockTrust::default();
        assert!(trust.judge(0, 0, -1));
        assert!(!trust.judge(NOW, 1000, -1));
        assert!(trust.judge(NOW + HOLD_MS_MAX, 1000 + HOLD_MS_MAX, -1));
        assert!(trust.judge(0, 2000 + HOLD_MS_MAX, -1));
    }

    #[test]
    fn a_start_far_behind_the_newest_record_is_suspicious() {
        assert!(!ClockTrust::default().judge(NOW, 0, NOW - START_GAP_MS_MAX - 1));
        assert!(ClockTrust::default().judge(NOW, 0, NOW - START_GAP_MS_MAX));
    }
}
