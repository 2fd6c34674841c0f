//! The smallest difficulty strategy: double it when shares come twice as fast as they
//! should, halve it when they come half as fast.
//!
//! A strategy is asked about many sessions at once and remembers nothing: what it wants to
//! know again is in the state words of each row, which the host keeps.

use chimera_plugin_sdk::{
    Batch, Component, Diagnostic, Difficulties, DifficultyStrategy, Hello, PluginError, Verdicts,
    export_difficulty_strategy, problem,
};
use serde::{Deserialize, Serialize};

/// The settings. Every field has a default; what is misspelt is refused.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many shares a session should send in a minute.
    pub shares_per_minute: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { shares_per_minute: 12 }
    }
}

/// Fewer shares than this say little: luck alone doubles or halves their number.
const EVIDENCE_SHARES: u64 = 24;
/// What a session did longer ago than so many expected shares is forgotten.
const MEMORY_SHARES: u64 = 4 * EVIDENCE_SHARES;
/// State: accepted shares, and milliseconds, since the last change.
const STATE_WORDS: u32 = 2;

/// The strategy.
pub struct Doubling;

impl Component for Doubling {
    type Config = Config;
    const NAME: &'static str = "difficulty-doubling";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        if (1..=600).contains(&config.shares_per_minute) {
            return Vec::new();
        }
        let message = format!("{} shares per minute", config.shares_per_minute);
        vec![problem("/shares_per_minute", message, "1 to 600")]
    }
}

impl DifficultyStrategy for Doubling {
    fn state_words(_: &Config) -> u32 {
        STATE_WORDS
    }

    fn initial(_: &Config, hello: Vec<Hello>) -> Result<Difficulties, PluginError> {
        // What the worker had, what it asks for, or the lowest: from there it doubles.
        let first = |hello: Hello| {
            let wanted = hello.previous.or(hello.hint).unwrap_or(hello.minimum);
            wanted.min(hello.maximum).max(hello.minimum)
        };
        Ok(hello.into_iter().map(first).collect())
    }

    fn retarget(config: &Config, mut batch: Batch) -> Result<Verdicts, PluginError> {
        let rows = batch.rows(STATE_WORDS)?;
        let mut next = Vec::with_capacity(rows);
        let mut state = std::mem::take(&mut batch.state);
        for (row, words) in state.chunks_exact_mut(STATE_WORDS as usize).enumerate() {
            let accepted = words[0].saturating_add(batch.accepted[row].into());
            let elapsed_ms = words[1].saturating_add(batch.window_ms[row].into());
            let expected = elapsed_ms.saturating_mul(config.shares_per_minute.into()) / 60_000;
            let current = batch.current[row];
            let wanted = if accepted >= EVIDENCE_SHARES && accepted / 2 >= expected {
                current.saturating_mul(2)
            } else if expected >= EVIDENCE_SHARES && accepted <= expected / 2 {
                current / 2
            } else {
                current
            };
            let wanted = wanted.min(batch.maximum[row]).max(batch.minimum[row]);
            let anew = wanted != current || expected > MEMORY_SHARES;
            words.copy_from_slice(&if anew { [0, 0] } else { [accepted, elapsed_ms] });
            // 0 keeps what the session has.
            next.push(if wanted == current { 0 } else { wanted });
        }
        Ok(Verdicts { next, state })
    }
}

export_difficulty_strategy!(Doubling);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::check_config;

    use super::*;

    /// Difficulty 1.0.
    const ONE: u64 = 1 << 32;

    /// One session that sent so many shares in so many seconds, with bounds 1 to 8.
    fn after(current: u64, accepted: u32, seconds: u32, state: [u64; 2]) -> (u64, Vec<u64>) {
        let batch = Batch {
            current: vec![current],
            minimum: vec![ONE],
            maximum: vec![8 * ONE],
            accepted: vec![accepted],
            stale: vec![0],
            rejected: vec![0],
            accepted_difficulty: vec![u64::from(accepted) * current],
            window_ms: vec![seconds * 1000],
            connected_ms: vec![seconds * 1000],
            state: state.to_vec(),
        };
        let verdicts = Doubling::retarget(&Config::default(), batch).unwrap();
        (verdicts.next[0], verdicts.state)
    }

    #[test]
    fn difficulty_follows_the_rate_of_shares() {
        // difficulty, shares, seconds, the next difficulty; 12 shares a minute are wanted
        for (current, accepted, seconds, next) in [
            (2 * ONE, 24, 60, 4 * ONE),
            (2 * ONE, 24, 120, 0),
            (2 * ONE, 12, 120, ONE),
            // Not enough to tell.
            (2 * ONE, 23, 10, 0),
            (2 * ONE, 0, 60, 0),
            // Never past what the host allows.
            (8 * ONE, 1000, 60, 0),
            (ONE, 0, 600, 0),
        ] {
            let (found, _) = after(current, accepted, seconds, [0, 0]);
            assert_eq!(found, next, "{accepted} shares in {seconds}s at {current}");
        }
    }

    #[test]
    fn what_is_not_enough_to_tell_is_remembered() {
        let (next, state) = after(2 * ONE, 20, 30, [0, 0]);
        assert_eq!((next, state.as_slice()), (0, &[20, 30_000][..]));
        let (next, state) = after(2 * ONE, 20, 30, [20, 30_000]);
        assert_eq!((next, state.as_slice()), (4 * ONE, &[0, 0][..]));
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for text in [r#"{"shares_per_minute": 0}"#, r#"{"shares_per_minute": 601}"#] {
            let found = check_config::<Doubling>(text).err().unwrap();
            assert_eq!(found[0].at, "/shares_per_minute", "{text}");
        }
    }
}
