//! HTTP requests that the examples refuse.

/// Each request and the response to it, after which the connection ends. The last two are longer
/// than a request may be.
pub fn refused_requests() -> impl Iterator<Item = (String, String)> {
    let (long, endless) = (format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(9000)), "a".repeat(200_000));
    let requests = [
        ("garbage\r\n\r\n", "400 Bad Request"),
        ("\r\n\r\n", "400 Bad Request"),
        ("GET  / HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/2.0\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", "400 Bad Request"),
        ("\u{0}\u{ff}\u{fe}\r\n\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "501 Not Implemented"),
        // Without its length, the body would be a second request.
        ("GET / HTTP/1.1\r\ncontent-length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n", "413 Content Too Large"),
        ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "413 Content Too Large"),
        (&long, "431 Request Header Fields Too Large"),
        (&endless, "431 Request Header Fields Too Large"),
    ];
    let with_response = |(request, status): (&str, &str)| {
        let start = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n");
        (request.to_owned(), format!("{start}Content-Length: 0\r\nConnection: close\r\n\r\n"))
    };
    requests.map(with_response).into_iter()
}
