//! What holds for one kind of mining software.

use chimera_plugin_sdk::{Bounds, Decimal, Diagnostic, agent_contains, problem};
use serde::{Deserialize, Serialize};

/// Bounds, or a fixed difficulty, for sessions of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the user agent contains, in whatever case.
    pub agent: String,
    /// The only difficulty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Decimal>,
    /// The highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Decimal>,
    /// The lowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
}

/// What is known without asking the operator. NiceHash stops an order below its minimum, which
/// depends on the algorithm; 500,000 is that of sha256d. cpuminer-multi tests its target with
/// `<` where `<=` is meant: at 1 and above it never finds a Blake2s share, at 0.01 it loses
/// one in a hundred.
pub(crate) fn known() -> Vec<Rule> {
    let decimal = |text: &str| Decimal::parse(text).ok();
    let rule =
        |agent: &str| Rule { agent: agent.to_owned(), fixed: None, maximum: None, minimum: None };
    vec![
        Rule { minimum: decimal("500000"), ..rule("nicehash") },
        Rule { maximum: decimal("0.01"), ..rule("cpuminer-multi") },
    ]
}

impl Rule {
    pub(crate) fn covers(&self, user_agent: &str) -> bool {
        agent_contains(user_agent, &self.agent)
    }

    /// Where its sessions begin: at its lowest, or, without one, at its highest.
    pub(crate) fn first(&self) -> u64 {
        let (lowest, highest) = self.bounds();
        if lowest > 1 { lowest } else { highest }
    }

    fn bounds(&self) -> (u64, u64) {
        let units = |decimal: &Option<Decimal>| decimal.as_ref().map(Decimal::units);
        match units(&self.fixed) {
            Some(fixed) => (fixed, fixed),
            None => (units(&self.minimum).unwrap_or(1), units(&self.maximum).unwrap_or(u64::MAX)),
        }
    }

    pub(crate) fn problem(&self, index: usize) -> Option<Diagnostic> {
        let wrong = |key: &str, message: &str, hint: &str| {
            Some(problem(&format!("/agents/{index}{key}"), message, hint))
        };
        let bounded = self.minimum.is_some() || self.maximum.is_some();
        let (lowest, highest) = self.bounds();
        if self.agent.is_empty() {
            wrong("/agent", "it is empty: it would be every miner", "a part of a user agent")
        } else if self.fixed.is_some() == bounded {
            let right = "a minimum, a maximum, both, or a fixed difficulty";
            wrong("", "it says nothing, or two things at once", right)
        } else if lowest > highest {
            wrong("/minimum", "the minimum is above the maximum", "at most the maximum")
        } else {
            None
        }
    }
}

/// The bounds of a session seen for the first time: those of the rule whose first difficulty
/// it has. A session of another kind that asked for just this one gets them too.
pub(crate) fn bounds_of(rules: &[Rule], current: u64, host: Bounds) -> (u64, u64) {
    let rule = rules.iter().find(|rule| host.clamp(rule.first()) == current);
    rule.map_or((1, u64::MAX), Rule::bounds)
}
