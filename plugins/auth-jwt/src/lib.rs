//! Who has a signed token for a password may mine, for the account the token names. The pool
//! needs no list of users; a website, say, signs a token for each.
//!
//! Takes the grants `credential` and `secret:NAME`. The user name only says which worker it
//! is. After the token a password may carry options, as `TOKEN,d=0.01`.

mod claims;
#[cfg(test)]
mod tests;
mod token;
#[cfg(test)]
mod vectors;

use chimera_plugin_sdk::{
    Attempt, AuthPolicy, Component, Decision, Diagnostic, PluginError, UserName,
    default_worker_problem, deny, export_auth_policy, password, problem, secrets,
};
use serde::{Deserialize, Serialize};

use claims::Claims;
pub use token::Algorithm;
use token::{Key, payload};

/// Which tokens are good, and what is in them.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The claim that names the account.
    pub account_claim: String,
    /// The only algorithm accepted.
    pub algorithm: Algorithm,
    /// What `aud` must be or contain; empty: not looked at.
    pub audience: String,
    /// The worker where neither token nor user name has one.
    pub default_worker: String,
    /// What `iss` must be; empty: not looked at.
    pub issuer: String,
    /// How far the clocks of issuer and pool may differ.
    pub leeway_s: u32,
    /// Sessions an account may have at once; 0 is no limit.
    pub max_sessions: u32,
    /// A claim with the sessions the account may have; empty: none.
    pub max_sessions_claim: String,
    /// The name of the secret with the key.
    pub secret: String,
    /// A claim with the difficulty to start at; empty: none.
    pub start_difficulty_claim: String,
    /// How long the host may reuse a decision.
    pub ttl_s: u32,
    /// A claim with the worker's name; empty: it is in the user name.
    pub worker_claim: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            account_claim: "sub".to_owned(),
            algorithm: Algorithm::Hs256,
            audience: String::new(),
            default_worker: "default".to_owned(),
            issuer: String::new(),
            leeway_s: 60,
            max_sessions: 0,
            max_sessions_claim: String::new(),
            secret: "jwt".to_owned(),
            start_difficulty_claim: String::new(),
            ttl_s: 3600,
            worker_claim: String::new(),
        }
    }
}

/// A refusal is worth little time: the next token may be good.
const DENY_TTL_S: u32 = 10;

/// The policy.
pub struct Jwt;

impl Component for Jwt {
    type Config = Config;
    const NAME: &'static str = "auth-jwt";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for (at, seconds, low, high) in
            [("/leeway_s", config.leeway_s, 0, 3600), ("/ttl_s", config.ttl_s, 1, 86_400)]
        {
            if !(low..=high).contains(&seconds) {
                problems.push(problem(at, format!("{seconds}"), &format!("{low} to {high}")));
            }
        }
        for (at, name) in [("/account_claim", &config.account_claim), ("/secret", &config.secret)] {
            if name.is_empty() {
                problems.push(problem(at, "it is empty", "a name"));
            }
        }
        problems.extend(default_worker_problem(&config.default_worker));
        problems
    }
}

impl AuthPolicy for Jwt {
    fn authorize(config: &Config, attempt: Attempt) -> Result<Decision, PluginError> {
        let token = token_in(password(&attempt)?);
        let key = key(config)?;
        Ok(decide(config, &attempt, token, &key).unwrap_or_else(|reason| deny(reason, DENY_TTL_S)))
    }
}

fn decide(config: &Config, attempt: &Attempt, token: &str, key: &Key) -> Result<Decision, String> {
    let user = UserName::parse(&attempt.user)?;
    Claims::read(&payload(token, key)?)?.grant(config, user, attempt.at)
}

/// Without the options miners write into passwords.
fn token_in(password: &str) -> &str {
    password.split([',', ';']).next().unwrap_or_default().trim()
}

fn key(config: &Config) -> Result<Key, PluginError> {
    let name = &config.secret;
    let secret = secrets::get(name).ok_or_else(|| {
        PluginError::Unsupported(format!(
            "there is no secret {name:?}: the operator must set it and grant `secret:{name}`"
        ))
    })?;
    Key::read(config.algorithm, &secret)
        .map_err(|problem| PluginError::Unsupported(format!("the secret {name:?} is {problem}")))
}

export_auth_policy!(Jwt);
