//! Which node an embedded chain imitates.

use std::fmt;
use std::str::FromStr;

/// The rules of a chain: what a block looks like, what it is named by, what is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DevRules {
    /// A coinbase and nothing else; a block is named by its proof of work.
    #[default]
    Plain,
    /// Bitcoin Core: transactions, witnesses; a block is named by SHA-256d of its header,
    /// whatever the proof of work.
    Bitcoin,
    /// The same without witnesses, as Core before BIP 141.
    BitcoinNoSegwit,
    /// Verge Core mining Blake2s: transactions with a time, a block signature made by the
    /// node's wallet; a block is named by scrypt of its header.
    Verge,
}

/// A name that is no set of rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown rules \"{0}\"; known are plain, bitcoin, bitcoin-no-segwit, verge")]
pub struct UnknownRules(pub String);

impl DevRules {
    /// Every set of rules, in the order messages list them.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Bitcoin, Self::BitcoinNoSegwit, Self::Verge];

    /// The name used on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Bitcoin => "bitcoin",
            Self::BitcoinNoSegwit => "bitcoin-no-segwit",
            Self::Verge => "verge",
        }
    }

    pub(super) const fn is_bitcoin(self) -> bool {
        matches!(self, Self::Bitcoin | Self::BitcoinNoSegwit)
    }

    pub(super) const fn segwit(self) -> bool {
        matches!(self, Self::Bitcoin)
    }

    pub(super) const fn is_verge(self) -> bool {
        matches!(self, Self::Verge)
    }
}

impl fmt::Display for DevRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DevRules {
    type Err = UnknownRules;

    fn from_str(name: &str) -> Result<Self, UnknownRules> {
        let known = Self::ALL.into_iter().find(|rules| rules.name() == name);
        known.ok_or_else(|| UnknownRules(name.to_owned()))
    }
}
