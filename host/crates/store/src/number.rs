//! Numbers SQLite has no type for: it counts to 2^63 - 1.

use chimera_pow::Work;

use crate::StoreError;

/// Bits of the low column of a `_hi`, `_lo` pair.
const LOW_BITS: u32 = 40;

/// The most work a share or a block may have: 2^96 hashes. Bitcoin's block takes about
/// 2^79, and sums over 2^32 such shares still fit.
pub const WORK_MAX: Work = Work::from_hashes(1 << 96);

/// An unsigned number as SQLite stores it.
pub(crate) fn int(what: &'static str, value: u64) -> Result<i64, StoreError> {
    let max = i64::MAX.unsigned_abs().into();
    i64::try_from(value).map_err(|_| StoreError::TooLarge { what, value: value.into(), max })
}

/// A stored number that cannot be negative.
pub(crate) fn uint(what: &'static str, value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| StoreError::Corrupt(format!("{what} is {value}")))
}

/// A stored number of 32 bits.
pub(crate) fn uint32(what: &'static str, value: i64) -> Result<u32, StoreError> {
    u32::try_from(value).map_err(|_| StoreError::Corrupt(format!("{what} is {value}")))
}

/// A stored fee in parts per million, or bonus.
pub(crate) fn fee(value: i64) -> Result<i32, StoreError> {
    i32::try_from(value).map_err(|_| StoreError::Corrupt(format!("a fee is {value}")))
}

/// Work as a `_hi`, `_lo` pair.
pub(crate) fn work_pair(work: Work) -> Result<(i64, i64), StoreError> {
    let value = work.hashes();
    let too_large =
        || StoreError::TooLarge { what: "work", value, max: u128::from(u64::MAX >> 1) << LOW_BITS };
    let high = i64::try_from(value >> LOW_BITS).map_err(|_| too_large())?;
    let low = i64::try_from(value & ((1 << LOW_BITS) - 1)).expect("40 bits");
    Ok((high, low))
}

/// The number of a pair, or of the sums of two columns.
pub(crate) fn paired(what: &'static str, high: i64, low: i64) -> Result<u128, StoreError> {
    Ok((u128::from(uint(what, high)?) << LOW_BITS) + u128::from(uint(what, low)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_survives_the_pair() {
        for hashes in [0, 1, (1 << 40) - 1, 1 << 40, (1 << 40) + 1, WORK_MAX.hashes()] {
            let (high, low) = work_pair(Work::from_hashes(hashes)).unwrap();
            assert_eq!(paired("work", high, low).unwrap(), hashes);
        }
        assert!(work_pair(Work::from_hashes(u128::MAX)).is_err());
        assert_eq!(paired("work", 1, 3 << 40).unwrap(), 4 << 40, "sums need no carry");
    }

    #[test]
    fn numbers_beyond_sqlite_are_refused() {
        assert!(int("height", u64::MAX).is_err());
        assert!(uint("height", -1).is_err());
        assert!(uint32("worker", 1 << 32).is_err());
    }
}
