//! Variable difficulty within bounds that depend on the mining software: rented hashrate that
//! leaves below a minimum (NiceHash), miners that find nothing above a maximum.
//!
//! A strategy hears of the user agent only when a session begins. So a session begins at a
//! difficulty that tells which rule it is under, and its words remember the rule's bounds.

mod rule;
#[cfg(test)]
mod tests;

use chimera_plugin_sdk::{
    Aim, Batch, Bounds, Component, Diagnostic, Difficulties, DifficultyStrategy, Hello,
    METER_WORDS, Meter, Pace, PluginError, Verdicts, aim_problems, export_difficulty_strategy,
};
use serde::{Deserialize, Serialize};

pub use rule::Rule;

/// Rules, rate, and patience.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Bounds by user agent, the first that is contained counts.
    pub agents: Vec<Rule>,
    /// How long a session is watched before a change, in seconds.
    pub retarget_interval_s: u64,
    /// The rate every session is brought to.
    pub target_shares_per_minute: u64,
    /// How far off the rate may be, in percent.
    pub tolerance_percent: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            agents: rule::known(),
            retarget_interval_s: 30,
            target_shares_per_minute: 20,
            tolerance_percent: 15,
        }
    }
}

/// The strategy.
pub struct Agent;

impl Component for Agent {
    type Config = Config;
    const NAME: &'static str = "difficulty-agent";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        let mut problems = aim_problems(
            config.target_shares_per_minute,
            config.tolerance_percent,
            config.retarget_interval_s,
        );
        let rules = config.agents.iter().enumerate();
        problems.extend(rules.filter_map(|(index, rule)| rule.problem(index)));
        problems
    }
}

/// The rule's lowest and highest difficulty (zeroes until the session was seen), and the meter.
const WORDS: usize = 2 + METER_WORDS;

impl DifficultyStrategy for Agent {
    fn state_words(_: &Config) -> u32 {
        WORDS as u32
    }

    fn initial(config: &Config, hello: Vec<Hello>) -> Result<Difficulties, PluginError> {
        let first = |hello: Hello| {
            let rule = config.agents.iter().find(|rule| rule.covers(&hello.user_agent));
            let first = match rule {
                Some(rule) => rule.first(),
                None => hello.previous.or(hello.hint).unwrap_or(hello.minimum),
            };
            hello.bounds().clamp(first)
        };
        Ok(hello.into_iter().map(first).collect())
    }

    fn retarget(config: &Config, mut batch: Batch) -> Result<Verdicts, PluginError> {
        let rows = batch.rows(WORDS as u32)?;
        let pace = Pace::new(config.target_shares_per_minute, 60_000);
        let aim = Aim::new(pace, config.tolerance_percent, config.retarget_interval_s);
        let mut state = std::mem::take(&mut batch.state);
        let mut next = Vec::with_capacity(rows);
        for (row, words) in state.as_chunks_mut().0.iter_mut().enumerate() {
            let [mut lowest, mut highest, a, b, c]: [u64; WORDS] = *words;
            let (current, bounds) = (batch.current[row], batch.bounds(row));
            if highest == 0 {
                (lowest, highest) = rule::bounds_of(&config.agents, current, bounds);
            }
            let bounds = within(bounds, lowest, highest);
            let mut meter = Meter::from_words([a, b, c]);
            next.push(meter.tick(&aim, batch.tick(row), current, bounds));
            let [a, b, c] = meter.to_words();
            *words = [lowest, highest, a, b, c];
        }
        Ok(Verdicts { next, state })
    }
}

/// The rule's bounds, as far as the host's allow.
fn within(host: Bounds, lowest: u64, highest: u64) -> Bounds {
    Bounds { minimum: host.clamp(lowest), maximum: host.clamp(highest) }
}

export_difficulty_strategy!(Agent);
