//! `[stratum]`: the doors miners come through.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use chimera_pow::Difficulty;
use chimera_work::NonceLayout;

use super::check::Problems;
use super::raw::{RawListener, RawStratum};

/// The name of the door that `[stratum]` itself describes.
const MAIN_DOOR: &str = "stratum";
const THREADS_MAX: usize = 64;
/// Every thread has every door; nobody has use for more.
const LISTENERS_MAX: usize = 64;
/// Every drop within ten minutes is remembered, for every address.
const BAN_AFTER_MAX: u32 = 100;

/// The front of the pool.
#[derive(Debug, Clone)]
pub struct Stratum {
    /// Doors, the one of `[stratum]` itself first.
    pub listeners: Vec<Listener>,
    /// Threads that serve connections.
    pub threads: usize,
    /// First byte of every extranonce1: different for each instance of one pool.
    pub instance: u8,
    /// Bytes of the miner's part of the nonce space.
    pub extranonce2_bytes: u8,
    /// Version bits miners may roll, as far as the chain allows.
    pub version_mask: u32,
    /// No session goes below, wherever it came in.
    pub difficulty_min: Difficulty,
    /// No session goes above (nor above the network's).
    pub difficulty_max: Difficulty,
    /// Connections of one account; 0 is without limit.
    pub per_account_max: u32,
    /// How long an unauthorised connection may linger.
    pub handshake: Duration,
    /// How long a silent connection may live.
    pub idle: Duration,
    /// How long a lost session can be resumed.
    pub resume: Duration,
    /// What becomes of connections that send nonsense.
    pub conduct: Conduct,
}

/// One door with its own policy.
#[derive(Debug, Clone)]
pub struct Listener {
    /// What auth policies are told, and logs.
    pub name: Arc<str>,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: Tls,
    /// Certificate chain and key, PEM; present if it does.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// Whose PROXY headers are believed, and required.
    pub proxies: Vec<Network>,
    /// No session of this door goes below.
    pub difficulty_min: Difficulty,
    /// No session of this door goes above.
    pub difficulty_max: Difficulty,
    /// Connections of one address; 0 is without limit.
    pub per_address_max: u32,
}

/// Whether a door speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Plain connections only.
    #[default]
    Off,
    /// Both; the first byte tells.
    Optional,
    /// TLS only.
    Required,
}

impl Tls {
    /// As it is written in the settings.
    const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

/// Points for refused requests, and what they lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conduct {
    /// Points a minute that are forgiven.
    pub forgiven_per_minute: u32,
    /// At so many a connection is warned; 0 never warns.
    pub warn: u32,
    /// At so many it is closed.
    pub drop: u32,
    /// An address dropped so often within ten minutes is banned; 0 never bans.
    pub ban_after: u32,
    /// For how long.
    pub ban: Duration,
}

/// Addresses with a common beginning, e.g. `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address is of it. An IPv4 address written as IPv6 is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.bits);
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.bits);
                own.to_bits().checked_shr(shift) == other.to_bits().checked_shr(shift)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RIGHT: &str = "must be an address or a network, e.g. \"10.0.0.0/8\"";
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| RIGHT)?;
        let address = address.to_canonical();
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(longest), str::parse).map_err(|_| RIGHT)?;
        if bits > longest { Err(RIGHT) } else { Ok(Self { address, bits }) }
    }
}

