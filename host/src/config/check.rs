//! From what is written to what is meant: every problem is found, not only the first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chimera_ledger::AccountName;
use chimera_plugin::Grants;
use chimera_pow::{Algorithm, Difficulty};
use toml::Table;

use super::grants::{Grantable, capabilities, slot_grants};
use super::raw::{RawConfig, RawSwap};
use super::{Config, Log, OTHER_FILES, Pool, Settlement, Slot, Swap};

/// Why the settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// No TOML, an unknown key or a value of another type.
    #[error("{place}: {message}")]
    Syntax {
        /// The file, if there is one.
        place: String,
        /// What is wrong and where.
        message: String,
    },
    /// An environment variable that does not fit.
    #[error("environment variable {variable} = {value:?}: {message}")]
    Variable {
        /// Its name.
        variable: String,
        /// Its value.
        value: String,
        /// What is wrong.
        message: String,
    },
    /// Values that make no sense.
    #[error("{place} has {} problem(s):{}", problems.len(), list(problems))]
    Nonsense {
        /// The file, if there is one.
        place: String,
        /// All of them.
        problems: Vec<Problem>,
    },
}

/// One value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which key, e.g. `stratum.listen`.
    pub key: Cow<'static, str>,
    /// What was found.
    pub found: String,
    /// What would be right.
    pub right: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.key, self.found, self.right)
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// Nothing that is tried or announced takes longer.
const MONTH_S: u64 = 31 * 86_400;

const NO_FILE: &str = "the configuration";

const NOT_SHOWN: &str = "(not shown)";

/// Keys with secrets in or below them, in files and in variables. What components keep in theirs
/// is not known here, but logins are checked with secrets.
const SECRET: [&str; 7] =
    ["password", "nodes", "headers", "endpoints", "secret", "token", "auth__config"];

fn is_secret(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    SECRET.iter().any(|word| text.contains(word))
}

/// What was expected and where, without what was found: that comes first in every message of
/// serde's that repeats it.
fn without_value(message: &str) -> String {
    // The name of a key is no secret, and what must be mended.
    if ["unknown field", "missing field"].iter().any(|what| message.starts_with(what)) {
        return message.to_owned();
    }
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("expected {expected}"),
        None => message.to_owned(),
    }
}

/// The parser's words about a file. It quotes the line, and which section the line belongs to
/// it does not say: a text behind a key may be a password. Place and key are enough.
fn without_texts(error: &str) -> String {
    let quoted;
    let mut lines: Vec<&str> = error.trim_end().split('\n').collect();
    let mut secret = false;
    // "TOML parse error at ..", a bar, "7 | the line", a bar with the place, the message.
    if lines.len() > 4 && lines[0].starts_with("TOML parse error") {
        if let Some((number, line)) = lines[2].split_once(" | ") {
            secret = is_secret(line);
            quoted = format!("{number} | {}", without_text(line, secret));
            lines[2] = &quoted;
        }
        let message = lines.split_off(4).join("\n");
        let told = lines.join("\n");
        return format!("{told}\n{}", without_found(&message, secret));
    }
    without_found(&lines.join("\n"), secret)
}

/// A line of the file: sections, keys, numbers.
fn without_text(line: &str, secret: bool) -> String {
    let plain = |text: &str| {
        let text = text.trim();
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-_.".contains(&byte));
        is_number || ["true", "false"].contains(&text)
    };
    match line.split_once('=') {
        Some((_, value)) if plain(value) && !secret => line.to_owned(),
        Some((key, _)) => format!("{key}= {NOT_SHOWN}"),
        None if line.trim_start().starts_with('[') && !line.contains(['"', '\'', ',']) => {
            line.to_owned()
        }
        None => NOT_SHOWN.to_owned(),
    }
}

/// A message without the text that was found.
fn without_found(message: &str, secret: bool) -> String {
    let of_text =
        message.starts_with("invalid type: string") || message.starts_with("invalid value: string");
    if secret || of_text { without_value(message) } else { message.to_owned() }
}

impl ConfigError {
    pub(super) fn syntax(error: &toml::de::Error) -> Self {
        Self::Syntax { place: NO_FILE.to_owned(), message: without_texts(&error.to_string()) }
    }

    pub(super) fn variable(variable: &str, value: &str, message: &str) -> Self {
        let (variable, message) = (variable.to_owned(), message.trim_end());
        // Nodes are configured with their passwords.
        let (value, message) = if is_secret(&variable) || is_secret(value) {
            (NOT_SHOWN.to_owned(), without_value(message))
        } else {
            (value.to_owned(), message.to_owned())
        };
        Self::Variable { variable, value, message }
    }

