//! Full pay per share: work is worth its part of subsidy and transaction fees at once, whether
//! or not blocks come.
//!
//! Amount = expected reward x work / network work x (1 - fee), with the fraction of a unit
//! kept for the next interval: Rosenfeld's PPS (arXiv 1112.4980, section 2.2) with the fees
//! of the block template counted in. The operator bears the variance of blocks and of fees.

use chimera_plugin_sdk::{
    Component, Diagnostic, Outcome, PayoutScheme, Plan, PluginError, Request, SchemeKind,
    WindowSize, accrue, export_payout_scheme, fee_problem,
};
use serde::{Deserialize, Serialize};

/// The fee.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The pool's part of every share's value, parts per million.
    pub fee_ppm: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { fee_ppm: 40_000 }
    }
}

/// The scheme.
pub struct Fpps;

impl Component for Fpps {
    type Config = Config;
    const NAME: &'static str = "payout-fpps";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        fee_problem(config.fee_ppm).into_iter().collect()
    }
}

impl PayoutScheme for Fpps {
    fn plan(_: &Config) -> Result<Plan, PluginError> {
        Ok(Plan {
            kind: SchemeKind::Accrue,
            window: WindowSize::SinceLastBlock,
            buckets: 1,
            max_carry: 0,
        })
    }

    fn settle(config: &Config, request: Request) -> Result<Outcome, PluginError> {
        let interval = request.interval()?;
        let (accounts, network_work) = (&request.accounts, interval.network_work);
        let reward = interval.expected_reward;
        accrue(accounts, network_work, reward, config.fee_ppm, &request.state)
    }
}

export_payout_scheme!(Fpps);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::{
        Accounts, Allocation, BLOCK_WORK, BlockEvent, Event, IntervalEvent, Slices, check_config,
    };

    use super::*;

    fn settle(event: Event) -> Result<Outcome, PluginError> {
        let request = Request {
            event,
            accounts: Accounts { key: vec![7], work: vec![BLOCK_WORK / 2], fee_ppm: vec![0] },
            slices: Slices { account: vec![], bucket: vec![], work: vec![] },
            carry: 0,
            state: vec![],
        };
        Fpps::settle(&Config::default(), request)
    }

    fn interval(expected_reward: u64, expected_fees: u64) -> Event {
        Event::Interval(IntervalEvent {
            started_at: 0,
            ended_at: 1,
            network_work: BLOCK_WORK,
            expected_reward,
            expected_fees,
        })
    }

    #[test]
    fn work_is_paid_its_part_of_subsidy_and_fees() {
        // expected reward, fees in it, amount for half a block less 4 %
        for (reward, fees, amount) in [(1000, 0, 480), (1000, 200, 480), (1000, 1000, 480)] {
            let outcome = settle(interval(reward, fees)).unwrap();
            assert!(matches!(outcome.allocation, Allocation::Amounts(all) if all == [amount]));
        }
    }

    #[test]
    fn blocks_are_refused() {
        let block = Event::Block(BlockEvent {
            height: 1,
            reward: 1,
            tx_fees: 0,
            window_work: 1,
            found_at: 0,
            finder: None,
        });
        assert!(matches!(settle(block), Err(PluginError::Unsupported(_))));
        assert_eq!(
            check_config::<Fpps>(r#"{"fee_ppm": 1000001}"#).err().unwrap()[0].at,
            "/fee_ppm"
        );
    }
}
