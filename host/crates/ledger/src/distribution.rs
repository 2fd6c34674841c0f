//! A settlement that conserves money: the only door from a component's proposal to
//! transfers. Whatever a component answers, nothing is invented and nothing is lost.

use std::borrow::Cow;

use crate::apportion::apportion;
use crate::sums::Sums;
use crate::{
    AccountName, Allocation, Breach, Event, Imbalance, Plan, Proposal, Request, SchemeKind,
    Transfer,
};

/// What the operator allows, whatever a component proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most the pool may keep of a reward, parts per million.
    pub fee_max_ppm: u32,
}

impl Default for Limits {
    /// No cap: the scheme's own configuration decides the fee.
    fn default() -> Self {
        Self { fee_max_ppm: 1_000_000 }
    }
}

/// Exact amounts for one settlement; only [`Distribution::check`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// What of a block's reward a hybrid does not divide; `None` for an interval.
    to_reserve: Option<u64>,
    amounts: Vec<u64>,
    pool_fee: u64,
    carry_in: u64,
    carry_out: u64,
    state: Vec<u8>,
    notes: Vec<String>,
}

/// The names do not belong to the distribution's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{names} names for the {rows} rows of a distribution")]
pub struct UnnamedRows {
    /// Names given.
    pub names: usize,
    /// Rows to be named.
    pub rows: usize,
}

impl Distribution {
    /// Checks what `plugin` proposed for `request`, and turns weights into amounts.
    ///
    /// Splitting a block: amounts + fee + carry' = reward + carry, to the last unit.
    /// Accruing an interval: no account gets more than its work is expected to earn.
    /// A hybrid does both: it splits the fees of blocks, and accrues the rest.
    /// Either way an account without work gets nothing, unless it is the finder's.
    ///
    /// # Errors
    /// With the numbers that disagree; then nothing may be booked.
    pub fn check(
        plugin: &str,
        request: &Request,
        plan: &Plan,
        proposal: Proposal,
        limits: &Limits,
    ) -> Result<Self, Imbalance> {
        let divided = divided(plan.kind, &request.event);
        let checked = check_rows(request, &proposal).and(divided).and_then(|divided| {
            let amounts = match request.event {
                Event::Block { .. } => split(divided, request, plan, &proposal, limits),
                Event::Interval { network_work, .. } => {
                    accrue(network_work, divided, request, &proposal, limits)
                }
            };
            Ok((divided, amounts?))
        });
        match checked {
            Ok((divided, amounts)) => Ok(Self {
                to_reserve: match request.event {
                    Event::Block { reward, .. } => Some(reward - divided),
                    Event::Interval { .. } => None,
                },
                amounts,
                pool_fee: proposal.pool_fee,
                carry_in: match request.event {
                    Event::Block { .. } => request.carry,
                    Event::Interval { .. } => 0,
                },
                carry_out: proposal.carry,
                state: proposal.state,
                notes: proposal.notes,
            }),
            Err(breach) => Err(Imbalance { plugin: plugin.to_owned(), breach }),
        }
    }

    /// The transfers that book it. `settlement` is its unique key; every transfer's key
    /// starts with it. `names` are the accounts of the rows, in order.
    ///
    /// A block is paid out of `chain:reward`, which gets the old carry and gives the new
    /// one, so that it falls by exactly the reward. An interval is paid by the reserve.
    /// Nothing is booked for an amount of zero.
    ///
    /// # Errors
    /// When there is not one name per row.
    pub fn transfers(
        &self,
        settlement: &str,
        names: &[AccountName],
    ) -> Result<Vec<Transfer>, UnnamedRows> {
        self.sums().transfers(settlement, names)
    }

    pub(crate) fn sums(&self) -> Sums<'_> {
        Sums {
            amounts: Cow::Borrowed(&self.amounts),
            pool_fee: self.pool_fee,
            carry_in: self.carry_in,
            carry_out: self.carry_out,
            to_reserve: self.to_reserve(),
            is_block: self.to_reserve.is_some(),
        }
    }

    /// Amounts in base units, one per row of the request.
    pub fn amounts(&self) -> &[u64] {
        &self.amounts
    }

    /// The same, taken out.
    pub fn into_amounts(self) -> Vec<u64> {
        self.amounts
    }

    /// What of a block's reward goes to the reserve undivided, in base units.
    pub fn to_reserve(&self) -> u64 {
        self.to_reserve.unwrap_or(0)
    }

    /// What the reserve pays for an interval, in base units; 0 for a block.
    pub fn from_reserve(&self) -> u128 {
        if self.to_reserve.is_some() { 0 } else { sum(&self.amounts) + u128::from(self.pool_fee) }
    }

    /// The pool's part, in base units.
    pub const fn pool_fee(&self) -> u64 {
        self.pool_fee
    }

    /// What the previous settlement left, in base units; 0 when accruing.
    pub const fn carry_in(&self) -> u64 {
        self.carry_in
    }

    /// What is left for the next settlement, in base units; 0 when accruing.
    pub const fn carry_out(&self) -> u64 {
        self.carry_out
    }

    /// The scheme's next state.
    pub fn state(&self) -> &[u8] {
        &self.state
    }

    /// The component's facts for people.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// What a scheme of this kind divides or accrues of the event's reward.
