//! Points in time as people write them, and as they are shown. Not here: what a point in time selects.

use jiff::{Timestamp, civil, tz::TimeZone};

/// A point in time, absolute or counted back from now. Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Since 1970.
    At(i64),
    /// Before now.
    Ago(i64),
}

impl Moment {
    /// Since 1970, given that it is `now_ms`.
    pub(crate) fn resolve(self, now_ms: i64) -> i64 {
        match self {
            Self::At(ms) => ms,
            Self::Ago(ms) => now_ms.saturating_sub(ms),
        }
    }

    /// `@` and what [`instant`] takes, or `-1h30m`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(absolute) = text.strip_prefix('@') {
            return instant(absolute).map(Self::At);
        }
        match text.strip_prefix('-') {
            Some(back) => span_ms(back).map(Self::Ago),
            None => Err(format!("`{text}` is no time: write @2026-11-23T10:00:00Z, @MILLISECONDS or -1h")),
        }
    }
}

/// A timestamp: `2026-11-23T10:00:00Z`, with an offset, without one (UTC), a date alone, or milliseconds since 1970.
pub(crate) fn instant(text: &str) -> Result<i64, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().map_err(|_| format!("`{text}` milliseconds are out of range"));
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Ok(timestamp.as_millisecond());
    }
    let civil = text.parse::<civil::DateTime>().map_err(|cause| {
        format!("`{text}` is no time ({cause}): write 2026-11-23T10:00:00Z, 2026-11-23 or milliseconds since 1970")
    })?;
    let zoned = civil.to_zoned(TimeZone::UTC).map_err(|cause| format!("`{text}` is out of range ({cause})"))?;
    Ok(zoned.timestamp().as_millisecond())
}

/// `90s`, `1h30m`, `2d`: numbers, each with a unit.
fn span_ms(text: &str) -> Result<i64, String> {
    let wrong =
        |why: &str| format!("`-{text}` {why}: write a number and a unit, such as -90s, -15m, -1h30m, -2d or -1w");
    let mut total: i64 = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: i64 = rest[..digits].parse().map_err(|_| wrong("has no number before its unit"))?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit_ms = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "" => return Err(wrong("has no unit")),
            _ => return Err(wrong("has an unknown unit")),
        };
        rest = &rest[letters..];
        let part = number.checked_mul(unit_ms).and_then(|part| total.checked_add(part));
        total = part.ok_or_else(|| wrong("is too long"))?;
    }
    if text.is_empty() { Err(wrong("has no number before its unit")) } else { Ok(total) }
}

/// UTC, with milliseconds; empty where there is none.
pub(crate) fn shown(timestamp_ms: i64) -> String {
    match Timestamp::from_millisecond(timestamp_ms) {
        Ok(timestamp) if timestamp_ms >= 0 => format!("{timestamp:.3}"),
        _ => String::new(),
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    tidemark_server::os::clock::Clock::system().wall_ms()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: i64 = 1_795_428_000_000;

    #[test]
    fn absolute_times_are_taken_in_every_usual_form() {
        for text in ["@2026-11-23T10:00:00Z", "@2026-11-23T12:00:00+02:00", "@2026-11-23T10:00", "@1795428000000"] {
            assert_eq!(Moment::parse(text), Ok(Moment::At(TEN)), "{text}");
        }
        assert_eq!(Moment::parse("@2026-11-23"), Ok(Moment::At(TEN - 36_000_000)));
        assert_eq!(Moment::parse("@2026-11-23T10:00:00.250Z"), Ok(Moment::At(TEN + 250)));
    }

    #[test]
    fn times_back_from_now_are_sums() {
        assert_eq!(Moment::parse("-1h30m"), Ok(Moment::Ago(5_400_000)));
        assert_eq!(Moment::parse("-250ms"), Ok(Moment::Ago(250)));
        assert_eq!(Moment::parse("-1w").unwrap().resolve(604_800_005), 5);
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for text in
            ["@", "@yesterday", "@2026-13-01", "-", "-1", "-h", "-1y", "-99999999999999999w", "-1h30", "1h", "@-5"]
        {
            let said = Moment::parse(text).expect_err(text);
            assert!(said.contains("write"), "{text}: {said}");
        }
    }

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        assert_eq!(shown(TEN + 7), "2026-11-23T10:00:00.007Z");
        assert_eq!(shown(-1), "");
    }
}
