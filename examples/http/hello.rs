//! HTTP/1.1 with a greeting: the part that knows no sockets.

use std::io::BufRead;

/// The longest head of a request.
const HEAD: usize = 8 * 1024;

/// Answers all requests that are complete with these bytes, and keeps the rest in `input`. Returns
/// whether the connection stays open.
pub fn reply(input: &mut Vec<u8>, bytes: &[u8], answers: &mut Vec<u8>) -> bool {
    let is_first = input.is_empty();
    if !is_first {
        input.extend_from_slice(bytes);
    }
    let (mut rest, mut is_open) = (if is_first { bytes } else { &input[..] }, true);
    while is_open && !rest.is_empty() {
        let (length, verdict) = match judge(rest) {
            Some((length, verdict)) if length <= HEAD + 4 => (length, verdict),
            None if rest.len() <= HEAD => break,
            _ => (0, Err("431 Request Header Fields Too Large")),
        };
        is_open = verdict == Ok(true);
        answer(verdict, answers);
        rest = &rest[length..];
    }
    *input = rest.to_vec(); // without memory if it is empty
    is_open
}

/// Whether the connection stays open, or the status of a refusal.
type Verdict = Result<bool, &'static str>;

const BAD: Verdict = Err("400 Bad Request");

/// The length of a request's head and the verdict, or `None` if its end has not come.
fn judge(bytes: &[u8]) -> Option<(usize, Verdict)> {
    let (mut rest, mut verdict) = (bytes, None);
    loop {
        let line = rest;
        let length = rest.skip_until(b'\n').ok()?; // it looks at many bytes at once
        let line = line[..length].strip_suffix(b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        verdict = match verdict {
            None => Some(request_line(line)),
            Some(verdict) if line.is_empty() => return Some((bytes.len() - rest.len(), verdict)),
            Some(Ok(is_open)) => Some(header(line).map(|may_stay| is_open && may_stay)),
            refusal => refusal,
        }
    }
}

fn request_line(line: &[u8]) -> Verdict {
    let (words, stays_open) = match (line.strip_suffix(b" HTTP/1.1"), line.strip_suffix(b" HTTP/1.0")) {
        (Some(words), _) => (words, true),
        (_, Some(words)) => (words, false),
        _ => return BAD,
    };
    match words.iter().position(|byte| *byte == b' ') {
        Some(end) if words[end + 1..].contains(&b' ') => BAD,
        Some(end) if words[..end] == *b"GET" => Ok(stays_open),
        Some(_) => Err("501 Not Implemented"),
        None => BAD,
    }
}

/// A body is refused, because it would have to be skipped.
fn header(line: &[u8]) -> Verdict {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return BAD };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
    if is("Connection") {
        let is_close = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"close");
        return Ok(!value.split(|byte| *byte == b',').any(is_close));
    }
    match is("Transfer-Encoding") || is("Content-Length") && value.trim_ascii() != b"0" {
        true => Err("413 Content Too Large"),
        false => Ok(true),
    }
}

fn answer(verdict: Verdict, answers: &mut Vec<u8>) {
    const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n";
    const CLOSE: &str = "\r\nConnection: close\r\n\r\n";
    let rare = match verdict {
        Ok(true) => return answers.extend_from_slice(HELLO.as_bytes()),
        Ok(false) => HELLO.replacen("\r\n\r\n", CLOSE, 1),
        Err(status) => format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: 0{CLOSE}"),
    };
    answers.extend_from_slice(rare.as_bytes());
}
