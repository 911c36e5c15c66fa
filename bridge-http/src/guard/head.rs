//! Judges one whole head: request line and headers (RFC 9112), by rules that leave no room for a second reading.

use super::chunked::Chunked;

/// Why a request is refused before it is looked at. The connection ends with the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No HTTP, or HTTP that could be read in two ways; what is wrong.
    Malformed(&'static str),
    /// A method that is never served: TRACE, CONNECT.
    Method,
    /// The head did not come in time.
    Slow,
    /// The target is too long.
    TargetTooLong,
    /// The headers are too many or too large.
    HeadersTooLarge,
    /// Another major version of HTTP.
    Version,
}

/// Bounds of a head.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLimits {
    pub(super) head_bytes_max: usize,
    pub(super) target_bytes_max: usize,
    pub(super) headers_max: usize,
}

/// Where the body of a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked(Chunked),
}

/// Looks for the end of a head in what has come so far; `seen` bytes were looked at before. None: not there yet.
///
/// # Errors
/// What can be refused without the rest.
pub(super) fn end(bytes: &[u8], seen: usize, limits: HeadLimits) -> Result<Option<usize>, Refusal> {
    for at in seen..bytes.len() {
        if bytes[at] == b'\n' {
            if at == 0 || bytes[at - 1] != b'\r' {
                return Err(Refusal::Malformed("a line of the head ends without CR"));
            }
            if bytes[..at].ends_with(b"\r\n\r") {
                return if at < limits.head_bytes_max { Ok(Some(at + 1)) } else { Err(Refusal::HeadersTooLarge) };
            }
        } else if bytes[at].is_ascii_control() && !matches!(bytes[at], b'\r' | b'\t') {
            return Err(Refusal::Malformed("the head has a control character"));
        }
    }
    let line = bytes.len().min(limits.head_bytes_max);
    // the method, the spaces and the version beside the target
    if bytes.len() > limits.target_bytes_max + 64 && !bytes[..line].contains(&b'\n') {
        return Err(Refusal::TargetTooLong);
    }
    if bytes.len() >= limits.head_bytes_max { Err(Refusal::HeadersTooLarge) } else { Ok(None) }
}

/// Judges a whole head, CRLFCRLF included.
///
/// # Errors
/// Why it is refused.
pub(super) fn judge(head: &[u8], limits: HeadLimits) -> Result<Framing, Refusal> {
    let text = &head[..head.len().saturating_sub(4)];
    let mut lines = Lines(Some(text));
    let line = lines.next().unwrap_or(Ok(&[]))?;
    let http_1_0 = request_line(line, limits)?;
    let (mut headers, mut hosts) = (0, 0);
    let (mut length, mut chunked) = (None, false);
    for line in lines {
        let (name, value) = header(line?)?;
        headers += 1;
        if headers > limits.headers_max {
            return Err(Refusal::HeadersTooLarge);
        }
        if name.eq_ignore_ascii_case(b"host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if length.replace(content_length(value)?).is_some() {
                return Err(Refusal::Malformed("there is more than one content-length"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || http_1_0 || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Malformed("the only transfer-encoding is chunked, once, in HTTP/1.1"));
            }
            chunked = true;
        }
    }
    if hosts > 1 || hosts == 0 && !http_1_0 {
        return Err(Refusal::Malformed("there must be one host header"));
    }
    match (length, chunked) {
        (Some(_), true) => Err(Refusal::Malformed("both content-length and transfer-encoding are given")),
        (None, true) => Ok(Framing::Chunked(Chunked::START)),
        (length, false) => Ok(Framing::Length(length.unwrap_or(0))),
    }
}

/// Judges the request line; answers whether it is of HTTP/1.0.
fn request_line(line: &[u8], limits: HeadLimits) -> Result<bool, Refusal> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::Malformed("the request line is not METHOD TARGET VERSION"));
    };
    let http_1_0 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ if version.starts_with(b"HTTP/") => return Err(Refusal::Version),
        _ => return Err(Refusal::Malformed("the request line names no version of HTTP")),
    };
    if method.is_empty() || !method.iter().all(|byte| is_token(*byte)) {
        return Err(Refusal::Malformed("the method is no token"));
    }
    if matches!(method, b"TRACE" | b"CONNECT") {
        return Err(Refusal::Method);
    }
    if target.len() > limits.target_bytes_max {
        return Err(Refusal::TargetTooLong);
    }
    if !target.iter().all(|byte| is_target(*byte)) {
        return Err(Refusal::Malformed("the target has a character that must be percent-encoded"));
    }
    let known = target.starts_with(b"/") || target.starts_with(b"http://") || (target == b"*" && method == b"OPTIONS");
    if known { Ok(http_1_0) } else { Err(Refusal::Malformed("the target is no path")) }
}

fn header(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(Refusal::Malformed("a header is folded over two lines"));
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Err(Refusal::Malformed("a header has no colon"));
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
        return Err(Refusal::Malformed("a header's name is no token"));
    }
    Ok((name, value.trim_ascii()))
}

fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
    let number = if digits { str::from_utf8(value).ok().and_then(|text| text.parse().ok()) } else { None };
    number.ok_or(Refusal::Malformed("the content-length is no number"))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What RFC 3986 allows in a path and a query.
fn is_target(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte)
}

/// Lines between CRLFs; a CR alone is an error.
struct Lines<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Lines<'a> {
    type Item = Result<&'a [u8], Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0?;
        let Some(at) = rest.iter().position(|byte| *byte == b'\r') else {
            self.0 = None;
            return Some(Ok(rest));
        };
        if rest.get(at + 1) == Some(&b'\n') {
            self.0 = Some(&rest[at + 2..]);
            Some(Ok(&rest[..at]))
        } else {
            self.0 = None;
            Some(Err(Refusal::Malformed("the head has a CR without LF")))
        }
    }
}
