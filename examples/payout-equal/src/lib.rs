//! The smallest payout scheme: everybody who worked in the round gets the same.
//!
//! A scheme is a function of its arguments. It names no recipients and moves no money: it
//! gives each row a weight, and the host divides the reward exactly.

use chimera_plugin_sdk::{
    Component, Diagnostic, Outcome, PayoutScheme, Plan, PluginError, Request, SchemeKind,
    WindowSize, distribute, export_payout_scheme,
};
use serde::{Deserialize, Serialize};

/// Nothing to configure.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// The scheme.
pub struct Equal;

impl Component for Equal {
    type Config = Config;
    const NAME: &'static str = "payout-equal";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");
    // Two accounts get twice what one gets, by intention: `chimera plugin check` is told.
    const CONFIG_SCHEMA: &'static str = r#"{"type": "object",
        "additionalProperties": false, "x-chimera-exceptions": ["splitting"]}"#;

    fn check(_: &Config) -> Vec<Diagnostic> {
        Vec::new()
    }
}

impl PayoutScheme for Equal {
    fn plan(_: &Config) -> Result<Plan, PluginError> {
        Ok(Plan {
            kind: SchemeKind::Distribute,
            window: WindowSize::SinceLastBlock,
            buckets: 1,
            max_carry: 0,
        })
    }

    fn settle(_: &Config, mut request: Request) -> Result<Outcome, PluginError> {
        let pot = request.block()?.reward + request.carry;
        // Who did nothing must get nothing: the host checks.
        request.accounts.work.iter_mut().for_each(|work| *work = (*work).min(1));
        Ok(distribute(request.accounts, pot, 0))
    }
}

export_payout_scheme!(Equal);

#[cfg(test)]
mod tests {
    use chimera_plugin_sdk::{Accounts, Allocation, BlockEvent, Event, Slices};

    use super::*;

    fn settled(work: &[u64]) -> Outcome {
        let request = Request {
            event: Event::Block(BlockEvent {
                height: 7,
                reward: 100,
                tx_fees: 0,
                window_work: work.iter().sum(),
                found_at: 0,
                finder: None,
            }),
            accounts: Accounts {
                key: (1..=work.len() as u64).collect(),
                work: work.to_vec(),
                fee_ppm: vec![0; work.len()],
            },
            slices: Slices { account: vec![], bucket: vec![], work: vec![] },
            carry: 0,
            state: Vec::new(),
        };
        Equal::settle(&Config {}, request).unwrap()
    }

    #[test]
    fn who_worked_weighs_the_same_however_much_it_was() {
        for (work, weights) in [(&[5, 1, 2][..], &[1, 1, 1][..]), (&[900, 0], &[1, 0])] {
            let outcome = settled(work);
            let Allocation::Weights(found) = &outcome.allocation else { panic!("{outcome:?}") };
            assert_eq!((found.as_slice(), outcome.pool_fee), (weights, 0), "{work:?}");
        }
    }

    #[test]
    fn a_block_nobody_worked_for_is_the_pools() {
        assert_eq!(settled(&[0, 0]).pool_fee, 100);
        assert_eq!(settled(&[]).pool_fee, 100);
    }
}
