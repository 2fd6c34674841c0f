//! Limits per account and per address: one block of settings for policies that have them.
//!
//! Sessions are counted by the host, which knows them. Logins are counted here, by the
//! minute, in the host's key-value store, which takes the grant `kv`. What the host answers
//! from memory never comes here and is not counted. A component that calls this imports `kv`,
//! and is not loaded without the grant: policies that should run without it take
//! [`fewer_sessions`] alone.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::{Attempt, Decision, deny};
use crate::kv::{self, KvError};
use crate::{Diagnostic, PluginError, problem};

/// How much one account or one address may ask for; 0 is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Logins let in per account and minute.
    pub logins_per_minute_account: u32,
    /// Logins tried per address and minute, let in or not: what slows down guessing.
    pub logins_per_minute_address: u32,
    /// Sessions of an account at once.
    pub max_sessions: u32,
}

/// More is no limit.
const LOGINS_MAX: u32 = 1_000_000;
const MINUTE_S: u32 = 60;
/// How long the host may repeat a refusal without asking.
const TTL_S: u32 = 10;

impl Limits {
    /// What is wrong with the block `/limits`, if anything is.
    pub fn problems(&self) -> Vec<Diagnostic> {
        [
            ("/limits/logins_per_minute_account", self.logins_per_minute_account),
            ("/limits/logins_per_minute_address", self.logins_per_minute_address),
            ("/limits/max_sessions", self.max_sessions),
        ]
        .into_iter()
        .filter(|(_, limit)| *limit > LOGINS_MAX)
        .map(|(at, limit)| problem(at, format!("{limit}"), "0 (no limit) to 1000000"))
        .collect()
    }

    /// Puts the limits around a decision. An address is counted before anything is looked at,
    /// an account only when it is let in: strangers cannot use up what it may ask for.
    ///
    /// # Errors
    /// When the decision is one, or logins are to be counted and cannot be.
    pub fn around(
        &self,
        attempt: &Attempt,
        decide: impl FnOnce() -> Result<Decision, PluginError>,
    ) -> Result<Decision, PluginError> {
        let address = || format!("logins/address/{}", network(&attempt.remote_ip));
        if is_above(self.logins_per_minute_address, address)? {
            return Ok(deny("too many logins from this address, try again in a minute", TTL_S));
        }
        let mut grant = match decide()? {
            Decision::Allow(grant) => grant,
            other => return Ok(other),
        };
        if is_above(self.logins_per_minute_account, || format!("logins/account/{}", grant.account))?
        {
            return Ok(deny("too many logins of this account, try again in a minute", TTL_S));
        }
        grant.max_sessions = fewer_sessions(grant.max_sessions, self.max_sessions);
        Ok(Decision::Allow(grant))
    }
}

/// The lower of two limits of sessions; 0 is none. Takes no grant: the host counts sessions.
pub fn fewer_sessions(granted: Option<u32>, limit: u32) -> Option<u32> {
    match (granted, limit) {
        (granted, 0) => granted,
        (None, limit) => Some(limit),
        (Some(granted), limit) => Some(granted.min(limit)),
    }
}

/// Counts one login, if there is a limit.
fn is_above(limit: u32, key: impl FnOnce() -> String) -> Result<bool, PluginError> {
    if limit == 0 {
        return Ok(false);
    }
    match kv::add(&key(), 1, MINUTE_S) {
        Ok(count) => Ok(count > i64::from(limit)),
        // Whoever fills the store must not shut everybody else out.
        Err(KvError::Quota) => {
            crate::warn("logins are not counted: the key-value store is full");
            Ok(false)
        }
        Err(error) => Err(PluginError::Internal(format!(
            "logins cannot be counted ({error:?}): limits of logins take a working key-value \
             store and the grant `kv`"
        ))),
    }
}

