//! A job as a miner sees it: from the parameters of `mining.notify` to a header and back
//! to the fields of `mining.submit`. Pure.

use chimera_pow::{Algorithm, CompactBits, Difficulty, Header, PowHash, Target, sha256d};
use serde_json::Value;

/// What cpuminer and other miners can hold.
const EXTRANONCE2_BYTES_MAX: u64 = 16;
/// No pool uses more than 8; a bound for hostile ones.
const EXTRANONCE1_BYTES_MAX: usize = 32;

/// The part of the nonce space a pool has given this connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The connection's own bytes, chosen by the pool; may be empty.
    pub extranonce1: Vec<u8>,
    /// How many bytes the miner may choose: 1 to 16.
    pub extranonce2_bytes: u8,
}

/// A message of the pool that cannot be worked with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// A field is absent or has another type.
    #[error("{field} is missing or not a {expected}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// A field has another length.
    #[error("{field} has {found} bytes, expected {expected}")]
    Length {
        /// Which one.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// What came, in bytes.
        found: usize,
    },
}

impl Subscription {
    /// From the two values that follow each other in the reply to `mining.subscribe` and in
    /// `mining.set_extranonce`.
    ///
    /// # Errors
    /// When the first is not hex or the second is not 1 to 16.
    pub fn from_values(extranonce1: &Value, size: &Value) -> Result<Self, BadMessage> {
        let extranonce1 = bytes("extranonce1", extranonce1)?;
        if extranonce1.len() > EXTRANONCE1_BYTES_MAX {
            let found = extranonce1.len();
            return Err(BadMessage::Length { field: "extranonce1", expected: "0 to 32", found });
        }
        let size = size.as_u64().filter(|size| (1..=EXTRANONCE2_BYTES_MAX).contains(size));
        let field =
            BadMessage::Field { field: "extranonce2_size", expected: "number from 1 to 16" };
        let extranonce2_bytes = size.and_then(|size| u8::try_from(size).ok()).ok_or(field)?;
        Ok(Self { extranonce1, extranonce2_bytes })
    }
}

/// Everything that decides which hashes a job yields: two jobs with equal puzzles are the
/// same work under two names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Puzzle {
    algorithm: Algorithm,
    /// Merkle root and nonce still zero.
    header: Header,
    coinbase_head: Vec<u8>,
    coinbase_tail: Vec<u8>,
    branch: Vec<[u8; 32]>,
    extranonce2_bytes: u8,
}

/// One job of a pool, at the difficulty that held when it came.
#[derive(Debug, Clone, PartialEq)]
pub struct MinerJob {
    id: String,
    puzzle: Puzzle,
    difficulty: Difficulty,
    target: Target,
    network_target: Option<Target>,
    clean: bool,
}

/// An answer to a job: a header that meets its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The miner's part of the nonce space, as a counter whose lowest byte comes first.
    pub extranonce2: u128,
    /// The header's nonce.
    pub nonce: u32,
    /// The proof of work.
    pub hash: PowHash,
}

impl MinerJob {
    /// Reads the parameters of `mining.notify`: job id, previous hash, both halves of the
    /// coinbase, merkle branch, version, bits, time, and last whether earlier jobs are void.
    ///
    /// # Errors
    /// When a field is missing, not hex or of another length.
    pub fn from_notify(
        params: &[Value],
        subscription: &Subscription,
        difficulty: Difficulty,
        algorithm: Algorithm,
    ) -> Result<Self, BadMessage> {
        let field = |index: usize| params.get(index).unwrap_or(&Value::Null);
        let id = text("job id", field(0))?.to_owned();
        let mut coinbase_head = bytes("coinb1", field(2))?;
        coinbase_head.extend_from_slice(&subscription.extranonce1);
        let branch = field(4)
            .as_array()
            .ok_or(BadMessage::Field { field: "merkle branch", expected: "list" })?;
        let branch =
            branch.iter().map(|hash| array("merkle branch", hash)).collect::<Result<_, _>>()?;
        let bits = number("nbits", field(6))?;

        let mut header: Header = [0; 80];
        header[..4].copy_from_slice(&number("version", field(5))?.to_le_bytes());
        header[4..36].copy_from_slice(&unswap_words(array("prevhash", field(1))?));
        header[68..72].copy_from_slice(&number("ntime", field(7))?.to_le_bytes());
        header[72..76].copy_from_slice(&bits.to_le_bytes());
        let clean = params
            .get(8..)
            .and_then(<[Value]>::last)
            .and_then(Value::as_bool)
            .ok_or(BadMessage::Field { field: "clean_jobs", expected: "true or false" })?;
        Ok(Self {
            id,
            puzzle: Puzzle {
                algorithm,
                header,
                coinbase_head,
                coinbase_tail: bytes("coinb2", field(3))?,
                branch,
                extranonce2_bytes: subscription.extranonce2_bytes,
            },
            difficulty,
            target: difficulty.target(),
            network_target: CompactBits(bits).target().ok(),
            clean,
        })
    }

