//! What a chain of the Bitcoin family is like, as data: a new coin is a file, not code.
//!
//! The files of `config/chains` are part of the binary under their names; an operator's own
//! stand anywhere.

use chimera_pow::{Algorithm, PowHash, sha256d};
use serde::{Deserialize, Deserializer};

use crate::address::Prefixes;

/// The profiles that come with the program, by name.
const SHIPPED: [(&str, &str); 7] = [
    ("devchain", include_str!("../../../../config/chains/devchain.toml")),
    ("blake2s", include_str!("../../../../config/chains/blake2s.toml")),
    ("bitcoin", include_str!("../../../../config/chains/bitcoin.toml")),
    ("bitcoin-testnet4", include_str!("../../../../config/chains/bitcoin-testnet4.toml")),
    ("bitcoin-regtest", include_str!("../../../../config/chains/bitcoin-regtest.toml")),
    ("verge", include_str!("../../../../config/chains/verge.toml")),
    ("verge-regtest", include_str!("../../../../config/chains/verge-regtest.toml")),
];

/// 65536 is scrypt's; more is a mistake.
const MULTIPLIER_MAX: u32 = 1 << 24;

/// What a node names its blocks by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockId {
    /// SHA-256d of the header, whatever the proof of work: Bitcoin and most that came from it.
    Sha256d,
    /// The proof-of-work hash itself.
    Pow,
    /// scrypt(1024, 1, 1) of the header, whatever the proof of work: Verge.
    Scrypt,
}

/// What a block's reward goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PayTo {
    /// The script of the payout address.
    #[default]
    Script,
    /// The bare public key behind it, which the node's wallet must have: Verge signs blocks.
    PublicKey,
}

/// A chain and its network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What it is called.
    pub name: String,
    /// Proof of work of the blocks to mine.
    #[serde(deserialize_with = "algorithm")]
    pub algorithm: Algorithm,
    /// The coin's short name.
    pub ticker: String,
    /// Digits behind the coin's point; 0 to 18.
    pub decimals: u8,
    /// Confirmations after which a reward may be spent; the block itself is the first.
    pub maturity: u32,
    /// A difficulty on the wire is this many times Bitcoin's: 1 stands for 2^32 hashes divided
    /// by it.
    #[serde(default = "one")]
    pub difficulty_multiplier: u32,
    /// What the node names blocks by.
    pub block_id: BlockId,
    /// An empty signature follows the transactions; the node's wallet fills it.
    #[serde(default)]
    pub block_signature: bool,
    /// Hash of the first block in display order: nodes of another network are refused.
    #[serde(default)]
    pub genesis: Option<String>,
    /// How getblocktemplate is asked.
    #[serde(default)]
    pub template: TemplateRules,
    /// The coinbase transaction.
    pub coinbase: CoinbaseRules,
    /// The block header.
    pub header: HeaderRules,
    /// Addresses of this network; without them the node alone decides.
    #[serde(default)]
    pub addresses: Option<Prefixes>,
    /// When the next block's difficulty and subsidy are those of the block before.
    #[serde(default)]
    pub schedule: Option<Schedule>,
}

/// How getblocktemplate is asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplateRules {
    /// BIP 9 rules the pool says it knows.
    pub rules: Vec<String>,
    /// The second argument, for nodes with several proofs of work.
    pub algorithm: Option<String>,
    /// From this height on a template that says `mining_disabled` makes no acceptable block.
    pub pause_from_height: Option<u64>,
}

/// The coinbase transaction.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoinbaseRules {
    /// Its version.
    pub version: u32,
    /// Transactions carry a time after their version; it may not be after the header's.
    #[serde(default)]
    pub time: bool,
    /// What the reward goes to.
    #[serde(default)]
    pub pay_to: PayTo,
}

/// The block header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderRules {
    /// Version bits miners may roll (BIP 320).
    #[serde(deserialize_with = "hex32")]
    pub roll_mask: u32,
    /// Version bits that mean something to this chain ...
    #[serde(default, deserialize_with = "hex32")]
    pub fixed_mask: u32,
    /// ... and how every template must have them.
    #[serde(default, deserialize_with = "hex32")]
    pub fixed_bits: u32,
    /// How far ahead of the template a header may be dated, in seconds.
    pub time_ahead_s: u32,
}

/// When the next block's difficulty and subsidy are those of the block before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The difficulty changes at multiples of this height only; never, if not given.
    pub retarget_blocks: Option<u64>,
    /// The subsidy changes at multiples of this height only; never, if not given.
    pub halving_blocks: Option<u64>,
}

/// Why a text is no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadProfile {
    /// It has not the form of one.
    #[error("{0}")]
    Form(String),
    /// A value makes no sense.
    #[error("{key} = {found}: {right}")]
    Value {
        /// Which.
        key: &'static str,
        /// What it is.
        found: String,
        /// What would be right.
        right: &'static str,
    },
}

impl Profile {
    /// Names of the profiles that come with the program.
    pub fn shipped() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// The shipped profile of that name.
    pub fn named(name: &str) -> Option<Self> {
        let (_, text) = SHIPPED.iter().find(|(shipped, _)| *shipped == name)?;
        Some(Self::parse(text).expect("a test parses every shipped profile"))
    }

