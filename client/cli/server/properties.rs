//! Java's properties form, as Kafka's configuration files have it. Not here: what a key means.

use std::{iter::Peekable, str::Chars};

/// Keys and values in the order of the text; a key may come twice.
///
/// # Errors
/// A bad `\u` escape, with its line.
pub(crate) fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let first = first.trim_start_matches([' ', '\t', '\x0c']);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = first.to_owned();
        while goes_on(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches([' ', '\t', '\x0c']));
        }
        let pair = split(&logical).map_err(|cause| format!("line {}: {cause}", number + 1))?;
        pairs.push(pair);
    }
    Ok(pairs)
}

/// An odd number of backslashes at the end.
fn goes_on(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// The key ends at the first `=`, `:` or space that no backslash protects.
fn split(line: &str) -> Result<(String, String), String> {
    let mut rest = line.chars().peekable();
    let mut key = String::new();
    while let Some(next) = rest.next_if(|next| !matches!(next, '=' | ':' | ' ' | '\t' | '\x0c')) {
        push(&mut key, next, &mut rest)?;
    }
    skip_spaces(&mut rest);
    if rest.next_if(|next| matches!(next, '=' | ':')).is_some() {
        skip_spaces(&mut rest);
    }
    let mut value = String::new();
    while let Some(next) = rest.next() {
        push(&mut value, next, &mut rest)?;
    }
    // Java keeps them; no key of Kafka's wants them
    value.truncate(value.trim_end().len());
    Ok((key, value))
}

fn skip_spaces(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|next| matches!(next, ' ' | '\t' | '\x0c')).is_some() {}
}

fn push(out: &mut String, next: char, rest: &mut Peekable<Chars<'_>>) -> Result<(), String> {
    if next != '\\' {
        out.push(next);
        return Ok(());
    }
    match rest.next() {
        Some('t') => out.push('\t'),
        Some('n') => out.push('\n'),
        Some('r') => out.push('\r'),
        Some('f') => out.push('\x0c'),
        Some('u') => out.push(unicode(rest)?),
        Some(other) => out.push(other),
        None => {}
    }
    Ok(())
}

/// Four hexadecimal digits, twice for what UTF-16 needs a pair for.
fn unicode(rest: &mut Peekable<Chars<'_>>) -> Result<char, String> {
    let high = unit(rest)?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high).ok_or_else(|| format!("\\u{high:04x} is half a character"));
    }
    let pair = (rest.next(), rest.next());
    let low = if pair == (Some('\\'), Some('u')) { unit(rest)? } else { 0 };
    if !(0xdc00..0xe000).contains(&low) {
        return Err(format!("\\u{high:04x} is half a character"));
    }
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).ok_or_else(|| "bad \\u pair".to_owned())
}

fn unit(rest: &mut Peekable<Chars<'_>>) -> Result<u32, String> {
    let digits: String = rest.take(4).collect();
    let whole = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u32::from_str_radix(&digits, 16).ok().filter(|_| whole);
    value.ok_or_else(|| format!("\\u{digits} is no \\u and four hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn the_usual_file_is_read() {
        let text =
            "# a comment\n! another\n\nnode.id=1\nlisteners = PLAINTEXT://:9092 \n  log.dirs: /a,/b\r\nempty=\nbare\n";
        let expected = [
            pair("node.id", "1"),
            pair("listeners", "PLAINTEXT://:9092"),
            pair("log.dirs", "/a,/b"),
            pair("empty", ""),
            pair("bare", ""),
        ];
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn lines_go_on_behind_a_backslash_unless_it_is_one_itself() {
        assert_eq!(pairs("log.dirs=/a,\\\n    /b\nnext=1"), [pair("log.dirs", "/a,/b"), pair("next", "1")]);
        assert_eq!(pairs("path=c:\\\\\nnext=1"), [pair("path", "c:\\"), pair("next", "1")]);
        assert_eq!(pairs("last=1\\"), [pair("last", "1")]);
        assert_eq!(pairs("a=1\\\n# no comment here"), [pair("a", "1# no comment here")]);
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(pairs(r"a\ b\=c = \tx\u00e4\ud83d\ude00\q"), [pair("a b=c", "\txä😀q")]);
        assert_eq!(pairs("a b c"), [pair("a", "b c")]);
    }

    #[test]
    fn half_a_character_is_refused_with_its_line() {
        for text in [r"a=\u12", r"a=\ud83d", r"a=\ud83dx", r"a=\udc00", r"a=\uzzzz", r"a=\u+123"] {
            let said = parse(&format!("ok=1\n{text}")).expect_err(text);
            assert!(said.starts_with("line 2"), "{text}: {said}");
        }
    }
}
