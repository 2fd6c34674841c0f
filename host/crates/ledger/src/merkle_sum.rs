//! A Merkle-sum tree over (salted account key, work): one hash that commits the pool to the
//! work of every account and to the total, and from which each account can be shown its own
//! row without seeing any other.
//!
//! A leaf is the BLAKE3 of `chimera work leaf 1`, a zero byte, the 32-byte key and the work
//! as u64, little-endian; its sum is the work. A node is the BLAKE3 of `chimera work node 1`,
//! a zero byte, and hash and sum (u64, little-endian) of its left and of its right child; its
//! sum is that of both. Both sums are hashed, not their total, so that no child can be worth
//! less than it says. Leaves stand in the order of the rows; a last node without a neighbour
//! goes up unchanged. The tree of no leaf is all zero.

use serde::{Deserialize, Serialize};

use crate::{Hash256, SaltedKey};

/// A node: what is below it, and how much work that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkSum {
    /// What is below it.
    pub hash: Hash256,
    /// Work of all leaves below it, in the unit of account.
    pub work: u64,
}

/// All nodes of a tree, leaves first.
#[derive(Debug, Clone)]
pub struct WorkTree {
    levels: Vec<Vec<WorkSum>>,
}

/// The way from one leaf to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// The leaf's row, from 0.
    pub row: u64,
    /// Rows there are.
    pub rows: u64,
    /// The neighbour at every level that has one, from the leaf up.
    pub path: Vec<WorkSum>,
}

/// Work that adds up to more than a settlement can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work of all accounts is above 2^64 - 1")]
pub struct TooMuchWork;

/// Why a way does not lead to a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotIncluded {
    /// There is no such row.
    #[error("row {row} of {rows}")]
    NoSuchRow {
        /// The row.
        row: u64,
        /// Rows there are.
        rows: u64,
    },
    /// A tree of so many rows has another height.
    #[error("a path of {found} steps where a tree of {rows} rows has {needed}")]
    PathLength {
        /// Rows there are.
        rows: u64,
        /// Steps there are.
        found: usize,
        /// Steps there should be.
        needed: usize,
    },
    /// The sums leave 64 bits.
    #[error(transparent)]
    TooMuchWork(#[from] TooMuchWork),
    /// It leads to another root.
    #[error(
        "it leads to {} with {} of work, the record commits to {} with {}",
        .found.hash, .found.work, .expected.hash, .expected.work
    )]
    OtherRoot {
        /// Where it leads.
        found: WorkSum,
        /// Where it should lead.
        expected: WorkSum,
    },
}

/// In front of every leaf.
const LEAF: &[u8; 19] = b"chimera work leaf 1";
/// In front of every node.
const NODE: &[u8; 19] = b"chimera work node 1";

impl WorkSum {
    fn leaf(key: &SaltedKey, work: u64) -> Self {
        // In one piece: a hasher that is fed bit by bit takes twice the time.
        let mut bytes = [0; 60];
        bytes[..19].copy_from_slice(LEAF);
        bytes[20..52].copy_from_slice(key.as_bytes());
        bytes[52..].copy_from_slice(&work.to_le_bytes());
        Self { hash: Hash256::from_bytes(*blake3::hash(&bytes).as_bytes()), work }
    }

    fn node(left: &Self, right: &Self) -> Result<Self, TooMuchWork> {
        let work = left.work.checked_add(right.work).ok_or(TooMuchWork)?;
        let mut bytes = [0; 100];
        bytes[..19].copy_from_slice(NODE);
        bytes[20..52].copy_from_slice(left.hash.as_bytes());
        bytes[52..60].copy_from_slice(&left.work.to_le_bytes());
        bytes[60..92].copy_from_slice(right.hash.as_bytes());
        bytes[92..].copy_from_slice(&right.work.to_le_bytes());
        Ok(Self { hash: Hash256::from_bytes(*blake3::hash(&bytes).as_bytes()), work })
    }
}

/// The root of the tree of these rows; the tree itself is not kept.
pub(crate) fn work_root(keys: &[SaltedKey], work: &[u64]) -> Result<WorkSum, TooMuchWork> {
    let mut level = leaves(keys, work);
    while level.len() > 1 {
        level = above(&level)?;
    }
    Ok(level.first().copied().unwrap_or_default())
}

fn leaves(keys: &[SaltedKey], work: &[u64]) -> Vec<WorkSum> {
    keys.iter().zip(work).map(|(key, work)| WorkSum::leaf(key, *work)).collect()
}

fn above(level: &[WorkSum]) -> Result<Vec<WorkSum>, TooMuchWork> {
    let (pairs, alone) = level.as_chunks::<2>();
    let mut above = Vec::with_capacity(pairs.len() + alone.len());
    for [left, right] in pairs {
        above.push(WorkSum::node(left, right)?);
    }
    above.extend_from_slice(alone);
    Ok(above)
}

