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
    const CONFIG_SCHEMA: &'static str = r#"{"type": "object", "additionalProperties": false}"#;

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
