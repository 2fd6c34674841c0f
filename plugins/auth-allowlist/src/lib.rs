//! Only the accounts of a list may mine, with a password where the list has one. Checking passwords
//! takes the grant `credential`.

mod hash;

use std::collections::BTreeMap;

use chimera_plugin_sdk::{
    Attempt, AuthPolicy, Component, Decision, Diagnostic, PluginError, UserName,
    default_worker_problem, deny, export_auth_policy, fewer_sessions, password, problem,
};
use serde::{Deserialize, Serialize};

use hash::Expected;

/// Who may mine.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The accounts.
    pub accounts: Vec<String>,
    /// Passwords of some of them, plain or hashed.
    pub passwords: BTreeMap<String, String>,
    /// The worker of a user name without one.
    pub default_worker: String,
    /// Sessions an account may have at once; 0 is no limit.
    pub max_sessions: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            passwords: BTreeMap::new(),
            default_worker: "default".to_owned(),
            max_sessions: 0,
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
        for (account, password) in &config.passwords {
            if let Err(reason) = Expected::parse(password) {
                problems.push(problem(
                    "/passwords",
                    format!("the password hash of {account:?} is none: {reason}"),
                    "$pbkdf2-sha256$i=10000$SALT$HASH, salt and hash (32 bytes) in base64",
                ));
            }
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
            // Letting the account in unchecked would make the list's password a lie.
            let given = password(&attempt)?;
            let expected = Expected::parse(expected).map_err(PluginError::Internal)?;
            if !expected.is(given) {
                return Ok(deny("wrong password", TTL_S));
            }
        }
        let mut decision = name.allow(&config.default_worker, TTL_S);
        if let Decision::Allow(grant) = &mut decision {
            grant.max_sessions = fewer_sessions(None, config.max_sessions);
        }
        Ok(decision)
    }
}

export_auth_policy!(Allowlist);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::check_config;
    use chimera_plugin_sdk::testing::attempt;

    use super::*;

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for (text, at) in [
            (r#"{"accounts": ["a", 1]}"#, "/accounts/1"),
            (r#"{"accounts": ["a", "b.c"]}"#, "/accounts/1"),
            (r#"{"accounts": ["a", ""]}"#, "/accounts/1"),
            (r#"{"accounts": ["a"], "passwords": {"b": "x"}}"#, "/passwords"),
            (r#"{"accounts": ["a"], "passwords": {"a": 1}}"#, "/passwords/a"),
            (r#"{"accounts": ["a"], "passwords": {"a": "$pbkdf2-sha256$x"}}"#, "/passwords"),
            (r#"{"max_sessions": "x"}"#, "/max_sessions"),
            (r#"{"default_worker": " "}"#, "/default_worker"),
        ] {
            assert_eq!(check_config::<Allowlist>(text).err().unwrap()[0].at, at, "{text}");
        }
    }

    #[test]
    fn a_password_that_is_not_shown_is_the_operator_s_mistake_and_says_so() {
        let text = r#"{"accounts": ["alice", "bob"], "passwords": {"bob": "secret"}}"#;
        let config = check_config::<Allowlist>(text).ok().unwrap().config;
        let error = Allowlist::authorize(&config, attempt("bob", None)).unwrap_err();
        let PluginError::Unsupported(text) = error else { panic!("{error:?}") };
        assert!(text.contains("the operator must grant `credential`"), "{text}");
        let alice = Allowlist::authorize(&config, attempt("alice", None)).unwrap();
        assert!(matches!(alice, Decision::Allow(_)));
    }
}