    pub(super) fn in_file(mut self, file: String) -> Self {
        if let Self::Syntax { place, .. } | Self::Nonsense { place, .. } = &mut self {
            *place = file;
        }
        self
    }
}

/// Collects problems while values are turned into what they mean.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        found: impl fmt::Display,
        right: impl fmt::Display,
    ) {
        let (found, right) = (found.to_string(), right.to_string());
        self.0.push(Problem { key: key.into(), found, right });
    }

    /// How many there are so far.
    pub(super) const fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn address(&mut self, key: impl Into<Cow<'static, str>>, text: &str) -> SocketAddr {
        // Names such as "localhost:3333" are resolved once, here.
        if let Some(address) = text.to_socket_addrs().ok().and_then(|mut all| all.next()) {
            return address;
        }
        self.add(key, format_args!("{text:?}"), "must be address:port, e.g. \"127.0.0.1:3333\"");
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    pub(super) fn seconds(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        value: u64,
        most: u64,
    ) -> Duration {
        if value == 0 || value > most {
            self.add(key, value, format_args!("must be 1 to {most} seconds"));
        }
        Duration::from_secs(value)
    }

    /// Coins in decimal, or without a limit.
    fn reserve(&mut self, text: &str, decimals: u8) -> Option<u64> {
        if text == "unlimited" {
            return None;
        }
        let units = units_of(text, decimals);
        if units.is_none() {
            let right = format_args!(
                "must be coins with at most {decimals} digits behind the point, e.g. \"250.5\", \
                 or \"unlimited\""
            );
            self.add("payout.reserve", format_args!("{text:?}"), right);
        }
        units
    }

    pub(super) fn difficulty(
        &mut self,
        key: impl Into<Cow<'static, str>>,
        value: f64,
    ) -> Difficulty {
        // Components count difficulty in units of 2^-32, in 64 bits.
        let usable = 1.0 / 4_294_967_296.0..=4_294_967_295.0;
        match Difficulty::new(value) {
            Ok(difficulty) if usable.contains(&value) => difficulty,
            _ => {
                self.add(key, value, "must be a number from 1e-9 to 4294967295");
                Difficulty::ONE
            }
        }
    }

    pub(super) fn algorithm(&mut self, key: &'static str, name: &str) -> Algorithm {
        name.parse().unwrap_or_else(|error| {
            self.add(key, format_args!("{name:?}"), error);
            Algorithm::default()
        })
    }
}

