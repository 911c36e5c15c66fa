//! Two peers' answers side by side: what differs, and which differences are allowed and why.

use crate::peer::Peer;

/// A difference that may be: cases and paths it covers (`*` stands for anything), and why.
#[derive(Debug)]
pub struct Allowed {
    pub case: &'static str,
    pub path: &'static str,
    pub reason: &'static str,
}

/// One value that is not the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub case: String,
    pub path: String,
    pub ours: String,
    pub theirs: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {} here, {} in Kafka", self.case, self.path, self.ours, self.theirs)
    }
}

/// Everything that differs, in the order of cases and paths.
pub fn differences(ours: &Peer, theirs: &Peer) -> Vec<Difference> {
    let mut out = Vec::new();
    let absent = || "absent".to_owned();
    for case in ours.answers.keys().chain(theirs.answers.keys().filter(|case| !ours.answers.contains_key(*case))) {
        let (Some(left), Some(right)) = (ours.answers.get(case), theirs.answers.get(case)) else {
            out.push(Difference { case: case.clone(), path: "case".to_owned(), ours: absent(), theirs: absent() });
            continue;
        };
        for path in left.keys().chain(right.keys().filter(|path| !left.contains_key(*path))) {
            let (ours, theirs) = (left.get(path), right.get(path));
            if ours != theirs {
                let or_absent = |value: Option<&String>| value.cloned().unwrap_or_else(absent);
                out.push(Difference {
                    case: case.clone(),
                    path: path.clone(),
                    ours: or_absent(ours),
                    theirs: or_absent(theirs),
                });
            }
        }
    }
    out
}

/// The differences that no row allows, and the rows that allowed nothing.
pub fn judge<'a>(found: &[Difference], allowed: &'a [Allowed]) -> (Vec<Difference>, Vec<&'a Allowed>) {
    let mut used = vec![false; allowed.len()];
    let mut left = Vec::new();
    for difference in found {
        let rows = allowed.iter().enumerate();
        let mut covering =
            rows.filter(|(_, row)| like(row.case, &difference.case) && like(row.path, &difference.path)).peekable();
        if covering.peek().is_none() || difference.path.ends_with("error_code") || difference.path == "outcome" {
            left.push(difference.clone());
        }
        covering.for_each(|(at, _)| used[at] = true);
    }
    (left, allowed.iter().zip(used).filter(|(_, used)| !used).map(|(row, _)| row).collect())
}

/// Whether a text is like a pattern, in which `*` stands for any run of characters.
pub fn like(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(head) else { return false };
    rest.is_empty() || text.char_indices().map(|(at, _)| &text[at..]).chain([""]).any(|tail| like(rest, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(case: &str, path: &str) -> Difference {
        Difference { case: case.to_owned(), path: path.to_owned(), ours: "1".to_owned(), theirs: "2".to_owned() }
    }

    #[test]
    fn rows_cover_what_is_like_them_and_never_an_error_code() {
        assert!(
            like("a*c", "abc")
                && like("*", "")
                && like("a*", "a")
                && like("*b*", "abc")
                && !like("a*c", "abd")
                && !like("a", "ab")
        );
        let rows = [Allowed { case: "x *", path: "*", reason: "" }, Allowed { case: "y", path: "size", reason: "" }];
        let found = [
            difference("x 1", "a.b"),
            difference("x 2", "topics[0].error_code"),
            difference("x 3", "outcome"),
            difference("z", "size"),
        ];
        let (left, unused) = judge(&found, &rows);
        assert_eq!(left, &found[1..]);
        assert_eq!(unused.iter().map(|row| row.case).collect::<Vec<_>>(), ["y"]);
    }
}
