//! One difficulty for every session; a miner may ask for its own, by `d=` in the password or
//! by suggestion, if the operator lets it.

use chimera_plugin_sdk::{
    Batch, Component, Decimal, Difficulties, DifficultyStrategy, Hello, PluginError, Verdicts,
    export_difficulty_strategy,
};
use serde::{Deserialize, Serialize};

/// The difficulty.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The difficulty, exact to 2^-32.
    pub difficulty: Decimal,
    /// Whether a miner's own wish counts.
    pub hint: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { difficulty: Decimal::one(), hint: false }
    }
}

/// The strategy.
pub struct Fixed;

impl Component for Fixed {
    type Config = Config;
    const NAME: &'static str = "difficulty-fixed";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");
}

/// Nothing is to be remembered: what a session has is what it shall have.
const STATE_WORDS: u32 = 0;

impl DifficultyStrategy for Fixed {
    fn state_words(_: &Config) -> u32 {
        STATE_WORDS
    }

    fn initial(config: &Config, hello: Vec<Hello>) -> Result<Difficulties, PluginError> {
        let first = |hello: Hello| {
            let wish = hello.hint.filter(|wish| config.hint && *wish > 0);
            hello.bounds().clamp(wish.unwrap_or(config.difficulty.units()))
        };
        Ok(hello.into_iter().map(first).collect())
    }

    fn retarget(config: &Config, batch: Batch) -> Result<Verdicts, PluginError> {
        let rows = batch.rows(STATE_WORDS)?;
        let next = (0..rows).map(|row| {
            let fixed = batch.bounds(row).clamp(config.difficulty.units());
            // Where hints count, what a session has is what it asked for.
            if config.hint || batch.current[row] == fixed { 0 } else { fixed }
        });
        Ok(Verdicts { next: next.collect(), state: batch.state })
    }
}

export_difficulty_strategy!(Fixed);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::check_config;

    use super::*;

    const ONE: u64 = 1 << 32;

    #[test]
    fn a_hint_counts_where_the_operator_lets_it() {
        // configuration, hint, first difficulty; bounds 1 to 8
        for (text, hint, first) in [
            (r#"{"difficulty": 2}"#, None, 2 * ONE),
            (r#"{"difficulty": 2}"#, Some(4 * ONE), 2 * ONE),
            (r#"{"difficulty": 2, "hint": true}"#, Some(4 * ONE), 4 * ONE),
            (r#"{"difficulty": 2, "hint": true}"#, Some(0), 2 * ONE),
            (r#"{"difficulty": 2, "hint": true}"#, Some(16 * ONE), 8 * ONE),
            (r#"{"difficulty": "0.5"}"#, None, ONE),
        ] {
            let config = check_config::<Fixed>(text).ok().unwrap().config;
            let hello = Hello {
                user_agent: String::new(),
                hint,
                previous: None,
                minimum: ONE,
                maximum: 8 * ONE,
            };
            assert_eq!(Fixed::initial(&config, vec![hello]).unwrap(), [first], "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for (text, at) in [
            (r#"{"difficulty": 0}"#, "/difficulty"),
            (r#"{"difficulty": -1}"#, "/difficulty"),
            (r#"{"difficulty": "hard"}"#, "/difficulty"),
            (r#"{"difficulty": true}"#, "/difficulty"),
            (r#"{"hint": 1}"#, "/hint"),
        ] {
            assert_eq!(check_config::<Fixed>(text).err().unwrap()[0].at, at, "{text}");
        }
    }
}