/// What one customer has: an IPv4 address, or 64 bits of an IPv6 address.
fn network(remote_ip: &str) -> String {
    match remote_ip.parse().map(|ip: IpAddr| ip.to_canonical()) {
        Ok(IpAddr::V6(ip)) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).to_string(),
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Err(_) => remote_ip.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, attempt};
    use crate::{Grant, UserName};

    /// `allow`, or the refusal.
    fn login(limits: &Limits, user: &str, ip: &str, right: bool) -> String {
        let mut attempt = attempt(user, None);
        attempt.remote_ip = ip.to_owned();
        let decision = limits.around(&attempt, || {
            let name = UserName::parse(user).unwrap();
            Ok(if right { name.allow("default", 60) } else { deny("wrong", 60) })
        });
        match decision.unwrap() {
            Decision::Allow(_) => "allow".to_owned(),
            Decision::Deny(denial) => denial.public_message,
            Decision::NoOpinion => "no opinion".to_owned(),
        }
    }

    #[test]
    fn an_address_may_try_so_often_a_minute_right_or_wrong() {
        let host = Host::new().with_kv().install();
        let limits = Limits { logins_per_minute_address: 2, ..Limits::default() };
        let refused = "too many logins from this address, try again in a minute";
        for (user, ip, right, answer) in [
            ("a", "1.2.3.4", false, "wrong"),
            ("a", "1.2.3.4", true, "allow"),
            ("b", "1.2.3.4", true, refused),
            ("b", "::ffff:1.2.3.4", true, refused),
            ("b", "1.2.3.5", true, "allow"),
            ("b", "2001:db8::1", true, "allow"),
            ("b", "2001:db8::2:2", true, "allow"),
            ("b", "2001:db8::ffff:3", true, refused),
            ("b", "2001:db8:0:1::1", true, "allow"),
        ] {
            assert_eq!(login(&limits, user, ip, right), answer, "{user} {ip}");
        }
        host.pass_s(60);
        assert_eq!(login(&limits, "a", "1.2.3.4", true), "allow");
    }

    #[test]
    fn an_account_may_log_in_so_often_a_minute_and_strangers_do_not_count() {
        let host = Host::new().with_kv().install();
        let limits = Limits { logins_per_minute_account: 1, ..Limits::default() };
        for _ in 0..5 {
            assert_eq!(login(&limits, "a", "1.1.1.1", false), "wrong");
        }
        assert_eq!(login(&limits, "a.x", "2.2.2.2", true), "allow");
        let refused = "too many logins of this account, try again in a minute";
        assert_eq!(login(&limits, "a.y", "3.3.3.3", true), refused);
        assert_eq!(login(&limits, "b", "3.3.3.3", true), "allow");
        host.pass_s(60);
        assert_eq!(login(&limits, "a.y", "3.3.3.3", true), "allow");
    }

    #[test]
    fn the_lower_limit_of_sessions_counts() {
        let sessions = |limit: u32, granted: Option<u32>| {
            let limits = Limits { max_sessions: limit, ..Limits::default() };
            let grant = Grant { max_sessions: granted, ..crate::testing::grant("a") };
            match limits.around(&attempt("a", None), || Ok(Decision::Allow(grant))).unwrap() {
                Decision::Allow(grant) => grant.max_sessions,
                _ => panic!("refused"),
            }
        };
        for (limit, granted, result) in [
            (0, None, None),
            (0, Some(3), Some(3)),
            (5, None, Some(5)),
            (5, Some(3), Some(3)),
            (5, Some(9), Some(5)),
        ] {
            assert_eq!(sessions(limit, granted), result, "{limit} {granted:?}");
        }
    }

    #[test]
    fn without_the_grant_counting_is_an_error_that_says_so() {
        let limits = Limits { logins_per_minute_address: 1, ..Limits::default() };
        let error = limits.around(&attempt("a", None), || panic!("not asked")).unwrap_err();
        assert!(matches!(&error, PluginError::Internal(text) if text.contains("the grant `kv`")));
        // Who counts nothing needs nothing.
        let decided = Limits::default().around(&attempt("a", None), || Ok(deny("no", 1)));
        assert!(matches!(decided, Ok(Decision::Deny(_))));
    }

    #[test]
    fn absurd_limits_are_problems() {
        let limits = Limits { max_sessions: 1_000_001, ..Limits::default() };
        assert_eq!(limits.problems()[0].at, "/limits/max_sessions");
        assert!(Limits::default().problems().is_empty());
    }
}
