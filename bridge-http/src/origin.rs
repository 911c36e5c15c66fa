//! Requests that a browser makes for a page of another site. They are refused: a page that somebody looks at must not write
//! to a bridge that only this machine, or only a plant's network, can reach.

use axum::http::{
    HeaderMap,
    header::{HOST, ORIGIN},
};

use crate::error::{Kind, Problem};

/// Judges the `Origin` header, which browsers send and programs do not.
///
/// # Errors
/// It is not that of the host that was asked.
pub(crate) fn judge(headers: &HeaderMap) -> Result<(), Problem> {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return Ok(()) };
    // `null` has no site at all
    let site = origin.as_bytes().windows(3).position(|three| three == b"://").map(|at| &origin.as_bytes()[at + 3..]);
    let host = headers.get(HOST).map(axum::http::HeaderValue::as_bytes);
    let own = site.zip(host).is_some_and(|(site, host)| site.eq_ignore_ascii_case(host));
    if own && origins.next().is_none() {
        return Ok(());
    }
    Err(Problem::new(Kind::Forbidden, "pages of other sites may not use this bridge").closing())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn allowed(origins: &[&'static str]) -> bool {
        let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("edge.example:8080"))]);
        for origin in origins {
            headers.append(ORIGIN, HeaderValue::from_static(origin));
        }
        judge(&headers).is_ok()
    }

    #[test]
    fn only_a_page_of_the_same_host_may_ask() {
        assert!(allowed(&[]));
        assert!(allowed(&["http://edge.example:8080"]) && allowed(&["https://EDGE.example:8080"]));
        for foreign in
            ["http://evil.example", "null", "", "http://edge.example", "edge.example:8080", "http://edge.example:8080/"]
        {
            assert!(!allowed(&[foreign]), "{foreign}");
        }
        assert!(!allowed(&["http://edge.example:8080", "http://evil.example"]));
        assert!(judge(&HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static("http://a"))])).is_err());
    }
}
