//! Which function turns a block header into its proof of work.

use std::fmt;
use std::str::FromStr;

use blake2::{Blake2s256, Digest as _};

/// Length of a Bitcoin-like block header.
pub const HEADER_BYTES: usize = 80;

/// A block header as it is hashed: version, previous hash, merkle root, time, bits, nonce;
/// integers little-endian.
pub type Header = [u8; HEADER_BYTES];

/// The proof-of-work function of a chain, fixed by its consensus rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// Unkeyed BLAKE2s-256 (RFC 7693) of the header: Verge and others, and the default here.
    #[default]
    Blake2s,
    /// SHA-256 twice: Bitcoin.
    Sha256d,
    /// Keccak-256 with the original padding (not SHA3-256).
    Keccak256,
}

impl Algorithm {
    /// Every algorithm, in the order messages list them.
    pub const ALL: [Self; 3] = [Self::Blake2s, Self::Sha256d, Self::Keccak256];

    /// Hashes one header.
    #[inline]
    pub fn hash(self, header: &Header) -> PowHash {
        PowHash(match self {
            Self::Blake2s => Blake2s256::digest(header).into(),
            Self::Sha256d => sha256d(header),
            Self::Keccak256 => sha3::Keccak256::digest(header).into(),
        })
    }

    /// The name used in configuration, on the command line and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blake2s => "blake2s",
            Self::Sha256d => "sha256d",
            Self::Keccak256 => "keccak256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no proof-of-work function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown algorithm \"{0}\"; known are blake2s, sha256d, keccak256")]
pub struct UnknownAlgorithm(pub String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

/// The hash of a header: 32 bytes read as a little-endian number.
///
/// `Display` writes it the way block explorers do: big-endian hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PowHash(pub [u8; 32]);

impl fmt::Display for PowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().rev().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PowHash({self})")
    }
}

/// SHA-256 twice: what transactions and merkle trees are hashed with, whatever the
/// algorithm of the header.
#[inline]
pub fn sha256d(data: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(sha2::Sha256::digest(data)).into()
}
