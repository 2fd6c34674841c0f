//! Whether a template makes a valid block, checked before a miner works on it: a node that is
//! wrong about its own template costs every share until somebody notices.

use std::collections::HashSet;

use chimera_pow::sha256d;

use crate::gbt::{BadTemplate, Gbt, GbtTransaction};
use crate::merkle;
use crate::profile::Profile;

/// Header, count of transactions, and the longest coinbase the pool makes, in bytes. Core
/// leaves 2,000 weight units at least (-blockreservedweight).
const OVERHEAD_BYTES: usize = 80 + 9 + 350;

/// The output of BIP 141: OP_RETURN, a push of 36 bytes, a mark, then the hash.
const COMMITMENT_MARK: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// # Errors
/// What is wrong with it.
pub(crate) fn check(gbt: &Gbt, profile: &Profile) -> Result<(), BadTemplate> {
    let wrong = |what: String| Err(BadTemplate::Invalid(what));
    let rules = &profile.header;
    if gbt.version & rules.fixed_mask != rules.fixed_bits {
        let (found, mask) = (gbt.version, rules.fixed_mask);
        let right = rules.fixed_bits;
        return wrong(format!(
            "its version {found:08x} is not one of {}: of {mask:08x} the bits {right:08x} must be \
             set; does the node know this algorithm?",
            profile.algorithm
        ));
    }
    let target = gbt.bits.target()?;
    if gbt.target.as_ref().is_some_and(|told| *told != target.to_string()) {
        return wrong(format!("its bits {} are not its target", gbt.bits));
    }
    if !(1..=u64::from(u32::MAX)).contains(&gbt.height) {
        return wrong(format!("its height is {}", gbt.height));
    }
    let fees = gbt.transactions.iter().filter_map(|transaction| transaction.fee);
    let fees = fees.fold(0, u64::saturating_add);
    if fees > gbt.coinbase_value {
        let value = gbt.coinbase_value;
        return wrong(format!("its fees of {fees} are more than its coinbasevalue of {value}"));
    }
    check_sizes(gbt)?;
    check_order(&gbt.transactions)?;
    check_commitment(gbt)
}

fn check_sizes(gbt: &Gbt) -> Result<(), BadTemplate> {
    let all: usize = gbt.transactions.iter().map(|transaction| transaction.data.len()).sum();
    let stripped: usize =
        gbt.transactions.iter().map(|transaction| transaction.stripped_bytes).sum();
    // BIP 141: bytes outside of witnesses count four times, others once.
    let weight = 4 * OVERHEAD_BYTES + 3 * stripped + all;
    let limits =
        [("bytes", all + OVERHEAD_BYTES, gbt.size_max), ("weight units", weight, gbt.weight_max)];
    for (what, found, limit) in limits {
        if limit.is_some_and(|limit| found as u64 > limit) {
            let limit = limit.unwrap_or_default();
            let told = format!("{found} {what} with its coinbase are more than its limit {limit}");
            return Err(BadTemplate::Invalid(told));
        }
    }
    Ok(())
}

fn check_order(transactions: &[GbtTransaction]) -> Result<(), BadTemplate> {
    let mut seen = HashSet::with_capacity(transactions.len());
    for (index, transaction) in transactions.iter().enumerate() {
        let place = index + 1;
        if !seen.insert(transaction.txid) {
            return Err(BadTemplate::Invalid(format!("transaction {place} is there twice")));
        }
        if transaction.depends.iter().any(|&before| before == 0 || before >= place) {
            let told = format!("transaction {place} stands before one it depends on");
            return Err(BadTemplate::Invalid(told));
        }
    }
    Ok(())
}

/// T7: a commitment the transactions do not add up to makes every block invalid.
fn check_commitment(gbt: &Gbt) -> Result<(), BadTemplate> {
    let Some(script) = &gbt.witness_commitment else {
        let with_witness = |it: &GbtTransaction| it.txid != it.wtxid;
        return match gbt.transactions.iter().position(with_witness) {
            None => Ok(()),
            Some(index) => Err(BadTemplate::Invalid(format!(
                "transaction {} has a witness and there is no default_witness_commitment",
                index + 1
            ))),
        };
    };
    let wtxids: Vec<_> = gbt.transactions.iter().map(|transaction| transaction.wtxid).collect();
    // The coinbase's own is zero, and so is the reserved value the pool puts into it.
    let root = merkle::root([0; 32], &merkle::branch(&wtxids));
    let expected = sha256d(&[root, [0; 32]].concat());
    match script.strip_prefix(&COMMITMENT_MARK) {
        Some(hash) if hash.get(..32) == Some(&expected) => Ok(()),
        _ => Err(BadTemplate::Invalid(
            "its default_witness_commitment is not that of its transactions".to_owned(),
        )),
    }
}
