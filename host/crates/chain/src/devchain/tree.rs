//! All valid blocks, side branches included, and which of them are the chain.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use chimera_pow::{CompactBits, PowHash, Target, Work};

use super::Tip;
use super::dev_block::DevBlock;
use super::params::DevParams;
use super::retarget::{Sample, WINDOW_BLOCKS, next_bits};

/// Blocks whose median time a new one must exceed (Core's nMedianTimeSpan).
const MEDIAN_TIME_BLOCKS: usize = 11;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) block: DevBlock,
    pub(super) height: u64,
    /// Work of the chain up to and including this block.
    pub(super) chain_work: Work,
    /// Of two branches with equal work the one seen first is the chain.
    arrival: i64,
    invalid: bool,
}

/// Where a valid block went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placed {
    /// It is the new tip.
    Tip,
    /// Its branch has less work than the chain.
    Side,
}

#[derive(Debug)]
pub(super) struct BlockTree {
    entries: HashMap<[u8; 32], Entry>,
    /// The chain; a block's height is its index.
    chain: Vec<[u8; 32]>,
}

impl BlockTree {
    pub(super) fn new(genesis: DevBlock) -> Self {
        let hash = genesis.id.0;
        let chain_work = work(genesis.bits());
        let entry = Entry { block: genesis, height: 0, chain_work, arrival: 0, invalid: false };
        Self { entries: HashMap::from([(hash, entry)]), chain: vec![hash] }
    }

    pub(super) fn tip(&self) -> Tip {
        let hash = *self.chain.last().expect("the genesis block is never removed");
        Tip { height: self.chain.len() as u64 - 1, hash: PowHash(hash) }
    }

