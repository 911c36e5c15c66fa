//! Judges paths, topics and partitions as they stand in a request target, before any route is looked for.

use crate::{
    error::{Kind, Problem},
    percent,
};

/// Kafka's longest topic name.
const TOPIC_BYTES_MAX: usize = 249;

/// Refuses what no path of ours has: `.` and `..`, encoded or not, encoded slashes, control characters, text that is no
/// UTF-8, and a second encoding below the first.
///
/// # Errors
/// The path is one of these.
pub(crate) fn judge(path: &str) -> Result<(), Problem> {
    let invalid = |detail: &str| Err(Problem::new(Kind::InvalidPath, detail));
    for segment in path.split('/') {
        if segment == "." || segment == ".." {
            return invalid("a path has no dots as segments");
        }
        if !segment.contains('%') {
            continue;
        }
        let Some(decoded) = percent::decode(segment.as_bytes()) else {
            return invalid("a percent sign is followed by two hex digits");
        };
        let Ok(decoded) = str::from_utf8(&decoded) else {
            return invalid("a path is UTF-8");
        };
        if decoded == "." || decoded == ".." {
            return invalid("a path has no dots as segments");
        }
        if decoded.contains(['/', '\\', '%']) || decoded.chars().any(char::is_control) {
            return invalid("a segment has no slash, percent sign or control character");
        }
    }
    Ok(())
}

/// A topic's name by Kafka's rules.
///
/// # Errors
/// It breaks one.
pub(crate) fn topic(name: &str) -> Result<(), Problem> {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let invalid = |detail: String| Err(Problem::new(Kind::InvalidTopic, detail));
    if name.is_empty() || name.len() > TOPIC_BYTES_MAX {
        return invalid(format!("a topic's name has 1 to {TOPIC_BYTES_MAX} characters"));
    }
    if name == "." || name == ".." || !name.bytes().all(legal) {
        return invalid("a topic's name has letters of ASCII, digits, dots, underscores and hyphens".to_owned());
    }
    Ok(())
}

/// A partition's number.
///
/// # Errors
/// The text is none.
pub(crate) fn partition(text: &str) -> Result<i32, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.ok_or_else(|| Problem::new(Kind::InvalidPath, "a partition is a number from 0 on"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_hide_something_are_refused() {
        let bad = [
            "/v1/streams/../x",
            "/v1/streams/%2e%2e/x",
            "/v1/streams/.%2E/records",
            "/v1/streams/a%00/records",
            "/v1/streams/a%252e/records",
            "/v1/streams/a%2fb/records",
            "/v1/streams/a%5cb/records",
            "/v1/streams/a%/records",
            "/v1/streams/%ff/records",
            "/./",
        ];
        for path in bad {
            assert!(judge(path).is_err(), "{path}");
        }
        for path in ["/", "/v1/streams/a.b-c_1/records", "/v1/streams/a%2Db/records", "//", "/v1/x%20y"] {
            assert!(judge(path).is_ok(), "{path}");
        }
    }

    #[test]
    fn topics_and_partitions_follow_kafkas_rules() {
        let long = "x".repeat(250);
        for name in ["", ".", "..", "a b", "ä", "a/b", "a%2e", "a\0", long.as_str()] {
            assert!(topic(name).is_err(), "{name}");
        }
        for name in ["a", "...", "A.b_c-9", &long[1..]] {
            assert!(topic(name).is_ok(), "{name}");
        }
        for text in ["", "-1", "+1", "1x", "2147483648", " 1"] {
            assert!(partition(text).is_err(), "{text}");
        }
        assert_eq!(partition("2147483647").ok(), Some(i32::MAX));
    }
}
