//! Work on a new block before the node has made its template: an empty block, whose difficulty
//! and subsidy are known from the block before where the chain's schedule says so. A template
//! with thousands of transactions can take a node a second; what is hashed until then on the
//! old block is lost.

use serde::Deserialize;
use serde_json::json;

use crate::gbt::Gbt;
use crate::node_chain::Shared;
use crate::profile::Schedule;
use crate::rpc::Rpc;

/// What the last template of the node's said that an empty one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Precedent {
    pub(crate) height: u64,
    pub(crate) version: u32,
    /// Without fees.
    pub(crate) subsidy: u64,
    pub(crate) coinbase_aux: Vec<u8>,
}

/// `getblockheader`, as far as it is needed.
#[derive(Debug, Deserialize)]
struct Header {
    height: u64,
    confirmations: i64,
    bits: String,
    mediantime: u32,
}

impl Precedent {
    /// `None` where the node does not tell every fee: what is not subsidy is not known then.
    pub(crate) fn of(gbt: &Gbt) -> Option<Self> {
        let fees = gbt.transactions.iter().map(|transaction| transaction.fee);
        let fees = fees.sum::<Option<u64>>()?;
        let subsidy = gbt.coinbase_value.checked_sub(fees)?;
        let coinbase_aux = gbt.coinbase_aux.clone();
        Some(Self { height: gbt.height, version: gbt.version, subsidy, coinbase_aux })
    }
}

/// An empty template on top of a new block; `None` where it cannot be known.
pub(crate) async fn after(shared: &Shared, rpc: &Rpc, block: [u8; 32]) -> Option<Gbt> {
    let schedule = shared.plan.profile.schedule.as_ref()?;
    let id = hex::encode(crate::wire::reversed(block));
    let answer = rpc.call("getblockheader", json!([id, true])).await.ok()?;
    let header = Header::deserialize(answer).ok()?;
    let precedent = shared.precedent()?;
    let now = u32::try_from((shared.clock)()).unwrap_or(u32::MAX);
    on(&header, block, schedule, &precedent, now)
}

fn on(
    header: &Header,
    block: [u8; 32],
    schedule: &Schedule,
    precedent: &Precedent,
    now: u32,
) -> Option<Gbt> {
    let height = header.height.checked_add(1)?;
    // A block that lost its place again, or has a successor by now, is none to build on.
    if header.confirmations != 1 {
        return None;
    }
    if schedule.retarget_blocks.is_some_and(|blocks| height.is_multiple_of(blocks)) {
        return None;
    }
    let era = |height: u64| schedule.halving_blocks.map(|blocks| height / blocks);
    if era(height) != era(precedent.height) {
        return None;
    }
    let bits = u32::from_str_radix(&header.bits, 16).ok()?;
    let time_min = header.mediantime.checked_add(1)?;
    Some(Gbt {
        version: precedent.version,
        previous: block,
        bits: chimera_pow::CompactBits(bits),
        height,
        time: now.max(time_min),
        time_min,
        coinbase_value: precedent.subsidy,
        coinbase_aux: precedent.coinbase_aux.clone(),
        // BIP 141: a block without witnesses needs none.
        witness_commitment: None,
        transactions: Vec::new(),
        long_poll_id: None,
        target: None,
        size_max: None,
        weight_max: None,
        mining_disabled: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_block_is_made_only_where_difficulty_and_subsidy_are_known() {
        let bitcoin = Schedule { retarget_blocks: Some(2016), halving_blocks: Some(210_000) };
        let steady = Schedule::default();
        let rows = [
            ("an ordinary block", &bitcoin, 800_001, 1, 800_001, true),
            ("several blocks after the last template", &bitcoin, 800_005, 1, 800_001, true),
            ("the next one retargets", &bitcoin, 2016 * 400 - 1, 1, 2016 * 400 - 1, false),
            ("the next one halves", &bitcoin, 839_999, 1, 839_999, false),
            ("a halving since the last template", &bitcoin, 840_001, 1, 839_998, false),
            ("no longer on the chain", &bitcoin, 800_001, -1, 800_001, false),
            ("nothing ever changes", &steady, 2016 * 400 - 1, 1, 5, true),
        ];
        for (what, schedule, height, confirmations, last, expected) in rows {
            let header = Header {
                height,
                confirmations,
                bits: "1d00ffff".to_owned(),
                mediantime: 1_700_000_000,
            };
            let precedent =
                Precedent { height: last, version: 4, subsidy: 50, coinbase_aux: Vec::new() };
            let made = on(&header, [1; 32], schedule, &precedent, 1_700_000_100);
            assert_eq!(made.is_some(), expected, "{what}");
            if let Some(gbt) = made {
                assert_eq!((gbt.height, gbt.coinbase_value), (height + 1, 50), "{what}");
                assert_eq!((gbt.time_min, gbt.time), (1_700_000_001, 1_700_000_100), "{what}");
            }
        }
    }
}
