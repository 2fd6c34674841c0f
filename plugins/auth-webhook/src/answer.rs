//! What an endpoint may answer: `{"allow": true, ..}` or `{"allow": false, ..}`. Unknown
//! fields are left alone, so that an endpoint can say more to others.

use chimera_plugin_sdk::{Decimal, Decision, Denial, Grant, UserName, fewer_sessions};
use serde::Deserialize;

use crate::{Config, TTL_S_MAX};

#[derive(Deserialize)]
pub(crate) struct Answer {
    allow: bool,
    account: Option<String>,
    worker: Option<String>,
    ttl_s: Option<u32>,
    start_difficulty: Option<Decimal>,
    max_sessions: Option<u32>,
    message: Option<String>,
    ban_s: Option<u32>,
}

/// A sentence, not a page.
const MESSAGE_CHARACTERS_MAX: usize = 200;

/// Reads an answer.
///
/// # Errors
/// Where it is wrong, without showing any of it: it may repeat a password.
pub(crate) fn read(body: &[u8]) -> Result<Answer, String> {
    serde_json::from_slice(body).map_err(|error| {
        let what = if error.is_data() { "no decision" } else { "no JSON" };
        format!("answered {what}: see line {}, column {}", error.line(), error.column())
    })
}

impl Answer {
    /// What it decides about a user.
    ///
    /// # Errors
    /// When it names an account or worker no user name could.
    pub(crate) fn decision(self, config: &Config, name: UserName) -> Result<Decision, String> {
        if !self.allow {
            return Ok(Decision::Deny(Denial {
                public_message: sentence(self.message.as_deref()),
                ttl_s: self.ttl_s.unwrap_or(config.deny_ttl_s).min(TTL_S_MAX),
                ban_s: self.ban_s.unwrap_or(0),
            }));
        }
        let account = self.account.map(|account| named("account", account)).transpose()?;
        let worker = self.worker.map(|worker| named("worker", worker)).transpose()?;
        let worker = worker.or(name.worker).unwrap_or_else(|| config.default_worker.clone());
        Ok(Decision::Allow(Grant {
            account: account.unwrap_or(name.account),
            worker: Some(worker),
            ttl_s: self.ttl_s.unwrap_or(config.ttl_s).min(TTL_S_MAX),
            start_difficulty: self.start_difficulty.map(|difficulty| difficulty.units()),
            max_sessions: fewer_sessions(self.max_sessions, config.max_sessions),
            tags: Vec::new(),
        }))
    }
}

fn named(what: &str, name: String) -> Result<String, String> {
    match UserName::parse(&name) {
        Ok(UserName { account, worker: None }) if account == name => Ok(name),
        _ => Err(format!("answered with {what:?} that is no name: printable, without dots")),
    }
}

/// What a miner can show: one line, not too long.
fn sentence(message: Option<&str>) -> String {
    let plain = message.unwrap_or_default().chars().filter(|character| !character.is_control());
    let plain: String = plain.take(MESSAGE_CHARACTERS_MAX).collect();
    if plain.trim().is_empty() { "this account may not mine here".to_owned() } else { plain }
}
