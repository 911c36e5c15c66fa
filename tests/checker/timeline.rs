//! Rates and gaps over time: whether the run was busy when a fault came, and how long nothing was acknowledged behind it.

use std::collections::{HashMap, VecDeque};

use super::report::FaultSeen;

/// Acknowledged sends per second without which a fault proves nothing.
pub(super) const RATE_MIN: f64 = 100.0;
/// How far back the rate before a fault is taken.
const RATE_WINDOW_NS: u64 = 5_000_000_000;
/// Sends are counted in steps of this.
const STEP_NS: u64 = 100_000_000;

/// Sends that wait, to one key or to any.
#[derive(Debug, Clone, Copy, Default)]
struct Waiting {
    under_way: u64,
    /// Since when something waits and nothing was acknowledged, and whose fault it is: that of the fault under way, else of
    /// the next to begin.
    since: Option<(u64, usize)>,
}

impl Waiting {
    fn begin(&mut self, time_ns: u64, fault: usize) {
        self.under_way += 1;
        self.since.get_or_insert((time_ns, fault));
    }

    /// How long nothing was acknowledged, if this is the first again, or nobody waits any more: a client that was dropped waits for
    /// nothing, however long it takes until somebody writes to the key again. And whose fault it was.
    fn end(&mut self, acked: bool, time_ns: u64, fault: usize) -> Option<(u64, usize)> {
        self.under_way = self.under_way.saturating_sub(1);
        let (since_ns, whose) = self.since.filter(|_| acked || self.under_way == 0)?;
        // who still waits has waited since now: one acknowledgement shows that the key is there
        self.since = (self.under_way > 0).then_some((time_ns, fault));
        Some((time_ns - since_ns, whose))
    }
}

#[derive(Debug, Default)]
pub(super) struct Timeline {
    pub(super) faults: Vec<FaultSeen>,
    /// The last of them has not ended.
    under_way: bool,
    first_ns: Option<u64>,
    steps: VecDeque<(u64, u64)>,
    any: Waiting,
    by_key: HashMap<u32, Waiting>,
}

impl Timeline {
    /// The first operation of the run.
    pub(super) fn on_operation(&mut self, time_ns: u64) {
        self.first_ns.get_or_insert(time_ns);
    }

    /// A send begins.
    pub(super) fn on_send(&mut self, key: u32, time_ns: u64) {
        let fault = self.fault_now();
        self.any.begin(time_ns, fault);
        self.by_key.entry(key).or_default().begin(time_ns, fault);
    }

    /// A send ends.
    pub(super) fn on_send_end(&mut self, key: u32, acked: bool, time_ns: u64) {
        if acked {
            self.count(time_ns);
        }
        let fault = self.fault_now();
        let gap = self.any.end(acked, time_ns, fault);
        if let Some((fault, gap_ns)) = self.fault_of(gap) {
            fault.gap_ns = fault.gap_ns.max(gap_ns);
        }
        let gap = self.by_key.entry(key).or_default().end(acked, time_ns, fault);
        if let Some((fault, gap_ns)) = self.fault_of(gap)
            && gap_ns > fault.key_gap_ns
        {
            (fault.key_gap_ns, fault.key) = (gap_ns, Some(key));
        }
    }

    fn count(&mut self, time_ns: u64) {
        let step = time_ns / STEP_NS;
        match self.steps.back_mut() {
            Some((last, count)) if *last == step => *count += 1,
            _ => self.steps.push_back((step, 1)),
        }
        while self.steps.front().is_some_and(|(first, _)| first + RATE_WINDOW_NS / STEP_NS < step) {
            self.steps.pop_front();
        }
    }

    /// The fault that a gap belongs to which begins now.
    fn fault_now(&self) -> usize {
        self.faults.len() - usize::from(self.under_way)
    }

    /// The fault that a gap belongs to; the last where none began in it.
    fn fault_of(&mut self, gap: Option<(u64, usize)>) -> Option<(&mut FaultSeen, u64)> {
        let (gap_ns, whose) = gap?;
        let place = whose.min(self.faults.len().checked_sub(1)?);
        Some((&mut self.faults[place], gap_ns))
    }

    pub(super) fn on_fault_end(&mut self) {
        self.under_way = false;
    }

    pub(super) fn on_fault(&mut self, kind: String, detail: String, time_ns: u64) {
        let from = self.first_ns.unwrap_or(time_ns).max(time_ns.saturating_sub(RATE_WINDOW_NS));
        let from_step = from / STEP_NS;
        let acked: u64 = self.steps.iter().filter(|(step, _)| *step >= from_step).map(|(_, count)| count).sum();
        let seconds = (time_ns - from) as f64 / 1e9;
        let rate_before = if seconds > 0.0 { acked as f64 / seconds } else { 0.0 };
        self.under_way = true;
        self.faults.push(FaultSeen { kind, detail, time_ns, rate_before, gap_ns: 0, key_gap_ns: 0, key: None });
    }
}
