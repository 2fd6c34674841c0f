//! TIDES-like (OCEAN's Transparent Index of Distinct Extended Shares): the share log holds
//! eight blocks of work, and every block is divided by the log as it stands, fees included.
//!
//! Amount = reward x work in the log / all work in the log x (1 - fee): each share is paid
//! eight times on average. That is PPLNS with N = 8, whose unfilled log goes to those present.
//! One difference to the original: the host weighs every share with the difficulty of its
//! own time, where OCEAN measures the log by the current one, so nothing is to be gained by
//! hopping around a change.

use chimera_plugin_sdk::{
    Component, Diagnostic, Outcome, PayoutScheme, Plan, PluginError, Request, SchemeKind, Unfilled,
    WindowSize, distribute_window, export_payout_scheme, fee_problem,
};
use serde::{Deserialize, Serialize};

/// Fee, and who has what a young log leaves.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The pool's part of every reward, parts per million.
    pub fee_ppm: u32,
    /// Who has the unfilled part of a young pool's log.
    pub unfilled: Unfilled,
}

impl Default for Config {
    fn default() -> Self {
        Self { fee_ppm: 10_000, unfilled: Unfilled::Miners }
    }
}

/// Eight blocks of work.
const LOG_MILLI: u64 = 8_000;

/// The scheme.
pub struct Tides;

impl Component for Tides {
    type Config = Config;
    const NAME: &'static str = "payout-tides";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        fee_problem(config.fee_ppm).into_iter().collect()
    }
}

impl PayoutScheme for Tides {
    fn plan(_: &Config) -> Result<Plan, PluginError> {
        Ok(Plan {
            kind: SchemeKind::Distribute,
            window: WindowSize::NetworkWorkMilli(LOG_MILLI),
            buckets: 1,
            max_carry: 0,
        })
    }

    fn settle(config: &Config, request: Request) -> Result<Outcome, PluginError> {
        let block = request.block()?;
        let pot = request.pot(block.reward)?;
        let (log, fee) = (block.window_work, config.fee_ppm);
        distribute_window(request.accounts, pot, log, config.unfilled, fee)
    }
}

export_payout_scheme!(Tides);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::{Accounts, BLOCK_WORK, BlockEvent, Event, Slices};

    use super::*;

    #[test]
    fn an_unfilled_log_goes_to_those_present_unless_the_operator_says_otherwise() {
        for (unfilled, pool) in [(Unfilled::Miners, 10), (Unfilled::Pool, 877)] {
            let request = Request {
                event: Event::Block(BlockEvent {
                    height: 1,
                    reward: 1000,
                    tx_fees: 400,
                    window_work: 8 * BLOCK_WORK,
                    found_at: 0,
                    finder: None,
                }),
                accounts: Accounts { key: vec![1], work: vec![BLOCK_WORK], fee_ppm: vec![0] },
                slices: Slices { account: vec![], bucket: vec![], work: vec![] },
                carry: 0,
                state: vec![],
            };
            let config = Config { unfilled, ..Config::default() };
            // An eighth of 990 is 123.75: the fraction is the pool's, which has the rest.
            assert_eq!(Tides::settle(&config, request).unwrap().pool_fee, pool);
        }
    }
}
