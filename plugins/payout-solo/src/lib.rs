//! Solo: the finder has the block, the pool its fee, and nobody else's work counts.
//!
//! Amount = reward x (1 - fee), all of it the finder's, whatever its work before the block:
//! the expected value of a share is that of PPS, and the miner bears all the variance.

use chimera_plugin_sdk::{
    Component, Diagnostic, Outcome, PayoutScheme, Plan, PluginError, Request, SchemeKind,
    WindowSize, distribute, export_payout_scheme, fee_problem,
};
use serde::{Deserialize, Serialize};

/// The fee.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The pool's part of every reward, parts per million.
    pub fee_ppm: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { fee_ppm: 10_000 }
    }
}

/// The scheme.
pub struct Solo;

impl Component for Solo {
    type Config = Config;
    const NAME: &'static str = "payout-solo";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        fee_problem(config.fee_ppm).into_iter().collect()
    }
}

impl PayoutScheme for Solo {
    fn plan(_: &Config) -> Result<Plan, PluginError> {
        Ok(Plan {
            kind: SchemeKind::Distribute,
            window: WindowSize::None,
            buckets: 1,
            max_carry: 0,
        })
    }

    fn settle(config: &Config, mut request: Request) -> Result<Outcome, PluginError> {
        let block = request.block()?;
        let rows = request.accounts.key.len();
        let finder = block.finder.map(|row| row as usize).filter(|row| *row < rows);
        let Some(finder) = finder else {
            return Err(PluginError::InvalidInput("a block without its finder's row".to_owned()));
        };
        // The finder's work may be none but the winning share, which no window counts.
        request.accounts.work = vec![0; rows];
        request.accounts.work[finder] = 1;
        let pot = request.pot(block.reward)?;
        Ok(distribute(request.accounts, pot, config.fee_ppm))
    }
}

export_payout_scheme!(Solo);
