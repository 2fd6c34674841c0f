//! The arithmetic of proof of work: hash functions, targets, difficulty, work.
//!
//! Everything is exact integer arithmetic on 256 bits. A hash is a little-endian number
//! and meets a target when it is not above it, as in Bitcoin. Difficulty 1 is the target
//! `0xffff * 2^208` for every algorithm (Blake2s pools and miners use multiplier 1).
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic)]

mod algorithm;
mod bits;
mod difficulty;
mod target;
mod work;

pub use algorithm::{Algorithm, HEADER_BYTES, Header, PowHash, UnknownAlgorithm, sha256d};
pub use bits::{BadBits, CompactBits};
pub use difficulty::{BadDifficulty, Difficulty};
pub use target::Target;
pub use work::Work;
