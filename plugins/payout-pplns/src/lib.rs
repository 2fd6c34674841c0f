//! Pay per last N shares, exact: M. Rosenfeld, arXiv 1112.4980, section 3.3 with 5.2's unit.
//!
//! Amount = reward x work in the window / N blocks of work x (1 - fee). The window is counted
//! back from the share before the block's; the host cuts it, share by share, and the share
//! that crosses counts with the part inside. Each unit of work in a full window is paid `1/N`
//! of its expected value, whenever it was done: there is nothing to hop for.

use chimera_plugin_sdk::{
    Component, Diagnostic, Outcome, PayoutScheme, Plan, PluginError, Request, SchemeKind, Unfilled,
    WindowSize, distribute_window, export_payout_scheme, fee_problem, window_problem,
};
use serde::{Deserialize, Serialize};

/// Window and fee.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// N, in thousandths of the work one block takes.
    pub n_milli: u64,
    /// The pool's part of every reward, parts per million.
    pub fee_ppm: u32,
    /// Who has the unfilled part of a young pool's window.
    pub unfilled: Unfilled,
}

impl Default for Config {
    fn default() -> Self {
        Self { n_milli: 2000, fee_ppm: 10_000, unfilled: Unfilled::Miners }
    }
}

/// The scheme.
pub struct Pplns;

impl Component for Pplns {
    type Config = Config;
    const NAME: &'static str = "payout-pplns";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    const CONFIG_SCHEMA: &'static str = include_str!("../schema.json");

    fn check(config: &Config) -> Vec<Diagnostic> {
        window_problem(config.n_milli).into_iter().chain(fee_problem(config.fee_ppm)).collect()
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
        let pot = request.pot(block.reward)?;
        let (window, fee) = (block.window_work, config.fee_ppm);
        distribute_window(request.accounts, pot, window, config.unfilled, fee)
    }
}

export_payout_scheme!(Pplns);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::check_config;

    use super::*;

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
