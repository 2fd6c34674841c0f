//! What an account keeps: the scheme's fee and what the operator set for the account.

use crate::{Diagnostic, PPM, problem};

/// The part of its quota an account keeps, in parts per million: one less the scheme's fee
/// and the account's own, which together are at least nothing and at most the whole. A
/// negative account fee is a bonus; at most it waives the fee.
pub fn kept_ppm(fee_ppm: u32, account_fee_ppm: i32) -> u32 {
    PPM - fee_ppm.min(PPM).saturating_add_signed(account_fee_ppm).min(PPM)
}

/// What is wrong with a fee in parts per million at `/fee_ppm`, if anything is.
pub fn fee_problem(fee_ppm: u32) -> Option<Diagnostic> {
    fee_problem_at("/fee_ppm", fee_ppm)
}

/// What is wrong with a fee in parts per million at the place given, if anything is.
pub fn fee_problem_at(at: &str, fee_ppm: u32) -> Option<Diagnostic> {
    let message = || format!("a fee of {fee_ppm} parts per million is above the whole");
    (fee_ppm > PPM).then(|| problem(at, message(), "0 to 1000000; 10000 is 1 %"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bonus_at_most_waives_the_fee() {
        // scheme, account, kept
        for (scheme, account, kept) in [
            (0, 0, 1_000_000),
            (10_000, 0, 990_000),
            (10_000, 5_000, 985_000),
            (10_000, -5_000, 995_000),
            (10_000, -10_000, 1_000_000),
            (10_000, -1_000_000, 1_000_000),
            (10_000, 1_000_000, 0),
            (1_000_000, 0, 0),
            (1_000_000, -250_000, 250_000),
        ] {
            assert_eq!(kept_ppm(scheme, account), kept, "{scheme} {account}");
        }
    }
}
