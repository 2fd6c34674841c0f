//! Asks an HTTP endpoint of the operator who may mine. The host makes the request: this
//! component knows the endpoint's name only. Takes the grant `fetch:NAME`.
//!
//! Only a clear answer decides. Anything else is an error, so that the host can let known
//! miners go on while the endpoint is away.

mod answer;
#[cfg(test)]
mod tests;

use chimera_plugin_sdk::fetch::{self, FetchError, Reply};
use chimera_plugin_sdk::{
    Attempt, AuthPolicy, Component, Decision, Diagnostic, PluginError, Protocol, UserName,
    default_worker_problem, deny, export_auth_policy, password, problem,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whom to ask, and what to tell.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The worker where neither answer nor user name has one.
    pub default_worker: String,
    /// How long the host may repeat a refusal.
    pub deny_ttl_s: u32,
    /// The name of the endpoint.
    pub endpoint: String,
    /// Sessions an account may have at once; 0 is no limit.
    pub max_sessions: u32,
    /// The path behind the endpoint's own.
    pub path: String,
    /// Whether the endpoint gets passwords.
    pub send_password: bool,
    /// How long an answer without `ttl_s` may be reused.
    pub ttl_s: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            default_worker: "default".to_owned(),
            deny_ttl_s: 30,
            endpoint: "users".to_owned(),
            max_sessions: 0,
            path: String::new(),
            send_password: false,
            ttl_s: 300,
        }
    }
}

/// A day: whoever is refused meanwhile should not mine on for longer.
pub(crate) const TTL_S_MAX: u32 = 86_400;

/// The policy.
pub struct Webhook;

impl Component for Webhook {
    type Config = Config;
    const NAME: &'static str = "auth-webhook";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        for (at, seconds) in [("/ttl_s", config.ttl_s), ("/deny_ttl_s", config.deny_ttl_s)] {
            if seconds > TTL_S_MAX {
                problems.push(problem(at, format!("{seconds}"), "0 to 86400"));
            }
        }
        if config.endpoint.is_empty() {
            problems.push(problem("/endpoint", "it is empty", "a name, as in fetch:NAME"));
        }
        if config.path.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            problems.push(problem("/path", "it has spaces", "a path, e.g. \"/authorize\""));
        }
        problems.extend(default_worker_problem(&config.default_worker));
        problems
    }
}

impl AuthPolicy for Webhook {
    fn authorize(config: &Config, attempt: Attempt) -> Result<Decision, PluginError> {
        let name = match UserName::parse(&attempt.user) {
            Ok(name) => name,
            Err(reason) => return Ok(deny(reason, config.deny_ttl_s)),
        };
        let question = question(config, &attempt, &name)?;
        let call = fetch::post_json(&config.endpoint, &config.path, &question);
        let reply = fetch::send(&call).map_err(|error| unanswered(config, &error))?;
        decision(config, name, &reply)
    }
}

fn question(config: &Config, attempt: &Attempt, name: &UserName) -> Result<Value, PluginError> {
    let mut question = json!({
        "user": attempt.user,
        "account": name.account,
        "worker": name.worker,
        "remote_ip": attempt.remote_ip,
        "listener": attempt.listener,
        "protocol": match attempt.protocol {
            Protocol::StratumV1 => "stratum-v1",
            Protocol::StratumV2 => "stratum-v2",
        },
        "tls": attempt.tls,
        "user_agent": attempt.user_agent,
        "at": attempt.at,
    });
    if config.send_password {
        question["password"] = password(attempt)?.into();
    }
    Ok(question)
}

fn decision(config: &Config, name: UserName, reply: &Reply) -> Result<Decision, PluginError> {
    match reply.status {
        200 => answer::read(&reply.body)
            .and_then(|answer| answer.decision(config, name))
            .map_err(|problem| failed(config, &problem)),
        401 | 403 => Ok(deny("this account may not mine here", config.deny_ttl_s)),
        404 => Ok(deny("this account is not known here", config.deny_ttl_s)),
        status => Err(failed(config, &format!("answered with status {status}"))),
    }
}

fn unanswered(config: &Config, error: &FetchError) -> PluginError {
    let endpoint = &config.endpoint;
    match error {
        FetchError::NotGranted => PluginError::Unsupported(format!(
            "the endpoint {endpoint:?} is not granted: the operator must name it and grant \
             `fetch:{endpoint}`"
        )),
        FetchError::Timeout => failed(config, "did not answer in time"),
        FetchError::TooLarge => failed(config, "answered too much"),
        FetchError::Busy => failed(config, "is asked too often"),
        FetchError::Failed(why) => failed(config, &format!("cannot be reached: {why}")),
    }
}

fn failed(config: &Config, what: &str) -> PluginError {
    PluginError::Internal(format!("the endpoint {:?} {what}", config.endpoint))
}

export_auth_policy!(Webhook);
