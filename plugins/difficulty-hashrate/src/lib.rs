//! Difficulty in proportion to the measured hashrate: what a session found in about the last
//! window, per second, divided by the shares it should find.
//!
//! Unlike difficulty-vardiff it follows small changes too, a little behind and a little
//! unsteadily: a large one is noticed at once, and what was before is forgotten.

mod measure;
#[cfg(test)]
mod tests;

use chimera_plugin_sdk::{
    Batch, Component, Diagnostic, Difficulties, DifficultyStrategy, Hello, Meter, PluginError,
    Verdicts, export_difficulty_strategy, problem,
};
use serde::{Deserialize, Serialize};

use measure::{Rule, WORDS};

/// Shares per minute, and over how long.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many times higher or lower one change may be.
    pub max_step: u64,
    /// How many shares a session should find.
    pub target_shares_per_minute: u64,
    /// How far off the difficulty may be, in percent.
    pub tolerance_percent: u64,
    /// How long the hashrate is measured, in seconds.
    pub window_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_step: 8, target_shares_per_minute: 20, tolerance_percent: 10, window_s: 600 }
    }
}

/// The strategy.
pub struct Hashrate;

impl Component for Hashrate {
    type Config = Config;
    const NAME: &'static str = "difficulty-hashrate";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        [
            ("/max_step", config.max_step, 2, 64),
            ("/target_shares_per_minute", config.target_shares_per_minute, 1, 6000),
            ("/tolerance_percent", config.tolerance_percent, 1, 100),
            ("/window_s", config.window_s, 10, 86_400),
        ]
        .into_iter()
        .filter(|(_, value, low, high)| !(low..=high).contains(&value))
        .map(|(at, value, low, high)| problem(at, format!("{value}"), &format!("{low} to {high}")))
        .collect()
    }
}

impl DifficultyStrategy for Hashrate {
    fn state_words(_: &Config) -> u32 {
        WORDS as u32
    }

    /// What the worker had, else what it asks for, else the easiest.
    fn initial(_: &Config, hello: Vec<Hello>) -> Result<Difficulties, PluginError> {
        let first = |hello: Hello| {
            let known = hello.previous.or(hello.hint);
            hello.bounds().clamp(known.unwrap_or(hello.minimum))
        };
        Ok(hello.into_iter().map(first).collect())
    }

    fn retarget(config: &Config, mut batch: Batch) -> Result<Verdicts, PluginError> {
        let rows = batch.rows(WORDS as u32)?;
        let rule = Rule::new(config);
        let mut state = std::mem::take(&mut batch.state);
        let mut next = Vec::with_capacity(rows);
        for (row, words) in state.as_chunks_mut().0.iter_mut().enumerate() {
            let mut meter = Meter::from_words(*words);
            let (tick, current) = (batch.tick(row), batch.current[row]);
            next.push(rule.tick(&mut meter, tick, current, batch.bounds(row)));
            *words = meter.to_words();
        }
        Ok(Verdicts { next, state })
    }
}

export_difficulty_strategy!(Hashrate);
