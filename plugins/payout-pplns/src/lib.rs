//! Pay per last N shares, exact: M. Rosenfeld, arXiv 1112.4980, section 3.3 with 5.2's unit.
//!
//! The window is X blocks' worth of work, counted back from the share before the block's; the
//! host cuts it, share by share, and the share that crosses counts with the part inside.
//! Each unit of work in a full window is paid `1/X` of its expected value, whenever it was
//! done: there is nothing to hop for.

use chimera_plugin_sdk::{
    Component, Diagnostic, Outcome, PayoutScheme, Plan, PluginError, Request, SchemeKind,
    WindowSize, distribute, export_payout_scheme, fee_problem, mul_div_floor, ppm_floor, problem,
};
use serde::{Deserialize, Serialize};

/// Window and fee.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// X, in thousandths of the work one block takes.
    pub n_milli: u64,
    /// The pool's part of every reward, parts per million.
    pub fee_ppm: u32,
    /// Who has the unfilled part of a young pool's window.
    pub unfilled: Unfilled,
}

/// Rosenfeld: the unfilled part "must go somewhere explicit".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unfilled {
    /// The miners present share the whole reward.
    Miners,
    /// Each unit of work is paid what it would be in a full window; the rest is the pool's.
    Pool,
}

impl Default for Config {
    fn default() -> Self {
        Self { n_milli: 2000, fee_ppm: 10_000, unfilled: Unfilled::Miners }
    }
}

/// A window of a thousand blocks: past it the u64 sum of a window's work could pass 2^63.
const N_MILLI_MAX: u64 = 1_000_000;

/// The scheme.
pub struct Pplns;

impl Component for Pplns {
    type Config = Config;
    const NAME: &'static str = "payout-pplns";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        if !(1..=N_MILLI_MAX).contains(&config.n_milli) {
            problems.push(problem(
                "/n_milli",
                format!("a window of {} thousandths of a block", config.n_milli),
                "1 to 1000000; 2000 is the usual N = 2",
            ));
        }
        problems.extend(fee_problem(config.fee_ppm));
        problems
    }
}

impl PayoutScheme for Pplns {
    fn plan(config: &Config) -> Result<Plan, PluginError> {
        Ok(Plan {
            kind: SchemeKind::Distribute,
            window: WindowSize::NetworkWorkMilli(config.n_milli),
            buckets: 1,
            max_carry: 0,
        })
    }

    fn settle(config: &Config, request: Request) -> Result<Outcome, PluginError> {
        let block = request.block()?;
        let work = request.accounts.total_work();
        if work > block.window_work {
            return Err(PluginError::InvalidInput(format!(
                "{work} of work in a window of {}",
                block.window_work
            )));
        }
        let fee = ppm_floor(block.reward, config.fee_ppm);
        let pot = block.reward - fee + request.carry;
        let paid = match config.unfilled {
            Unfilled::Miners => pot,
            Unfilled::Pool if block.window_work == 0 => 0,
            Unfilled::Pool => mul_div_floor(pot, work, block.window_work),
        };
        let mut outcome = distribute(request.accounts, paid, fee + (pot - paid));
        if work < block.window_work {
            let filled = mul_div_floor(work, 1000, block.window_work);
            outcome.notes.push(format!("window filled to {filled} of 1000"));
        }
        Ok(outcome)
    }
}

export_payout_scheme!(Pplns);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::{Accounts, Allocation, BlockEvent, Event, Slices, check_config};

    use super::*;

    const BLOCK: u64 = 1 << 52;

    fn settle(config: &Config, reward: u64, work: &[u64]) -> Result<Outcome, PluginError> {
        let request = Request {
            event: Event::Block(BlockEvent {
                height: 1,
                reward,
                tx_fees: 0,
                window_work: 2 * BLOCK,
                found_at: 0,
                finder: None,
            }),
            accounts: Accounts {
                key: (0..work.len() as u64).collect(),
                work: work.to_vec(),
                fee_ppm: vec![0; work.len()],
            },
            slices: Slices { account: vec![], bucket: vec![], work: vec![] },
            carry: 0,
            state: vec![],
        };
        Pplns::settle(config, request)
    }

    #[test]
    fn an_unfilled_window_is_paid_to_miners_or_pool_as_configured() {
        // fee, unfilled, work, what the miners share, what the pool has; of 1000
        for (fee_ppm, unfilled, work, miners, pool) in [
            (0, Unfilled::Miners, vec![2 * BLOCK], 1000, 0),
            (0, Unfilled::Pool, vec![2 * BLOCK], 1000, 0),
            (0, Unfilled::Miners, vec![BLOCK / 2, BLOCK / 2], 1000, 0),
            (0, Unfilled::Pool, vec![BLOCK / 2, BLOCK / 2], 500, 500),
            (10_000, Unfilled::Miners, vec![BLOCK], 990, 10),
            (10_000, Unfilled::Pool, vec![BLOCK], 495, 505),
            (1_000_000, Unfilled::Miners, vec![BLOCK], 0, 1000),
            (0, Unfilled::Miners, vec![], 0, 1000),
            (0, Unfilled::Pool, vec![], 0, 1000),
            (0, Unfilled::Pool, vec![0], 0, 1000),
        ] {
            let config = Config { fee_ppm, unfilled, ..Config::default() };
            let outcome = settle(&config, 1000, &work).unwrap();
            assert_eq!((1000 - outcome.pool_fee, outcome.pool_fee), (miners, pool), "{work:?}");
            let Allocation::Weights(weights) = outcome.allocation else { panic!("weights") };
            assert_eq!(weights, work);
        }
    }

    #[test]
    fn a_window_that_holds_more_than_it_can_is_refused() {
        let refused = settle(&Config::default(), 1000, &[2 * BLOCK, 1]);
        assert!(matches!(refused, Err(PluginError::InvalidInput(_))));
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        for (text, at) in [
            (r#"{"n_milli": 0}"#, "/n_milli"),
            (r#"{"n_milli": 1000001}"#, "/n_milli"),
            (r#"{"fee_ppm": 1000001}"#, "/fee_ppm"),
            (r#"{"unfilled": "charity"}"#, "/unfilled"),
        ] {
            let problems = check_config::<Pplns>(text).err().unwrap();
            assert_eq!(problems[0].at, at, "{text}");
        }
    }
}
