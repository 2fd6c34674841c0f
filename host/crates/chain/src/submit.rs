//! Handing in a block: to every node at once, patiently, and harmlessly often.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::block::Block;
use crate::rpc::{Rpc, RpcError};

/// A node may check a full block for seconds before it answers.
const SUBMIT_WAIT: Duration = Duration::from_secs(30);

/// Core's RPC_DESERIALIZATION_ERROR: these bytes are no block, now or later.
const CODE_UNDECODABLE: i32 = -22;

/// With the pauses doubling from 250 ms, 8 s of a node's absence. Who finds it still
/// unreachable then has the block and can hand it in again.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What the chain said to a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitOutcome {
    /// It is the new tip of a node.
    Accepted,
    /// A node already had it: as good as accepted, also the answer to a repeated attempt
    /// whose first answer was lost.
    Duplicate,
    /// It is valid, but another block was first; it can still win. The node's word.
    Stale(String),
    /// It breaks a rule. The node's word.
    Rejected(String),
    /// No node could be asked; the last error. Hand it in again later.
    Unreachable(String),
}

impl SubmitOutcome {
    /// Whether a node has the block on its chain.
    pub const fn is_on_chain(&self) -> bool {
        matches!(self, Self::Accepted | Self::Duplicate)
    }

    /// A fixed word for metric labels and the API.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Stale(_) => "stale",
            Self::Rejected(_) => "rejected",
            Self::Unreachable(_) => "unreachable",
        }
    }

    /// The word of `submitblock` (BIP 22 and Core's `rpc/mining.cpp`).
    fn of(answer: &Value) -> Self {
        match answer {
            Value::Null => Self::Accepted,
            Value::String(word) => match word.as_str() {
                "duplicate" => Self::Duplicate,
                "inconclusive" | "duplicate-inconclusive" | "stale-prevblk" | "stale-work" => {
                    Self::Stale(word.clone())
                }
                _ => Self::Rejected(word.clone()),
            },
            other => Self::Rejected(other.to_string()),
        }
    }

    /// What several nodes said, each with its name: the outcome that tells most, and where
    /// nodes gave different reasons for it, all of them.
    fn of_all(heard: &[(String, Self)]) -> Self {
        let Some((_, best)) = heard.iter().max_by_key(|(_, outcome)| outcome.rank()) else {
            return Self::Unreachable("no node was asked".to_owned());
        };
        let alike = heard.iter().filter(|(_, outcome)| outcome.rank() == best.rank());
        let words: Vec<(&str, &str)> =
            alike.filter_map(|(node, outcome)| Some((&**node, outcome.word()?))).collect();
        let same = words.iter().all(|(_, word)| Some(*word) == best.word());
        if same {
            return best.clone();
        }
        let told: Vec<String> =
            words.iter().map(|(node, word)| format!("{node}: {word}")).collect();
        let told = told.join("; ");
        match best {
            Self::Rejected(_) => Self::Rejected(told),
            Self::Unreachable(_) => Self::Unreachable(told),
            Self::Stale(_) => Self::Stale(told),
            Self::Accepted | Self::Duplicate => best.clone(),
        }
    }

    /// What the node said.
    fn word(&self) -> Option<&str> {
        match self {
            Self::Accepted | Self::Duplicate => None,
            Self::Stale(word) | Self::Rejected(word) | Self::Unreachable(word) => Some(word),
        }
    }

    /// Of several nodes' outcomes the one that tells most is the outcome. A refusal counts
    /// only when everybody was heard: a node that is behind refuses what the next one takes.
    const fn rank(&self) -> u8 {
        match self {
            Self::Rejected(_) => 0,
            Self::Unreachable(_) => 1,
            Self::Stale(_) => 2,
            Self::Duplicate => 3,
            Self::Accepted => 4,
        }
    }
}

impl fmt::Display for SubmitOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted | Self::Duplicate => f.write_str(self.label()),
            Self::Stale(why) | Self::Rejected(why) | Self::Unreachable(why) => {
                write!(f, "{}: {why}", self.label())
            }
        }
    }
}