    /// Reads the text of a profile file.
    ///
    /// # Errors
    /// An unknown or missing key, or a value that makes no sense, named.
    pub fn parse(text: &str) -> Result<Self, BadProfile> {
        let profile: Self =
            toml::from_str(text).map_err(|error| BadProfile::Form(error.to_string()))?;
        profile.check()?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), BadProfile> {
        let HeaderRules { roll_mask, fixed_mask, fixed_bits, time_ahead_s } = self.header;
        let wrong = |key, found: String, right| Err(BadProfile::Value { key, found, right });
        if self.name.is_empty() || self.ticker.is_empty() {
            return wrong("name", format!("{:?}", self.name), "name and ticker must not be empty");
        }
        if self.decimals > 18 {
            return wrong("decimals", self.decimals.to_string(), "must be 0 to 18");
        }
        if self.maturity == 0 {
            return wrong("maturity", "0".to_owned(), "must be at least 1 confirmation");
        }
        if !(1..=MULTIPLIER_MAX).contains(&self.difficulty_multiplier) {
            let found = self.difficulty_multiplier.to_string();
            return wrong("difficulty_multiplier", found, "must be 1 to 16777216");
        }
        if roll_mask & fixed_mask != 0 {
            let found = format!("{roll_mask:08x}");
            return wrong("header.roll_mask", found, "must be clear of header.fixed_mask");
        }
        if fixed_bits & !fixed_mask != 0 {
            let found = format!("{fixed_bits:08x}");
            return wrong("header.fixed_bits", found, "must be within header.fixed_mask");
        }
        if time_ahead_s == 0 {
            return wrong("header.time_ahead_s", "0".to_owned(), "must be at least 1 second");
        }
        let is_hash = |text: &String| text.len() == 64 && hex::decode(text).is_ok();
        if let Some(genesis) = self.genesis.as_ref().filter(|text| !is_hash(text)) {
            let right = "must be the hash of the first block, 64 hexadecimal digits";
            return wrong("genesis", format!("{genesis:?}"), right);
        }
        let schedule = self.schedule.iter();
        let every = schedule.flat_map(|it| [it.retarget_blocks, it.halving_blocks]);
        if every.flatten().any(|blocks| blocks == 0) {
            return wrong("schedule", "0".to_owned(), "must be at least 1 block, or left out");
        }
        Ok(())
    }

    /// What the node calls the block of this header, in display order.
    pub(crate) fn block_id(&self, header: &chimera_pow::Header, pow_hash: PowHash) -> String {
        match self.block_id {
            BlockId::Sha256d => PowHash(sha256d(header)).to_string(),
            BlockId::Pow => pow_hash.to_string(),
            BlockId::Scrypt => PowHash(scrypt_1024_1_1(header)).to_string(),
        }
    }
}

fn scrypt_1024_1_1(header: &chimera_pow::Header) -> [u8; 32] {
    let params = scrypt::Params::new(10, 1, 1).expect("Litecoin's parameters are valid");
    let mut id = [0; 32];
    scrypt::scrypt(header, header, &params, &mut id).expect("32 bytes are a valid length");
    id
}

const fn one() -> u32 {
    1
}

fn algorithm<'de, D: Deserializer<'de>>(field: D) -> Result<Algorithm, D::Error> {
    String::deserialize(field)?.parse().map_err(serde::de::Error::custom)
}

fn hex32<'de, D: Deserializer<'de>>(field: D) -> Result<u32, D::Error> {
    let text = String::deserialize(field)?;
    let number = (text.len() == 8).then(|| u32::from_str_radix(&text, 16).ok()).flatten();
    number
        .ok_or_else(|| serde::de::Error::custom(format!("\"{text}\" is not 8 hexadecimal digits")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_profile_is_one_and_bears_its_name() {
        for name in Profile::shipped() {
            let profile = Profile::named(name).expect(name);
            assert_eq!(profile.name, name);
        }
        assert_eq!(Profile::named("dogecoin"), None);
    }

    #[test]
    fn a_new_coin_is_a_file() {
        let text = include_str!("../../../../config/chains/blake2s.toml")
            .replace("\"blake2s\"\nticker", "\"mycoin\"\nticker")
            .replace("maturity = 101", "maturity = 61");
        let profile = Profile::parse(&text).expect("a profile");
        assert_eq!((profile.maturity, profile.algorithm), (61, Algorithm::Blake2s));
    }

    #[test]
    fn verge_rolls_no_bit_that_names_the_kind_of_block() {
        for name in ["verge", "verge-regtest"] {
            let header = Profile::named(name).expect(name).header;
            assert_eq!((header.fixed_mask, header.fixed_bits), (0x7800, 0x2000));
            assert_eq!(header.roll_mask, 0x1fff_8000);
        }
    }

    #[test]
    fn what_makes_no_profile_is_refused_with_its_key() {
        let good = include_str!("../../../../config/chains/verge.toml");
        let rows = [
            ("maturity = 121", "maturity = 0", "maturity"),
            ("maturity = 121", "maturitty = 121", "maturitty"),
            ("decimals = 6", "decimals = 19", "decimals"),
            ("algorithm = \"blake2s\"\nticker", "algorithm = \"x11\"\nticker", "x11"),
            ("\"1fff8000\"", "\"1fffe000\"", "header.roll_mask"),
            ("\"00002000\"", "\"00010000\"", "header.fixed_bits"),
            ("\"00002000\"", "\"2000\"", "8 hexadecimal digits"),
            ("time_ahead_s = 600", "time_ahead_s = 0", "header.time_ahead_s"),
            ("genesis = \"00000fc6", "genesis = \"0x00000fc6", "genesis"),
            ("block_id = \"scrypt\"", "block_id = \"md5\"", "md5"),
            ("block_signature = true", "difficulty_multiplier = 0", "difficulty_multiplier"),
        ];
        for (from, to, word) in rows {
            let text = good.replacen(from, to, 1);
            assert_ne!(text, good, "{from}");
            let error = Profile::parse(&text).expect_err(to).to_string();
            assert!(error.contains(word), "{to}: {error}");
        }
    }
}
