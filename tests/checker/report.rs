//! What a check says at its end.

use std::{
    collections::BTreeMap,
    fmt::{self, Display, Formatter},
};

use super::{
    anomaly::Anomaly,
    line::Kind,
    settings::Settings,
    tally::{CASES_MAX, Case, Found},
    timeline::RATE_MIN,
};

/// What the history proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that is forbidden.
    Valid,
    /// Something that is.
    Violated,
    /// Nothing either way.
    Void,
}

impl Verdict {
    /// For the command: 0 valid, 1 violated, 3 void.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Violated => 1,
            Self::Void => 3,
        }
    }
}

/// A fault, and what it did to those who write.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultSeen {
    /// Such as `leader kill`.
    pub kind: String,
    /// What exactly.
    pub detail: String,
    /// When it began.
    pub time_ns: u64,
    /// Acknowledged sends per second in the 5 s before it.
    pub rate_before: f64,
    /// The longest time that sends waited without one acknowledgement, until the next fault.
    pub gap_ns: u64,
    /// The same for the key that waited longest.
    pub key_gap_ns: u64,
    pub(super) key: Option<u32>,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What it proves.
    pub verdict: Verdict,
    /// Why it proves nothing.
    pub void: Vec<String>,
    /// What the clients were told.
    pub settings: Settings,
    /// Per anomaly, what was found.
    pub found: BTreeMap<Anomaly, Found>,
    /// Lines by function and kind.
    pub outcomes: Vec<(&'static str, Kind, u64)>,
    /// Keys that were used.
    pub keys: usize,
    /// Offsets whose value is known.
    pub stored: usize,
    /// Values whose send was acknowledged.
    pub acked: usize,
    /// Records that were polled, again and again counted.
    pub polled: u64,
    /// The longest time from an acknowledgement to the poll that brought the record, outside the final phase.
    pub lag_ns_max: u64,
    /// In the order of their begin.
    pub faults: Vec<FaultSeen>,
    /// Per fault, the key that waited longest.
    pub fault_keys: Vec<Option<String>>,
}

impl Report {
    /// How often a kind of outcome was, over all functions.
    pub fn count(&self, kind: Kind) -> u64 {
        self.outcomes.iter().filter(|(_, of, _)| *of == kind).map(|(.., count)| count).sum()
    }

    fn write_windows(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut by_kind: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
        for (fault, key) in self.faults.iter().zip(&self.fault_keys) {
            let void = if fault.rate_before < RATE_MIN { "  (void: too little before it)" } else { "" };
            let (at, rate) = (fault.time_ns as f64 / 1e9, fault.rate_before);
            writeln!(
                f,
                "  {at:9.3} s  {} {}: {rate:.0}/s before; no ack for {}, on {} for {}{void}",
                fault.kind,
                fault.detail,
                ms(fault.gap_ns),
                key.as_deref().unwrap_or("no key"),
                ms(fault.key_gap_ns)
            )?;
            by_kind.entry(&fault.kind).or_default().push(fault.key_gap_ns);
        }
        for (kind, mut gaps) in by_kind {
            gaps.sort_unstable();
            let at = |share: usize| ms(gaps[(gaps.len() - 1) * share / 100]);
            writeln!(f, "  {kind}: {} times, worst key p50 {}, p99 {}, max {}", gaps.len(), at(50), at(99), at(100))?;
        }
        Ok(())
    }
}

fn ms(ns: u64) -> String {
    format!("{:.1} ms", ns as f64 / 1e6)
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Valid => "VALID",
            Verdict::Violated => "VIOLATED",
            Verdict::Void => "VOID",
        };
        writeln!(f, "{verdict}")?;
        self.void.iter().try_for_each(|reason| writeln!(f, "  void: {reason}"))?;
        let Settings { acks, idempotent, read_committed } = self.settings;
        writeln!(f, "acks {acks}, idempotent {idempotent}, read_committed {read_committed}")?;
        writeln!(
            f,
            "{} values acknowledged; {} offsets of {} keys known; {} records polled; worst lag {}",
            self.acked,
            self.stored,
            self.keys,
            self.polled,
            ms(self.lag_ns_max)
        )?;
        for (function, kind, count) in &self.outcomes {
            writeln!(f, "  {function:9} {:6} {count}", kind.name())?;
        }
        if !self.faults.is_empty() {
            writeln!(f, "{} faults", self.faults.len())?;
            self.write_windows(f)?;
        }
        for (anomaly, found) in &self.found {
            let allowed = if found.forbidden == 0 { " (allowed here)" } else { "" };
            writeln!(f, "{}: {}{allowed}", anomaly.name(), found.count)?;
            found.cases.iter().try_for_each(|case| write!(f, "{case}"))?;
            if found.count > CASES_MAX as u64 {
                writeln!(f, "  … and {} more", found.count - CASES_MAX as u64)?;
            }
        }
        Ok(())
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("  ")?;
        if let Some(index) = self.index {
            write!(f, "index {index}: ")?;
        }
        if let Some((key, _)) = &self.place {
            write!(f, "{key}: ")?;
        }
        writeln!(f, "{}", self.text)?;
        if let Some((_, place)) = &self.place {
            f.write_str("     ")?;
            for (offset, values) in &self.around {
                let mark = if offset == place { "*" } else { "" };
                write!(f, " {mark}{offset}:{values:?}")?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}
