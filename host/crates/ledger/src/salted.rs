//! What an account is called where strangers look: a hash of its name with a salt that only
//! the pool and the account know. Without the salt nobody can tell whose row it is, not even
//! by trying names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::hash::BadHash;
use crate::{AccountName, Hash256};

/// An account's secret: 16 random bytes, made once; 32 hexadecimal digits in text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt([u8; 16]);

/// An account under its salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SaltedKey(Hash256);

/// A text that is no salt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a salt has 32 hexadecimal digits, not {0} characters")]
pub struct BadSalt(usize);

impl Salt {
    /// From the bytes kept of it.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Never the bytes: what is debugged ends in logs.
impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

impl FromStr for Salt {
    type Err = BadSalt;

    fn from_str(text: &str) -> Result<Self, BadSalt> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| BadSalt(text.chars().count()))?;
        Ok(Self(bytes))
    }
}

impl Serialize for Salt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Salt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl SaltedKey {
    /// BLAKE3 of `chimera account 1`, a zero byte, the salt, and the name.
    pub fn of(name: &AccountName, salt: &Salt) -> Self {
        Self(Hash256::of("chimera account 1", &[&salt.0, name.as_str().as_bytes()]))
    }

    /// From the bytes kept of it.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Hash256::from_bytes(bytes))
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The row's key in the columns a component sees: the first eight bytes, big-endian,
    /// without the last bit. It decides who gets the last unit when remainders are equal.
    ///
    /// 63 bits, so that rows can be told apart by adding one (see [`crate::Accounts::of`])
    /// without leaving 64.
    pub fn key(&self) -> u64 {
        let (first, _) = self.as_bytes().split_first_chunk().expect("32 bytes begin with eight");
        u64::from_be_bytes(*first) >> 1
    }
}

impl fmt::Display for SaltedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for SaltedKey {
    type Err = BadHash;

    fn from_str(text: &str) -> Result<Self, BadHash> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_account_never_changes() {
        let alice = AccountName::new("alice").unwrap();
        let key = SaltedKey::of(&alice, &Salt::from_bytes([7; 16]));
        let mut bytes = b"chimera account 1\0".to_vec();
        bytes.extend([7; 16]);
        bytes.extend(b"alice");
        assert_eq!(key.as_bytes(), blake3::hash(&bytes).as_bytes());
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(key.key(), u64::from_str_radix(&key.to_string()[..16], 16).unwrap() / 2);
        assert_ne!(key, SaltedKey::of(&alice, &Salt::from_bytes([8; 16])));
    }

    #[test]
    fn salts_are_read_back_and_never_logged() {
        let salt: Salt = "000102030405060708090a0b0c0d0e0f".parse().unwrap();
        assert_eq!(salt.to_string(), "000102030405060708090a0b0c0d0e0f");
        assert_eq!(format!("{salt:?}"), "Salt(..)");
        assert_eq!("00".parse::<Salt>(), Err(BadSalt(2)));
    }
}
