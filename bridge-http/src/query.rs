//! Query parameters, strictly: each is known, stands once and has a value that fits.

use std::str::FromStr;

use crate::{
    error::{Kind, Problem},
    percent, timestamp,
};

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Splits a query; only `known` names may stand in it.
    ///
    /// # Errors
    /// Another name, the same name twice, or text that cannot be decoded.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters: Vec<(String, String)> = Vec::new();
        for part in query.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            if !known.contains(&name.as_str()) {
                let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(invalid(format!("parameter {name:?} is not known here; known: {list}")));
            }
            if parameters.iter().any(|(other, _)| *other == name) {
                return Err(invalid(format!("parameter {name:?} stands there twice")));
            }
            parameters.push((name, value));
        }
        Ok(Self(parameters))
    }

    /// A parameter's text.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is a number of at least 0 and at most `max`; above that it is `max`.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn number<N>(&self, name: &str, max: N) -> Result<Option<N>, Problem>
    where
        N: FromStr + Ord,
    {
        let Some(text) = self.text(name) else { return Ok(None) };
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid(format!("parameter {name:?} is a number from 0 on")));
        }
        // digits that do not fit the type are above the bound too
        Ok(Some(match text.parse::<N>() {
            Ok(number) if number <= max => number,
            _ => max,
        }))
    }

    /// A parameter that is a time, in milliseconds since 1970.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn timestamp_ms(&self, name: &str) -> Result<Option<i64>, Problem> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let hint = || {
            invalid(format!("parameter {name:?} is milliseconds since 1970, or a time such as 2026-11-23T10:00:00Z"))
        };
        timestamp::parse(text).map(Some).ok_or_else(hint)
    }
}

/// A parameter that does not fit.
pub(crate) fn invalid(detail: String) -> Problem {
    Problem::new(Kind::InvalidParameter, detail)
}

fn decode(text: &str) -> Result<String, Problem> {
    let decoded = percent::decode(text.as_bytes()).and_then(|bytes| String::from_utf8(bytes.into_owned()).ok());
    decoded.ok_or_else(|| invalid("a query is percent-encoded UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_parameters_stand_there_once() {
        let query = Query::parse(Some("offset=7&format=a%20b&"), &["offset", "format"]).unwrap();
        assert_eq!((query.text("offset"), query.text("format"), query.text("limit")), (Some("7"), Some("a b"), None));
        for text in ["x=1", "offset=1&offset=1", "offset=%zz", "offset=%ff", "Offset=1"] {
            assert!(Query::parse(Some(text), &["offset"]).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_and_times_are_read_and_bounded() {
        let parse = |text: &str| Query::parse(Some(text), &["n"]).unwrap();
        assert_eq!(parse("n=12").number("n", 100).ok(), Some(Some(12)));
        assert_eq!(parse("n=1200").number("n", 100).ok(), Some(Some(100)));
        assert_eq!(parse("n=99999999999999999999").number("n", i64::MAX).ok(), Some(Some(i64::MAX)));
        assert_eq!(parse("").number("n", 100).ok(), Some(None));
        for text in ["n=", "n=-1", "n=1.5", "n=0x1", "n"] {
            assert!(parse(text).number("n", 100).is_err(), "{text}");
        }
        assert_eq!(parse("n=2026-11-28T10:00:00%2B00:00").timestamp_ms("n").ok(), Some(Some(1_795_860_000_000)));
        assert!(parse("n=yesterday").timestamp_ms("n").is_err());
    }
}
