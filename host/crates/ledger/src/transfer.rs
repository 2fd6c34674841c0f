//! One movement of money. Nothing is ever deleted: what must be undone is reversed by
//! another transfer.

use std::fmt;
use std::str::FromStr;

use crate::{Account, Amount};

/// Moves an amount from one account to another, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Unique for ever; booking the same key again changes nothing.
    pub key: String,
    /// The account that gives.
    pub debit: Account,
    /// The account that receives; never the one that gives.
    pub credit: Account,
    /// How much; never zero.
    pub amount: Amount,
    /// Why.
    pub reason: Reason,
}

/// Why money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A miner's part of a block.
    Reward,
    /// The pool's part.
    Fee,
    /// The previous settlement's remainder enters this one.
    CarryIn,
    /// This settlement's remainder waits for the next.
    CarryOut,
    /// Work paid before a block exists.
    Accrual,
    /// A block goes to the one who paid for its work in advance.
    Reserve,
    /// Undoes another transfer.
    Reversal,
    /// Books a transfer again that was undone.
    Reinstatement,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Reward,
        Self::Fee,
        Self::CarryIn,
        Self::CarryOut,
        Self::Accrual,
        Self::Reserve,
        Self::Reversal,
        Self::Reinstatement,
    ];

    /// The stable word used in the database and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reward => "reward",
            Self::Fee => "fee",
            Self::CarryIn => "carry-in",
            Self::CarryOut => "carry-out",
            Self::Accrual => "accrual",
            Self::Reserve => "reserve",
            Self::Reversal => "reversal",
            Self::Reinstatement => "reinstatement",
        }
    }

    /// Whether it repeats or undoes another transfer, see [`Transfer::leg`].
    pub const fn is_leg(self) -> bool {
        matches!(self, Self::Reversal | Self::Reinstatement)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown reason \"{0}\" for a transfer")]
pub struct UnknownReason(pub String);

impl FromStr for Reason {
    type Err = UnknownReason;

    fn from_str(name: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.name() == name)
            .ok_or_else(|| UnknownReason(name.to_owned()))
    }
}

impl Transfer {
    /// What is booked when this one is undone, booked again, undone again, and so on: odd legs,
    /// from 1, undo it, even ones book it again. Each can be booked once, like every transfer,
    /// so that all of them together are always this one, or nothing.
    #[must_use]
    pub fn leg(&self, leg: u32) -> Self {
        let Self { key, debit, credit, amount, .. } = self.clone();
        let reason = if leg.is_multiple_of(2) { Reason::Reinstatement } else { Reason::Reversal };
        let (debit, credit) =
            if reason == Reason::Reversal { (credit, debit) } else { (debit, credit) };
        let key = match leg {
            // Its name from when it was the only one.
            1 => format!("{reason}:{key}"),
            _ => format!("{reason}-{leg}:{key}"),
        };
        Self { key, debit, credit, amount, reason }
    }
}

/// What a block brings under an accruing scheme: its work is paid already, so all of it
/// goes to the reserve. `settlement` is the settlement's unique key.
pub fn block_to_reserve(settlement: &str, reward: Amount) -> Vec<Transfer> {
    let transfer = Transfer {
        key: format!("{settlement}/{}", Account::Reserve),
        debit: Account::Chain,
        credit: Account::Reserve,
        amount: reward,
        reason: Reason::Reserve,
    };
    if reward.is_zero() { Vec::new() } else { vec![transfer] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orphan_after_credit_is_another_transfer() {
        let [reward] = &block_to_reserve("block:9", Amount::from_units(5))[..] else { panic!() };
        assert_eq!(reward.key, "block:9/pool:reserve");
        let undone = reward.leg(1);
        assert_eq!(undone.key, "reversal:block:9/pool:reserve");
        assert_eq!((&undone.debit, &undone.credit), (&Account::Reserve, &Account::Chain));
        assert_eq!(undone.amount, reward.amount);
        assert!(block_to_reserve("block:9", Amount::ZERO).is_empty());
    }

    /// Which leg, its key, and where the money is after it.
    #[test]
    fn legs_undo_and_restore_in_turns_under_keys_of_their_own() {
        let transfer = block_to_reserve("block:9", Amount::from_units(5)).remove(0);
        let mut reserve = 5;
        for (leg, key, expected) in [
            (1, "reversal:block:9/pool:reserve", 0),
            (2, "reinstatement-2:block:9/pool:reserve", 5),
            (3, "reversal-3:block:9/pool:reserve", 0),
            (4, "reinstatement-4:block:9/pool:reserve", 5),
        ] {
            let booked = transfer.leg(leg);
            assert_eq!((booked.key.as_str(), booked.amount), (key, transfer.amount));
            reserve += if booked.credit == Account::Reserve { 5 } else { -5 };
            assert_eq!(reserve, expected, "leg {leg}");
            assert!(booked.reason.is_leg() && !transfer.reason.is_leg());
        }
    }

    #[test]
    fn reasons_are_read_back() {
        for reason in Reason::ALL {
            assert_eq!(reason.name().parse(), Ok(reason));
        }
        assert!("gift".parse::<Reason>().is_err());
    }
}
