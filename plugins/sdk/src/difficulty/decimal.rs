//! A difficulty as people write it, exact: `0.001` is no binary fraction, so it is read
//! digit by digit and rounded down once, to units of 2^-32.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A positive decimal number of at least one unit and below 2^32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    text: String,
    units: u64,
}

/// More digits than any difficulty needs, few enough for 128 bits.
const DIGITS_MAX: usize = 19;

impl Decimal {
    /// The number 1.
    pub fn one() -> Self {
        Self { text: "1".to_owned(), units: 1 << 32 }
    }

    /// In units of 2^-32.
    pub fn units(&self) -> u64 {
        self.units
    }

    /// Reads `12`, `0.001`, `1.5e-6`.
    ///
    /// # Errors
    /// A sentence: no number, too many digits, or out of range.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (
                mantissa,
                exponent.parse::<i32>().map_err(|_| format!("{text:?} is no decimal number"))?,
            ),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(format!("{text:?} is no positive decimal number"));
        }
        let fraction_digits = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        let exponent = exponent.saturating_sub(fraction_digits);
        let trimmed = digits.trim_end_matches('0');
        let zeroes = i32::try_from(digits.len() - trimmed.len()).unwrap_or(i32::MAX);
        let exponent = exponent.saturating_add(zeroes);
        let digits = trimmed.trim_start_matches('0');
        if digits.len() > DIGITS_MAX {
            return Err(format!("{text} has more than {DIGITS_MAX} digits"));
        }
        let number: u128 = digits.parse().unwrap_or(0);
        let units = scaled(number, exponent)
            .ok_or_else(|| format!("{text} is not between 2^-32 and 2^32"))?;
        Ok(Self { text: plain(digits, exponent), units })
    }
}

/// `floor(number * 10^exponent * 2^32)`, if that is one unit or more and below 2^64.
fn scaled(number: u128, exponent: i32) -> Option<u64> {
    // number < 2^64, so number * 2^32 < 2^96; past 10^30 nothing is left either way.
    let power = 10_u128.checked_pow(exponent.unsigned_abs().min(30))?;
    let shifted = number << 32;
    let units = if exponent < 0 { shifted / power } else { shifted.checked_mul(power)? };
    u64::try_from(units).ok().filter(|units| *units > 0)
}

/// `digits * 10^exponent` without an exponent: the one spelling of the canonical form.
fn plain(digits: &str, exponent: i32) -> String {
    let point = exponent.unsigned_abs() as usize;
    if exponent >= 0 {
        format!("{digits}{}", "0".repeat(point))
    } else if point >= digits.len() {
        format!("0.{}{digits}", "0".repeat(point - digits.len()))
    } else {
        let (whole, fraction) = digits.split_at(digits.len() - point);
        format!("{whole}.{fraction}")
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The raw text: a number that went through a float is no longer what was written.
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::parse(raw.get().trim_matches('"')).map_err(Error::custom)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_exactly() {
        for (text, plain, units) in [
            ("1", "1", 1 << 32),
            ("1.0", "1", 1 << 32),
            ("0.5", "0.5", 1 << 31),
            (".5", "0.5", 1 << 31),
            ("007.250", "7.25", 31_138_512_896),
            ("0.001", "0.001", 4_294_967),
            ("1e-6", "0.000001", 4294),
            ("1.5E+3", "1500", 1500 << 32),
            ("4294967295.999999999", "4294967295.999999999", u64::MAX - 4),
            ("0.00000000023283064366", "0.00000000023283064366", 1),
            ("16384", "16384", 16384 << 32),
            ("100", "100", 100 << 32),
        ] {
            let decimal = Decimal::parse(text);
            assert_eq!(decimal, Ok(Decimal { text: plain.to_owned(), units }), "{text}");
            assert_eq!(Decimal::parse(plain).unwrap(), decimal.unwrap(), "{text}");
        }
    }

    #[test]
    fn what_is_no_difficulty_is_refused() {
        for (text, reason) in [
            ("", "no positive decimal"),
            (".", "no positive decimal"),
            ("-1", "no positive decimal"),
            ("+1", "no positive decimal"),
            ("1e", "no decimal"),
            ("1e99999999999", "no decimal"),
            ("0x10", "no positive decimal"),
            ("0", "not between"),
            ("0.0", "not between"),
            ("0.0000000001", "not between"),
            ("4294967296", "not between"),
            ("1e400", "not between"),
            ("1e-2147483648", "not between"),
            ("1.23456789012345678901", "more than 19 digits"),
        ] {
            let refusal = Decimal::parse(text).unwrap_err();
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }
}
