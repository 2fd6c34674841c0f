//! The smallest auth policy: everybody may mine who names an account and a worker.
//!
//! A policy sees one attempt to authorize and answers allow, deny, or no opinion. The host
//! keeps the answer for its time to live, also while the component is away.

use chimera_plugin_sdk::{
    Attempt, AuthPolicy, Component, Decision, Diagnostic, PluginError, UserName, deny,
    export_auth_policy, problem,
};
use serde::{Deserialize, Serialize};

/// The settings. Every field has a default; what is misspelt is refused.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// For how long the host may reuse an answer.
    pub ttl_s: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { ttl_s: 3600 }
    }
}

/// The policy.
pub struct Named;

impl Component for Named {
    type Config = Config;
    const NAME: &'static str = "auth-named";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        if (1..=86_400).contains(&config.ttl_s) {
            return Vec::new();
        }
        let message = format!("an answer good for {} seconds", config.ttl_s);
        vec![problem("/ttl_s", message, "1 to 86400")]
    }
}

impl AuthPolicy for Named {
    fn authorize(config: &Config, attempt: Attempt) -> Result<Decision, PluginError> {
        // A refusal is an answer, and its text is for the miner; an error means that the
        // policy could not decide.
        let name = match UserName::parse(&attempt.user) {
            Ok(name) => name,
            Err(reason) => return Ok(deny(reason, config.ttl_s)),
        };
        if name.worker.is_none() {
            return Ok(deny("name your machine too: account.worker", config.ttl_s));
        }
        Ok(name.allow("", config.ttl_s))
    }
}

export_auth_policy!(Named);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::{Protocol, check_config};

    use super::*;

    fn attempt(user: &str) -> Attempt {
        Attempt {
            remote_ip: "192.0.2.7".to_owned(),
            listener: "public".to_owned(),
            protocol: Protocol::StratumV1,
            tls: false,
            user: user.to_owned(),
            password: None,
            user_agent: "cpuminer/2.5".to_owned(),
            at: 0,
        }
    }

    #[test]
    fn who_names_account_and_worker_may_mine() {
        let decision = Named::authorize(&Config::default(), attempt("alice.rig1")).unwrap();
        let Decision::Allow(grant) = decision else { panic!("{decision:?}") };
        assert_eq!((grant.account.as_str(), grant.worker.as_deref()), ("alice", Some("rig1")));
        assert_eq!(grant.ttl_s, 3600);
    }

    #[test]
    fn everybody_else_is_told_why_not() {
        for (user, reason) in [("alice", "name your machine"), ("", "empty"), (".rig", "empty")] {
            let decision = Named::authorize(&Config::default(), attempt(user)).unwrap();
            let Decision::Deny(denial) = decision else { panic!("{user}: {decision:?}") };
            assert!(denial.public_message.contains(reason), "{user}: {}", denial.public_message);
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for text in [r#"{"ttl_s": 0}"#, r#"{"ttl_s": 86401}"#, r#"{"ttl_s": "long"}"#] {
            assert_eq!(check_config::<Named>(text).err().unwrap()[0].at, "/ttl_s", "{text}");
        }
    }
}
