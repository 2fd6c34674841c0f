//! The three slots, by the names they have in settings, records and the API.

use std::fmt;
use std::str::FromStr;

use chimera_plugin::Class;

/// A slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SlotName {
    /// Who is paid what.
    Payout,
    /// Who may mine.
    Auth,
    /// How hard shares are.
    Difficulty,
}

impl SlotName {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Payout, Self::Auth, Self::Difficulty];

    /// Its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Payout => "payout",
            Self::Auth => "auth",
            Self::Difficulty => "difficulty",
        }
    }

    /// The class of components that fill it.
    pub(crate) const fn class(self) -> Class {
        match self {
            Self::Payout => Class::Payout,
            Self::Auth => Class::Auth,
            Self::Difficulty => Class::Difficulty,
        }
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SlotName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|slot| slot.name() == text).ok_or_else(|| {
            format!("there is no slot {text:?}; there are: payout, auth, difficulty")
        })
    }
}
