//! HTTP/1.1 with a greeting: the part that knows no sockets.

/// The longest head of a request.
pub const HEAD: usize = 8 * 1024;

/// Answers all complete requests in the bytes that a client sent, and keeps the start of the next
/// one in `head`. Returns `false` if the connection ends with these answers.
pub fn answer(head: &mut Vec<u8>, received: &[u8], answers: &mut Vec<u8>) -> bool {
    let joined;
    let mut rest = received;
    if !head.is_empty() {
        head.extend_from_slice(received);
        joined = std::mem::take(head);
        rest = &joined;
    }
    loop {
        let end = rest.windows(4).position(|end| end == b"\r\n\r\n");
        match end.unwrap_or(rest.len()) {
            length if length > HEAD => return respond("431 Request Header Fields Too Large", false, answers),
            length if end.is_some() => {
                let (status, stays_open) = judge(&String::from_utf8_lossy(&rest[..length]));
                if !respond(status, stays_open, answers) {
                    return false;
                }
                rest = &rest[length + 4..];
            }
            _ => break,
        }
    }
    *head = rest.to_vec(); // an empty one allocates nothing
    true
}

/// The status for a request's head, and whether the connection stays open. A body is refused,
/// because it would have to be skipped.
fn judge(head: &str) -> (&'static str, bool) {
    const BAD: (&str, bool) = ("400 Bad Request", false);
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let mut is_open = match (words.next(), words.next(), words.next(), words.next()) {
        (Some("GET"), Some(_), Some("HTTP/1.1"), None) => true,
        (Some("GET"), Some(_), Some("HTTP/1.0"), None) => false,
        (Some(_), Some(_), Some("HTTP/1.0" | "HTTP/1.1"), None) => return ("501 Not Implemented", false),
        _ => return BAD,
    };
    for line in lines {
        let Some((name, value)) = line.split_once(':') else { return BAD };
        let is = |other| name.eq_ignore_ascii_case(other);
        if is("Connection") {
            is_open &= !value.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
        } else if is("Transfer-Encoding") || is("Content-Length") && value.trim() != "0" {
            return ("413 Content Too Large", false);
        }
    }
    ("200 OK", is_open)
}

/// Appends a response. Returns whether the connection stays open.
fn respond(status: &str, stays_open: bool, answers: &mut Vec<u8>) -> bool {
    let (length, body) = if status == "200 OK" { ("14", "Hello, world!\n") } else { ("0", "") };
    let close = if stays_open { "" } else { "Connection: close\r\n" };
    let start = ["HTTP/1.1 ", status, "\r\nContent-Type: text/plain\r\nContent-Length: ", length, "\r\n"];
    start.iter().chain(&[close, "\r\n", body]).for_each(|part| answers.extend_from_slice(part.as_bytes()));
    stays_open
}
