//! What a Content-Type says, as far as the bridge cares. The header itself is kept with the record as it came.

use axum::http::{HeaderMap, header::CONTENT_TYPE};

use crate::error::{Kind, Problem};

/// The types that make a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MediaType {
    /// `application/json` and all that end in `+json`.
    Json,
    /// Bytes.
    Other,
}

impl MediaType {
    /// That of a request.
    ///
    /// # Errors
    /// Text that is no media type, JSON in another charset than UTF-8, or a type that is kept for envelopes.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let unsupported = |detail| Err(Problem::new(Kind::UnsupportedMediaType, detail));
        let mut values = headers.get_all(CONTENT_TYPE).iter();
        let Some(value) = values.next() else { return Ok(Self::Other) };
        let parsed = value.to_str().ok().and_then(Parsed::parse);
        let Some(parsed) = parsed.filter(|_| values.next().is_none()) else {
            return unsupported("the content type is one media type");
        };
        if parsed.subtype.starts_with("vnd.tidemark.") {
            return unsupported("envelopes are not understood yet; the body is the value as it is");
        }
        if parsed.is_json() {
            let utf8 = parsed.charset.is_none_or(|charset| charset.eq_ignore_ascii_case("utf-8"));
            return if utf8 { Ok(Self::Json) } else { unsupported("JSON is UTF-8") };
        }
        Ok(Self::Other)
    }

    /// That of a stored record.
    pub(crate) fn stored(value: &[u8]) -> Self {
        let parsed = str::from_utf8(value).ok().and_then(Parsed::parse);
        if parsed.is_some_and(|parsed| parsed.is_json()) { Self::Json } else { Self::Other }
    }
}

struct Parsed<'a> {
    kind: String,
    subtype: String,
    charset: Option<&'a str>,
}

impl<'a> Parsed<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let token = |text: &str| {
            !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        if !token(kind) || !token(subtype) {
            return None;
        }
        let charset = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case("charset").then_some(value.trim().trim_matches('"'))
        });
        Some(Self { kind: kind.to_ascii_lowercase(), subtype: subtype.to_ascii_lowercase(), charset })
    }

    fn is_json(&self) -> bool {
        (self.kind == "application" && self.subtype == "json") || self.subtype.ends_with("+json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_told_apart() {
        let of = |value: &'static str| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, axum::http::HeaderValue::from_static(value))]);
            MediaType::of(&headers).ok()
        };
        assert_eq!(MediaType::of(&HeaderMap::new()).ok(), Some(MediaType::Other));
        assert_eq!(of("Application/JSON; charset=\"UTF-8\""), Some(MediaType::Json));
        assert_eq!(of("application/cloudevents+json"), Some(MediaType::Json));
        assert_eq!(of("text/plain;charset=latin1"), Some(MediaType::Other));
        assert_eq!(of("application/json;charset=utf-16"), None);
        assert_eq!(of("application/vnd.tidemark.record+json"), None);
        for text in ["json", "", "/", "a/", "a b/c", "application/json, text/plain"] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(MediaType::stored(b"application/json"), MediaType::Json);
        assert_eq!(MediaType::stored(b"\xff"), MediaType::Other);
    }
}
