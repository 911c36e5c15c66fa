//! Places in a partition as `--from` and `--to` name them. Not here: asking a broker where they are.

use std::str::FromStr;

use crate::time::Moment;

/// A place in every partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// The first record there is.
    Earliest,
    /// Behind the last record there is.
    Latest,
    /// The record at this offset.
    Offset(i64),
    /// The first record at or after this time.
    Time(Moment),
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if text.starts_with('@') || text.starts_with('-') {
            return Moment::parse(text).map(Self::Time);
        }
        text.parse().map(Self::Offset).map_err(|_| {
            format!("`{text}` is no position: write earliest, latest, an OFFSET, @2026-11-23T10:00:00Z or -1h")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        assert_eq!("earliest".parse(), Ok(Position::Earliest));
        assert_eq!("latest".parse(), Ok(Position::Latest));
        assert_eq!("42".parse(), Ok(Position::Offset(42)));
        assert_eq!("@5".parse(), Ok(Position::Time(Moment::At(5))));
        assert_eq!("-2d".parse(), Ok(Position::Time(Moment::Ago(172_800_000))));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "first", "1.5", "99999999999999999999", "-1", "--1h", "@"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
