//! Addresses, read by the pool itself: base58 with the network's version bytes, and segwit's
//! bech32 (BIP 173) and bech32m (BIP 350) with its prefix. An address of another network or
//! with a typing error pays a stranger or nobody (T8).

use bech32::{Fe32, Hrp, segwit};
use serde::Deserialize;

use crate::coinbase::put_push;

const OP_DUP: u8 = 0x76;
const OP_HASH160: u8 = 0xa9;
const OP_EQUAL: u8 = 0x87;
const OP_EQUALVERIFY: u8 = 0x88;
const OP_CHECKSIG: u8 = 0xac;
const HASH_BYTES: usize = 20;

/// What addresses of a network begin with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prefixes {
    /// Version byte of base58 addresses of a key hash (P2PKH).
    pub pubkey_hash: Option<u8>,
    /// Version byte of base58 addresses of a script hash (P2SH).
    pub script_hash: Option<u8>,
    /// Human-readable part of segwit addresses.
    pub bech32: Option<String>,
}

/// Why a text is no address of a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// A segwit address of another network.
    #[error("it begins with \"{found}1\", addresses of this network with {expected}")]
    OtherPrefix {
        /// What it begins with.
        found: String,
        /// What it should begin with.
        expected: String,
    },
    /// A base58 address of another network.
    #[error("its version byte is {found}, addresses of this network have {expected}")]
    OtherVersion {
        /// Its version byte.
        found: u8,
        /// The network's.
        expected: String,
    },
    /// Neither base58 nor bech32, or with a typing error.
    #[error("it is no address: {0}")]
    Malformed(String),
}

impl Prefixes {
    /// The script that pays an address.
    ///
    /// # Errors
    /// When it is not an address of this network.
    pub fn script(&self, address: &str) -> Result<Vec<u8>, BadAddress> {
        // Base58 has no zero and bech32's separator is a one, so either may contain the other;
        // the checksums tell them apart.
        match segwit::decode(address) {
            Ok((hrp, version, program)) => self.segwit_script(hrp, version, &program),
            Err(not_segwit) => match bs58::decode(address).with_check(None).into_vec() {
                Ok(payload) => self.base58_script(&payload),
                Err(not_base58) => Err(self.malformed(address, &not_segwit, &not_base58)),
            },
        }
    }

    fn segwit_script(
        &self,
        hrp: Hrp,
        version: Fe32,
        program: &[u8],
    ) -> Result<Vec<u8>, BadAddress> {
        let found = hrp.to_lowercase();
        if self.bech32.as_deref() != Some(&*found) {
            let expected = self.bech32.as_ref().map_or_else(
                || "a digit or letter of base58".to_owned(),
                |prefix| format!("\"{prefix}1\""),
            );
            return Err(BadAddress::OtherPrefix { found, expected });
        }
        let version = version.to_u8();
        // BIP 141: OP_0 or OP_1 to OP_16, then the program.
        let mut script = vec![if version == 0 { 0 } else { 0x50 + version }];
        put_push(&mut script, program);
        Ok(script)
    }

    fn base58_script(&self, payload: &[u8]) -> Result<Vec<u8>, BadAddress> {
        let Some((&version, hash)) =
            payload.split_first().filter(|(_, hash)| hash.len() == HASH_BYTES)
        else {
            let cause = format!("{} bytes behind its checksum instead of 21", payload.len());
            return Err(BadAddress::Malformed(cause));
        };
        let mut script = Vec::new();
        if Some(version) == self.pubkey_hash {
            script.extend([OP_DUP, OP_HASH160]);
            put_push(&mut script, hash);
            script.extend([OP_EQUALVERIFY, OP_CHECKSIG]);
        } else if Some(version) == self.script_hash {
            script.push(OP_HASH160);
            put_push(&mut script, hash);
            script.push(OP_EQUAL);
        } else {
            let known: Vec<String> =
                [self.pubkey_hash, self.script_hash].iter().flatten().map(u8::to_string).collect();
            let expected = if known.is_empty() { "none".to_owned() } else { known.join(" or ") };
            return Err(BadAddress::OtherVersion { found: version, expected });
        }
        Ok(script)
    }

    /// Of two reasons the one that belongs to what was meant.
    fn malformed(
        &self,
        address: &str,
        not_segwit: &segwit::DecodeError,
        not_base58: &bs58::decode::Error,
    ) -> BadAddress {
        let meant_segwit = self
            .bech32
            .as_ref()
            .is_some_and(|prefix| address.to_ascii_lowercase().starts_with(&format!("{prefix}1")));
        BadAddress::Malformed(if meant_segwit {
            not_segwit.to_string()
        } else {
            not_base58.to_string()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    fn prefixes(profile: &str) -> Prefixes {
        Profile::named(profile).expect(profile).addresses.expect("it has prefixes")
    }

    /// Of BIP 13, 173 and 350, and of the recorded Verge coinbase's wallet.
    #[test]
    fn an_address_is_the_script_it_stands_for() {
        let rows = [
            (
                "bitcoin",
                "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
                "76a91477bff20c60e522dfaa3350c39b030a5d004e839a88ac",
            ),
            (
                "bitcoin",
                "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
                "a914b472a266d0bd89c13706a4132ccfb16f7c3b9fcb87",
            ),
            (
                "bitcoin",
                "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
                "0014751e76e8199196d454941c45d1b3a323f1433bd6",
            ),
            (
                "bitcoin",
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
                "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
            ),
            (
                "bitcoin-testnet4",
                "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
                "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
            ),
            (
                "bitcoin-regtest",
                "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn",
                "76a914243f1394f44554f4ce3fd68649c19adc483ce92488ac",
            ),
        ];
        for (profile, address, script) in rows {
            let found = prefixes(profile).script(address).map(hex::encode);
            assert_eq!(found.as_deref(), Ok(script), "{address}");
        }
    }

    #[test]
    fn t08_an_address_of_another_network_is_refused_with_both_names() {
        let rows = [
            ("bitcoin", "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "\"tb1\"", "\"bc1\""),
            ("bitcoin-regtest", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "\"bc1\"", "bcrt1"),
            ("bitcoin", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "111", "0 or 5"),
            ("verge", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "is 0", "30 or 33"),
            ("devchain", "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "is 0", "none"),
        ];
        for (profile, address, found, expected) in rows {
            let error = prefixes(profile).script(address).expect_err(address).to_string();
            assert!(error.contains(found) && error.contains(expected), "{address}: {error}");
        }
    }

    #[test]
    fn t08_a_typing_error_is_seen() {
        for typo in [
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
            // Version 1 with the checksum of version 0 (BIP 350).
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
            "",
            "alice",
        ] {
            let error = prefixes("bitcoin").script(typo).expect_err(typo);
            assert!(matches!(error, BadAddress::Malformed(_)), "{typo}: {error}");
        }
    }
}
