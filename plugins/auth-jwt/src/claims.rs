//! What a token says (RFC 7519): until when, from whom, for whom, and for which account.

use chimera_plugin_sdk::{Decimal, Decision, Grant, UserName, fewer_sessions};
use serde_json::{Map, Value};

use crate::Config;

/// The claims of a token whose signature is good.
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    /// Reads a payload.
    ///
    /// # Errors
    /// A sentence for the miner.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(payload).map(Self).map_err(|_| "token has no claims".to_owned())
    }

    /// What the token lets its holder do, if it is for this pool and this moment.
    ///
    /// # Errors
    /// A sentence for the miner.
    pub(crate) fn grant(
        &self,
        config: &Config,
        user: UserName,
        at_ms: u64,
    ) -> Result<Decision, String> {
        let left_s = self.left_s(config, at_ms / 1000)?;
        self.check_parties(config)?;
        let account = self.name(&config.account_claim)?.ok_or("token names no account")?;
        let worker = self.name(&config.worker_claim)?.or(user.worker);
        Ok(Decision::Allow(Grant {
            account,
            worker: Some(worker.unwrap_or_else(|| config.default_worker.clone())),
            ttl_s: config.ttl_s.min(u32::try_from(left_s).unwrap_or(u32::MAX)),
            start_difficulty: self.start_difficulty(config)?,
            max_sessions: fewer_sessions(self.max_sessions(config)?, config.max_sessions),
            tags: Vec::new(),
        }))
    }

    /// Seconds until the token expires. Every token must: a stolen one must not last for ever.
    fn left_s(&self, config: &Config, now_s: u64) -> Result<u64, String> {
        let leeway_s = u64::from(config.leeway_s);
        let ends_s = self.time("exp")?.ok_or("token has no exp: it would never expire")?;
        let left_s = ends_s.saturating_add(leeway_s).saturating_sub(now_s);
        if left_s == 0 {
            return Err("token has expired".to_owned());
        }
        if self.time("nbf")?.is_some_and(|begins_s| begins_s > now_s + leeway_s) {
            return Err("token is not valid yet".to_owned());
        }
        Ok(left_s)
    }

    fn check_parties(&self, config: &Config) -> Result<(), String> {
        if !config.issuer.is_empty() && self.claim("iss") != Some(&config.issuer.as_str().into()) {
            return Err("token is from another issuer".to_owned());
        }
        let is_us = |audience: &Value| audience == config.audience.as_str();
        let for_us = match self.claim("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_us),
            Some(audience) => is_us(audience),
            None => false,
        };
        if !config.audience.is_empty() && !for_us {
            return Err("token is not for this pool".to_owned());
        }
        Ok(())
    }

    /// A name that could stand in a user name.
    fn name(&self, claim: &str) -> Result<Option<String>, String> {
        let name = match self.claim(claim) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(name)) => name,
            Some(_) => return Err(format!("the claim {claim} of the token is no text")),
        };
        let bare = UserName { account: name.clone(), worker: None };
        if UserName::parse(name).as_ref() != Ok(&bare) {
            return Err(format!("the claim {claim} of the token is no name"));
        }
        Ok(Some(bare.account))
    }

    fn max_sessions(&self, config: &Config) -> Result<Option<u32>, String> {
        let wrong = || format!("the claim {} of the token is no count", config.max_sessions_claim);
        self.claim(&config.max_sessions_claim)
            .map(|value| value.as_u64().and_then(|count| count.try_into().ok()).ok_or_else(wrong))
            .transpose()
    }

    fn start_difficulty(&self, config: &Config) -> Result<Option<u64>, String> {
        let claim = &config.start_difficulty_claim;
        let wrong = |_| format!("the claim {claim} of the token is no difficulty");
        self.claim(claim)
            .map(|value| match value {
                Value::String(text) => Decimal::parse(text),
                other => Decimal::parse(&other.to_string()),
            })
            .map(|difficulty| difficulty.map(|difficulty| difficulty.units()).map_err(wrong))
            .transpose()
    }

    /// Seconds since 1970; fractions are cut off, what is before counts as then.
    fn time(&self, claim: &str) -> Result<Option<u64>, String> {
        let wrong = || format!("the claim {claim} of the token is no time");
        let seconds = |value: &Value| {
            value
                .as_u64()
                .or_else(|| value.as_f64().map(|seconds| seconds as u64))
                .ok_or_else(wrong)
        };
        self.claim(claim).map(seconds).transpose()
    }

    /// `None` for a claim that is not asked for.
    fn claim(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|_| !name.is_empty())
    }
}