impl RawStratum {
    pub(super) fn check(self, problems: &mut Problems) -> Stratum {
        if let Err(error) = NonceLayout::new(4, self.extranonce2_bytes) {
            problems.add("stratum.extranonce2_bytes", self.extranonce2_bytes, error);
        }
        let version_mask = u32::from_str_radix(&self.version_mask, 16).unwrap_or_else(|_| {
            let found = format_args!("{:?}", self.version_mask);
            let right = "must be up to 8 hex digits, e.g. \"1fffe000\"";
            problems.add("stratum.version_mask", found, right);
            0
        });
        let difficulty_min = problems.difficulty("stratum.difficulty_min", self.difficulty_min);
        let difficulty_max = problems.difficulty("stratum.difficulty_max", self.difficulty_max);
        if difficulty_max < difficulty_min {
            let right = format_args!("must not be below stratum.difficulty_min = {difficulty_min}");
            problems.add("stratum.difficulty_max", difficulty_max, right);
        }
        if self.threads > THREADS_MAX {
            let right = format_args!("must be 0 (one for each core) to {THREADS_MAX}");
            problems.add("stratum.threads", self.threads, right);
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let main = RawListener {
            name: MAIN_DOOR.to_owned(),
            listen: self.listen,
            tls: self.tls,
            certificate: self.certificate,
            key: self.key,
            proxies: self.proxies,
            difficulty_min: None,
            difficulty_max: None,
            per_address_max: None,
        };
        let of_all =
            OfAll { difficulty_min, difficulty_max, per_address_max: self.per_address_max };
        if self.listener.len() > LISTENERS_MAX {
            let right = format_args!("must be at most {LISTENERS_MAX} listeners");
            problems.add("stratum.listener", self.listener.len(), right);
        }
        let mut listeners = vec![main.check("stratum", &of_all, problems)];
        for (nth, listener) in self.listener.into_iter().enumerate() {
            listeners.push(listener.check(&format!("stratum.listener[{nth}]"), &of_all, problems));
        }
        let mut names = BTreeSet::new();
        for listener in &listeners {
            if listener.name.is_empty() || !names.insert(Arc::clone(&listener.name)) {
                let found = format_args!("{:?}", listener.name);
                let right = "must be a name no other listener has (\"stratum\" is the first)";
                problems.add("stratum.listener.name", found, right);
            }
        }
        let conduct = self.conduct;
        if conduct.drop == 0 || conduct.warn > conduct.drop {
            let warn = conduct.warn;
            let right =
                format_args!("must be at least 1 and not below stratum.conduct.warn = {warn}");
            problems.add("stratum.conduct.drop", conduct.drop, right);
        }
        if conduct.ban_after > BAN_AFTER_MAX {
            let right = format_args!("must be 0 (nobody is banned) to {BAN_AFTER_MAX}");
            problems.add("stratum.conduct.ban_after", conduct.ban_after, right);
        }
        Stratum {
            listeners,
            threads: if self.threads == 0 { cores } else { self.threads },
            instance: self.instance,
            extranonce2_bytes: self.extranonce2_bytes,
            version_mask,
            difficulty_min,
            difficulty_max,
            per_account_max: self.per_account_max,
            handshake: problems.seconds("stratum.handshake_s", self.handshake_s, 3_600),
            idle: problems.seconds("stratum.idle_s", self.idle_s, 86_400),
            resume: problems.seconds("stratum.resume_s", self.resume_s, 86_400),
            conduct: Conduct {
                forgiven_per_minute: conduct.forgiven_per_minute,
                warn: conduct.warn,
                drop: conduct.drop,
                ban_after: conduct.ban_after,
                ban: problems.seconds("stratum.conduct.ban_s", conduct.ban_s, 30 * 86_400),
            },
        }
    }
}

/// What a door has that does not say otherwise.
struct OfAll {
    difficulty_min: Difficulty,
    difficulty_max: Difficulty,
    per_address_max: u32,
}

impl RawListener {
    fn check(self, key: &str, of_all: &OfAll, problems: &mut Problems) -> Listener {
        let certificate = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            _ => None,
        };
        let tls = self.tls.name();
        if self.tls != Tls::Off && certificate.is_none() {
            let right =
                format_args!("takes {key}.certificate and {key}.key: the names of two PEM files");
            problems.add(format!("{key}.tls"), format_args!("{tls:?}"), right);
        }
        if self.tls == Tls::Off && (self.certificate.is_some() || self.key.is_some()) {
            // Whoever names a certificate believes that it is used.
            let right = "must be \"optional\" or \"required\" if there is a certificate or a key";
            problems.add(format!("{key}.tls"), format_args!("{tls:?}"), right);
        }
        let mut proxies = Vec::new();
        for text in &self.proxies {
            match text.parse() {
                Ok(network) => proxies.push(network),
                Err(right) => {
                    problems.add(format!("{key}.proxies"), format_args!("{text:?}"), right);
                }
            }
        }
        let mut bound = |name: &str, own: Option<f64>, all: Difficulty| {
            own.map_or(all, |own| problems.difficulty(format!("{key}.{name}"), own))
        };
        let difficulty_min = bound("difficulty_min", self.difficulty_min, of_all.difficulty_min);
        let difficulty_max = bound("difficulty_max", self.difficulty_max, of_all.difficulty_max);
        let (low, high) = (of_all.difficulty_min, of_all.difficulty_max);
        for (name, own, found) in [
            ("difficulty_min", self.difficulty_min, difficulty_min),
            ("difficulty_max", self.difficulty_max, difficulty_max),
        ] {
            if own.is_some() && !(low..=high).contains(&found) {
                let right = format_args!(
                    "must lie within stratum.difficulty_min = {low} and \
                     stratum.difficulty_max = {high}"
                );
                problems.add(format!("{key}.{name}"), found, right);
            } else if own.is_some() && difficulty_max < difficulty_min {
                let right = format_args!(
                    "{key}.difficulty_max = {difficulty_max} must not be below \
                     {key}.difficulty_min = {difficulty_min}"
                );
                problems.add(format!("{key}.{name}"), found, right);
                break;
            }
        }
        Listener {
            name: self.name.into(),
            listen: problems.address(format!("{key}.listen"), &self.listen),
            tls: self.tls,
            certificate: certificate.filter(|_| self.tls != Tls::Off),
            proxies,
            difficulty_min,
            difficulty_max,
            per_address_max: self.per_address_max.unwrap_or(of_all.per_address_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        let cases = [
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ];
        for (network, address, expected) in cases {
            let parsed: Network = network.parse().expect("a network");
            let address = address.parse().expect("an address");
            assert_eq!(parsed.contains(address), expected, "{address} in {network}");
        }
        for wrong in ["", "10.0.0.0/33", "ten", "10.0.0.0/x", "::/129", "10.0.0.0/-1"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
