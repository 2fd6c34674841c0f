//! Who money belongs to. Balances of all accounts together are always zero: the chain
//! account is the outside world and goes as far below zero as the pool ever received.

use std::fmt;
use std::str::FromStr;

/// Longest account name. The longest payout address in use has 106 characters; 128
/// bytes leave room and bound what a stranger can make the pool keep.
pub const ACCOUNT_NAME_BYTES_MAX: usize = 128;

/// The name of a miner's account, usually an address: 1 to 128 bytes, visible.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);

/// A text that names no miner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAccountName {
    /// No text at all.
    #[error("an account name must not be empty")]
    Empty,
    /// Too much text.
    #[error("an account name of {bytes} bytes; at most {ACCOUNT_NAME_BYTES_MAX} are allowed")]
    TooLong {
        /// What came.
        bytes: usize,
    },
    /// A character nobody can see, so that two names could look the same.
    #[error("an account name with the invisible character {0:?}")]
    Invisible(char),
}

impl AccountName {
    /// Checks a name.
    ///
    /// # Errors
    /// When it is empty, longer than [`ACCOUNT_NAME_BYTES_MAX`], or has an invisible character.
    pub fn new(name: impl Into<String>) -> Result<Self, BadAccountName> {
        let name = name.into();
        if name.is_empty() {
            return Err(BadAccountName::Empty);
        }
        if name.len() > ACCOUNT_NAME_BYTES_MAX {
            return Err(BadAccountName::TooLong { bytes: name.len() });
        }
        match name.chars().find(|&c| is_invisible(c)) {
            Some(c) => Err(BadAccountName::Invisible(c)),
            None => Ok(Self(name)),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One side of a transfer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// A miner's.
    Miner(AccountName),
    /// What the operator earned.
    PoolFee,
    /// Rounding remainders on their way to the next settlement.
    Carry,
    /// What the operator pays accrued work from, and receives blocks into.
    Reserve,
    /// The outside world rewards come from.
    Chain,
}

/// A text that is no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownAccount {
    /// Neither a miner's nor one of the pool's.
    #[error(
        "unknown account \"{0}\"; known are miner:<name>, pool:fee, pool:carry, pool:reserve, chain:reward"
    )]
    Form(String),
    /// A miner's, with an impossible name.
    #[error(transparent)]
    Name(#[from] BadAccountName),
}

/// The stable text form: `miner:alice`, `pool:fee`, `pool:carry`, `pool:reserve`, `chain:reward`.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Miner(name) => write!(f, "miner:{name}"),
            Self::PoolFee => f.write_str("pool:fee"),
            Self::Carry => f.write_str("pool:carry"),
            Self::Reserve => f.write_str("pool:reserve"),
            Self::Chain => f.write_str("chain:reward"),
        }
    }
}

impl FromStr for Account {
    type Err = UnknownAccount;

    fn from_str(text: &str) -> Result<Self, UnknownAccount> {
        if let Some(name) = text.strip_prefix("miner:") {
            return Ok(Self::Miner(AccountName::new(name)?));
        }
        match text {
            "pool:fee" => Ok(Self::PoolFee),
            "pool:carry" => Ok(Self::Carry),
            "pool:reserve" => Ok(Self::Reserve),
            "chain:reward" => Ok(Self::Chain),
            _ => Err(UnknownAccount::Form(text.to_owned())),
        }
    }
}

/// Control characters, white space other than the blank, and Unicode's format characters
/// that show nothing or turn the line around.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || c.is_whitespace() && c != ' '
        || matches!(c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_stable_and_read_back() {
        let alice = Account::Miner(AccountName::new("alice").unwrap());
        for (account, text) in [
            (alice, "miner:alice"),
            (Account::PoolFee, "pool:fee"),
            (Account::Carry, "pool:carry"),
            (Account::Reserve, "pool:reserve"),
            (Account::Chain, "chain:reward"),
        ] {
            assert_eq!(account.to_string(), text);
            assert_eq!(text.parse(), Ok(account));
        }
        assert!(matches!("pool:tip".parse::<Account>(), Err(UnknownAccount::Form(_))));
        assert!(matches!("miner:".parse::<Account>(), Err(UnknownAccount::Name(_))));
    }

    #[test]
    fn names_are_short_and_visible() {
        for good in ["a", "D7Y55r6Yoc1G8EECxkQ6SuSjTgGJJ7M6yD", "rig 1", "miner:x", "жук"] {
            assert!(AccountName::new(good).is_ok(), "{good}");
        }
        assert!(AccountName::new("x".repeat(128)).is_ok());
        for (bad, why) in [
            (String::new(), BadAccountName::Empty),
            ("x".repeat(129), BadAccountName::TooLong { bytes: 129 }),
            ("a\nb".into(), BadAccountName::Invisible('\n')),
            ("a\0".into(), BadAccountName::Invisible('\0')),
            ("a\u{202e}b".into(), BadAccountName::Invisible('\u{202e}')),
            ("a\u{200b}".into(), BadAccountName::Invisible('\u{200b}')),
            ("a\u{a0}b".into(), BadAccountName::Invisible('\u{a0}')),
        ] {
            assert_eq!(AccountName::new(bad), Err(why));
        }
    }
}
