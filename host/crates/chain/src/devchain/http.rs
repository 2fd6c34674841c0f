//! As much of HTTP/1.1 as a JSON-RPC server needs, by hand, so that it can also be wrong.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A head is short; more is no client of ours.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bitcoin Core's limit.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) keep_alive: bool,
    pub(super) body: Vec<u8>,
}

/// Reads the next request; `None` when the client has closed. `buffer` keeps what came early.
pub(super) async fn read_request(
    socket: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Request>> {
    let head_bytes = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Err(io::Error::other("the head of the request is too long"));
        }
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&buffer[..head_bytes]).into_owned();
    buffer.drain(..head_bytes);
    let field = |name: &str| {
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let found = lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_owned())
    };
    let length = field("content-length").map_or(Ok(0), |text| text.parse());
    let length: usize = length.map_err(io::Error::other)?;
    if length > BODY_BYTES_MAX || field("transfer-encoding").is_some() {
        return Err(io::Error::other("a body has a content-length of at most 32 MiB"));
    }
    if field("expect").is_some() && buffer.len() < length {
        socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while buffer.len() < length {
        if socket.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
    let body = buffer.drain(..length).collect();
    let mut first_line = head.split(' ');
    let mut word = || first_line.next().unwrap_or_default().to_owned();
    Ok(Some(Request {
        method: word(),
        path: word(),
        authorization: field("authorization"),
        keep_alive: stays_open(&head, field("connection").as_deref()),
        body,
    }))
}

/// RFC 9112, 9.3: a client of version 1.0 waits for the end of the connection, unless it says
/// otherwise; one of version 1.1 the other way round.
fn stays_open(head: &str, connection: Option<&str>) -> bool {
    let says = |word: &str| connection.is_some_and(|it| it.eq_ignore_ascii_case(word));
    let old = head.lines().next().is_some_and(|line| line.ends_with("HTTP/1.0"));
    if old { says("keep-alive") } else { !says("close") }
}

/// A whole answer. `length` is what its head says of the body.
pub(super) fn response(status: u16, content_type: &str, body: &str, length: usize) -> Vec<u8> {
    let ask = if status == 401 { "WWW-Authenticate: Basic realm=\"jsonrpc\"\r\n" } else { "" };
    let head = format!(
        "HTTP/1.1 {status} {}\r\n{ask}Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n",
        reason(status)
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        503 => "Service Unavailable",
        _ => "Internal Server Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by a benchmark: a client of HTTP/1.0 waited for ever.
    #[test]
    fn a_connection_stays_open_as_its_client_expects() {
        let rows = [
            ("HTTP/1.1", None, true),
            ("HTTP/1.1", Some("Close"), false),
            ("HTTP/1.0", None, false),
            ("HTTP/1.0", Some("keep-alive"), true),
        ];
        for (version, connection, open) in rows {
            let head = format!("POST / {version}\r\nHost: node");
            assert_eq!(stays_open(&head, connection), open, "{version} {connection:?}");
        }
    }
}