/// Each node in a task of its own: none waits for another, and none stops when the caller does.
/// With `prefer` they are asked to put it before a block of the same height they saw first.
pub(crate) async fn to_all(nodes: &[Rpc], block: &Block, prefer: bool) -> SubmitOutcome {
    let hex: Arc<str> = hex::encode(&block.bytes).into();
    let (outcomes, mut arriving) = mpsc::unbounded_channel();
    for node in nodes {
        let (node, id) = (node.clone(), block.id.clone());
        let (hex, outcomes) = (Arc::clone(&hex), outcomes.clone());
        tokio::spawn(async move {
            let outcome = to_one(&node, &hex, FIRST_PAUSE).await;
            if prefer && matches!(outcome, SubmitOutcome::Stale(_) | SubmitOutcome::Duplicate) {
                ask_to_prefer(&node, &id).await;
            }
            tracing::info!(node = node.name(), block = id, %outcome, "block handed in");
            // Nobody listens any more once another node accepted it.
            drop(outcomes.send((node.name().to_owned(), outcome)));
        });
    }
    drop(outcomes);
    let mut heard = Vec::with_capacity(nodes.len());
    while let Some((node, outcome)) = arriving.recv().await {
        if outcome == SubmitOutcome::Accepted {
            return outcome;
        }
        heard.push((node, outcome));
    }
    SubmitOutcome::of_all(&heard)
}

/// Of two blocks at one height a node keeps the one it saw first, unless it is asked to prefer
/// the other. Nodes without the call, and blocks it is of no use for, answer an error.
async fn ask_to_prefer(node: &Rpc, id: &str) {
    match node.call_within(SUBMIT_WAIT, "preciousblock", json!([id])).await {
        Ok(_) => tracing::info!(node = node.name(), block = id, "asked to prefer our block"),
        Err(error) => tracing::debug!(node = node.name(), block = id, %error, "not preferred"),
    }
}

async fn to_one(node: &Rpc, hex: &str, mut pause: Duration) -> SubmitOutcome {
    let mut attempt = 1;
    loop {
        match node.call_within(SUBMIT_WAIT, "submitblock", json!([hex])).await {
            Ok(answer) => return SubmitOutcome::of(&answer),
            Err(RpcError::Node(fault)) if fault.code == CODE_UNDECODABLE => {
                return SubmitOutcome::Rejected(fault.to_string());
            }
            // Any other fault (a locked wallet, a full disk) says nothing of the block.
            Err(error) if attempt == ATTEMPTS => {
                return SubmitOutcome::Unreachable(error.to_string());
            }
            Err(_) => {}
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_rpc::{HttpRpc, NodeAuth};

    #[tokio::test]
    async fn a_node_that_stays_away_is_unreachable_and_the_block_is_not_lost() {
        // Nobody listens on port 1.
        let node = HttpRpc::new("http://127.0.0.1:1", NodeAuth::None, None).expect("an address");
        let outcome = to_one(&Rpc::Http(node), "00", Duration::from_millis(1)).await;
        assert!(matches!(outcome, SubmitOutcome::Unreachable(_)), "{outcome}");
    }

    #[test]
    fn the_words_of_submitblock() {
        let stale = |word: &str| SubmitOutcome::Stale(word.to_owned());
        let rejected = |word: &str| SubmitOutcome::Rejected(word.to_owned());
        let rows = [
            (Value::Null, SubmitOutcome::Accepted),
            ("duplicate".into(), SubmitOutcome::Duplicate),
            ("inconclusive".into(), stale("inconclusive")),
            ("stale-prevblk".into(), stale("stale-prevblk")),
            ("duplicate-inconclusive".into(), stale("duplicate-inconclusive")),
            ("duplicate-invalid".into(), rejected("duplicate-invalid")),
            ("high-hash".into(), rejected("high-hash")),
            ("bad-cb-amount".into(), rejected("bad-cb-amount")),
            (true.into(), rejected("true")),
        ];
        for (answer, outcome) in rows {
            assert_eq!(SubmitOutcome::of(&answer), outcome, "{answer}");
        }
    }

    #[test]
    fn where_nodes_differ_each_is_told() {
        let rejected = |word: &str| SubmitOutcome::Rejected(word.to_owned());
        let heard = |one, two| [("a".to_owned(), one), ("b".to_owned(), two)];
        let rows = [
            (heard(rejected("x"), rejected("x")), rejected("x")),
            (heard(rejected("x"), rejected("y")), rejected("a: x; b: y")),
            (heard(rejected("x"), SubmitOutcome::Duplicate), SubmitOutcome::Duplicate),
        ];
        for (heard, outcome) in rows {
            assert_eq!(SubmitOutcome::of_all(&heard), outcome, "{heard:?}");
        }
        assert!(matches!(SubmitOutcome::of_all(&[]), SubmitOutcome::Unreachable(_)));
    }

    /// Found by review: a node that was behind refused what the next one, just restarting,
    /// would have taken; the block was given up.
    #[test]
    fn a_refusal_counts_only_when_everybody_was_heard() {
        let word = String::new;
        let in_order = [
            SubmitOutcome::Rejected(word()),
            SubmitOutcome::Unreachable(word()),
            SubmitOutcome::Stale(word()),
            SubmitOutcome::Duplicate,
            SubmitOutcome::Accepted,
        ];
        assert!(in_order.is_sorted_by(|less, more| less.rank() < more.rank()));
    }
}
