//! How far schemes that credit work before blocks exist may bring the reserve below zero:
//! what the operator stands for, and no more. Work beyond it is recorded and paid when blocks
//! refill the reserve, or when the operator stands for more.

use chimera_ledger::Distribution;

/// What an operator can do.
pub(crate) const ADVICE: &str = "Shares are still recorded. Their work is paid by itself, the oldest first, when blocks \
     refill the reserve; or raise payout.reserve and start again, if you stand for more.";

/// An interval of work would bring the reserve below what the operator stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "paying the work of shares {from_seq} to {to_seq} takes {needed} base units, the reserve holds \
     {holds}, and payout.reserve lets it fall to -{bound}: held"
)]
pub(crate) struct ReserveTooLow {
    from_seq: u64,
    to_seq: u64,
    needed: u128,
    holds: i128,
    bound: u64,
}

impl ReserveTooLow {
    /// Checks an interval against the reserve.
    pub(crate) fn check(
        distribution: &Distribution,
        (from_seq, to_seq): (u64, u64),
        holds: i128,
        bound: Option<u64>,
    ) -> Result<(), Self> {
        let needed = distribution.from_reserve();
        let left = i128::try_from(needed).map_or(i128::MIN, |needed| holds.saturating_sub(needed));
        match bound {
            Some(bound) if needed > 0 && left < -i128::from(bound) => {
                Err(Self { from_seq, to_seq, needed, holds, bound })
            }
            _ => Ok(()),
        }
    }

    /// About how many of the oldest shares can be paid; at most half of them.
    pub(crate) fn shares_that_fit(&self) -> u64 {
        let room = u128::try_from(self.holds + i128::from(self.bound)).unwrap_or(0);
        let shares = self.to_seq - self.from_seq;
        let fit = u128::from(shares).saturating_mul(room) / self.needed.max(1);
        u64::try_from(fit).unwrap_or(u64::MAX).min(shares / 2)
    }
}

/// The mean of what blocks' transactions were to pay, over the templates of an interval: one
/// template alone may be the one behind a full block, or before an empty one.
#[derive(Debug, Default)]
pub(crate) struct FeeMean {
    sum: u128,
    templates: u64,
}

impl FeeMean {
    /// A template that was worked on, with these fees.
    pub(crate) fn add(&mut self, fees: u64) {
        self.sum += u128::from(fees);
        self.templates += 1;
    }

    /// The mean so far, rounded down.
    pub(crate) fn get(&self) -> Option<u64> {
        let mean = self.sum.checked_div(self.templates.into())?;
        u64::try_from(mean).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn low(needed: u128, holds: i128, bound: u64, shares: u64) -> ReserveTooLow {
        ReserveTooLow { from_seq: 100, to_seq: 100 + shares, needed, holds, bound }
    }

    #[test]
    fn the_oldest_shares_are_paid_as_far_as_it_goes() {
        for (needed, holds, bound, shares, fit) in [
            (1_000, 0, 100, 50, 5),
            (1_000, -100, 100, 50, 0),
            (1_000, -500, 100, 50, 0),
            (1_000, 900, 0, 50, 25),
            (1_000, 0, 999, 1, 0),
        ] {
            let found = low(needed, holds, bound, shares).shares_that_fit();
            assert_eq!(found, fit, "{needed} of {holds} with {bound}");
        }
    }

    #[test]
    fn fees_are_the_mean_of_the_templates() {
        let mut mean = FeeMean::default();
        assert_eq!(mean.get(), None);
        for fees in [10, 0, 3] {
            mean.add(fees);
        }
        assert_eq!(mean.get(), Some(4));
    }
}
