//! Times as callers write them: milliseconds since 1970, or RFC 3339.

/// Milliseconds since 1970; None: the text is no time, or one before 1970.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let ms = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()?
    } else {
        text.parse::<jiff::Timestamp>().ok()?.as_millisecond()
    };
    (ms >= 0).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        assert_eq!(parse("0"), Some(0));
        assert_eq!(parse("1795860000123"), Some(1_795_860_000_123));
        assert_eq!(parse("2026-11-28T10:00:00.123Z"), Some(1_795_860_000_123));
        assert_eq!(parse("2026-11-28T12:00:00.123+02:00"), Some(1_795_860_000_123));
        for text in ["", "-1", "1e3", "2026-11-28", "2026-11-28T10:00:00", "now", "1969-12-31T23:59:59Z"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("99999999999999999999"), None);
    }
}
