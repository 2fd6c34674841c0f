//! Everybody may mine, as with auth-open, but only so many sessions and logins each.
//!
//! A policy of its own because limits of logins need the host's key-value store: auth-open,
//! which most pools run, can be seen to ask for nothing.

use chimera_plugin_sdk::{
    AddressForms, Attempt, AuthPolicy, Component, Decision, Diagnostic, Limits, PluginError,
    UserName, default_worker_problem, deny, export_auth_policy,
};
use serde::{Deserialize, Serialize};

/// What a user name must be like, and how much of everything there is.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The payout addresses accepted; none: any name will do.
    pub address: AddressForms,
    /// The worker of a user name without one.
    pub default_worker: String,
    /// Per account and per address.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: AddressForms::default(),
            default_worker: "default".to_owned(),
            // Farms come with hundreds of machines; nobody needs more than this by accident.
            limits: Limits { max_sessions: 1000, ..Limits::default() },
        }
    }
}

/// How long the host may reuse an answer: short, what it repeats is not counted.
const TTL_S: u32 = 60;

/// The policy.
pub struct Limited;

impl Component for Limited {
    type Config = Config;
    const NAME: &'static str = "auth-limits";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        let mut problems = config.address.problems();
        problems.extend(config.limits.problems());
        problems.extend(default_worker_problem(&config.default_worker));
        problems
    }
}

impl AuthPolicy for Limited {
    fn authorize(config: &Config, attempt: Attempt) -> Result<Decision, PluginError> {
        config.limits.around(&attempt, || {
            let admitted = UserName::parse(&attempt.user).and_then(|mut name| {
                name.account = config.address.account(&name.account)?;
                Ok(name)
            });
            Ok(match admitted {
                Ok(name) => name.allow(&config.default_worker, TTL_S),
                Err(reason) => deny(reason, TTL_S),
            })
        })
    }
}

export_auth_policy!(Limited);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::check_config;
    use chimera_plugin_sdk::testing::{Host, attempt};

    use super::*;

    #[test]
    fn an_address_that_guesses_is_stopped_and_others_are_not() {
        let _host = Host::new().with_kv().install();
        let text = r#"{"address": {"base58": [0]}, "limits": {"logins_per_minute_address": 2}}"#;
        let config = check_config::<Limited>(text).ok().unwrap().config;
        let genesis = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa";
        for (user, ip, allowed) in [
            ("alice", "10.0.0.1", false),
            (genesis, "10.0.0.1", true),
            (genesis, "10.0.0.1", false),
            (genesis, "10.0.0.2", true),
        ] {
            let mut attempt = attempt(user, None);
            attempt.remote_ip = ip.to_owned();
            let decision = Limited::authorize(&config, attempt).unwrap();
            assert_eq!(matches!(decision, Decision::Allow(_)), allowed, "{user} {ip}");
        }
    }

    #[test]
    fn without_settings_sessions_are_limited_and_no_grant_is_needed() {
        let config = Config::default();
        match Limited::authorize(&config, attempt("alice.rig", None)).unwrap() {
            Decision::Allow(grant) => assert_eq!(grant.max_sessions, Some(1000)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for (text, at) in [
            (r#"{"limits": {"max_sessions": -1}}"#, "/limits/max_sessions"),
            (r#"{"limits": {"max_sessions": 1000001}}"#, "/limits/max_sessions"),
            (r#"{"limits": {"sessions": 1}}"#, "/limits/sessions"),
            (r#"{"address": {"bech32": ["B"]}}"#, "/address/bech32/0"),
            (r#"{"default_worker": ""}"#, "/default_worker"),
        ] {
            assert_eq!(check_config::<Limited>(text).err().unwrap()[0].at, at, "{text}");
        }
    }
}
