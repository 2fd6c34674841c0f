//! What became of a block's reward, read from the chain: never from configuration (T17).

use serde_json::{Value, json};

use crate::block::BlockRef;
use crate::rpc::{Rpc, RpcError, RpcFault};
use crate::transaction::Transaction;
use crate::wire::Reader;

/// Core's RPC_INVALID_ADDRESS_OR_KEY: no such block.
const CODE_NOT_FOUND: i32 = -5;

const HEADER_BYTES: usize = chimera_pow::HEADER_BYTES;

/// A moment in the life of a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RewardState {
    /// The block is on the chain, but not deep enough.
    Ripening {
        /// Blocks from it to the tip, both counted.
        confirmations: u32,
        /// Confirmations it takes.
        needed: u32,
    },
    /// It is the pool's.
    Ripe {
        /// What the block's coinbase pays the pool, in base units.
        amount: u64,
    },
    /// Another block has its place. The chain may still change its mind: a state, no verdict.
    Orphaned,
    /// No node knows the block: hand it in again.
    Unknown,
}

/// The first node that knows the block is believed. One that cannot be asked does not
/// silence those that can: a block none of them knows has to be handed in again.
pub(crate) async fn ask_all(
    nodes: &[Rpc],
    timed: bool,
    needed: u32,
    block: &BlockRef,
) -> Result<RewardState, RpcError> {
    let (mut unknown, mut failure) = (false, None);
    for node in nodes {
        match ask(node, timed, needed, block).await {
            Ok(RewardState::Unknown) => unknown = true,
            Err(error) => failure = Some(error),
            known => return known,
        }
    }
    match failure {
        Some(error) if !unknown => Err(error),
        _ => Ok(RewardState::Unknown),
    }
}

async fn ask(
    node: &Rpc,
    timed: bool,
    needed: u32,
    block: &BlockRef,
) -> Result<RewardState, RpcError> {
    let answer = node.call("getblock", json!([block.id, 1])).await;
    let Some(described) = found(answer)? else {
        return Ok(RewardState::Unknown);
    };
    let confirmations = described["confirmations"].as_i64();
    let confirmations =
        confirmations.ok_or_else(|| node.unexpected("getblock", "confirmations"))?;
    // Core: -1 for a block that is not on the chain.
    let Ok(confirmations) = u32::try_from(confirmations) else {
        return Ok(RewardState::Orphaned);
    };
    if confirmations < needed {
        return Ok(RewardState::Ripening { confirmations, needed });
    }
    let answer = node.call("getblock", json!([block.id, 0])).await?;
    let bytes = answer.as_str().and_then(|text| hex::decode(text).ok()).unwrap_or_default();
    let amount = amount_paid(&bytes, timed)
        .ok_or_else(|| node.unexpected("getblock", "the bytes of a block"))?;
    Ok(RewardState::Ripe { amount })
}

/// `None` instead of the one error that means "there is none".
fn found(answer: Result<Value, RpcError>) -> Result<Option<Value>, RpcError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(RpcError::Node(RpcFault { code, .. })) if code == CODE_NOT_FOUND => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a block of the pool's pays it. From the bytes: JSON has the values as fractions.
///
/// The payout is the first output of every block the pool assembles, so this holds even if
/// another payout address is configured by now.
fn amount_paid(block: &[u8], timed: bool) -> Option<u64> {
    let mut reader = Reader::new(block);
    reader.take(HEADER_BYTES)?;
    reader.compact_size()?;
    let coinbase = Transaction::read(&mut reader, timed)?;
    let ours = &coinbase.outputs.first()?.script;
    let paid = coinbase.outputs.iter().filter(|output| output.script == *ours);
    Some(paid.fold(0, |sum, output| sum.saturating_add(output.value)))
}