impl RawConfig {
    pub(super) fn check(self) -> Result<Config, ConfigError> {
        let mut problems = Problems::default();
        let pool = self.pool;
        if pool.name.is_empty() || pool.name.len() > 20 || !pool.name.is_ascii() {
            let found = format_args!("{:?}", pool.name);
            problems.add("pool.name", found, "must be 1 to 20 ASCII characters: it tags blocks");
        }
        if pool.max_miners == Some(0) {
            problems.add("pool.max_miners", 0, "must be at least 1");
        }
        if pool.data_dir.is_empty() {
            problems.add("pool.data_dir", "\"\"", "must name a directory");
        }
        let grace = problems.seconds("pool.grace_s", pool.grace_s, 3_600);
        let stratum = self.stratum.check(&mut problems);
        let withdraw_after =
            problems.seconds("chain.withdraw_after_s", self.chain.withdraw_after_s, 86_400);
        let (chain, coin) = self.chain.check(&mut problems);
        let decimals = coin.decimals;
        if !["text", "json"].contains(&self.log.format.as_str()) {
            let found = format_args!("{:?}", self.log.format);
            problems.add("log.format", found, "must be \"text\" or \"json\"");
        }
        if self.log.level.parse::<tracing_subscriber::EnvFilter>().is_err() {
            let found = format_args!("{:?}", self.log.level);
            problems.add("log.level", found, "must be error, warn, info, debug or trace");
        }
        let (payout, auth, difficulty) = (self.payout, self.auth, self.difficulty);
        let grantable = Grantable::named(auth.endpoints.keys(), auth.secrets.keys());
        let capabilities = capabilities(&mut problems, auth.endpoints, auth.secrets);
        let grants = slot_grants(&mut problems, "auth.grants", &auth.grants, Some(&grantable));
        let auth_slot =
            slot(&mut problems, "auth.policy", auth.policy, auth.digest, auth.config, grants);
        let payout_grants = slot_grants(&mut problems, "payout.grants", &payout.grants, None);
        let difficulty_grants =
            slot_grants(&mut problems, "difficulty.grants", &difficulty.grants, None);
        let config = Config {
            pool: Pool {
                name: pool.name,
                data_dir: pool.data_dir.into(),
                miners_max: pool.max_miners.unwrap_or_else(miners_default),
                grace,
                durability: pool.durability,
            },
            stratum,
            chain,
            withdraw_after,
            coin,
            take_over: payout.take_over,
            account_fees_ppm: account_fees(&mut problems, payout.account_fee_ppm),
            settlement: Settlement {
                timeout: problems.seconds(
                    "payout.settle_timeout_s",
                    payout.settle_timeout_s,
                    3_600,
                ),
                program: (!payout.settle_program.is_empty())
                    .then(|| PathBuf::from(&payout.settle_program)),
                cross_check: payout.cross_check,
                reserve: problems.reserve(&payout.reserve, decimals),
            },
            settle_interval: problems.seconds(
                "payout.settle_interval_s",
                payout.settle_interval_s,
                86_400,
            ),
            payout: slot(
                &mut problems,
                "payout.scheme",
                payout.scheme,
                payout.digest,
                payout.config,
                payout_grants,
            ),
            auth: auth_slot,
            capabilities,
            unknown_users: auth.unknown_when_down,
            retarget_interval: problems.seconds(
                "difficulty.retarget_interval_s",
                difficulty.retarget_interval_s,
                600,
            ),
            difficulty: slot(
                &mut problems,
                "difficulty.strategy",
                difficulty.strategy,
                difficulty.digest,
                difficulty.config,
                difficulty_grants,
            ),
            swap: self.swap.check(&mut problems),
            plugin_directory: (!self.plugins.directory.is_empty())
                .then(|| PathBuf::from(&self.plugins.directory)),
            api_listen: problems.address("api.listen", &self.api.listen),
            log: Log { level: self.log.level, json: self.log.format == "json" },
        };
        if let Some(directory) = &config.plugin_directory
            && !directory.is_dir()
        {
            let found = format_args!("{:?}", self.plugins.directory);
            problems.add("plugins.directory", found, "must be an existing directory");
        }
        if problems.0.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Nonsense { place: NO_FILE.to_owned(), problems: problems.0 })
        }
    }
}

/// As many as one instance is made for, or as many as the system allows without being asked.
fn miners_default() -> u32 {
    const MOST: u32 = 10_000;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let allowed = limit.maximum.map_or(u64::MAX, |most| most.saturating_sub(OTHER_FILES));
    u32::try_from(allowed).unwrap_or(MOST).clamp(1, MOST)
}

impl RawSwap {
    fn check(self, problems: &mut Problems) -> Swap {
        for (key, value) in
            [("swap.canary_ppm", self.canary_ppm), ("swap.error_budget_ppm", self.error_budget_ppm)]
        {
            if value > 1_000_000 {
                problems.add(key, value, "must be 0 to 1000000 parts per million");
            }
        }
        let mut up_to_a_month = |key, seconds| {
            if seconds > MONTH_S {
                problems.add(key, seconds, format_args!("must be at most {MONTH_S} seconds"));
            }
            Duration::from_secs(seconds)
        };
        Swap {
            shadow: up_to_a_month("swap.shadow_s", self.shadow_s),
            canary: up_to_a_month("swap.canary_s", self.canary_s),
            canary_ppm: self.canary_ppm,
            probation: up_to_a_month("swap.probation_s", self.probation_s),
            probation_calls: self.probation_calls,
            error_budget_ppm: self.error_budget_ppm,
            notice: up_to_a_month("swap.notice_s", self.notice_s),
            watch: self.watch,
        }
    }
}

fn account_fees(
    problems: &mut Problems,
    fees: BTreeMap<String, i64>,
) -> BTreeMap<AccountName, i32> {
    const KEY: &str = "payout.account_fee_ppm";
    let most = 1_000_000;
    let mut checked = BTreeMap::new();
    for (account, fee) in fees {
        let found = format!("{account:?} = {fee}");
        let ppm = i32::try_from(fee).ok().filter(|ppm| (-most..=most).contains(ppm));
        match (AccountName::new(&account), ppm) {
            (Err(error), _) => problems.add(KEY, found, error),
            (_, None) => {
                let right = "must be -1000000 to 1000000 parts per million: 5000 is half a \
                             percent more than others pay, -5000 half a percent less";
                problems.add(KEY, found, right);
            }
            (Ok(account), Some(ppm)) => {
                checked.insert(account, ppm);
            }
        }
    }
    checked
}

