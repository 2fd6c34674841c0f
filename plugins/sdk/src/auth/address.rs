//! Payout addresses as account names. A miner's typing error in its own address is money lost:
//! it is told so at login, by the checksum every address carries.

use bech32::{Hrp, segwit};
use serde::{Deserialize, Serialize};

use crate::{Diagnostic, problem};

/// The forms of address a pool pays to; none at all means any name will do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AddressForms {
    /// Version bytes of base58check addresses with a 20-byte hash, e.g. 30.
    pub base58: Vec<u8>,
    /// Human-readable parts of segwit addresses (BIP 173, BIP 350), e.g. `vg`.
    pub bech32: Vec<String>,
}

/// Version and hash of a key or script.
const BASE58_BYTES: usize = 21;

impl AddressForms {
    /// Whether any name will do.
    pub fn is_empty(&self) -> bool {
        self.base58.is_empty() && self.bech32.is_empty()
    }

    /// What is wrong with the block `/address`, if anything is.
    pub fn problems(&self) -> Vec<Diagnostic> {
        let wrong =
            |hrp: &str| Hrp::parse(hrp).is_err() || hrp.bytes().any(|b| b.is_ascii_uppercase());
        let bad = self.bech32.iter().enumerate().filter(|(_, hrp)| wrong(hrp));
        bad.map(|(index, hrp)| {
            problem(
                &format!("/address/bech32/{index}"),
                format!("{hrp:?} is no human-readable part"),
                "what stands before the 1 of an address, lower case, e.g. \"bc\"",
            )
        })
        .collect()
    }

    /// The one spelling of an address: the account's name.
    ///
    /// # Errors
    /// A sentence for the miner.
    pub fn account(&self, name: &str) -> Result<String, String> {
        if self.is_empty() {
            return Ok(name.to_owned());
        }
        let lower = name.to_ascii_lowercase();
        match self.bech32.iter().find(|hrp| starts(&lower, hrp)) {
            Some(_) if is_mixed(name) => {
                Err("an address of this kind is all lower case or all upper case".to_owned())
            }
            Some(_) => segwit::decode(&lower)
                .map(|_| lower)
                .map_err(|_| "the address has a typing error: its checksum is wrong".to_owned()),
            None => self.base58_account(name),
        }
    }

    fn base58_account(&self, name: &str) -> Result<String, String> {
        use bs58::decode::Error;
        match bs58::decode(name).with_check(None).into_vec() {
            // Another form of address, or no address at all.
            _ if self.base58.is_empty() => Err(self.expectation()),
            Ok(bytes) if bytes.len() == BASE58_BYTES && self.base58.contains(&bytes[0]) => {
                Ok(name.to_owned())
            }
            Ok(_) => Err("the address is one of another coin or network".to_owned()),
            Err(Error::InvalidChecksum { .. }) => {
                let reason = "the address has a typing error: its checksum is wrong; upper and \
                              lower case count";
                Err(reason.to_owned())
            }
            Err(_) => Err(self.expectation()),
        }
    }

    fn expectation(&self) -> String {
        let hrps: Vec<String> = self.bech32.iter().map(|hrp| format!("{hrp}1")).collect();
        let beginning = match hrps.is_empty() {
            true => String::new(),
            false if self.base58.is_empty() => format!(" beginning with {}", hrps.join(" or ")),
            false => format!(", e.g. one beginning with {}", hrps.join(" or ")),
        };
        format!("user name must be your payout address{beginning}; use address.worker")
    }
}

fn starts(name: &str, hrp: &str) -> bool {
    name.strip_prefix(hrp).is_some_and(|rest| rest.starts_with('1'))
}

fn is_mixed(name: &str) -> bool {
    name.bytes().any(|b| b.is_ascii_lowercase()) && name.bytes().any(|b| b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(base58: &[u8], bech32: &[&str]) -> AddressForms {
        let bech32 = bech32.iter().map(|hrp| (*hrp).to_owned()).collect();
        AddressForms { base58: base58.to_vec(), bech32 }
    }

    /// BIP 173 and BIP 350 vectors, and two addresses everybody knows.
    #[test]
    fn an_address_is_taken_in_its_one_spelling() {
        let both = forms(&[0, 5], &["bc", "tb"]);
        for (name, account) in [
            ("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
            ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"),
            (
                "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
                "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            ),
            (
                "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
                "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
            ),
            (
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            ),
        ] {
            assert_eq!(both.account(name).as_deref(), Ok(account));
        }
        assert_eq!(forms(&[], &[]).account("anything").as_deref(), Ok("anything"));
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason_a_miner_understands() {
        let (base58, segwit) = (forms(&[0], &[]), forms(&[], &["bc"]));
        let both = forms(&[0], &["bc"]);
        for (forms, name, reason) in [
            (&both, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "checksum is wrong"),
            (&both, "1a1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "upper and lower case count"),
            (&both, "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "another coin or network"),
            (&both, "alice", "e.g. one beginning with bc1"),
            (&base58, "alice!", "must be your payout address; use address.worker"),
            (&base58, "", "must be your payout address"),
            (&segwit, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "address beginning with bc1"),
            (&both, "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "all lower case or all upper"),
            (&both, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "checksum is wrong"),
            // Witness version 0 with the checksum of BIP 350, version 1 with that of BIP 173.
            (&both, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "checksum is wrong"),
            (
                &both,
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
                "checksum is wrong",
            ),
            // A testnet address, and one with another prefix.
            (&segwit, "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "beginning with bc1"),
        ] {
            let refusal = forms.account(name).unwrap_err();
            assert!(refusal.contains(reason), "{name}: {refusal}");
        }
    }

    #[test]
    fn a_bad_prefix_is_a_problem_with_its_place() {
        for bad in ["", "BC", "b c"] {
            let problems = forms(&[], &["bc", bad]).problems();
            assert_eq!(problems[0].at, "/address/bech32/1", "{bad:?}");
        }
        assert!(forms(&[30], &["vg"]).problems().is_empty());
    }
}
