//! Where a pool listens, as people write it.

use std::fmt;
use std::str::FromStr;

/// The port Stratum pools use when none is given.
const PORT_USUAL: u16 = 3333;

/// A host and a port; Stratum V1 over plain TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// A text that names no pool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{found}\" is no pool address: {why}; write host:port, for example 127.0.0.1:3333 or \
     stratum+tcp://pool.example:3333"
)]
pub struct BadEndpoint {
    found: String,
    why: &'static str,
}

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let bad = |why| BadEndpoint { found: text.to_owned(), why };
        let rest = match text.split_once("://") {
            None => text,
            Some(("stratum+tcp" | "stratum" | "tcp", rest)) => rest,
            Some(("stratum+ssl" | "stratum+tls" | "ssl" | "tls", _)) => {
                return Err(bad("encrypted connections are not supported"));
            }
            Some(_) => return Err(bad("the scheme is not stratum+tcp")),
        };
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']').ok_or(bad("] is missing"))?;
                (host, after.strip_prefix(':'))
            }
            None => match rest.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        if host.is_empty() || host.contains(['/', '@', ' ']) {
            return Err(bad("the host is missing or has characters no host has"));
        }
        let port = match port {
            None => PORT_USUAL,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or(bad("the port is not a number from 1 to 65535"))?,
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl Endpoint {
    /// Whether a pool here may send its miners there: the same host, or one of the same
    /// domain (cgminer's rule; otherwise whoever can write into the connection steals
    /// the miner for good).
    pub(super) fn may_redirect_to(&self, host: &str) -> bool {
        fn domain(host: &str) -> Option<&str> {
            let is_address = host.contains(':') || host.ends_with(|c: char| c.is_ascii_digit());
            let (rest, _) = host.rsplit_once('.').filter(|_| !is_address)?;
            Some(rest.rfind('.').map_or(host, |dot| &host[dot + 1..]))
        }
        self.host.eq_ignore_ascii_case(host)
            || domain(&self.host)
                .zip(domain(host))
                .is_some_and(|(ours, theirs)| ours.eq_ignore_ascii_case(theirs))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, shown) in [
            ("127.0.0.1:3333", "127.0.0.1:3333"),
            ("stratum+tcp://pool.example:4444", "pool.example:4444"),
            ("stratum+tcp://pool.example:4444/", "pool.example:4444"),
            ("pool.example", "pool.example:3333"),
            ("[::1]:3334", "[::1]:3334"),
            ("::1", "[::1]:3333"),
        ] {
            assert_eq!(text.parse::<Endpoint>().expect(text).to_string(), shown);
        }
    }

    #[test]
    fn nonsense_is_refused_with_what_would_be_right() {
        for (text, why) in [
            ("", "host is missing"),
            (":3333", "host is missing"),
            ("pool.example:0", "port"),
            ("pool.example:70000", "port"),
            ("[::1", "] is missing"),
            ("http://pool.example", "scheme"),
            ("stratum+ssl://pool.example:1", "encrypted"),
        ] {
            let error = text.parse::<Endpoint>().expect_err(text).to_string();
            assert!(error.contains(why) && error.contains("host:port"), "{error}");
        }
    }

    #[test]
    fn a_pool_redirects_only_within_its_domain() {
        for (from, to, allowed) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "10.0.0.1", false),
            ("eu.pool.example", "us.pool.example", true),
            ("pool.example", "eu.Pool.Example", true),
            ("pool.example", "thief.example", false),
            ("localhost", "thief.example", false),
            ("10.0.0.1", "11.0.0.1", false),
        ] {
            let from = Endpoint { host: from.to_owned(), port: 1 };
            assert_eq!(from.may_redirect_to(to), allowed, "{from} to {to}");
        }
    }
}
