//! Rust source as tokens with lines, and the paths named in it. Enough for `use` trees and `a::b::c`; not a parser.

/// A word or a sign, and the line it stands on, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A path that the source names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPath {
    pub segments: Vec<String>,
    pub line: usize,
}

/// Words, `::` and single signs; comments, strings, characters and lifetimes are left out.
pub fn tokens(source: &str) -> Vec<Token> {
    let bytes = source.as_bytes();
    let (mut at, mut line, mut out) = (0, 1, Vec::new());
    while at < bytes.len() {
        let start = at;
        let mut text = None;
        match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => at = find(bytes, at, b"\n").unwrap_or(bytes.len()),
            b'/' if bytes.get(at + 1) == Some(&b'*') => at = block_comment_end(bytes, at),
            b'"' => at = string_end(bytes, at),
            b'r' | b'b' | b'c' if raw_or_prefixed_end(bytes, at).is_some() => {
                at = raw_or_prefixed_end(bytes, at).unwrap_or(bytes.len());
            }
            b'\'' => at = quote_end(bytes, at),
            b':' if bytes.get(at + 1) == Some(&b':') => {
                text = Some("::".to_owned());
                at += 2;
            }
            byte if is_word(byte) => {
                at += bytes[at..].iter().take_while(|byte| is_word(**byte)).count();
                text = Some(source[start..at].to_owned());
            }
            byte if byte.is_ascii_whitespace() || !byte.is_ascii() => at += 1,
            byte => {
                text = Some(char::from(byte).to_string());
                at += 1;
            }
        }
        if let Some(text) = text {
            out.push(Token { text, line });
        }
        line += bytes[start..at].iter().filter(|byte| **byte == b'\n').count();
    }
    out
}

fn is_word(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric()
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes[from..].windows(what.len()).position(|window| window == what).map(|at| from + at)
}

fn block_comment_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if bytes[at..].starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != b'"' {
        end += if bytes[end] == b'\\' { 2 } else { 1 };
    }
    (end + 1).min(bytes.len())
}

/// The end of `r"…"`, `r#"…"#`, `b"…"`, `br"…"`, `b'…'`; `None` for a word that only starts with such a letter.
fn raw_or_prefixed_end(bytes: &[u8], at: usize) -> Option<usize> {
    let letters = bytes[at..].iter().take_while(|byte| matches!(byte, b'r' | b'b' | b'c')).count();
    if letters > 2 {
        return None;
    }
    let raw = bytes[at..at + letters].contains(&b'r');
    let hashes = if raw { bytes[at + letters..].iter().take_while(|byte| **byte == b'#').count() } else { 0 };
    let quote = at + letters + hashes;
    match bytes.get(quote)? {
        b'"' if raw => {
            let close = [b"\"".as_slice(), &b"#".repeat(hashes)].concat();
            Some(find(bytes, quote + 1, &close).map_or(bytes.len(), |end| end + close.len()))
        }
        b'"' => Some(string_end(bytes, quote)),
        b'\'' if bytes[at] == b'b' && !raw => Some(quote_end(bytes, quote)),
        _ => None,
    }
}

/// The end of a character, or of the quote of a lifetime.
fn quote_end(bytes: &[u8], at: usize) -> usize {
    let escaped = bytes.get(at + 1) == Some(&b'\\');
    let body = at + if escaped { 3 } else { 2 };
    // a character is at most 4 bytes, an escape at most `\u{10ffff}`
    let close = (body..(body + if escaped { 9 } else { 4 }).min(bytes.len())).find(|place| bytes[*place] == b'\'');
    let is_char = close.is_some_and(|close| escaped || close == at + 2 || !bytes[at + 1].is_ascii());
    close.filter(|_| is_char).map_or(at + 1, |close| close + 1)
}

/// The tokens without items under `#[cfg(test)]`, and how many lines those items take.
pub fn without_test_items(all: &[Token]) -> (Vec<Token>, usize) {
    let (mut out, mut test_lines, mut at) = (Vec::new(), 0, 0);
    while at < all.len() {
        if starts_with(&all[at..], &["#", "[", "cfg", "(", "test", ")", "]"]) {
            let end = item_end(all, at + 7);
            test_lines += all[end.min(all.len() - 1)].line - all[at].line + 1;
            at = end + 1;
        } else {
            out.push(all[at].clone());
            at += 1;
        }
    }
    (out, test_lines)
}

/// Whether the tokens' texts start so.
pub fn starts_with(tokens: &[Token], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && tokens.iter().zip(texts).all(|(token, text)| token.text == *text)
}

/// The `;` or the closing `}` that ends the item starting at `at`.
pub fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let (mut braces, mut others) = (0, 0);
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" => braces += 1,
            "(" | "[" => others += 1,
            ")" | "]" => others -= 1,
            "}" => {
                braces -= 1;
                if braces == 0 && others == 0 {
                    return at;
                }
            }
            ";" if braces == 0 && others == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    tokens.len()
}

/// All paths: each leaf of each `use` tree, and each `a::b` elsewhere.
pub fn paths(tokens: &[Token]) -> Vec<NamedPath> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if tokens[at].text == "use" {
            at = use_tree(tokens, at + 1, &[], &mut out);
        } else if is_name(&tokens[at].text) && tokens.get(at + 1).is_some_and(|next| next.text == "::") {
            let (line, mut segments) = (tokens[at].line, vec![tokens[at].text.clone()]);
            while tokens.get(at + 1).is_some_and(|t| t.text == "::")
                && tokens.get(at + 2).is_some_and(|t| is_name(&t.text))
            {
                segments.push(tokens[at + 2].text.clone());
                at += 2;
            }
            out.push(NamedPath { segments, line });
            at += 1;
        } else {
            at += 1;
        }
    }
    out
}

fn is_name(text: &str) -> bool {
    text.bytes().next().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphabetic())
}

/// Reads one tree behind `prefix`; gives the place behind it.
fn use_tree(tokens: &[Token], mut at: usize, prefix: &[String], out: &mut Vec<NamedPath>) -> usize {
    let mut segments = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = use_tree(tokens, at, &segments, out);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                }
                return at + 1;
            }
            "as" => at += 2,
            text if is_name(text) || text == "*" => {
                segments.push(text.to_owned());
                at += 1;
                if tokens.get(at).is_none_or(|next| next.text != "::") {
                    out.push(NamedPath { segments: segments.clone(), line: token.line });
                }
            }
            _ => break,
        }
    }
    at
}
