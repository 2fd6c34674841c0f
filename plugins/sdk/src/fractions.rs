//! What each account is owed below one base unit, so that nothing is ever lost: the state of
//! every scheme that pays work as it comes.
//!
//! State bytes, little-endian: the network work the fractions are counted in (u64), then
//! per account its key (u64) and the fraction's numerator (u128), keys increasing. The
//! denominator is `network work * 10^6`.

use std::collections::BTreeMap;

use crate::{PPM, PluginError, Quota};

const HEAD: usize = 8;
const ROW: usize = 8 + 16;
/// 9.6 MB of state, below what the host keeps. Each fraction is less than a base unit.
const ROWS_MAX: usize = 400_000;

/// Numerators by account key.
#[derive(Debug)]
pub struct Fractions {
    network_work: u64,
    owed: BTreeMap<u64, u128>,
}

impl Fractions {
    /// Reads state; none is a fresh start. Fractions counted in another unit are converted,
    /// rounding down by less than 10^-6 of a base unit per unit of work.
    ///
    /// # Errors
    /// When the bytes are no such state, or `network_work` is not between 1 and 2^63.
    pub fn read(state: &[u8], network_work: u64) -> Result<Self, PluginError> {
        if network_work == 0 || network_work >= 1 << 63 {
            return Err(PluginError::InvalidInput(format!("a block takes {network_work} of work")));
        }
        let mut owed = BTreeMap::new();
        if state.is_empty() {
            return Ok(Self { network_work, owed });
        }
        let Some((head, rows)) = state.split_first_chunk::<HEAD>() else {
            return Err(unreadable(state));
        };
        let (rows, rest) = rows.as_chunks::<ROW>();
        let before = u64::from_le_bytes(*head);
        if !rest.is_empty() || before == 0 {
            return Err(unreadable(state));
        }
        for row in rows {
            let (key, part) = row.split_first_chunk::<8>().expect("a row is 24 bytes");
            let key = u64::from_le_bytes(*key);
            let part = u128::from_le_bytes(part.try_into().expect("a row is 24 bytes"));
            if part >= u128::from(before) * u128::from(PPM) {
                return Err(unreadable(state));
            }
            owed.insert(key, rescale(part, before, network_work));
        }
        Ok(Self { network_work, owed })
    }

    /// Adds what the account is owed to a new quota, whose unit is the network work: the
    /// whole units out, the fraction kept.
    ///
    /// # Errors
    /// When that is more than an amount can be.
    pub fn settle(&mut self, key: u64, quota: Quota) -> Result<u64, PluginError> {
        let unit = u128::from(self.network_work) * u128::from(PPM);
        let owed = self.owed.entry(key).or_insert(0);
        *owed += quota.part;
        // Two fractions are less than two units.
        let carried = *owed >= unit;
        *owed -= if carried { unit } else { 0 };
        u64::try_from(quota.whole + u128::from(carried))
            .map_err(|_| PluginError::InvalidInput("an amount above 64 bits".to_owned()))
    }

    /// The next state. Accounts that are owed nothing take no space; beyond 400,000
    /// the smallest fractions are let go, or anybody with enough names could fill the state.
    pub fn write(&self) -> Vec<u8> {
        let mut parts: Vec<u128> = self.owed.values().copied().filter(|part| *part > 0).collect();
        let least = if parts.len() > ROWS_MAX {
            let first_kept = parts.len() - ROWS_MAX;
            *parts.select_nth_unstable(first_kept).1
        } else {
            1
        };
        let mut state = self.network_work.to_le_bytes().to_vec();
        let kept = self.owed.iter().filter(|(_, part)| **part >= least).take(ROWS_MAX);
        for (key, part) in kept {
            state.extend(key.to_le_bytes());
            state.extend(part.to_le_bytes());
        }
        state
    }
}

/// `part / (before * 10^6)` as a numerator over `now * 10^6`.
fn rescale(part: u128, before: u64, now: u64) -> u128 {
    if before == now {
        return part;
    }
    // part < before * 10^6, so whole < 10^6 and every product fits.
    let (before, now) = (u128::from(before), u128::from(now));
    let (whole, rest) = (part / before, part % before);
    whole * now + rest * now / before
}

fn unreadable(state: &[u8]) -> PluginError {
    PluginError::InvalidInput(format!("{} bytes that are no fractions of units", state.len()))
}
