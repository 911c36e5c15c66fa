//! A bar on a terminal that says how far a command is. Not here: what is counted.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws a second, at most.
const DRAWS_PER_S: u8 = 10;

/// What a bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Bytes of a file.
    Bytes,
    /// Offsets, as near to records as can be known before they are read.
    Records,
}

/// A bar up to `total`, or a count that grows where the total is unknown. Nothing at all unless `shown`.
pub(crate) fn bar(shown: bool, total: Option<u64>, unit: Unit) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let (counts, grows) = match unit {
        Unit::Bytes => ("{bytes}/{total_bytes} {bytes_per_sec}", "{bytes} {bytes_per_sec}"),
        Unit::Records => ("{human_pos}/{human_len} {per_sec}", "{human_pos} {per_sec}"),
    };
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(DRAWS_PER_S));
    let template = match total {
        Some(_) => format!("{{wide_bar}} {counts} {{msg}} eta {{eta}}"),
        None => format!("{{spinner}} {grows} {{msg}}"),
    };
    // the templates are ours, and tested
    bar.set_style(ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_one() {
        for template in [
            "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {msg} eta {eta}",
            "{spinner} {human_pos} {per_sec} {msg}",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
        assert!(bar(false, Some(1), Unit::Bytes).is_hidden());
    }
}
