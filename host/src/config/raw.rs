//! The file as it is written: every key, its default, nothing checked but its type.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::{ConfigError, Durability, PREFIX, Tls, UnknownUsers};

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $type:ty = $default:expr),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name { $(pub(super) $key: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }
    };
}

section!(RawConfig {
    pool: RawPool = RawPool::default(),
    stratum: RawStratum = RawStratum::default(),
    chain: RawChain = RawChain::default(),
    payout: RawPayout = RawPayout::default(),
    auth: RawAuth = RawAuth::default(),
    difficulty: RawDifficulty = RawDifficulty::default(),
    plugins: RawPlugins = RawPlugins::default(),
    swap: RawSwap = RawSwap::default(),
    api: RawApi = RawApi::default(),
    log: RawLog = RawLog::default(),
});

section!(RawPool {
    name: String = "Chimera".into(),
    data_dir: String = "data".into(),
    max_miners: Option<u32> = None,
    grace_s: u64 = 10,
    durability: Durability = Durability::Durable,
});

section!(RawStratum {
    listen: String = "127.0.0.1:3333".into(),
    tls: Tls = Tls::Off,
    certificate: Option<String> = None,
    key: Option<String> = None,
    proxies: Vec<String> = Vec::new(),
    listener: Vec<RawListener> = Vec::new(),
    threads: usize = 0,
    instance: u8 = 0,
    extranonce2_bytes: u8 = 8,
    version_mask: String = "1fffe000".into(),
    difficulty_min: f64 = 1e-6,
    difficulty_max: f64 = 4_000_000_000.0,
    per_address_max: u32 = 0,
    per_account_max: u32 = 0,
    handshake_s: u64 = 30,
    idle_s: u64 = 600,
    resume_s: u64 = 600,
    conduct: RawConduct = RawConduct::default(),
});

section!(RawListener {
    name: String = String::new(),
    listen: String = String::new(),
    tls: Tls = Tls::Off,
    certificate: Option<String> = None,
    key: Option<String> = None,
    proxies: Vec<String> = Vec::new(),
    difficulty_min: Option<f64> = None,
    difficulty_max: Option<f64> = None,
    per_address_max: Option<u32> = None,
});

section!(RawConduct {
    forgiven_per_minute: u32 = 60,
    warn: u32 = 200,
    drop: u32 = 1_000,
    ban_after: u32 = 3,
    ban_s: u64 = 600,
});

section!(RawChain {
    kind: String = "devchain".into(),
    ticker: Option<String> = None,
    decimals: Option<u8> = None,
    payout_address: String = String::new(),
    algorithm: Option<String> = None,
    spacing_s: u64 = 5,
    maturity: Option<u32> = None,
    profile: String = String::new(),
    nodes: Vec<RawNode> = Vec::new(),
    poll_ms: u64 = 500,
    refresh_s: u64 = 30,
    empty_block_first: bool = false,
    withdraw_after_s: u64 = 120,
});

section!(RawNode {
    url: String = String::new(),
    user: Option<String> = None,
    password: Option<String> = None,
    cookie_file: Option<String> = None,
    ca_file: Option<String> = None,
    zmq: Option<String> = None,
});

section!(RawPayout {
    scheme: String = "payout-pplns".into(),
    digest: Option<String> = None,
    config: Table = Table::new(),
    account_fee_ppm: BTreeMap<String, i64> = BTreeMap::new(),
    grants: Vec<String> = Vec::new(),
    settle_interval_s: u64 = 60,
    settle_timeout_s: u64 = 60,
    settle_program: String = String::new(),
    cross_check: bool = true,
    reserve: String = "unlimited".into(),
    take_over: bool = false,
});

section!(RawAuth {
    policy: String = "auth-open".into(),
    digest: Option<String> = None,
    config: Table = Table::new(),
    grants: Vec<String> = Vec::new(),
    unknown_when_down: UnknownUsers = UnknownUsers::Refuse,
    endpoints: BTreeMap<String, RawEndpoint> = BTreeMap::new(),
    secrets: BTreeMap<String, RawSecret> = BTreeMap::new(),
});

section!(RawDifficulty {
    strategy: String = "difficulty-vardiff".into(),
    digest: Option<String> = None,
    config: Table = Table::new(),
    grants: Vec<String> = Vec::new(),
    retarget_interval_s: u64 = 5,
});

section!(RawEndpoint {
    url: String = String::new(),
    timeout_ms: u64 = 1_000,
    allow_private: bool = false,
    read_only: bool = false,
    headers: BTreeMap<String, String> = BTreeMap::new(),
    secret_header: Option<RawSecretHeader> = None,
});

section!(RawSecretHeader {
    name: String = String::new(),
    file: Option<String> = None,
    env: Option<String> = None,
});

section!(RawSecret { file: Option<String> = None, env: Option<String> = None });

section!(RawPlugins { directory: String = String::new() });

section!(RawSwap {
    shadow_s: u64 = 0,
    canary_s: u64 = 0,
    canary_ppm: u32 = 50_000,
    probation_s: u64 = 900,
    probation_calls: u64 = 100_000,
    error_budget_ppm: u32 = 50_000,
    notice_s: u64 = 0,
    watch: bool = false,
});

section!(RawApi { listen: String = "127.0.0.1:8080".into() });

section!(RawLog { level: String = "info".into(), format: String = "text".into() });

/// Reads the text, then lays the environment over it.
pub(super) fn read(text: &str, overrides: &[(String, String)]) -> Result<RawConfig, ConfigError> {
    // Straight from the text first: only then an error can point at its line.
    let config: RawConfig = toml::from_str(text).map_err(|error| ConfigError::syntax(&error))?;
    if overrides.is_empty() {
        return Ok(config);
    }
    let mut table: Table = toml::from_str(text).map_err(|error| ConfigError::syntax(&error))?;
    for (variable, value) in overrides {
        // One at a time, so that an error names the variable that brought it. What reads as
        // a number may still be meant as text ("20000000" is a version mask).
        let typed = with(&table, variable, value, value_of(value))?;
        let plain = with(&table, variable, value, Value::String(value.clone()))?;
        table = match (RawConfig::deserialize(typed.clone()), RawConfig::deserialize(plain.clone()))
        {
            (Ok(_), _) => typed,
            (Err(_), Ok(_)) => plain,
            (Err(error), Err(_)) => {
                return Err(ConfigError::variable(variable, value, &error.to_string()));
            }
        };
    }
    RawConfig::deserialize(table).map_err(|error| ConfigError::syntax(&error))
}

/// The settings with one key changed.
fn with(table: &Table, variable: &str, text: &str, value: Value) -> Result<Table, ConfigError> {
    let mut table = table.clone();
    let key = variable.strip_prefix(PREFIX).unwrap_or(variable).to_ascii_lowercase();
    let mut path: Vec<&str> = key.split("__").collect();
    let last = path.pop().filter(|last| !last.is_empty() && !path.is_empty()).ok_or_else(|| {
        let problem = "names no key; the form is CHIMERA_SECTION__KEY, e.g. CHIMERA_POOL__NAME";
        ConfigError::variable(variable, text, problem)
    })?;
    let mut section = &mut table;
    for name in path {
        let entry = section.entry(name).or_insert_with(|| Value::Table(Table::new()));
        section = entry.as_table_mut().ok_or_else(|| {
            ConfigError::variable(variable, text, &format!("`{name}` is no section"))
        })?;
    }
    section.insert(last.to_owned(), value);
    Ok(table)
}

/// A variable's text is a TOML value if it reads as one, and plain text otherwise.
fn value_of(text: &str) -> Value {
    toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}
