//! Which topic names are allowed (Kafka `Topic.validate`).

/// The most characters of a name.
const NAME_LEN_MAX: usize = 249;

/// Why a name is refused: INVALID_TOPIC_EXCEPTION (17), with Kafka's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

/// Letters, digits, `.`, `_` and `-`, at most 249, not `.` or `..`.
///
/// # Errors
/// What is wrong with it.
pub fn check_topic_name(name: &str) -> Result<(), NameError> {
    let refuse = |what: String| Err(NameError(what));
    if name.is_empty() {
        return refuse("Topic name is invalid: the empty string is not allowed".into());
    }
    if name == "." || name == ".." {
        return refuse(format!("Topic name is invalid: '{name}' is not allowed"));
    }
    if name.len() > NAME_LEN_MAX {
        return refuse(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length {NAME_LEN_MAX}"
        ));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
        let what = "contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'";
        return refuse(format!("Topic name is invalid: '{name}' {what}"));
    }
    Ok(())
}

/// What a topic is called in metric names: two topics of one such name collide. `None` for a name without `.` and `_`, which
/// collides with none.
pub fn metric_name(name: &str) -> Option<String> {
    name.contains(['.', '_']).then(|| name.replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        for good in ["a", "a.b_c-D9", &"x".repeat(249)] {
            assert!(check_topic_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "ä", "a\0", &"x".repeat(250)] {
            assert!(check_topic_name(bad).is_err(), "{bad}");
        }
        assert_eq!(metric_name("a.b"), metric_name("a_b"));
        assert_eq!(metric_name("a-b"), None);
    }
}