impl WorkTree {
    /// The tree of these rows, one work per key.
    ///
    /// # Errors
    /// When the work adds up to more than 2^64 - 1.
    pub fn of(keys: &[SaltedKey], work: &[u64]) -> Result<Self, TooMuchWork> {
        let mut levels = vec![leaves(keys, work)];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = above(below)?;
            levels.push(above);
        }
        Ok(Self { levels })
    }

    /// What the pool commits to.
    pub fn root(&self) -> WorkSum {
        let top = self.levels.last().and_then(|level| level.first());
        top.copied().unwrap_or_default()
    }

    /// The way from a row to the root; `None` if there is no such row.
    pub fn inclusion(&self, row: usize) -> Option<Inclusion> {
        let rows = self.levels[0].len();
        if row >= rows {
            return None;
        }
        let path = (self.levels.iter().enumerate())
            .filter_map(|(height, level)| level.get((row >> height) ^ 1))
            .copied()
            .collect();
        Some(Inclusion { row: row as u64, rows: rows as u64, path })
    }
}

impl Inclusion {
    /// Checks that a tree with this root counts this work for this key.
    ///
    /// # Errors
    /// Where the way goes wrong.
    pub fn verify(&self, key: &SaltedKey, work: u64, root: &WorkSum) -> Result<(), NotIncluded> {
        let Self { row, rows, .. } = *self;
        if row >= rows {
            return Err(NotIncluded::NoSuchRow { row, rows });
        }
        let sides = sides(row, rows);
        if self.path.len() != sides.len() {
            let (found, needed) = (self.path.len(), sides.len());
            return Err(NotIncluded::PathLength { rows, found, needed });
        }
        let mut found = WorkSum::leaf(key, work);
        for (neighbour, is_left) in self.path.iter().zip(sides) {
            found = if is_left {
                WorkSum::node(neighbour, &found)?
            } else {
                WorkSum::node(&found, neighbour)?
            };
        }
        if found == *root {
            return Ok(());
        }
        Err(NotIncluded::OtherRoot { found, expected: *root })
    }
}

/// Whether the neighbour stands left, for every level where there is one.
fn sides(mut row: u64, mut rows: u64) -> Vec<bool> {
    let mut sides = Vec::new();
    while rows > 1 {
        if row ^ 1 < rows {
            sides.push(row % 2 == 1);
        }
        row /= 2;
        rows = rows.div_ceil(2);
    }
    sides
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(count: usize) -> Vec<SaltedKey> {
        (0..count).map(|row| SaltedKey::from_bytes([row as u8; 32])).collect()
    }

    fn hash(domain: &str, parts: &[&[u8]]) -> Hash256 {
        let bytes = [&[domain.as_bytes(), &[0]][..], parts].concat().concat();
        Hash256::from_bytes(*blake3::hash(&bytes).as_bytes())
    }

    #[test]
    fn three_rows_by_hand() {
        let tree = WorkTree::of(&keys(3), &[5, 0, 7]).unwrap();
        let leaf = |row: u8, work: u64| {
            let hash = hash("chimera work leaf 1", &[&[row; 32], &work.to_le_bytes()]);
            WorkSum { hash, work }
        };
        let node = |left: WorkSum, right: WorkSum| WorkSum {
            hash: hash(
                "chimera work node 1",
                &[
                    left.hash.as_bytes(),
                    &left.work.to_le_bytes(),
                    right.hash.as_bytes(),
                    &right.work.to_le_bytes(),
                ],
            ),
            work: left.work + right.work,
        };
        let pair = node(leaf(0, 5), leaf(1, 0));
        assert_eq!(tree.root(), node(pair, leaf(2, 7)));
        assert_eq!(tree.root().work, 12);
        let last = tree.inclusion(2).unwrap();
        assert_eq!(last.path, [pair], "the last of an odd number goes up unchanged");
        last.verify(&keys(3)[2], 7, &tree.root()).unwrap();
    }

    #[test]
    fn the_root_of_no_row_is_zero_and_of_one_row_its_leaf() {
        assert_eq!(WorkTree::of(&[], &[]).unwrap().root(), WorkSum::default());
        assert_eq!(WorkTree::of(&[], &[]).unwrap().inclusion(0), None);
        let one = WorkTree::of(&keys(1), &[9]).unwrap();
        assert_eq!(one.inclusion(0).unwrap().path, []);
        one.inclusion(0).unwrap().verify(&keys(1)[0], 9, &one.root()).unwrap();
        assert_eq!(one.inclusion(1), None);
    }

    #[test]
    fn sums_beyond_64_bits_are_refused_in_trees_and_in_proofs() {
        assert!(WorkTree::of(&keys(2), &[u64::MAX, 1]).is_err());
        let tree = WorkTree::of(&keys(2), &[1, 2]).unwrap();
        let mut proof = tree.inclusion(0).unwrap();
        proof.path[0].work = u64::MAX;
        let refused = proof.verify(&keys(2)[0], 1, &tree.root());
        assert_eq!(refused, Err(NotIncluded::TooMuchWork(TooMuchWork)));
    }
}
