//! Settings: TOML and environment, read once into what the program needs.
//!
//! Every key `a.b` can be overridden by the environment variable `CHIMERA_A__B`. Unknown
//! keys and nonsense are refused with the key's name and what would be right.

mod chain;
mod check;
mod grants;
mod raw;
mod stratum;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chimera_ledger::AccountName;
use chimera_plugin::{Digest, Grants};

pub use chain::{Chain, Coin, DevChain, NodeAddress, Nodes};
pub use check::{ConfigError, Problem};
pub use grants::{Capabilities, Endpoint, Secret, UnknownUsers};
pub(crate) use grants::{Grantable, NotThere};
pub use stratum::{Conduct, Listener, Network, Stratum, Tls};

/// Every connection is an open file, and so are the database, the API's readers and nodes.
pub(crate) const OTHER_FILES: u64 = 128;

/// Everything an operator can decide, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[pool]`
    pub pool: Pool,
    /// `[stratum]`
    pub stratum: Stratum,
    /// `[chain]`
    pub chain: Chain,
    /// How long miners keep their last job while no node answers.
    pub withdraw_after: Duration,
    /// What amounts are shown in.
    pub coin: Coin,
    /// `[payout]`
    pub payout: Slot,
    /// What is added to the scheme's fee for single accounts, parts per million; negative is a
    /// bonus.
    pub account_fees_ppm: BTreeMap<AccountName, i32>,
    /// How often work is settled by accruing schemes.
    pub settle_interval: Duration,
    /// Whether the scheme in force settles blocks that an earlier one cannot.
    pub take_over: bool,
    /// How a settlement is run, and how far the reserve may fall.
    pub settlement: Settlement,
    /// `[auth]`
    pub auth: Slot,
    /// What there is to be granted to it.
    pub capabilities: Capabilities,
    /// What becomes of users nobody can check.
    pub unknown_users: UnknownUsers,
    /// `[difficulty]`
    pub difficulty: Slot,
    /// How often each session's difficulty is reconsidered.
    pub retarget_interval: Duration,
    /// `[swap]`
    pub swap: Swap,
    /// `[plugins] directory`: `.wasm` files that override the shipped components.
    pub plugin_directory: Option<PathBuf>,
    /// `[api] listen`
    pub api_listen: SocketAddr,
    /// `[log]`
    pub log: Log,
}

/// The pool as a whole.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Shown to miners and in the API; the tag in the blocks it finds.
    pub name: String,
    /// Ledger, share log, compiled plugins, embedded chain.
    pub data_dir: PathBuf,
    /// Connections beyond it are told that the pool is full.
    pub miners_max: u32,
    /// How long a shutdown may take.
    pub grace: Duration,
    /// What `true` means to a miner.
    pub durability: Durability,
}

/// When a miner is told that its share counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// After the share is on disk.
    Durable,
    /// As soon as it is judged: a crash may lose the last few milliseconds.
    Relaxed,
}

/// Which component fills a slot, and with what configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Name of a shipped component, or of a file in the plugin directory.
    pub component: String,
    /// If given, the component must have this digest.
    pub digest: Option<Digest>,
    /// The component's own configuration, as JSON; it validates it itself.
    pub config: String,
    /// What the operator lets it use beyond its arguments.
    pub grants: Grants,
}

/// How a settlement is run, and how far the reserve may fall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// How long one may take; then its process is killed and it is held.
    pub timeout: Duration,
    /// The program its process runs (with the argument `settle`); this one if not given.
    pub program: Option<PathBuf>,
    /// Whether a second engine must come to the same answer before money moves.
    pub cross_check: bool,
    /// How far below zero schemes that credit work may bring the reserve, in base units;
    /// as far as they like if not given.
    pub reserve: Option<u64>,
}

/// How a component or configuration takes over a slot while the pool runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swap {
    /// How long an auth or difficulty component is asked beside the one in force.
    pub shadow: Duration,
    /// How long it then decides for a part of all identities.
    pub canary: Duration,
    /// For which part, in parts per million.
    pub canary_ppm: u32,
    /// How long a new generation is watched.
    pub probation: Duration,
    /// It has proven itself earlier after so many calls.
    pub probation_calls: u64,
    /// Failed calls beyond it end the probation, in parts per million.
    pub error_budget_ppm: u32,
    /// A new payout generation takes effect not earlier than this after its announcement.
    pub notice: Duration,
    /// Whether a changed file of a component in force is a request to swap.
    pub watch: bool,
}

/// What is logged and how.
#[derive(Debug, Clone)]
pub struct Log {
    /// A `tracing` filter, e.g. "info" or "chimera=debug".
    pub level: String,
    /// One JSON object per line instead of text.
    pub json: bool,
}

impl Config {
    /// The embedded default: everything in this process, on loopback.
    pub fn embedded() -> Self {
        Self::parse("", &[]).expect("the default configuration is valid: a test parses it")
    }

    /// Reads a file and the environment.
    ///
    /// # Errors
    /// Every problem found, each with its key and what would be right.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| ConfigError::Unreadable { path: path.to_owned(), cause })?;
        Self::parse(&text, &environment())
            .map_err(|error| error.in_file(path.display().to_string()))
    }

    /// From a file if one is named, else [`from_environment`](Self::from_environment).
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn of(file: Option<&Path>) -> Result<Self, ConfigError> {
        file.map_or_else(Self::from_environment, Self::load)
    }

    /// The embedded default with the environment's overrides.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::parse("", &environment())
    }

    /// Parses TOML text with overrides (`CHIMERA_POOL__NAME`, value).
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(text: &str, overrides: &[(String, String)]) -> Result<Self, ConfigError> {
        raw::read(text, overrides)?.check()
    }
}

/// Prefix of environment variables that are keys.
const PREFIX: &str = "CHIMERA_";
/// Variables with the prefix that are no keys: the path of the file itself, and what commands
/// show to a running pool.
const NOT_KEYS: [&str; 2] = ["CHIMERA_CONFIG", "CHIMERA_ADMIN_TOKEN"];

fn environment() -> Vec<(String, String)> {
    // Of other programs' variables nothing is known, not even that they are text.
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(PREFIX))?;
            let value = value.to_string_lossy().into_owned();
            (!NOT_KEYS.contains(&name.as_str())).then_some((name, value))
        })
        .collect()
}
