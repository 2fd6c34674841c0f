//! Only the accounts of a list may mine, with a password where the list has one.

use std::collections::BTreeMap;

use chimera_plugin_sdk::{
    Attempt, AuthPolicy, Component, Decision, Diagnostic, PluginError, UserName,
    default_worker_problem, deny, export_auth_policy, problem,
};
use serde::{Deserialize, Serialize};

/// Who may mine.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The accounts.
    pub accounts: Vec<String>,
    /// Passwords of some of them.
    pub passwords: BTreeMap<String, String>,
    /// The worker of a user name without one.
    pub default_worker: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            passwords: BTreeMap::new(),
            default_worker: "default".to_owned(),
        }
    }
}

/// How long the host may reuse an answer: short, so that a changed list is soon felt.
const TTL_S: u32 = 60;

/// The policy.
pub struct Allowlist;

impl Component for Allowlist {
    type Config = Config;
    const NAME: &'static str = "auth-allowlist";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for (index, account) in config.accounts.iter().enumerate() {
            let parsed = UserName::parse(account);
            if parsed != Ok(UserName { account: account.clone(), worker: None }) {
                problems.push(problem(
                    &format!("/accounts/{index}"),
                    format!("{account:?} is no account name"),
                    "printable, without dots, spaces or escapes, 1 to 128 bytes",
                ));
            }
        }
        for account in config.passwords.keys() {
            if !config.accounts.contains(account) {
                problems.push(problem(
                    "/passwords",
                    format!("a password for {account:?}, which is not in accounts"),
                    "every key is one of accounts",
                ));
            }
        }
        problems.extend(default_worker_problem(&config.default_worker));
        problems
    }
}

impl AuthPolicy for Allowlist {
    fn authorize(config: &Config, attempt: Attempt) -> Result<Decision, PluginError> {
        let name = match UserName::parse(&attempt.user) {
            Ok(name) => name,
            Err(reason) => return Ok(deny(reason, TTL_S)),
        };
        if !config.accounts.contains(&name.account) {
            return Ok(deny("this account may not mine here", TTL_S));
        }
        if let Some(expected) = config.passwords.get(&name.account) {
            match attempt.password {
                Some(given) if equal(&given, expected) => {}
                Some(_) => return Ok(deny("wrong password", TTL_S)),
                // Letting the account in unchecked would make the list's password a lie.
                None => return Ok(deny("this pool does not read passwords", TTL_S)),
            }
        }
        Ok(name.allow(&config.default_worker, TTL_S))
    }
}

/// In a time that tells nothing about where two passwords of one length differ.
fn equal(given: &str, expected: &str) -> bool {
    given.len() == expected.len()
        && given.bytes().zip(expected.bytes()).fold(0, |seen, (one, other)| seen | (one ^ other))
            == 0
}

export_auth_policy!(Allowlist);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::check_config;

    use super::*;

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for (text, at) in [
            (r#"{"accounts": ["a", 1]}"#, "/accounts/1"),
            (r#"{"accounts": ["a", "b.c"]}"#, "/accounts/1"),
            (r#"{"accounts": ["a", ""]}"#, "/accounts/1"),
            (r#"{"accounts": ["a"], "passwords": {"b": "x"}}"#, "/passwords"),
            (r#"{"accounts": ["a"], "passwords": {"a": 1}}"#, "/passwords/a"),
            (r#"{"default_worker": " "}"#, "/default_worker"),
        ] {
            assert_eq!(check_config::<Allowlist>(text).err().unwrap()[0].at, at, "{text}");
        }
    }

    #[test]
    fn passwords_are_compared_whole() {
        for (given, expected, same) in
            [("a", "a", true), ("a", "b", false), ("a", "ab", false), ("", "", true)]
        {
            assert_eq!(equal(given, expected), same, "{given} {expected}");
        }
    }
}
