//! What the host knows of itself, as one value: filled by the host, published through a
//! watch channel, read here without a lock.

use std::collections::BTreeMap;

use chimera_pow::Work;
use serde::{Serialize, Serializer};

/// The pool at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// When it was taken, ms since the Unix epoch: the "now" of every answer.
    pub taken_at_ms: u64,
    /// Where the pool is in its life.
    pub lifecycle: Lifecycle,
    /// Since when, ms since the Unix epoch.
    pub since_ms: u64,
    /// Why, for [`Lifecycle::Error`].
    pub cause: Option<String>,
    /// The program's version.
    pub version: String,
    /// Which start of this pool it is; 0 before the store has counted it.
    pub run: u32,
    /// How long this process has been up, ms.
    pub uptime_ms: u64,
    /// What amounts are counted in.
    pub coin: Coin,
    /// The chain's tip; `None` before the first template.
    pub chain: Option<Chain>,
    /// Every node of the chain, in the operator's order.
    pub nodes: Vec<Node>,
    /// Whether there is work for miners.
    pub miners_work: MinersWork,
    /// Connected miners.
    pub sessions: Sessions,
    /// Judged submissions since the start by verdict: "accepted", "uncredited" (answered true,
    /// worth nothing), "stale", "duplicate", "low-difficulty", "invalid", "not-stored".
    pub verdicts: BTreeMap<String, u64>,
    /// What became of those who sent what is refused, since the start, by step: "warned",
    /// "dropped", "banned" (addresses), "refused" (connections from banned addresses).
    pub conduct: BTreeMap<String, u64>,
    /// Expected hashes the accepted ones stand for.
    pub accepted_work: u128,
    /// What the share log has done since the start.
    pub share_log: ShareLog,
    /// How long submissions waited for their reply; `None` if it is not measured.
    pub reply_latency: Option<ReplyLatency>,
    /// Every part of the pool.
    pub components: Vec<ComponentHealth>,
    /// What fills each plugin slot.
    pub plugins: Vec<Plugin>,
    /// What the host does when they fail, and what is on trial.
    pub policies: Policies,
    /// Where the pool listens.
    pub addresses: Addresses,
}

/// Where the pool is in its life: exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Lifecycle {
    /// Nothing runs.
    #[default]
    Stopped,
    /// Parts are coming up.
    Starting,
    /// Miners are served.
    Running,
    /// Draining.
    Stopping,
    /// A part the pool cannot do without has failed.
    Error,
}

impl Lifecycle {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 5] =
        [Self::Stopped, Self::Starting, Self::Running, Self::Stopping, Self::Error];

    /// The word used in answers and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Error => "error",
        }
    }
}

/// What amounts are counted in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Coin {
    /// Its ticker, e.g. "XVG".
    pub ticker: String,
    /// Digits after the point: 8 if one coin is 100,000,000 base units. Above 38 counts as 38.
    pub decimals: u8,
}

/// Whether there is work for miners.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MinersWork {
    /// "awaited" before the chain has given any, "flowing", or "withdrawn".
    pub state: String,
    /// Why it is withdrawn.
    pub why: Option<String>,
}

/// A node of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Its address.
    pub name: String,
    /// "unasked", "answering" or "failing".
    pub state: String,
    /// Why it fails.
    pub cause: Option<String>,
    /// Since when, ms since the Unix epoch.
    pub since_ms: u64,
    /// Whether work comes from it.
    pub source: bool,
    /// Height of its last block, if it told.
    pub height: Option<u64>,
    /// Its announcements of blocks (ZMQ): "off", "away", "connected", or "silent".
    pub announcements: String,
}

/// The chain's tip as the pool last saw it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chain {
    /// Which network, e.g. "devchain".
    pub network: String,
    /// The proof-of-work function.
    pub algorithm: String,
    /// Height of the block that can be won now.
    pub height: u64,
    /// Network difficulty.
    #[serde(serialize_with = "finite")]
    pub difficulty: f64,
    /// Expected hashes of that block.
    #[serde(skip)]
    pub work: Work,
}