    /// The pool's name for it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The proof-of-work function it is hashed with.
    pub const fn algorithm(&self) -> Algorithm {
        self.puzzle.algorithm
    }

    /// The share difficulty.
    pub const fn difficulty(&self) -> Difficulty {
        self.difficulty
    }

    /// What a hash must meet to be a share: exact, so that no pool calls it too low.
    pub const fn target(&self) -> Target {
        self.target
    }

    /// Whether it makes all earlier jobs void.
    pub const fn clean(&self) -> bool {
        self.clean
    }

    /// Whether this hash would also make a block.
    pub fn is_block(&self, hash: &PowHash) -> bool {
        self.network_target.is_some_and(|target| target.is_met_by(hash))
    }

    /// Whether both jobs are the same work: starting over would repeat every share.
    pub fn same_work(&self, other: &Self) -> bool {
        self.puzzle == other.puzzle
    }

    /// The largest extranonce2 that fits into the bytes the pool gave.
    pub const fn extranonce2_max(&self) -> u128 {
        u128::MAX >> (128 - 8 * self.puzzle.extranonce2_bytes as u32)
    }

    /// The header for one extranonce2, its nonce still zero.
    pub fn header(&self, extranonce2: u128) -> Header {
        let Puzzle { coinbase_head, coinbase_tail, branch, .. } = &self.puzzle;
        let coinbase =
            [coinbase_head, self.extranonce2_bytes(&extranonce2.to_le_bytes()), coinbase_tail]
                .concat();
        let mut pair = [0; 64];
        let root = branch.iter().fold(sha256d(&coinbase), |root, sibling| {
            pair[..32].copy_from_slice(&root);
            pair[32..].copy_from_slice(sibling);
            sha256d(&pair)
        });
        let mut header = self.puzzle.header;
        header[36..68].copy_from_slice(&root);
        header
    }

    /// The parameters of `mining.submit` for an answer to this job.
    pub fn submit_params(&self, user: &str, found: &Found) -> Value {
        let extranonce2 = hex::encode(self.extranonce2_bytes(&found.extranonce2.to_le_bytes()));
        let ntime: [u8; 4] =
            self.puzzle.header[68..72].try_into().expect("the header's time has four bytes");
        let ntime = format!("{:08x}", u32::from_le_bytes(ntime));
        serde_json::json!([user, self.id, extranonce2, ntime, format!("{:08x}", found.nonce)])
    }

    fn extranonce2_bytes<'a>(&self, counter: &'a [u8; 16]) -> &'a [u8] {
        &counter[..usize::from(self.puzzle.extranonce2_bytes)]
    }
}

/// On the wire every 32-bit word of the previous hash is reversed.
fn unswap_words(mut hash: [u8; 32]) -> [u8; 32] {
    hash.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    hash
}

fn text<'a>(field: &'static str, value: &'a Value) -> Result<&'a str, BadMessage> {
    value.as_str().ok_or(BadMessage::Field { field, expected: "text" })
}

fn bytes(field: &'static str, value: &Value) -> Result<Vec<u8>, BadMessage> {
    hex::decode(text(field, value)?).map_err(|_| BadMessage::Field { field, expected: "hex text" })
}

fn array(field: &'static str, value: &Value) -> Result<[u8; 32], BadMessage> {
    let bytes = bytes(field, value)?;
    let found = bytes.len();
    bytes.try_into().map_err(|_| BadMessage::Length { field, expected: "32", found })
}

/// An integer in big-endian hex; leading zeros may be missing.
fn number(field: &'static str, value: &Value) -> Result<u32, BadMessage> {
    let expected = "hex text of at most 8 digits";
    let digits = text(field, value)?;
    let hex_only = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    hex_only
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
        .ok_or(BadMessage::Field { field, expected })
}

#[cfg(test)]
#[path = "job_tests.rs"]
pub(super) mod tests;
