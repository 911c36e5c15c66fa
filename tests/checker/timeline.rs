//! Rates and gaps over time: whether the run was busy when a fault came, and how long nothing was acknowledged behind it.

use std::collections::{HashMap, VecDeque};

use super::report::FaultSeen;

/// Acknowledged sends per second without which a fault proves nothing.
pub(super) const RATE_MIN: f64 = 100.0;
/// How far back the rate before a fault is taken.
const RATE_WINDOW_NS: u64 = 5_000_000_000;
/// Sends are counted in steps of this.
const STEP_NS: u64 = 100_000_000;

/// The last acknowledgement, and how many faults had begun by then.
#[derive(Debug, Clone, Copy)]
struct LastOk {
    time_ns: u64,
    faults: usize,
}

#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub(super) faults: Vec<FaultSeen>,
    first_ns: Option<u64>,
    steps: VecDeque<(u64, u64)>,
    last_ok: Option<LastOk>,
    last_ok_of: HashMap<u32, LastOk>,
}

impl Timeline {
    /// The first operation of the run.
    pub(super) fn on_operation(&mut self, time_ns: u64) {
        self.first_ns.get_or_insert(time_ns);
    }

    pub(super) fn on_acked(&mut self, key: u32, time_ns: u64) {
        let step = time_ns / STEP_NS;
        match self.steps.back_mut() {
            Some((last, count)) if *last == step => *count += 1,
            _ => self.steps.push_back((step, 1)),
        }
        while self.steps.front().is_some_and(|(first, _)| first + RATE_WINDOW_NS / STEP_NS < step) {
            self.steps.pop_front();
        }
        let now = LastOk { time_ns, faults: self.faults.len() };
        let before = self.last_ok.replace(now);
        if let Some((fault, gap_ns)) = self.gap(before, time_ns) {
            fault.gap_ns = fault.gap_ns.max(gap_ns);
        }
        let before = self.last_ok_of.insert(key, now);
        if let Some((fault, gap_ns)) = self.gap(before, time_ns)
            && gap_ns > fault.key_gap_ns
        {
            (fault.key_gap_ns, fault.key) = (gap_ns, Some(key));
        }
    }

    /// The fault that a gap belongs to: the first that began in it, else the last before it.
    fn gap(&mut self, before: Option<LastOk>, time_ns: u64) -> Option<(&mut FaultSeen, u64)> {
        let before = before?;
        let place = before.faults.min(self.faults.len().checked_sub(1)?);
        Some((&mut self.faults[place], time_ns - before.time_ns))
    }

    pub(super) fn on_fault(&mut self, kind: String, detail: String, time_ns: u64) {
        let from = self.first_ns.unwrap_or(time_ns).max(time_ns.saturating_sub(RATE_WINDOW_NS));
        let from_step = from / STEP_NS;
        let acked: u64 = self.steps.iter().filter(|(step, _)| *step >= from_step).map(|(_, count)| count).sum();
        let seconds = (time_ns - from) as f64 / 1e9;
        let rate_before = if seconds > 0.0 { acked as f64 / seconds } else { 0.0 };
        self.faults.push(FaultSeen { kind, detail, time_ns, rate_before, gap_ns: 0, key_gap_ns: 0, key: None });
    }
}
