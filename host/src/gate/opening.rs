//! The first bytes of a connection: a PROXY header, TLS, an HTTP probe, or Stratum.

use std::net::SocketAddr;

use chimera_stratum::ProxyHeader;

use super::door::Door;
use crate::config::Tls;

/// TLS records begin with their type; 22 is a handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 22;
/// How the two versions of PROXY headers begin.
const PROXY_HEADERS: [&[u8]; 2] = [b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"];
/// What HTTP requests begin with.
const HTTP_METHODS: [&[u8]; 7] =
    [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"DELETE ", b"CONNECT "];

/// What a connection's first bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Too few to tell.
    More,
    /// A PROXY header of so many bytes; `None` is the proxy's own connection.
    Peer { peer: Option<SocketAddr>, length: usize },
    /// The beginning of a TLS handshake.
    Tls,
    /// Stratum, or something that will be answered as if it were.
    Stratum,
    /// Something for which this is the wrong door.
    Refused { answer: String, why: String },
}

/// How far the opening is.
#[derive(Debug)]
pub(super) struct Opening {
    /// A PROXY header must come first.
    proxied: bool,
    tls: Tls,
    /// TLS is on the connection.
    encrypted: bool,
}

impl Opening {
    pub(super) fn new(door: &Door, peer: SocketAddr) -> Self {
        let proxied = !door.counts(peer.ip());
        Self { proxied, tls: door.settings.tls, encrypted: false }
    }

    /// Goes on where another process was.
    pub(super) fn resume(door: &Door, awaits_header: bool) -> Self {
        Self { proxied: awaits_header, tls: door.settings.tls, encrypted: false }
    }

    /// Whether a PROXY header must still come.
    pub(super) const fn awaits_header(&self) -> bool {
        self.proxied
    }

    /// From here on the bytes are what TLS had in it.
    pub(super) fn encrypted(&mut self) {
        self.encrypted = true;
    }

    /// Looks at everything that has come so far.
    pub(super) fn look(&mut self, bytes: &[u8]) -> Verdict {
        let Some(&first) = bytes.first() else { return Verdict::More };
        if self.proxied && !self.encrypted {
            return self.proxy_header(bytes);
        }
        if !self.encrypted {
            for header in PROXY_HEADERS {
                if bytes.starts_with(header) {
                    return refused(
                        "this address may not send PROXY headers here: see stratum.proxies",
                    );
                }
                // A blank line is one of them, too: what follows tells.
                if header.starts_with(bytes) {
                    return Verdict::More;
                }
            }
            match (first, self.tls) {
                (TLS_HANDSHAKE, Tls::Optional | Tls::Required) => return Verdict::Tls,
                (TLS_HANDSHAKE, Tls::Off) => return refused("this port does not speak TLS"),
                (_, Tls::Required) => return refused("this port speaks TLS only"),
                (_, Tls::Off | Tls::Optional) => {}
            }
        }
        if let Some(longest) = HTTP_METHODS
            .iter()
            .find(|method| bytes.starts_with(&method[..method.len().min(bytes.len())]))
        {
            return if bytes.len() < longest.len() { Verdict::More } else { http() };
        }
        Verdict::Stratum
    }

    fn proxy_header(&mut self, bytes: &[u8]) -> Verdict {
        match ProxyHeader::parse(bytes) {
            Ok(None) => Verdict::More,
            Ok(Some((header, length))) => {
                self.proxied = false;
                let peer = match header {
                    ProxyHeader::Local => None,
                    ProxyHeader::Peer(peer) => Some(peer),
                };
                Verdict::Peer { peer, length }
            }
            Err(fault) => refused(&format!("a PROXY header was expected: {fault}")),
        }
    }
}

fn refused(why: &str) -> Verdict {
    let text = serde_json::to_string(why).expect("a text is JSON");
    let answer = format!("{{\"id\":null,\"result\":null,\"error\":[20,{text},null]}}\n");
    Verdict::Refused { answer, why: why.to_owned() }
}

/// Somebody looks with a browser, or a load balancer asks whether the port lives.
fn http() -> Verdict {
    let body = "This port speaks Stratum V1, the protocol of miners, not HTTP.\n\
                Point a miner at it: stratum+tcp://HOST:PORT. The pool's API has another port.\n";
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    Verdict::Refused { answer, why: "an HTTP request".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of bytes, by the first part that tells: `?` is too few.
    fn look(proxied: bool, tls: Tls, encrypted: bool, bytes: &[u8]) -> String {
        let mut opening = Opening { proxied, tls, encrypted };
        match opening.look(bytes) {
            Verdict::More => "?".to_owned(),
            Verdict::Peer { peer, length } => format!("{peer:?} {length}"),
            Verdict::Tls => "tls".to_owned(),
            Verdict::Stratum => "stratum".to_owned(),
            Verdict::Refused { why, .. } => why,
        }
    }

    #[test]
    fn the_first_bytes_tell_what_a_connection_speaks() {
        use Tls::{Off, Optional, Required};
        const HEADER_REFUSED: &str =
            "this address may not send PROXY headers here: see stratum.proxies";
        const HEADER_MISSING: &str = "a PROXY header was expected: no PROXY protocol header: does \
                                      the load balancer send one?";
        let cases: [(bool, Tls, bool, &[u8], &str); 25] = [
            (false, Off, false, b"", "?"),
            (false, Off, false, b"{", "stratum"),
            (false, Off, false, b"\r\n", "?"),
            (false, Off, false, b"\r\n{", "stratum"),
            (false, Off, false, b"\x16", "this port does not speak TLS"),
            (false, Off, false, b"G", "?"),
            (false, Off, false, b"GET / HTTP/1.1\r\n", "an HTTP request"),
            (false, Off, false, b"P", "?"),
            (false, Off, false, b"PU", "?"),
            (false, Off, false, b"PUT ", "an HTTP request"),
            (false, Off, false, b"PX", "stratum"),
            (false, Off, false, b"PROXY ", HEADER_REFUSED),
            (false, Off, false, b"\r\n\r\n\0\r\nQUIT", "?"),
            (false, Off, false, b"\r\n\r\n\0\r\nQUIT\n", HEADER_REFUSED),
            (false, Optional, false, b"\x16\x03", "tls"),
            (false, Optional, false, b"{", "stratum"),
            (false, Required, false, b"\x16", "tls"),
            (false, Required, false, b"{", "this port speaks TLS only"),
            (false, Required, false, b"PROXY ", HEADER_REFUSED),
            // Inside TLS everything is as it is without.
            (false, Required, true, b"{", "stratum"),
            (false, Required, true, b"GET / HTTP/1.1", "an HTTP request"),
            (false, Required, true, b"\x16", "stratum"),
            (true, Required, false, b"PROXY UNKNOWN\r", "?"),
            (true, Required, false, b"PROXY UNKNOWN\r\n\x16", "None 15"),
            (true, Off, false, b"{\"id\":1", HEADER_MISSING),
        ];
        for (proxied, tls, encrypted, bytes, expected) in cases {
            let found = look(proxied, tls, encrypted, bytes);
            assert_eq!(found, expected, "{proxied} {tls:?} {encrypted} {}", bytes.escape_ascii());
        }
    }
}
