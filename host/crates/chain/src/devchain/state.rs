//! What changes with every block: the tree, the ledger and the mempool that follow its tip.

use std::collections::HashSet;

use bitcoin::Transaction;

use super::block_log::BlockLog;
use super::dev_block::DevBlock;
use super::ledger::Ledger;
use super::mempool::{Mempool, Next};
use super::params::DevParams;
use super::refusal::Refusal;
use super::tree::BlockTree;

#[derive(Debug)]
pub(super) struct State {
    pub(super) tree: BlockTree,
    pub(super) ledger: Ledger,
    pub(super) mempool: Mempool,
    /// Blocks refused for what they say, not for how they came: Core remembers them.
    pub(super) refused: HashSet<[u8; 32]>,
    /// `None` for a chain in memory.
    pub(super) log: Option<BlockLog>,
    /// Verge: more than five of the last ten blocks used this algorithm, so it is said.
    pub(super) mining_disabled: bool,
    /// What the node says about itself, whatever its tip.
    pub(super) initial_download: bool,
    /// Where new tips are published, for `getzmqnotifications`.
    pub(super) zmq_address: Option<String>,
}

impl State {
    pub(super) fn new(genesis: DevBlock) -> Self {
        Self {
            tree: BlockTree::new(genesis),
            ledger: Ledger::default(),
            mempool: Mempool::default(),
            refused: HashSet::new(),
            log: None,
            mining_disabled: false,
            initial_download: false,
            zmq_address: None,
        }
    }

    /// The place of the next block.
    pub(super) fn next(&self) -> Next {
        let tip = self.tree.tip();
        Next { height: tip.height + 1, median_time: self.tree.median_time(tip.hash.0) }
    }

    /// Adds a checked block and moves to it if its branch has most work. The refusal is of
    /// this block, found when it was to join the chain.
    pub(super) fn add(
        &mut self,
        params: &DevParams,
        block: DevBlock,
        height: u64,
    ) -> Result<(), Refusal> {
        let hash = block.id.0;
        self.tree.insert(block, height);
        if !self.tree.beats_tip(hash) {
            return Ok(());
        }
        let failed = self.activate(params, Some(hash));
        let own = failed.into_iter().find(|(failed, _)| *failed == hash);
        own.map_or(Ok(()), |(_, refusal)| Err(refusal))
    }

    /// Core's `ActivateBestChain`: moves to the branch with most work whose blocks can all be
    /// connected. `first` is known to be the best. Returns blocks that turned out invalid.
    pub(super) fn activate(
        &mut self,
        params: &DevParams,
        first: Option<[u8; 32]>,
    ) -> Vec<([u8; 32], Refusal)> {
        let before = self.tree.tip();
        let mut failed = Vec::new();
        let mut returned = Vec::new();
        let mut best = first.unwrap_or_else(|| self.tree.best());
        while best != self.tree.tip().hash.0 {
            let (fork, path) = self.tree.path_to(best);
            self.disconnect_to(params, fork, &mut returned);
            let Err(broken) = self.connect(params, &path) else { break };
            self.tree.invalidate(broken.0);
            failed.push(broken);
            best = self.tree.best();
        }
        if self.tree.tip() != before {
            let next = self.next();
            returned.reverse();
            self.mempool.rebase(&self.ledger, next, returned);
        }
        failed
    }

    /// Returned transactions are in reverse order.
    fn disconnect_to(&mut self, params: &DevParams, fork: u64, returned: &mut Vec<Transaction>) {
        while self.tree.tip().height > fork {
            let tip = self.tree.get(self.tree.tip().hash.0).expect("the tip is a block");
            returned.extend(self.ledger.disconnect(params, tip).into_iter().rev());
            self.tree.pop();
        }
    }

    fn connect(
        &mut self,
        params: &DevParams,
        path: &[[u8; 32]],
    ) -> Result<(), ([u8; 32], Refusal)> {
        for hash in path {
            let entry = self.tree.get(*hash).expect("a path is of blocks");
            self.ledger.connect(params, entry).map_err(|refusal| (*hash, refusal))?;
            self.tree.push(*hash);
        }
        Ok(())
    }
}
