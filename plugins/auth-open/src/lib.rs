//! Everybody may mine: an account exists as soon as somebody works for it. Where the operator
//! names forms of payout addresses, the account is one, and its checksum is checked.
//!
//! It asks nothing of the host (see auth-limits for limits).

use chimera_plugin_sdk::{
    AddressForms, Attempt, AuthPolicy, Component, Decision, Diagnostic, NAME_BYTES_MAX,
    PluginError, UserName, default_worker_problem, deny, export_auth_policy, problem,
};
use serde::{Deserialize, Serialize};

/// What a user name must be like.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Shortest account name, in bytes.
    pub account_bytes_min: usize,
    /// Longest account name, in bytes.
    pub account_bytes_max: usize,
    /// The payout addresses accepted; none: any name will do.
    pub address: AddressForms,
    /// The worker of a user name without one.
    pub default_worker: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            account_bytes_min: 1,
            account_bytes_max: NAME_BYTES_MAX,
            address: AddressForms::default(),
            default_worker: "default".to_owned(),
        }
    }
}

/// The answer depends on nothing but the name: an hour saves calls and costs nothing.
const TTL_S: u32 = 3600;

/// The policy.
pub struct Open;

impl Component for Open {
    type Config = Config;
    const NAME: &'static str = "auth-open";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for (at, length) in [
            ("/account_bytes_min", config.account_bytes_min),
            ("/account_bytes_max", config.account_bytes_max),
        ] {
            if !(1..=NAME_BYTES_MAX).contains(&length) {
                problems.push(problem(at, format!("a length of {length} bytes"), "1 to 128"));
            }
        }
        if config.account_bytes_min > config.account_bytes_max {
            problems.push(problem(
                "/account_bytes_min",
                format!("{} is above account_bytes_max", config.account_bytes_min),
                "at most account_bytes_max",
            ));
        }
        problems.extend(config.address.problems());
        problems.extend(default_worker_problem(&config.default_worker));
        problems
    }
}

impl AuthPolicy for Open {
    fn authorize(config: &Config, attempt: Attempt) -> Result<Decision, PluginError> {
        let mut name = match UserName::parse(&attempt.user) {
            Ok(name) => name,
            Err(reason) => return Ok(deny(reason, TTL_S)),
        };
        match config.address.account(&name.account) {
            Ok(account) => name.account = account,
            Err(reason) => return Ok(deny(reason, TTL_S)),
        }
        let (min, max) = (config.account_bytes_min, config.account_bytes_max);
        if !(min..=max).contains(&name.account.len()) {
            return Ok(deny(format!("account name must have {min} to {max} bytes"), TTL_S));
        }
        Ok(name.allow(&config.default_worker, TTL_S))
    }
}

export_auth_policy!(Open);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::check_config;

    use super::*;

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for (text, at) in [
            (r#"{"account_bytes_min": 0}"#, "/account_bytes_min"),
            (r#"{"account_bytes_max": 129}"#, "/account_bytes_max"),
            (r#"{"account_bytes_min": 9, "account_bytes_max": 8}"#, "/account_bytes_min"),
            (r#"{"address": {"base58": [256]}}"#, "/address/base58/0"),
            (r#"{"address": {"bech32": ["bc", "TB"]}}"#, "/address/bech32/1"),
            (r#"{"address": {"hex": []}}"#, "/address/hex"),
            (r#"{"default_worker": ""}"#, "/default_worker"),
            (r#"{"default_worker": "a b"}"#, "/default_worker"),
            (r#"{"default_worker": "%41"}"#, "/default_worker"),
        ] {
            assert_eq!(check_config::<Open>(text).err().unwrap()[0].at, at, "{text}");
        }
    }
}