fn slot(
    problems: &mut Problems,
    key: &'static str,
    component: String,
    digest: Option<String>,
    config: Table,
    grants: Grants,
) -> Slot {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if component.is_empty() || !component.bytes().all(plain) || Path::new(&component).is_absolute()
    {
        let found = format_args!("{component:?}");
        problems.add(key, found, "must be a component's name, e.g. \"payout-pplns\"");
    }
    let digest = digest.and_then(|text| {
        let parsed = text.parse();
        parsed.inspect_err(|error| problems.add(key, format_args!("digest {text:?}"), error)).ok()
    });
    let config = serde_json::to_string(&config).expect("TOML tables have text keys");
    Slot { component, digest, config, grants }
}

/// Base units of an amount of coins, exactly; no sign, no exponent, no digit too many.
fn units_of(coins: &str, decimals: u8) -> Option<u64> {
    let (whole, part) = coins.split_once('.').unwrap_or((coins, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let width = usize::from(decimals);
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > width {
        return None;
    }
    format!("{whole}{part:0<width$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::units_of;
    use crate::config::Config;

    #[test]
    fn coins_become_base_units_exactly() {
        for (coins, decimals, units) in [
            ("250.5", 8, Some(25_050_000_000)),
            ("0", 8, Some(0)),
            ("7", 0, Some(7)),
            ("0.00000001", 8, Some(1)),
            ("0.000000001", 8, None),
            ("18446744073709551616", 0, None),
            ("-1", 8, None),
            ("1e3", 8, None),
            (".5", 8, None),
            ("", 8, None),
        ] {
            assert_eq!(units_of(coins, decimals), units, "{coins}");
        }
    }

    fn refused(text: &str, overrides: &[(&str, &str)]) -> String {
        let overrides: Vec<_> =
            overrides.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Config::parse(text, &overrides).unwrap_err().to_string()
    }

    #[test]
    fn a_refused_variable_does_not_repeat_a_secret() {
        for (variable, value, expected) in [
            ("CHIMERA_CHAIN__NODES", "hunter2", "in `chain.nodes`"),
            ("CHIMERA_CHAIN__NODES", "[{ url = \"http://h\", user = \"hunter2\" }", "expected a"),
            ("CHIMERA_AUTH__SECRETS", "hunter2", "expected a map"),
            ("CHIMERA_AUTH__SECRETS__JWT", "hunter2", "in `auth.secrets.jwt`"),
            ("CHIMERA_AUTH__ENDPOINTS__USERS__HEADERS", "hunter2", "expected a map"),
            ("CHIMERA_AUTH__CONFIG", "{ alice = hunter2 }", "expected a map"),
            ("CHIMERA_PASSWORD", "hunter2", "names no key"),
        ] {
            let message = refused("", &[(variable, value)]);
            assert!(message.contains(expected) && message.contains(variable), "{message}");
            assert!(message.contains("(not shown)") && !message.contains("hunter2"), "{message}");
        }
        let public = refused("", &[("CHIMERA_POOL__MAX_MINERS", "many")]);
        assert!(public.contains("\"many\""), "{public}");
    }

    #[test]
    fn a_refused_file_does_not_repeat_a_text() {
        for (text, place, expected) in [
            ("[auth.config.passwords]\nalice = hunter2", "line 2", "alice = (not shown)"),
            ("[auth.config.passwords]\nalice = \"hunter2", "line 2", "alice = (not shown)"),
            ("[auth.secrets]\njwt = \"hunter2\"", "line 2", "expected"),
            ("[chain]\nnodes = \"hunter2\"", "line 2", "nodes = (not shown)"),
            ("[chain]\nnodes = [\n\"hunter2\",\n]", "line", "expected"),
            ("[auth]\nconfig = { password = hunter2 }", "line 2", "config = (not shown)"),
            ("[pool]\nmax_miner = 3", "line 2", "max_miner = 3"),
            ("[pool]\nmax_miners = \"hunter2\"", "line 2", "expected u32"),
        ] {
            let message = refused(text, &[]);
            assert!(message.contains(place) && message.contains(expected), "{text}: {message}");
            assert!(!message.contains("hunter2"), "{text}: {message}");
        }
    }
}
