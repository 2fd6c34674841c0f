//! What policies that look at credentials share.

use std::hint::black_box;

use super::Attempt;
use crate::PluginError;

/// The password of an attempt, for a policy that cannot decide without.
///
/// # Errors
/// When passwords are not shown to this policy, in words for the operator.
pub fn password(attempt: &Attempt) -> Result<&str, PluginError> {
    attempt.password.as_deref().ok_or_else(|| {
        PluginError::Unsupported(
            "passwords are not shown to this policy: the operator must grant `credential`"
                .to_owned(),
        )
    })
}

/// Compares two digests in a time that tells nothing about where they differ.
pub fn same_digest<const BYTES: usize>(one: [u8; BYTES], other: [u8; BYTES]) -> bool {
    let differing =
        one.iter().zip(&other).fold(0, |seen, (one, other)| black_box(seen | (one ^ other)));
    differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_compared_whole() {
        for (one, other, same) in
            [([1, 2], [1, 2], true), ([1, 2], [1, 3], false), ([0, 2], [1, 2], false)]
        {
            assert_eq!(same_digest(one, other), same, "{one:?} {other:?}");
        }
    }
}
