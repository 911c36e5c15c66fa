//! What a caller would like: `Prefer` (RFC 7240) and `Accept` (RFC 9110 section 12.5.1).

use std::time::Duration;

use axum::http::{HeaderMap, header::ACCEPT};

use crate::{
    error::{Kind, Problem},
    headers::PREFER,
};

/// Whether an answer without a body is preferred.
pub(crate) fn minimal(headers: &HeaderMap) -> bool {
    preferences(headers).any(|(name, value)| name.eq_ignore_ascii_case("return") && value == "minimal")
}

/// How long the caller would wait.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Duration> {
    let mut found = preferences(headers).filter(|(name, _)| name.eq_ignore_ascii_case("wait"));
    found.next().and_then(|(_, value)| value.parse().ok()).map(Duration::from_secs)
}

/// Names and values; parameters behind a semicolon are left out.
fn preferences(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|part| {
        let preference = part.split(';').next().unwrap_or_default();
        let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
        (name.trim(), value.trim().trim_matches('"'))
    })
}

/// The formats of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One object with all records.
    Json,
    /// One line a record.
    Lines,
    /// The value of one record as it is.
    Raw,
}

impl Format {
    /// The best one that is accepted; JSON where nothing is said.
    ///
    /// # Errors
    /// None is accepted.
    pub(crate) fn accepted(headers: &HeaderMap) -> Result<Self, Problem> {
        if !headers.contains_key(ACCEPT) {
            return Ok(Self::Json);
        }
        let lines = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best = None;
        for range in lines.flat_map(|line| line.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/json" | "application/*" | "*/*" => Self::Json,
                "application/x-ndjson" => Self::Lines,
                "application/octet-stream" => Self::Raw,
                _ => continue,
            };
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok());
            let quality = quality.unwrap_or(0.0);
            if quality > 0.0 && best.is_none_or(|(other, _)| quality > other) {
                best = Some((quality, format));
            }
        }
        let detail = "application/json, application/x-ndjson and application/octet-stream are served";
        best.map(|(_, format)| format).ok_or_else(|| Problem::new(Kind::NotAcceptable, detail))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn with(name: axum::http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn preferences_are_found_among_others() {
        let headers = with(PREFER, "respond-async, return=minimal; x=y, wait=\"7\"");
        assert!(minimal(&headers));
        assert_eq!(wait(&headers), Some(Duration::from_secs(7)));
        assert!(!minimal(&with(PREFER, "return=representation")));
        assert_eq!(wait(&with(PREFER, "wait=-1")), None);
        assert_eq!(wait(&HeaderMap::new()), None);
    }

    #[test]
    fn the_best_format_is_chosen() {
        let accepted = |value| Format::accepted(&with(ACCEPT, value)).ok();
        assert_eq!(Format::accepted(&HeaderMap::new()).ok(), Some(Format::Json));
        assert_eq!(accepted("*/*"), Some(Format::Json));
        assert_eq!(accepted("text/html, application/x-ndjson;q=0.9, */*;q=0.1"), Some(Format::Lines));
        assert_eq!(accepted("application/json;q=0.2,application/octet-stream;q=0.3"), Some(Format::Raw));
        assert_eq!(accepted("application/json;q=0"), None);
        assert_eq!(accepted("text/event-stream"), None);
    }
}
