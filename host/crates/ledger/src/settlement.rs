//! What a payout scheme is asked and what it answers: the host's side of `wit/0.1/payout.wit`.
//!
//! A [`Request`] is built by the host from the share log; a [`Proposal`] is a component's
//! untrusted answer. Only the conservation check turns a proposal into a distribution.
//!
//! All of it is also written down (call bundles, settlement records), in words that do not
//! change: snake case, an event told by its `kind`. What is hashed is not this text but
//! the bytes of `canonical`.

use serde::{Deserialize, Serialize};

use crate::hex_text;

/// Whether a scheme splits blocks or credits work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SchemeKind {
    /// Splits a block the pool found; conservation is exact.
    Distribute,
    /// Credits work before blocks exist; bounded by the work's expected value.
    Accrue,
    /// Credits work at the subsidy's expected value, and splits the fees of found blocks.
    Hybrid,
}

impl SchemeKind {
    /// Whether it is asked about intervals of work.
    pub const fn accrues(self) -> bool {
        matches!(self, Self::Accrue | Self::Hybrid)
    }

    /// Whether it is asked about blocks.
    pub const fn splits_blocks(self) -> bool {
        matches!(self, Self::Distribute | Self::Hybrid)
    }

    /// The word it is recorded by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Distribute => "distribute",
            Self::Accrue => "accrue",
            Self::Hybrid => "hybrid",
        }
    }
}

/// Which shares a settlement looks at, counted back from the share before the block's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowSize {
    /// Only the finder.
    None,
    /// Thousandths of one expected block of work.
    NetworkWorkMilli(u64),
    /// Shares of the last so many milliseconds.
    DurationMs(u64),
    /// All shares since the pool's previous block.
    SinceLastBlock,
}

/// What a scheme says of itself, once per generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Splits blocks or credits work.
    pub kind: SchemeKind,
    /// The window it wants.
    pub window: WindowSize,
    /// Equal-work slices, newest first; 1 if age does not matter.
    pub buckets: u16,
    /// Upper bound of the carry, in base units.
    pub carry_max: u64,
}

/// What happened that somebody is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// A block of the pool matured.
    Block {
        /// Its height.
        height: u64,
        /// All the pool received for it, in base units.
        reward: u64,
        /// The fee part of `reward`.
        tx_fees: u64,
        /// The work the window could hold.
        window_work: u64,
        /// When it was found, ms since the Unix epoch.
        found_at_ms: u64,
        /// The finder's row.
        finder: Option<u32>,
    },
    /// An interval of work ended (accruing schemes).
    Interval {
        /// Its start, ms since the Unix epoch.
        started_at_ms: u64,
        /// Its end, ms since the Unix epoch.
        ended_at_ms: u64,
        /// The work of one expected block in the unit of account.
        network_work: u64,
        /// What one block is expected to pay, in base units.
        expected_reward: u64,
        /// The fee part of `expected_reward`.
        expected_fees: u64,
    },
}

/// One row per account with work in the window, sorted by `key`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accounts {
    /// Tie-break keys, strictly increasing.
    pub key: Vec<u64>,
    /// Work in the unit of account; the sum is below 2^63.
    pub work: Vec<u64>,
    /// What the operator adds to the scheme's fee, parts per million; negative is a bonus.
    pub fee_ppm: Vec<i32>,
}

/// Work by age, sparse, sorted by (bucket, account).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slices {
    /// Row in [`Accounts`].
    pub account: Vec<u32>,
    /// 0 is the newest.
    pub bucket: Vec<u16>,
    /// Work in the unit of account.
    pub work: Vec<u64>,
}

/// One settlement, as a scheme is asked to propose it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// What happened.
    pub event: Event,
    /// Who worked.
    pub accounts: Accounts,
    /// When they worked; empty unless the plan asked for buckets.
    pub slices: Slices,
    /// Rounding remainder of the previous settlement, in base units.
    pub carry: u64,
    /// The scheme's own state, opaque to the host.
    #[serde(with = "hex_text")]
    pub state: Vec<u8>,
}

/// Who gets how much, one entry per row of [`Accounts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Allocation {
    /// Relative; the host apportions exactly.
    Weights(Vec<u64>),
    /// Absolute, in base units; the host checks the sum.
    Amounts(Vec<u64>),
}

/// A component's answer: untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// Who gets how much.
    pub allocation: Allocation,
    /// The pool's part, in base units.
    pub pool_fee: u64,
    /// Remainder left for the next settlement, in base units.
    pub carry: u64,
    /// The scheme's next state.
    #[serde(with = "hex_text")]
    pub state: Vec<u8>,
    /// Facts for people.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bundles and records of today are read by the pools of later years.
    #[test]
    fn the_written_form_never_changes() {
        let request = Request {
            event: Event::Block {
                height: 7,
                reward: 100,
                tx_fees: 1,
                window_work: 9,
                found_at_ms: 5,
                finder: Some(0),
            },
            accounts: Accounts { key: vec![u64::MAX], work: vec![2], fee_ppm: vec![-3] },
            slices: Slices { account: vec![0], bucket: vec![1], work: vec![2] },
            carry: 4,
            state: vec![0xab, 0],
        };
        let text = concat!(
            r#"{"event":{"kind":"block","height":7,"reward":100,"tx_fees":1,"window_work":9,"#,
            r#""found_at_ms":5,"finder":0},"accounts":{"key":[18446744073709551615],"work":[2],"#,
            r#""fee_ppm":[-3]},"slices":{"account":[0],"bucket":[1],"work":[2]},"carry":4,"#,
            r#""state":"ab00"}"#
        );
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
        assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);

        let proposal = Proposal {
            allocation: Allocation::Weights(vec![1, 2]),
            pool_fee: 3,
            carry: 0,
            state: vec![],
            notes: vec!["two".into()],
        };
        let text =
            r#"{"allocation":{"weights":[1,2]},"pool_fee":3,"carry":0,"state":"","notes":["two"]}"#;
        assert_eq!(serde_json::to_string(&proposal).unwrap(), text);
        assert_eq!(serde_json::from_str::<Proposal>(text).unwrap(), proposal);

        for (window, text) in [
            (WindowSize::None, r#""none""#),
            (WindowSize::NetworkWorkMilli(2), r#"{"network_work_milli":2}"#),
            (WindowSize::SinceLastBlock, r#""since_last_block""#),
        ] {
            let plan = Plan { kind: SchemeKind::Hybrid, window, buckets: 1, carry_max: 0 };
            let text = format!(r#"{{"kind":"hybrid","window":{text},"buckets":1,"carry_max":0}}"#);
            assert_eq!(serde_json::to_string(&plan).unwrap(), text);
            assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        }
        let event = r#"{"kind":"interval","started_at_ms":1,"ended_at_ms":2,"network_work":3,"expected_reward":4,"expected_fees":0}"#;
        assert!(matches!(serde_json::from_str(event).unwrap(), Event::Interval { .. }));
    }
}
