//! What a run shall do.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use chimera_pow::Algorithm;

/// Where submits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shares {
    /// A new nonce and extranonce2 each, never hashed: for pools where every hash is a share.
    Canned,
    /// Hashed until they meet the share target.
    Mined(Algorithm),
}

/// Everything a run is told.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// The pool.
    pub pool: SocketAddr,
    /// Connections that read what they are told.
    pub connections: u32,
    /// Submits each has under way; zero holds it idle.
    pub in_flight: u32,
    /// How long it is measured.
    pub seconds: Duration,
    /// How long it is loaded before that.
    pub warmup: Duration,
    /// User name; `{n}` becomes the connection's number.
    pub user: String,
    /// Password.
    pub password: String,
    /// Where submits come from.
    pub shares: Shares,
    /// So many of a million submits are bad on purpose.
    pub bad_ppm: u32,
    /// Ends once every connection holds its first job.
    pub storm: bool,
    /// Connections opened at the same time: from connect() to the answer to subscribe. Zero: all.
    pub at_once: u32,
    /// How long opening all may take.
    pub open_timeout: Duration,
    /// Ends after so many new blocks seen by all.
    pub jobs: Option<u32>,
    /// Further connections that submit and never read.
    pub slow_readers: u32,
    /// Connections cut and opened again, per second.
    pub churn: u32,
    /// Connections cut at once, and when, from the beginning of the measurement.
    pub cut: Option<(u32, Duration)>,
    /// Whether lost connections are opened again.
    pub reconnect: bool,
    /// Addresses to connect from, in turn.
    pub sources: Option<Sources>,
    /// Event loops.
    pub threads: u32,
    /// The pool's process, to measure its memory and CPU time.
    pub pid: Option<u32>,
}

impl LoadPlan {
    /// One connection with one submit under way for ten seconds, everything else off.
    pub fn new(pool: SocketAddr) -> Self {
        Self {
            pool,
            connections: 1,
            in_flight: 1,
            seconds: Duration::from_secs(10),
            warmup: Duration::ZERO,
            user: "load.{n}".to_owned(),
            password: "x".to_owned(),
            shares: Shares::Canned,
            bad_ppm: 0,
            storm: false,
            at_once: 256,
            open_timeout: Duration::from_secs(60),
            jobs: None,
            slow_readers: 0,
            churn: 0,
            cut: None,
            reconnect: true,
            sources: None,
            threads: 1,
            pid: None,
        }
    }

    /// The user of one connection.
    pub(super) fn user(&self, number: u32) -> String {
        self.user.replace("{n}", &number.to_string())
    }

    /// The proof of work, where it is of interest.
    pub(super) const fn mined(&self) -> Option<Algorithm> {
        match self.shares {
            Shares::Canned => None,
            Shares::Mined(algorithm) => Some(algorithm),
        }
    }
}

/// Local addresses to connect from: pools limit connections per address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sources {
    first: Ipv4Addr,
    count: u32,
}

impl Sources {
    /// The address of one connection, any port.
    pub(super) fn of(self, number: u32) -> SocketAddr {
        let address = u32::from(self.first) + number % self.count;
        SocketAddr::new(IpAddr::V4(address.into()), 0)
    }
}

impl FromStr for Sources {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("\"{text}\" is no IPv4 network; write for example 127.0.1.0/24");
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
        let bits: u32 = bits.parse().ok().filter(|bits| (8..=32).contains(bits)).ok_or_else(bad)?;
        let size = 1_u32 << (32 - bits);
        let network = u32::from(address) & !(size - 1);
        // The first and last address of a network are not for hosts.
        let (first, count) = if size > 2 { (network + 1, size - 2) } else { (network, size) };
        Ok(Self { first: first.into(), count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_go_round_the_hosts_of_a_network() {
        let sources: Sources = "127.0.1.0/24".parse().expect("a network");
        let of = |number| sources.of(number).to_string();
        assert_eq!(
            (of(0), of(253), of(254)),
            ("127.0.1.1:0".to_owned(), "127.0.1.254:0".to_owned(), "127.0.1.1:0".to_owned())
        );
        let one: Sources = "127.0.0.9".parse().expect("an address");
        assert_eq!(one.of(77).to_string(), "127.0.0.9:0");
        for bad in ["", "127.0.0.1/7", "127.0.0.1/33", "::1/64", "x/24"] {
            assert!(bad.parse::<Sources>().is_err(), "{bad}");
        }
    }
}
