//! Variable difficulty: every session finds shares at the same rate, whatever its hashrate.
//!
//! What is measured is accepted difficulty per time, not time between shares: shares of an
//! older difficulty count with their own. The measurement lasts until it says something:
//! a change needs the rate to be off by more than the tolerance *and* by more than luck.

mod session;

use chimera_plugin_sdk::{
    Batch, Component, Diagnostic, Difficulties, DifficultyStrategy, Hello, PluginError, Verdicts,
    export_difficulty_strategy, problem,
};
use serde::{Deserialize, Serialize};

use session::{Bounds, Session};

/// Rate and patience.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a session is watched before a change, in seconds.
    pub retarget_interval_s: u64,
    /// The rate every session is brought to.
    pub target_shares_per_minute: u64,
    /// How far off the rate may be, in percent.
    pub tolerance_percent: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { retarget_interval_s: 30, target_shares_per_minute: 20, tolerance_percent: 25 }
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
        let mut problems = Vec::new();
        for (at, value, low, high) in [
            ("/retarget_interval_s", config.retarget_interval_s, 1, 3600),
            ("/target_shares_per_minute", config.target_shares_per_minute, 1, 6000),
            ("/tolerance_percent", config.tolerance_percent, 5, 100),
        ] {
            if !(low..=high).contains(&value) {
                problems.push(problem(at, format!("{value}"), &format!("{low} to {high}")));
            }
        }
        problems
    }
}

impl DifficultyStrategy for Vardiff {
    fn state_words(_: &Config) -> u32 {
        session::STATE_WORDS
    }

    /// What the miner asked for, else the easiest: too easy is noticed and mended in seconds,
    /// too hard not before minutes.
    fn initial(_: &Config, hello: Vec<Hello>) -> Result<Difficulties, PluginError> {
        let first = |hello: Hello| {
            let bounds = Bounds { minimum: hello.minimum, maximum: hello.maximum };
            bounds.clamp(hello.hint.unwrap_or(hello.minimum))
        };
        Ok(hello.into_iter().map(first).collect())
    }

    fn retarget(config: &Config, batch: Batch) -> Result<Verdicts, PluginError> {
        let rows = batch.rows(session::STATE_WORDS)?;
        let mut state = batch.state;
        let mut next = Vec::with_capacity(rows);
        let (words, _) = state.as_chunks_mut::<{ session::STATE_WORDS as usize }>();
        for (row, words) in words.iter_mut().enumerate() {
            let mut session = Session::from_words(*words);
            session.observe(batch.accepted_difficulty[row], batch.window_ms[row]);
            let bounds = Bounds { minimum: batch.minimum[row], maximum: batch.maximum[row] };
            next.push(session.next(config, batch.current[row], bounds));
            *words = session.to_words();
        }
        Ok(Verdicts { next, state })
    }
}

export_difficulty_strategy!(Vardiff);

#[cfg(test)]
mod tests;
