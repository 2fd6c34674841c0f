//! Variable difficulty: every session finds shares at the same rate, whatever its hashrate.
//!
//! What is measured is accepted difficulty per time, not time between shares: shares of an
//! older difficulty count with their own. A difficulty changes when the rate is off by more
//! than the tolerance *and* by more than luck.

use chimera_plugin_sdk::{
    Aim, Batch, Component, Decimal, Diagnostic, Difficulties, DifficultyStrategy, Hello,
    METER_WORDS, Meter, Pace, PluginError, Verdicts, agent_contains, aim_problems,
    export_difficulty_strategy,
};
use serde::{Deserialize, Serialize};

/// Rate, patience, and where to begin.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a session is watched before a change, in seconds.
    pub retarget_interval_s: u64,
    /// First difficulties by user agent, the first that is contained counts.
    pub start: Vec<Start>,
    /// The rate every session is brought to.
    pub target_shares_per_minute: u64,
    /// How far off the rate may be, in percent.
    pub tolerance_percent: u64,
}

/// Where sessions of one kind of miner begin.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// What the user agent contains, in whatever case.
    pub agent: String,
    /// The first difficulty.
    pub difficulty: Decimal,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            retarget_interval_s: 30,
            start: Vec::new(),
            target_shares_per_minute: 20,
            tolerance_percent: 15,
        }
    }
}

/// The strategy.
pub struct Vardiff;

impl Component for Vardiff {
    type Config = Config;
    const NAME: &'static str = "difficulty-vardiff";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        aim_problems(
            config.target_shares_per_minute,
            config.tolerance_percent,
            config.retarget_interval_s,
        )
    }
}

impl DifficultyStrategy for Vardiff {
    fn state_words(_: &Config) -> u32 {
        METER_WORDS as u32
    }

    /// What the worker had, else what it asks for, else what its kind begins with, else the
    /// easiest: too easy is noticed and mended in seconds, too hard not before a minute.
    fn initial(config: &Config, hello: Vec<Hello>) -> Result<Difficulties, PluginError> {
        let kind = |agent: &str| {
            let start = config.start.iter().find(|start| agent_contains(agent, &start.agent));
            start.map(|start| start.difficulty.units())
        };
        let first = |hello: Hello| {
            let known = hello.previous.or(hello.hint).or_else(|| kind(&hello.user_agent));
            hello.bounds().clamp(known.unwrap_or(hello.minimum))
        };
        Ok(hello.into_iter().map(first).collect())
    }

    fn retarget(config: &Config, mut batch: Batch) -> Result<Verdicts, PluginError> {
        let rows = batch.rows(METER_WORDS as u32)?;
        let pace = Pace::new(config.target_shares_per_minute, 60_000);
        let aim = Aim::new(pace, config.tolerance_percent, config.retarget_interval_s);
        let mut state = std::mem::take(&mut batch.state);
        let mut next = Vec::with_capacity(rows);
        for (row, words) in state.as_chunks_mut().0.iter_mut().enumerate() {
            let mut meter = Meter::from_words(*words);
            next.push(meter.tick(&aim, batch.tick(row), batch.current[row], batch.bounds(row)));
            *words = meter.to_words();
        }
        Ok(Verdicts { next, state })
    }
}

export_difficulty_strategy!(Vardiff);

#[cfg(test)]
mod tests;
