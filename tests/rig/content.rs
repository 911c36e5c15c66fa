//! The record that carries a value: all of it follows from the value, so that a reader can tell whether it is as it was
//! sent.

use super::random::Random;

/// Longest filler behind a value.
const FILLER_BYTES_MAX: u64 = 200;

/// A record's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// None for some.
    pub key: Option<Vec<u8>>,
    /// The value's eight bytes, then filler.
    pub value: Vec<u8>,
    /// None to two.
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Content {
    /// The record of a value.
    pub fn of(value: u64) -> Self {
        let mut random = Random::new(value);
        let key = (!random.one_in(4)).then(|| random.below(1000).to_string().into_bytes());
        let filler = random.below(FILLER_BYTES_MAX);
        let filler = (0..filler).map(|_| random.draw() as u8);
        let bytes = value.to_be_bytes().into_iter().chain(filler).collect();
        let headers = (0..random.below(3)).map(|n| (format!("h{n}"), random.draw().to_be_bytes().to_vec()));
        let headers = headers.collect();
        Self { key, value: bytes, headers }
    }

    /// The value that a record carries, and what of it is not as it was sent. A record without a value has none that was
    /// ever sent.
    pub fn judge(self) -> (u64, Option<String>) {
        let Some(head) = self.value.first_chunk() else {
            return (u64::MAX, Some(format!("{} bytes hold no value", self.value.len())));
        };
        let value = u64::from_be_bytes(*head);
        let sent = Self::of(value);
        let flaw = match () {
            () if self.value != sent.value => Some("bytes"),
            () if self.key != sent.key => Some("key"),
            () if self.headers != sent.headers => Some("headers"),
            () => None,
        };
        (value, flaw.map(|what| format!("{what} differ from what was sent")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_of_a_record_shows() {
        for value in [0, 1, 77, u64::MAX - 1] {
            let content = Content::of(value);
            assert_eq!(content.clone().judge(), (value, None));
            let mut longer = content.clone();
            longer.value.push(0);
            assert!(longer.judge().1.is_some());
            let mut other_key = content.clone();
            other_key.key = Some(b"other".to_vec());
            assert_eq!(other_key.judge().1.as_deref(), Some("key differ from what was sent"));
            let mut more_headers = content;
            more_headers.headers.push(("x".to_owned(), vec![]));
            assert_eq!(more_headers.judge().1.as_deref(), Some("headers differ from what was sent"));
        }
        let empty = Content { key: None, value: vec![1], headers: vec![] };
        assert_eq!(empty.judge().0, u64::MAX);
    }
}
