//! Money as the API writes it: exact base units as text, since JSON readers round large
//! numbers, and the same in coins.

use serde::Serialize;

use crate::Coin;

/// 10^38 is the largest power of ten in an `i128`.
const DECIMALS_MAX: u8 = 38;

/// An amount of one coin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Money {
    /// Whole base units.
    units: String,
    /// The same in coins, every digit.
    coins: String,
}

impl Money {
    pub(crate) fn new(units: i128, coin: &Coin) -> Self {
        let decimals = coin.decimals.min(DECIMALS_MAX);
        let one = 10_u128.pow(decimals.into());
        let sign = if units < 0 { "-" } else { "" };
        let (whole, rest) = (units.unsigned_abs() / one, units.unsigned_abs() % one);
        let width = usize::from(decimals);
        let coins = match width {
            0 => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}.{rest:0width$}"),
        };
        let ticker = if coin.ticker.is_empty() { "" } else { " " };
        Self { units: units.to_string(), coins: format!("{coins}{ticker}{}", coin.ticker) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_is_shown() {
        for (units, decimals, coins) in [
            (0, 8, "0.00000000 XVG"),
            (1, 8, "0.00000001 XVG"),
            (5_000_000_000, 8, "50.00000000 XVG"),
            (-150, 2, "-1.50 XVG"),
            (-1, 2, "-0.01 XVG"),
            (7, 0, "7 XVG"),
            (i128::MIN, 38, "-1.70141183460469231731687303715884105728 XVG"),
            (i128::MAX, 255, "1.70141183460469231731687303715884105727 XVG"),
        ] {
            let coin = Coin { ticker: "XVG".to_owned(), decimals };
            let money = Money::new(units, &coin);
            assert_eq!((money.units, money.coins.as_str()), (units.to_string(), coins));
        }
        assert_eq!(Money::new(150, &Coin { ticker: String::new(), decimals: 2 }).coins, "1.50");
    }
}