/// Connected miners.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sessions {
    /// Open connections.
    pub connected: u64,
    /// Those with an authorised worker.
    pub authorised: u64,
    /// Connections above this are refused.
    pub max_miners: u64,
}

/// What the share log has done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ShareLog {
    /// Shares made durable.
    pub shares: u64,
    /// Group commits that took.
    pub commits: u64,
    /// Commits that failed; their shares were tried again or refused.
    pub failures: u64,
    /// Time spent committing, seconds.
    #[serde(serialize_with = "finite")]
    pub seconds: f64,
    /// Shares in the largest commit.
    pub batch_max: u64,
}

/// A histogram of the time from reading a submission to writing its reply.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReplyLatency {
    /// Upper bounds of the buckets, seconds, ascending; an infinite last one is implied.
    pub bounds_s: Vec<f64>,
    /// Replies in each bucket alone, one more than there are bounds.
    pub counts: Vec<u64>,
    /// Sum of all, seconds.
    pub sum_s: f64,
}

/// Whether a part does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ComponentState {
    /// It did its work the last time.
    Healthy,
    /// It cannot work now and keeps trying.
    Unhealthy,
    /// It has given up; somebody must act.
    Error,
}

/// What a part last said of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentHealth {
    /// Which part.
    pub name: String,
    /// Whether it works.
    pub state: ComponentState,
    /// Why not.
    pub cause: Option<String>,
    /// Since when it is in this state, ms since the Unix epoch.
    pub since_ms: u64,
    /// What an operator can do.
    pub recommendation: Option<String>,
}

/// What fills a plugin slot.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plugin {
    /// What it decides: `payout`, `auth`, `difficulty`.
    pub slot: String,
    /// The component's own name.
    pub name: String,
    /// The component's own version.
    pub version: String,
    /// Digest of its bytes, hex.
    pub digest: String,
    /// Where it came from: embedded, or a file.
    pub origin: String,
    /// What it says of itself.
    pub description: String,
    /// Its configuration with every default filled in, without what its schema marks as
    /// secret; null if nothing of it may be shown.
    pub config: serde_json::Value,
    /// Calls since the start.
    pub calls: u64,
    /// Calls that failed.
    pub failures: u64,
    /// The latest failure.
    pub last_error: Option<String>,
    /// Its generation in the history.
    pub generation: u32,
    /// What the operator granted it.
    pub grants: Vec<String>,
    /// Where it stands.
    pub phase: PluginPhase,
    /// What is about to take over, and in which step it is.
    pub next: Option<PluginPhase>,
}

/// Where a component stands in its slot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PluginPhase {
    /// In one word: `active` or `probation`; for the next one its step.
    pub name: String,
    /// What it is about, for people.
    pub detail: String,
    /// When it ends, ms since the Unix epoch.
    pub until_ms: Option<u64>,
}

/// What the host does around auth and difficulty components.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Policies {
    /// The state of each slot's circuit breaker: `closed`, `open`, `half-open`.
    pub breakers: BTreeMap<String, String>,
    /// What is on trial, by slot.
    pub trials: BTreeMap<String, TrialCounts>,
    /// Logins since the start that were decided without a call, by reason: `reused`, `stale`,
    /// `unknown-refused`, `quarantined`, `banned`, `crowded`.
    pub auth_answers: BTreeMap<String, u64>,
    /// Sessions whose difficulty the pool's own vardiff decided, since the start.
    pub native_retargets: u64,
}

/// How a component on trial did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TrialCounts {
    /// Decisions it made.
    pub decisions: u64,
    /// Those that differ from what the one in force decided.
    pub differed: u64,
    /// Those it could not make.
    pub failed: u64,
    /// Those it was not asked for, because it was busy.
    pub dropped: u64,
}

/// Where the pool listens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// Stratum listeners.
    pub stratum: Vec<String>,
    /// This API.
    pub api: Option<String>,
}

/// JSON has no infinity and no NaN; a number that is none is shown as 0.
pub(crate) fn finite<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(if value.is_finite() { *value } else { 0.0 })
}
