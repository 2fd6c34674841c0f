//! Proportional: each block is split by the work since the pool's previous block.
//!
//! Amount = reward x work in the round / all work in the round x (1 - fee). Hoppable
//! (Rosenfeld, arXiv 1112.4980, section 2.3: early shares of a round are worth more); shipped
//! because operators of small private pools ask for it. Exact; a round has no size of its
//! own, so there is no unfilled part.

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
pub struct Prop;

impl Component for Prop {
    type Config = Config;
    const NAME: &'static str = "payout-prop";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        fee_problem(config.fee_ppm).into_iter().collect()
    }
}

impl PayoutScheme for Prop {
    fn plan(_: &Config) -> Result<Plan, PluginError> {
        Ok(Plan {
            kind: SchemeKind::Distribute,
            window: WindowSize::SinceLastBlock,
            buckets: 1,
            max_carry: 0,
        })
    }

    fn settle(config: &Config, request: Request) -> Result<Outcome, PluginError> {
        let block = request.block()?;
        let pot = request.pot(block.reward)?;
        Ok(distribute(request.accounts, pot, config.fee_ppm))
    }
}

export_payout_scheme!(Prop);
