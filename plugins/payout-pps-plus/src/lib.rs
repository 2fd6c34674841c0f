//! PPS+: work is worth its part of the subsidy at once, and the transaction fees of every block
//! found are divided over a PPLNS window.
//!
//! Of an interval: amount = (expected reward - expected fees) x work / network work x (1 - fee),
//! with the fraction of a unit kept for the next interval (Rosenfeld, arXiv 1112.4980, section
//! 2.2). Of a block: amount = transaction fees x work in the window / N blocks of work x
//! (1 - fee on fees) (section 3.3). The operator bears the variance of the subsidy, which the
//! rest of each block's reward pays back; the miners bear that of the fees.

use chimera_plugin_sdk::{
    Component, Diagnostic, Event, Outcome, PayoutScheme, Plan, PluginError, Request, SchemeKind,
    Unfilled, WindowSize, accrue, distribute_window, export_payout_scheme, fee_problem,
    fee_problem_at, window_problem,
};
use serde::{Deserialize, Serialize};

/// Fees, and the window that divides transaction fees.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The pool's part of every share's value, parts per million.
    pub fee_ppm: u32,
    /// N, in thousandths of the work one block takes.
    pub n_milli: u64,
    /// The pool's part of the transaction fees, parts per million.
    pub tx_fees_fee_ppm: u32,
    /// Who has the unfilled part of a young pool's window.
    pub unfilled: Unfilled,
}

impl Default for Config {
    fn default() -> Self {
        Self { fee_ppm: 20_000, n_milli: 2000, tx_fees_fee_ppm: 20_000, unfilled: Unfilled::Miners }
    }
}

/// The scheme.
pub struct PpsPlus;

impl Component for PpsPlus {
    type Config = Config;
    const NAME: &'static str = "payout-pps-plus";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        window_problem(config.n_milli)
            .into_iter()
            .chain(fee_problem(config.fee_ppm))
            .chain(fee_problem_at("/tx_fees_fee_ppm", config.tx_fees_fee_ppm))
            .collect()
    }
}

impl PayoutScheme for PpsPlus {
    fn plan(config: &Config) -> Result<Plan, PluginError> {
        Ok(Plan {
            kind: SchemeKind::Hybrid,
            window: WindowSize::NetworkWorkMilli(config.n_milli),
            buckets: 1,
            max_carry: 0,
        })
    }

    fn settle(config: &Config, request: Request) -> Result<Outcome, PluginError> {
        match request.event {
            Event::Interval(_) => {
                let interval = request.interval()?;
                let (accounts, network_work) = (&request.accounts, interval.network_work);
                let subsidy = interval.expected_subsidy()?;
                accrue(accounts, network_work, subsidy, config.fee_ppm, &request.state)
            }
            Event::Block(_) => {
                let block = request.block()?;
                let pot = request.pot(block.tx_fees)?;
                let (window, fee) = (block.window_work, config.tx_fees_fee_ppm);
                let outcome =
                    distribute_window(request.accounts, pot, window, config.unfilled, fee)?;
                // A block pays no work: what is owed for it stays owed.
                Ok(Outcome { state: request.state, ..outcome })
            }
        }
    }
}

export_payout_scheme!(PpsPlus);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::{
        Accounts, Allocation, BLOCK_WORK, BlockEvent, IntervalEvent, Slices, check_config,
    };

    use super::*;

    fn settle(event: Event, work: u64, state: Vec<u8>) -> Outcome {
        let request = Request {
            event,
            accounts: Accounts { key: vec![7], work: vec![work], fee_ppm: vec![0] },
            slices: Slices { account: vec![], bucket: vec![], work: vec![] },
            carry: 3,
            state,
        };
        let config = Config { fee_ppm: 0, ..Config::default() };
        PpsPlus::settle(&config, request).unwrap()
    }

    #[test]
    fn blocks_between_intervals_leave_what_is_owed_for_work() {
        let interval = Event::Interval(IntervalEvent {
            started_at: 0,
            ended_at: 1,
            network_work: BLOCK_WORK,
            expected_reward: 11,
            expected_fees: 10,
        });
        let block = Event::Block(BlockEvent {
            height: 1,
            reward: 500,
            tx_fees: 97,
            window_work: 2 * BLOCK_WORK,
            found_at: 0,
            finder: None,
        });
        let half = settle(interval, BLOCK_WORK / 2, vec![]);
        assert!(matches!(half.allocation, Allocation::Amounts(amounts) if amounts == [0]));
        // Fees and carry are divided, less 2 %; the rest of the reward is the reserve's.
        let outcome = settle(block, 2 * BLOCK_WORK, half.state.clone());
        assert_eq!((outcome.pool_fee, &outcome.state), (2, &half.state));
        let whole = settle(interval, BLOCK_WORK / 2, outcome.state);
        assert!(matches!(whole.allocation, Allocation::Amounts(amounts) if amounts == [1]));
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for (text, at) in [
            (r#"{"n_milli": 0}"#, "/n_milli"),
            (r#"{"fee_ppm": 1000001}"#, "/fee_ppm"),
            (r#"{"tx_fees_fee_ppm": 1000001}"#, "/tx_fees_fee_ppm"),
        ] {
            assert_eq!(check_config::<PpsPlus>(text).err().unwrap()[0].at, at, "{text}");
        }
    }
}
