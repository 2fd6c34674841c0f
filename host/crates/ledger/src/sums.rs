//! What a settlement comes to, and the movements of money that follow from it: one list, for
//! the books under names and for the record under salted keys.

use std::borrow::Cow;

use crate::canonical::Encoder;
use crate::record::{DecidedBy, Decider};
use crate::{
    Account, AccountName, Amount, Breach, Distribution, Event, Hash256, Imbalance, Limits,
    Proposal, Reason, Request, SaltedKey, Transfer, UnnamedRows,
};

/// What everybody gets, whoever asks.
pub(crate) struct Sums<'a> {
    /// In base units, one per row of the request.
    pub(crate) amounts: Cow<'a, [u64]>,
    pub(crate) pool_fee: u64,
    pub(crate) carry_in: u64,
    pub(crate) carry_out: u64,
    pub(crate) to_reserve: u64,
    /// A block is paid out of the chain's account, an interval by the reserve.
    pub(crate) is_block: bool,
}

/// One movement, before it is known who the miners are.
struct Movement {
    debit: Account,
    credit: Payee,
    amount: u64,
    reason: Reason,
}

enum Payee {
    /// The account of a row.
    Row(usize),
    /// One of the pool's.
    Own(Account),
}

impl Sums<'static> {
    /// The host's own arithmetic: the conservation check, or the rule.
    pub(crate) fn of(
        decided_by: DecidedBy,
        decider: &Decider,
        limits: &Limits,
        request: &Request,
        outcome: &Proposal,
    ) -> Result<Self, Imbalance> {
        if decided_by == DecidedBy::ReserveRule {
            return Self::by_the_rule(decider, request);
        }
        let (name, plan) = (&decider.name, &decider.plan);
        let checked = Distribution::check(name, request, plan, outcome.clone(), limits)?;
        let Sums { pool_fee, carry_in, carry_out, to_reserve, is_block, .. } = checked.sums();
        let amounts = Cow::Owned(checked.into_amounts());
        Ok(Self { amounts, pool_fee, carry_in, carry_out, to_reserve, is_block })
    }

    /// Under an accruing scheme a block goes to the reserve as a whole.
    pub(crate) fn by_the_rule(decider: &Decider, request: &Request) -> Result<Self, Imbalance> {
        let (Event::Block { reward, .. }, false) =
            (request.event, decider.plan.kind.splits_blocks())
        else {
            let breach = Breach::Request("the rule of the reserve where a scheme divides");
            return Err(Imbalance { plugin: decider.name.clone(), breach });
        };
        let amounts = Cow::Owned(vec![0; request.accounts.rows()]);
        let (pool_fee, carry_in, carry_out, to_reserve) = (0, 0, 0, reward);
        Ok(Self { amounts, pool_fee, carry_in, carry_out, to_reserve, is_block: true })
    }
}

impl Sums<'_> {
    pub(crate) fn credited(&self) -> u64 {
        // A block's are part of its reward; an interval's are bounded by its worth.
        self.amounts.iter().fold(0, |sum, amount| sum.saturating_add(*amount))
    }

    pub(crate) fn paid(&self) -> u64 {
        self.amounts.iter().filter(|amount| **amount > 0).count() as u64
    }

    /// All movements in the order they are booked; nothing moves for an amount of zero.
    fn movements(&self) -> impl Iterator<Item = Movement> {
        let (source, reason) = if self.is_block {
            (Account::Chain, Reason::Reward)
        } else {
            (Account::Reserve, Reason::Accrual)
        };
        let own = |debit: &Account, credit, amount, reason| {
            let (debit, credit) = (debit.clone(), Payee::Own(credit));
            Movement { debit, credit, amount, reason }
        };
        let before = [own(&Account::Carry, Account::Chain, self.carry_in, Reason::CarryIn)];
        let after = [
            own(&source, Account::PoolFee, self.pool_fee, Reason::Fee),
            own(&source, Account::Carry, self.carry_out, Reason::CarryOut),
            own(&source, Account::Reserve, self.to_reserve, Reason::Reserve),
        ];
        let rows = self.amounts.iter().enumerate().map(move |(row, &amount)| {
            let (debit, credit) = (source.clone(), Payee::Row(row));
            Movement { debit, credit, amount, reason }
        });
        before.into_iter().chain(rows).chain(after).filter(|movement| movement.amount > 0)
    }

    /// The transfers that book it, see [`Distribution::transfers`].
    pub(crate) fn transfers(
        &self,
        settlement: &str,
        names: &[AccountName],
    ) -> Result<Vec<Transfer>, UnnamedRows> {
        if names.len() != self.amounts.len() {
            return Err(UnnamedRows { names: names.len(), rows: self.amounts.len() });
        }
        let transfer = |Movement { debit, credit, amount, reason }| {
            let credit = match credit {
                Payee::Row(row) => Account::Miner(names[row].clone()),
                Payee::Own(account) => account,
            };
            let key = match reason {
                Reason::CarryIn | Reason::CarryOut => format!("{settlement}/{reason}"),
                _ => format!("{settlement}/{credit}"),
            };
            Transfer { key, debit, credit, amount: Amount::from_units(amount), reason }
        };
        let mut transfers = Vec::with_capacity(names.len() + 4);
        transfers.extend(self.movements().map(transfer));
        Ok(transfers)
    }

    /// BLAKE3 of `chimera transfers 1`, a zero byte, and a list of the transfers in the order
    /// they are booked: who gives, who receives, why, and the amount. Who and why are a byte
    /// in the order of [`Account`] and [`Reason`]; behind a miner's stands its salted key, so
    /// that nobody is found by trying names.
    pub(crate) fn transfers_hash(&self, accounts: &[SaltedKey]) -> Hash256 {
        let mut out = Encoder::with_capacity(8 + 43 * (accounts.len() + 4));
        out.u64(0);
        let mut count: u64 = 0;
        for Movement { debit, credit, amount, reason } in self.movements() {
            count += 1;
            out.u8(byte_of(&debit));
            match credit {
                Payee::Own(account) => out.u8(byte_of(&account)),
                Payee::Row(row) => {
                    out.u8(MINER);
                    // Rows without an account are told as such where they are compared.
                    out.0.extend_from_slice(
                        accounts.get(row).map_or(&[0; 32], |key| key.as_bytes()),
                    );
                }
            }
            out.u8(reason as u8);
            out.u64(amount);
        }
        out.0[..8].copy_from_slice(&count.to_le_bytes());
        Hash256::of("chimera transfers 1", &[&out.0])
    }
}

const MINER: u8 = 0;

const fn byte_of(account: &Account) -> u8 {
    match account {
        Account::Miner(_) => MINER,
        Account::PoolFee => 1,
        Account::Carry => 2,
        Account::Reserve => 3,
        Account::Chain => 4,
    }
}
