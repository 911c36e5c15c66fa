//! When may a clock delete data? Time retention trusts the wall clock only while it is plausible.

/// Judges the wall clock.
#[derive(Debug)]
pub struct ClockTrust {}
