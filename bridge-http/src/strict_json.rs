//! Whether bytes are JSON that every reader understands alike (I-JSON, RFC 7493): UTF-8, no name twice in one object, no
//! lone surrogate, no number beyond a double, nesting of at most 64. Nothing is kept of what was read.

use std::{borrow::Cow, fmt};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// How deep arrays and objects may nest.
const DEPTH_MAX: u8 = 64;

/// Judges one whole JSON text.
///
/// # Errors
/// What is wrong with it, and where.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    let text = str::from_utf8(bytes).map_err(|_| "JSON is UTF-8".to_owned())?;
    let mut parser = serde_json::Deserializer::from_str(text);
    Checked { depth_left: DEPTH_MAX }.deserialize(&mut parser).map_err(|cause| cause.to_string())?;
    parser.end().map_err(|cause| cause.to_string())
}

#[derive(Debug, Clone, Copy)]
struct Checked {
    depth_left: u8,
}

impl Checked {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1);
        depth_left.map(|depth_left| Self { depth_left }).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut names: Vec<Cow<'de, str>> = Vec::new();
        while let Some(Name(name)) = members.next_key()? {
            names.push(name);
            members.next_value_seed(inner)?;
        }
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error::custom(format_args!("the name {:?} stands twice in one object", pair[0]))),
            None => Ok(()),
        }
    }
}

/// A member's name, borrowed from the text where it has no escapes.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        parser.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_json_is_taken() {
        let deep = format!("{}1{}", "[".repeat(64), "]".repeat(64));
        for text in ["1", " {\"a\":[1,2.5e3,\"x\\u00e9\\ud83d\\ude00\",null,true,{}]}\n", "\"\"", "-0", deep.as_str()] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_readers_could_take_differently_is_refused() {
        let deep = format!("{}1{}", "[".repeat(65), "]".repeat(65));
        let deepest = "[".repeat(10_000);
        let bad = [
            "",
            " ",
            "{",
            "{]",
            "[1,]",
            "01",
            "1 2",
            "nul",
            "NaN",
            "'a'",
            "1e400",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"a\nb\"",
            "{\"a\":1,\"a\":2}",
            "{\"a\":1,\"\\u0061\":2}",
            "\u{feff}1",
            deep.as_str(),
            deepest.as_str(),
        ];
        for text in bad {
            assert!(check(text.as_bytes()).is_err(), "{text}");
        }
        assert!(check(b"\"\xff\"").is_err());
    }
}