    /// Blocks of all branches.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, hash: [u8; 32]) -> Option<&Entry> {
        self.entries.get(&hash)
    }

    /// The block of the chain at a height.
    pub(super) fn at(&self, height: u64) -> Option<[u8; 32]> {
        self.chain.get(usize::try_from(height).ok()?).copied()
    }

    pub(super) fn is_on_chain(&self, hash: [u8; 32]) -> bool {
        self.entries.get(&hash).is_some_and(|entry| self.at(entry.height) == Some(hash))
    }

    pub(super) fn is_invalid(&self, hash: [u8; 32]) -> bool {
        self.entries.get(&hash).is_some_and(|entry| entry.invalid)
    }

    /// A block and those before it, newest first.
    pub(super) fn back_from(&self, hash: [u8; 32]) -> impl Iterator<Item = &Entry> {
        let mut next = self.entries.get(&hash);
        std::iter::from_fn(move || {
            let entry = next?;
            next = self.entries.get(&entry.block.previous());
            Some(entry)
        })
    }

    /// The median time of a block and the ten before it.
    pub(super) fn median_time(&self, hash: [u8; 32]) -> u32 {
        let newest = self.back_from(hash).take(MEDIAN_TIME_BLOCKS);
        let mut times: Vec<u32> = newest.map(|entry| entry.block.time()).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(0)
    }

    /// The bits a block after this one must have.
    pub(super) fn bits_after(&self, hash: [u8; 32], params: &DevParams) -> CompactBits {
        if !params.retargets() {
            return params.easiest;
        }
        let sample = |entry: &Entry| Sample { time: entry.block.time(), bits: entry.block.bits() };
        // The time from genesis to the first block says nothing about anybody's speed.
        let mined = self.back_from(hash).take_while(|entry| entry.height > 0);
        let mut recent: Vec<Sample> = mined.take(WINDOW_BLOCKS + 1).map(sample).collect();
        recent.reverse();
        next_bits(params, &recent)
    }

    /// Adds a checked block, on whatever branch; the chain stays as it is.
    pub(super) fn insert(&mut self, block: DevBlock, height: u64) {
        let hash = block.id.0;
        let before = self.entries.get(&block.previous()).map_or(Work::ZERO, |e| e.chain_work);
        let chain_work = before + work(block.bits());
        let arrival = self.entries.len() as i64;
        let entry = Entry { block, height, chain_work, arrival, invalid: false };
        self.entries.insert(hash, entry);
    }

    /// Whether a branch that ends here has more work than the chain.
    pub(super) fn beats_tip(&self, hash: [u8; 32]) -> bool {
        let tip = &self.entries[&self.tip().hash.0];
        self.entries.get(&hash).is_some_and(|it| !it.invalid && it.chain_work > tip.chain_work)
    }

    /// The end of the branch that should be the chain.
    pub(super) fn best(&self) -> [u8; 32] {
        let valid = self.entries.iter().filter(|(_, entry)| !entry.invalid);
        valid
            .max_by_key(|(_, entry)| (entry.chain_work, Reverse(entry.arrival)))
            .map(|(hash, _)| *hash)
            .expect("the genesis block stays valid")
    }

    /// Where the branch that ends here leaves the chain, and its blocks from there on.
    pub(super) fn path_to(&self, end: [u8; 32]) -> (u64, Vec<[u8; 32]>) {
        let mut branch = Vec::new();
        let mut hash = end;
        while let Some(entry) = self.entries.get(&hash)
            && self.at(entry.height) != Some(hash)
        {
            branch.push(hash);
            hash = entry.block.previous();
        }
        branch.reverse();
        (self.entries.get(&hash).map_or(0, |entry| entry.height), branch)
    }

    /// Makes a child of the tip the tip.
    pub(super) fn push(&mut self, hash: [u8; 32]) {
        self.chain.push(hash);
    }

    /// Makes the tip's parent the tip.
    pub(super) fn pop(&mut self) {
        self.chain.pop();
    }

    /// Whether there is such a block and it is not the first.
    pub(super) fn can_invalidate(&self, hash: [u8; 32]) -> bool {
        self.entries.get(&hash).is_some_and(|entry| entry.height > 0)
    }

    /// Makes a block and all after it invalid. The chain may end in it until it is moved.
    pub(super) fn invalidate(&mut self, hash: [u8; 32]) {
        self.mark_from(hash, true);
    }

    /// Undoes it: the block, all after it and all before it may be valid again.
    pub(super) fn reconsider(&mut self, hash: [u8; 32]) {
        self.mark_from(hash, false);
        let mut before = hash;
        while let Some(entry) = self.entries.get_mut(&before) {
            entry.invalid = false;
            before = entry.block.previous();
        }
    }

    fn mark_from(&mut self, hash: [u8; 32], invalid: bool) {
        let mut marked = vec![hash];
        while let Some(hash) = marked.pop() {
            let children = self.entries.iter().filter(|(_, child)| child.block.previous() == hash);
            marked.extend(children.map(|(hash, _)| *hash));
            if let Some(entry) = self.entries.get_mut(&hash) {
                entry.invalid = invalid;
            }
        }
    }

    /// Treats a block as if it had come before all of equal work (Core's `preciousblock`).
    /// False if there is no such block.
    pub(super) fn prefer(&mut self, hash: [u8; 32]) -> bool {
        let earliest = self.entries.values().map(|entry| entry.arrival).min().unwrap_or(0);
        let found = self.entries.get_mut(&hash);
        found.map(|entry| entry.arrival = earliest - 1).is_some()
    }

    /// The ends of all branches.
    pub(super) fn ends(&self) -> Vec<&Entry> {
        let parents: HashSet<[u8; 32]> =
            self.entries.values().map(|entry| entry.block.previous()).collect();
        let ends = self.entries.iter().filter(|(hash, _)| !parents.contains(*hash));
        ends.map(|(_, entry)| entry).collect()
    }
}

pub(super) fn work(bits: CompactBits) -> Work {
    bits.target().map_or(Work::ZERO, Target::work)
}
