//! Auth policies: a fresh instance for every attempt, limited by time.

use std::net::IpAddr;

use chimera_pow::Difficulty;
use serde::{Deserialize, Serialize};

use crate::bindings::auth::exports::chimera::pool::auth as wit;
use crate::class::Class;
use crate::component::{Configured, Live};
use crate::{
    Artifact, Cause, Digest, Engines, Grants, Info, PluginError, Services, interface, units,
};

/// Names become rows and labels; addresses are under 100 bytes.
const NAME_BYTES_MAX: usize = 128;
const TAGS_MAX: usize = 32;
/// Sent to miners in an error reply.
const MESSAGE_BYTES_MAX: usize = 256;

/// A loaded auth policy with its configuration.
pub struct AuthPolicy {
    policy: Configured,
    auth: wit::GuestIndices,
}

/// How a miner talks to the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// Stratum V1.
    #[serde(rename = "stratum-v1")]
    StratumV1,
    /// Stratum V2.
    #[serde(rename = "stratum-v2")]
    StratumV2,
}

/// Somebody wants to mine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// From where.
    pub remote_ip: IpAddr,
    /// Through which listener of the pool.
    pub listener: String,
    /// In which protocol.
    pub protocol: Protocol,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The user name as it was sent.
    pub user: String,
    /// The password; only policies with the grant `credential` see it.
    pub password: Option<String>,
    /// What the miner calls itself.
    pub user_agent: String,
    /// When, ms since the Unix epoch.
    pub at_ms: u64,
}

/// What a policy decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The miner may work.
    Allow(Grant),
    /// It may not.
    Deny(Denial),
    /// Another policy, or the host's default, decides.
    NoOpinion,
}

/// For whom a miner works, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The account that is paid: 1 to 128 printable bytes.
    pub account: String,
    /// The machine, likewise.
    pub worker: Option<String>,
    /// How long the answer may be reused, in seconds.
    pub ttl_s: u32,
    /// The first difficulty, if the policy cares.
    #[serde(with = "units")]
    pub start_difficulty: Option<Difficulty>,
    /// The most sessions its account may have.
    pub max_sessions: Option<u32>,
    /// Facts about the miner, as the policy calls them.
    pub tags: Vec<(String, String)>,
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denial {
    /// Told to the miner.
    pub public_message: String,
    /// How long the answer may be reused, in seconds.
    pub ttl_s: u32,
    /// How long the address shall not come back, in seconds.
    pub ban_s: u32,
}

impl AuthPolicy {
    /// Loads a component as an auth policy. `config` is JSON; empty text means all defaults.
    ///
    /// # Errors
    /// When it is no auth policy, when it refuses the configuration, or when it misbehaves
    /// while it describes, validates or configures.
    pub fn load(
        engines: &Engines,
        artifact: &Artifact,
        config: &str,
        grants: &Grants,
        services: Services,
    ) -> Result<Self, PluginError> {
        let sandbox = engines.sandbox(Class::Auth);
        let policy = Configured::load(engines, sandbox, artifact, config, grants, services)?;
        let auth = wit::GuestIndices::new(policy.pre())
            .map_err(|error| format!("{error:#}"))
            .map_err(|why| policy.fail("load", interface::explain(artifact.bytes(), why)))?;
        start(&policy, &auth)?;
        Ok(Self { policy, auth })
    }

    /// What the component says of itself.
    pub const fn info(&self) -> &Info {
        self.policy.info()
    }

    /// The configuration with all defaults filled in.
    pub fn canonical_config(&self) -> &str {
        self.policy.canonical()
    }

    /// The component's digest.
    pub const fn digest(&self) -> Digest {
        self.policy.digest()
    }

    /// What it was granted.
    pub fn grants(&self) -> &Grants {
        self.policy.grants()
    }

    pub(crate) fn subject(&self) -> (&str, Digest, &str, &Grants) {
        self.policy.subject()
    }

    /// Makes an instance and drops it again, without configuring or asking it.
    ///
    /// # Errors
    /// When it traps while it starts.
    pub fn probe(&self) -> Result<(), PluginError> {
        self.policy.probe()
    }

    /// Asks for one decision. Takes up to 50 ms of a thread, and two seconds more if it
    /// waits for what it was granted: not for an async one.
    ///
    /// # Errors
    /// When the policy cannot decide, is stopped, or grants what is no name.
    pub fn authorize(&self, attempt: &Attempt) -> Result<Decision, PluginError> {
        let (mut live, guest) = start(&self.policy, &self.auth)?;
        if live.shimmed() {
            // Two who differ in their password alone get the same numbers.
            live.set_moment(attempt.at_ms, &Attempt { password: None, ..attempt.clone() });
        }
        live.make_room(1);
        let question = question(attempt, self.policy.grants());
        let answer = live.call("authorize", Class::Auth.call_budget(1), |store| {
            guest.call_authorize(store, &question)
        })?;
        answer
            .map_err(Cause::from)
            .and_then(decision)
            .map_err(|cause| self.policy.fail("authorize", cause))
    }
}

fn start(policy: &Configured, auth: &wit::GuestIndices) -> Result<(Live, wit::Guest), PluginError> {
    let mut live = policy.start()?;
    let guest = auth
        .load(&mut live.store, &live.instance)
        .map_err(|error| policy.fail("load", Cause::WrongTypes(format!("{error:#}"))))?;
    Ok((live, guest))
}

fn question(attempt: &Attempt, grants: &Grants) -> wit::Attempt {
    wit::Attempt {
        remote_ip: attempt.remote_ip.to_string(),
        listener: attempt.listener.clone(),
        protocol: match attempt.protocol {
            Protocol::StratumV1 => wit::Protocol::StratumV1,
            Protocol::StratumV2 => wit::Protocol::StratumV2,
        },
        tls: attempt.tls,
        user: attempt.user.clone(),
        password: attempt.password.clone().filter(|_| grants.credential),
        user_agent: attempt.user_agent.clone(),
        at: attempt.at_ms,
    }
}

fn decision(answer: wit::Decision) -> Result<Decision, Cause> {
    match answer {
        wit::Decision::Allow(grant) => {
            check_name("account", &grant.account)?;
            if let Some(worker) = &grant.worker {
                check_name("worker", worker)?;
            }
            if grant.tags.len() > TAGS_MAX {
                let tags = grant.tags.len();
                return Err(Cause::BadAnswer(format!("{tags} tags; {TAGS_MAX} are allowed")));
            }
            Ok(Decision::Allow(Grant {
                account: grant.account,
                worker: grant.worker,
                ttl_s: grant.ttl_s,
                start_difficulty: grant.start_difficulty.and_then(Difficulty::from_units),
                max_sessions: grant.max_sessions,
                tags: grant.tags,
            }))
        }
        wit::Decision::Deny(mut denial) => {
            let end = denial.public_message.floor_char_boundary(MESSAGE_BYTES_MAX);
            denial.public_message.truncate(end);
            Ok(Decision::Deny(Denial {
                public_message: denial.public_message,
                ttl_s: denial.ttl_s,
                ban_s: denial.ban_s,
            }))
        }
        wit::Decision::NoOpinion => Ok(Decision::NoOpinion),
    }
}

fn check_name(what: &str, name: &str) -> Result<(), Cause> {
    let printable = !name.chars().any(|character| character.is_control());
    if printable && (1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    let start = &name[..name.floor_char_boundary(NAME_BYTES_MAX)];
    let bytes = name.len();
    Err(Cause::BadAnswer(format!(
        "an {what} of {bytes} bytes, {start:?}; 1 to {NAME_BYTES_MAX} printable ones are a name"
    )))
}
