//! Paying work as it comes, blocks or not: what PPS, FPPS and PPS+ share.
//!
//! Work is worth `reward * work / network work * kept` (Rosenfeld, arXiv 1112.4980, section
//! 2.2), where `kept` is one less the scheme's fee and the account's own. Whole base units
//! are paid, the fraction of each account is kept in the state for the next interval.

use crate::fractions::Fractions;
use crate::{Accounts, Allocation, Outcome, PluginError, Quota, kept_ppm};

/// Pays the work of an interval at what a block of `reward` makes it worth. The fee is what
/// is not paid: it stays in the reserve the operator pays from.
///
/// # Errors
/// When the state is none of [`Fractions`], or an amount passes 64 bits.
pub fn accrue(
    accounts: &Accounts,
    network_work: u64,
    reward: u64,
    fee_ppm: u32,
    state: &[u8],
) -> Result<Outcome, PluginError> {
    let mut fractions = Fractions::read(state, network_work)?;
    let mut amounts = Vec::with_capacity(accounts.key.len());
    for (row, key) in accounts.key.iter().enumerate() {
        let kept = kept_ppm(fee_ppm, accounts.fee_ppm[row]);
        let quota = Quota::of(reward, accounts.work[row].into(), network_work.into(), kept);
        let too_much = || PluginError::InvalidInput("an amount above 64 bits".to_owned());
        amounts.push(fractions.settle(*key, quota.ok_or_else(too_much)?)?);
    }
    Ok(Outcome {
        allocation: Allocation::Amounts(amounts),
        pool_fee: 0,
        carry: 0,
        state: fractions.write(),
        notes: Vec::new(),
    })
}

#[cfg(test)]
mod tests;
