//! Pay per share: work is worth `(1 - fee) * expected reward * work / network work`, at once,
//! whether or not blocks come (Rosenfeld, arXiv 1112.4980, section 2.2). The operator bears
//! the variance.

mod fractions;

use chimera_plugin_sdk::{
    Allocation, Component, Diagnostic, IntervalEvent, Outcome, PPM, PayoutScheme, Plan,
    PluginError, Request, SchemeKind, WindowSize, export_payout_scheme, fee_problem,
};
use serde::{Deserialize, Serialize};

use fractions::Fractions;

/// The fee.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The pool's part of every share's value, parts per million.
    pub fee_ppm: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { fee_ppm: 20_000 }
    }
}

/// The scheme.
pub struct Pps;

impl Component for Pps {
    type Config = Config;
    const NAME: &'static str = "payout-pps";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        fee_problem(config.fee_ppm).into_iter().collect()
    }
}

impl PayoutScheme for Pps {
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
        if interval.network_work == 0 || interval.network_work >= 1 << 63 {
            return Err(PluginError::InvalidInput(format!(
                "a block takes {} of work",
                interval.network_work
            )));
        }
        let mut fractions = Fractions::read(&request.state, interval.network_work)?;
        let accounts = &request.accounts;
        let mut amounts = Vec::with_capacity(accounts.key.len());
        for (row, key) in accounts.key.iter().enumerate() {
            let fee = (config.fee_ppm + accounts.fee_ppm[row]).min(PPM);
            let value = Value::of(accounts.work[row], &interval, PPM - fee)?;
            amounts.push(fractions.settle(*key, value)?);
        }
        Ok(Outcome {
            allocation: Allocation::Amounts(amounts),
            // The fee is what is not paid: it stays in the pool's account of rewards.
            pool_fee: 0,
            carry: 0,
            state: fractions.write(),
            notes: Vec::new(),
        })
    }
}

/// What work is worth, exactly: `whole` base units and `part / (network work * 10^6)`.
struct Value {
    whole: u128,
    part: u128,
}

impl Value {
    /// `expected reward * work * kept_ppm / (network work * 10^6)`, without losing a digit:
    /// the whole product would not fit 128 bits.
    fn of(work: u64, interval: &IntervalEvent, kept_ppm: u32) -> Result<Self, PluginError> {
        let network_work = u128::from(interval.network_work);
        let product = u128::from(interval.expected_reward) * u128::from(work);
        let millionths = (product / network_work)
            .checked_mul(kept_ppm.into())
            .ok_or_else(|| PluginError::InvalidInput("work of more than 2^64 units".to_owned()))?;
        let rest = product % network_work * u128::from(kept_ppm);
        let millionths = millionths + rest / network_work;
        let whole = millionths / u128::from(PPM);
        let part = millionths % u128::from(PPM) * network_work + rest % network_work;
        Ok(Self { whole, part })
    }
}

export_payout_scheme!(Pps);

#[cfg(test)]
mod tests;