fn divided(kind: SchemeKind, event: &Event) -> Result<u64, Breach> {
    match (kind, event) {
        (SchemeKind::Distribute, &Event::Block { reward, .. }) => Ok(reward),
        (SchemeKind::Hybrid, &Event::Block { reward, tx_fees, .. }) => {
            let fees = (tx_fees <= reward).then_some(tx_fees);
            fees.ok_or(Breach::Request("fees above the reward they are part of"))
        }
        (SchemeKind::Accrue, &Event::Interval { expected_reward, .. }) => Ok(expected_reward),
        (SchemeKind::Hybrid, &Event::Interval { expected_reward, expected_fees, .. }) => {
            let subsidy = expected_reward.checked_sub(expected_fees);
            subsidy.ok_or(Breach::Request("fees above the reward they are part of"))
        }
        (SchemeKind::Distribute, Event::Interval { .. }) => {
            Err(Breach::Request("an interval under a plan that splits blocks"))
        }
        (SchemeKind::Accrue, Event::Block { .. }) => {
            Err(Breach::Request("a block under a plan that accrues"))
        }
    }
}

/// One entry per row, and none for a row without work but the finder's.
fn check_rows(request: &Request, proposal: &Proposal) -> Result<(), Breach> {
    let (Allocation::Weights(entries) | Allocation::Amounts(entries)) = &proposal.allocation;
    let accounts = &request.accounts;
    if accounts.work.len() != accounts.rows() {
        return Err(Breach::Request("its columns differ in length"));
    }
    if entries.len() != accounts.rows() {
        return Err(Breach::Rows { proposed: entries.len(), rows: accounts.rows() });
    }
    let finder = match request.event {
        Event::Block { finder, .. } => finder.and_then(|row| usize::try_from(row).ok()),
        Event::Interval { .. } => None,
    };
    let unearned = entries
        .iter()
        .zip(&accounts.work)
        .enumerate()
        .find(|&(row, (&entry, &work))| entry > 0 && work == 0 && finder != Some(row));
    match unearned {
        Some((row, (&entry, _))) => Err(Breach::Unearned { row, entry }),
        None => Ok(()),
    }
}

/// Divides a block's reward.
fn split(
    reward: u64,
    request: &Request,
    plan: &Plan,
    proposal: &Proposal,
    limits: &Limits,
) -> Result<Vec<u64>, Breach> {
    let Proposal { allocation, pool_fee: fee, carry: carry_out, .. } = proposal;
    let (fee, carry_out, carry_in) = (*fee, *carry_out, request.carry);
    if carry_out > plan.carry_max {
        return Err(Breach::Carry { carry_out, carry_max: plan.carry_max });
    }
    let available = reward.checked_add(carry_in).ok_or(Breach::TooLarge { reward, carry_in })?;
    check_fee(fee, u128::from(available), 0, limits)?;
    let pot = available
        .checked_sub(fee)
        .and_then(|rest| rest.checked_sub(carry_out))
        .ok_or(Breach::Overdrawn { fee, carry_out, reward, carry_in })?;
    match allocation {
        Allocation::Weights(weights) => apportion(pot, weights, &request.accounts.key)
            .ok_or(Breach::NobodyNamed { pot, reward }),
        Allocation::Amounts(amounts) => match sum(amounts) {
            0 if pot > 0 => Err(Breach::NobodyNamed { pot, reward }),
            proposed if proposed != u128::from(pot) => Err(Breach::Sum { proposed, pot, reward }),
            _ => Ok(amounts.clone()),
        },
    }
}

/// Bounds what is paid for an interval of work.
///
/// A scheme keeps what is below one unit per account in its state and adds it to the
/// next interval, so a row may get one unit above its work's worth rounded up, and the
/// fee as well.
fn accrue(
    network_work: u64,
    expected_reward: u64,
    request: &Request,
    proposal: &Proposal,
    limits: &Limits,
) -> Result<Vec<u64>, Breach> {
    let Allocation::Amounts(amounts) = &proposal.allocation else {
        return Err(Breach::WeightsForInterval);
    };
    if proposal.carry > 0 {
        return Err(Breach::Carry { carry_out: proposal.carry, carry_max: 0 });
    }
    if network_work == 0 {
        return Err(Breach::Request("a block takes no work"));
    }
    let worth = |work: u128| {
        let value = work.saturating_mul(u128::from(expected_reward));
        value.div_ceil(u128::from(network_work))
    };
    for (row, (&amount, &work)) in amounts.iter().zip(&request.accounts.work).enumerate() {
        let worth = worth(u128::from(work)) + 1;
        if u128::from(amount) > worth {
            return Err(Breach::AboveWorth { row, amount, worth });
        }
    }
    let all = worth(sum(&request.accounts.work));
    check_fee(proposal.pool_fee, all, 1, limits)?;
    let worth = all + amounts.len() as u128 + 1;
    let proposed = sum(amounts) + u128::from(proposal.pool_fee);
    if proposed > worth {
        return Err(Breach::SumAboveWorth { proposed, worth });
    }
    Ok(amounts.clone())
}

/// The fee is at most the operator's part of `reward`, and `slack` units.
fn check_fee(fee: u64, reward: u128, slack: u64, limits: &Limits) -> Result<(), Breach> {
    let allowed = reward.saturating_mul(u128::from(limits.fee_max_ppm)) / 1_000_000;
    if u128::from(fee) <= allowed + u128::from(slack) {
        return Ok(());
    }
    let reward = u64::try_from(reward).unwrap_or(u64::MAX);
    Err(Breach::Fee { fee, reward, fee_max_ppm: limits.fee_max_ppm })
}

fn sum(column: &[u64]) -> u128 {
    column.iter().map(|&entry| u128::from(entry)).sum()
}
