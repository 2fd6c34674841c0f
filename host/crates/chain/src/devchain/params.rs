//! What kind of chain an embedded chain is.

use std::path::PathBuf;

use chimera_pow::{Algorithm, BadBits, CompactBits};

use super::rules::DevRules;

/// Confirmations after which a pool on the embedded chain may count a reward as its own.
/// Bitcoin's 100 would be minutes of watching.
pub const MATURITY_BLOCKS: u32 = 4;

/// The rules of an embedded chain; different rules make a different genesis block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevParams {
    /// Its name: 1 to 20 lower-case letters and digits, also the prefix of its addresses.
    pub network: String,
    /// Its proof of work.
    pub algorithm: Algorithm,
    /// Seconds between blocks the difficulty aims at; 1 to 3600.
    pub spacing_s: u32,
    /// The easiest target a block may have, also that of the first blocks.
    pub easiest: CompactBits,
    /// What the first blocks pay, in base units.
    pub subsidy: u64,
    /// Blocks after which the subsidy halves; at least 1.
    pub halving_blocks: u64,
    /// Which node it imitates.
    pub rules: DevRules,
}

impl Default for DevParams {
    fn default() -> Self {
        Self {
            network: "dev".to_owned(),
            algorithm: Algorithm::Blake2s,
            spacing_s: 10,
            // 2^18 expected hashes: some 50 ms on one core, so that the first blocks come at
            // once without flooding the disk.
            easiest: CompactBits(0x1e3f_ffff),
            // Bitcoin's: 50 coins of 10^8 units, halved every 210,000 blocks.
            subsidy: 50 * 100_000_000,
            halving_blocks: 210_000,
            rules: DevRules::Plain,
        }
    }
}

/// Why there is no chain, or not the wanted change of it.
#[derive(Debug, thiserror::Error)]
pub enum DevChainError {
    /// A parameter that makes no chain.
    #[error("{field} of the embedded chain is {found}; it must be {right}")]
    Params {
        /// The parameter.
        field: &'static str,
        /// What it is.
        found: String,
        /// What it could be.
        right: &'static str,
    },
    /// The easiest target is none.
    #[error("the easiest target of the embedded chain: {0}")]
    Easiest(#[from] BadBits),
    /// The file cannot be read or written.
    #[error("the chain file {} cannot be used: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Two processes would ruin one file.
    #[error("the chain file {} is in use by another process", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file belongs to a chain with other rules.
    #[error(
        "the chain file {} is of another chain (genesis {found}, expected {expected}); \
         use the parameters it was made with, or another directory", path.display()
    )]
    OtherChain {
        /// The file.
        path: PathBuf,
        /// Genesis block of the file's chain.
        found: String,
        /// Genesis block of these parameters.
        expected: String,
    },
    /// The file is damaged in a way no crash explains.
    #[error("the chain file {} is damaged at byte {offset}: {cause}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// How.
        cause: String,
    },
    /// The block is unknown or the genesis block.
    #[error("block {block} cannot be orphaned: it is unknown or the genesis block")]
    NotOrphanable {
        /// Its hash.
        block: String,
    },
}

impl DevParams {
    /// What a real node's regtest has: name "regtest", two hashes a block; SHA-256d for the
    /// Bitcoin rules, Blake2s and Verge's subsidy for Verge's.
    ///
    /// ```
    /// use chimera_chain::{DevChain, DevParams, DevRules};
    ///
    /// let chain = DevChain::in_memory(DevParams::regtest(DevRules::Bitcoin))?;
    /// assert_eq!(chain.params().network, "regtest");
    /// # Ok::<(), chimera_chain::DevChainError>(())
    /// ```
    pub fn regtest(rules: DevRules) -> Self {
        let base = Self {
            network: "regtest".to_owned(),
            easiest: CompactBits(0x207f_ffff),
            rules,
            ..Self::default()
        };
        match rules {
            DevRules::Plain => base,
            DevRules::Bitcoin | DevRules::BitcoinNoSegwit => {
                Self { algorithm: Algorithm::Sha256d, ..base }
            }
            // 200,000 coins of 10^6 units.
            DevRules::Verge => Self { subsidy: 200_000 * 1_000_000, ..base },
        }
    }

    /// The prefix of its bech32 addresses: Core's for networks Core has.
    pub(super) fn address_prefix(&self) -> &str {
        match (self.rules.is_bitcoin(), self.network.as_str()) {
            (true, "regtest") => "bcrt",
            (true, "test" | "signet") => "tb",
            (true, "main") => "bc",
            (_, name) => name,
        }
    }

    /// Whether difficulty follows the times of the blocks; not on a real node's regtest.
    pub(super) fn retargets(&self) -> bool {
        self.rules == DevRules::Plain || self.network != "regtest"
    }

    pub(super) fn check(&self) -> Result<(), DevChainError> {
        let wrong =
            |field, found: String, right| Err(DevChainError::Params { field, found, right });
        let name = self.network.as_bytes();
        let plain = name.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if name.is_empty() || name.len() > 20 || !plain {
            let right = "1 to 20 lower-case letters and digits";
            return wrong("network", format!("\"{}\"", self.network), right);
        }
        if !(1..=3600).contains(&self.spacing_s) {
            return wrong("spacing_s", self.spacing_s.to_string(), "1 to 3600 seconds");
        }
        if self.halving_blocks == 0 {
            return wrong("halving_blocks", "0".to_owned(), "at least 1");
        }
        if self.rules.is_verge() && self.algorithm != Algorithm::Blake2s {
            return wrong("algorithm", self.algorithm.to_string(), "blake2s for Verge's rules");
        }
        self.easiest.target()?;
        Ok(())
    }

    /// What a block of this height may pay.
    pub(super) fn subsidy_at(&self, height: u64) -> u64 {
        let halvings = u32::try_from(height / self.halving_blocks).unwrap_or(u32::MAX);
        self.subsidy.checked_shr(halvings).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subsidy_halves_until_nothing_is_left() {
        let params = DevParams { subsidy: 50, halving_blocks: 10, ..DevParams::default() };
        let rows =
            [(0, 50), (9, 50), (10, 25), (20, 12), (59, 1), (60, 0), (640, 0), (u64::MAX, 0)];
        for (height, subsidy) in rows {
            assert_eq!(params.subsidy_at(height), subsidy, "height {height}");
        }
    }

    #[test]
    fn parameters_that_make_no_chain_are_refused_by_name() {
        type Spoil = fn(&mut DevParams);
        let rows: [(Spoil, &str); 5] = [
            (|params| params.network = String::new(), "network"),
            (|params| params.network = "Dev 1".to_owned(), "network"),
            (|params| params.spacing_s = 0, "spacing_s"),
            (|params| params.halving_blocks = 0, "halving_blocks"),
            (|params| params.easiest = CompactBits(0), "easiest"),
        ];
        for (spoil, field) in rows {
            let mut params = DevParams::default();
            spoil(&mut params);
            let error = params.check().expect_err(field).to_string();
            assert!(error.contains(field), "{error}");
        }
    }
}
