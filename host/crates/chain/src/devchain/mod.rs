//! An embedded chain with real proof of work: a pool can be tried, rehearsed and tested on a
//! laptop with nothing else installed, over the same road as a real node.
//!
//! What it checks is what Bitcoin Core checks of a block that has only a coinbase: header
//! link, difficulty, proof of work, times, merkle root, the coinbase's form, height and value.
//! What it does not do: it has no transactions besides coinbases (so nothing can be spent,
//! and there is no mempool, no script and no segwit commitment) and no peers.

#[cfg(test)]
mod bad_blocks;

mod address;
mod block_log;
mod check;
mod dev_block;
mod genesis;
mod methods;
mod node;
mod params;
mod retarget;
mod tree;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use chimera_pow::{PowHash, sha256d};
use tokio::sync::watch;

use block_log::{BlockLog, Record};
use check::Refusal;
use dev_block::DevBlock;
use tree::{BlockTree, Placed};

pub use node::DevNode;
pub use params::{DevChainError, DevParams, MATURITY_BLOCKS};

/// The last block of the longest branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its height; the genesis block has 0.
    pub height: u64,
    /// Its hash, which is its proof of work.
    pub hash: PowHash,
}

/// A chain of one process. All methods may be called from any thread.
#[derive(Debug)]
pub struct DevChain {
    params: DevParams,
    seed: [u8; 32],
    state: Mutex<State>,
    tip: watch::Sender<Tip>,
}

#[derive(Debug)]
struct State {
    tree: BlockTree,
    /// `None` for a chain in memory.
    log: Option<BlockLog>,
}

/// Why a block is not part of the chain after it was handed in.
#[derive(Debug)]
enum NotAccepted {
    Malformed,
    Refused(Refusal),
    /// It could not be made durable, so it is not accepted.
    Disk(std::io::Error),
}

impl DevChain {
    /// A chain that ends with the process. Equal parameters give equal chains and addresses.
    ///
    /// # Errors
    /// When the parameters make no chain.
    pub fn in_memory(params: DevParams) -> Result<Self, DevChainError> {
        params.check()?;
        let tree = BlockTree::new(genesis::mine(&params), &params);
        let seed = sha256d(params.network.as_bytes());
        Ok(Self::assembled(params, seed, State { tree, log: None }))
    }

    /// A chain kept in a directory, which is made if need be. Every block is checked again,
    /// only its time not against the clock.
    ///
    /// # Errors
    /// When the directory cannot be used, is used by another process, or holds another or a
    /// damaged chain.
    pub fn open(directory: &Path, params: DevParams) -> Result<Self, DevChainError> {
        params.check()?;
        let genesis = genesis::mine(&params);
        let genesis_hash = genesis.hash(&params);
        let mut tree = BlockTree::new(genesis, &params);
        let opened = BlockLog::open(directory, genesis_hash, random_seed())?;
        for (offset, record) in opened.records {
            replay(&params, &mut tree, record)
                .map_err(|cause| opened.log.corrupt(offset, cause))?;
        }
        let log = Some(opened.log);
        Ok(Self::assembled(params, opened.seed, State { tree, log }))
    }

    fn assembled(params: DevParams, seed: [u8; 32], state: State) -> Self {
        let tip = watch::Sender::new(state.tree.tip());
        Self { params, seed, state: Mutex::new(state), tip }
    }

    /// What kind of chain it is.
    pub const fn params(&self) -> &DevParams {
        &self.params
    }

    /// The tip, now and whenever it changes.
    pub fn tip(&self) -> watch::Receiver<Tip> {
        self.tip.subscribe()
    }

    /// Declares a block and all after it invalid, as `invalidateblock` does: the longest of
    /// the other branches becomes the chain. This is how a rehearsal orphans a found block.
    ///
    /// # Errors
    /// When there is no such block, it is the genesis block, or it cannot be made durable.
    pub fn orphan(&self, block: PowHash) -> Result<Tip, DevChainError> {
        let mut state = self.state();
        if !state.tree.can_invalidate(block.0) {
            return Err(DevChainError::NotOrphanable { block: block.to_string() });
        }
        if let Some(log) = &mut state.log {
            log.append(&Record::Invalidated(block.0)).map_err(|error| log.io_error(&error))?;
        }
        state.tree.invalidate(block.0);
        Ok(self.announce(&state))
    }

    fn submit(&self, bytes: &[u8], now: u64) -> Result<Placed, NotAccepted> {
        let block = DevBlock::parse(bytes).ok_or(NotAccepted::Malformed)?;
        let mut state = self.state();
        let height = check::check(&self.params, &state.tree, &block, Some(now))
            .map_err(NotAccepted::Refused)?;
        if let Some(log) = &mut state.log {
            log.append(&Record::Block(bytes.into())).map_err(NotAccepted::Disk)?;
        }
        let placed = state.tree.insert(block, height, &self.params);
        self.announce(&state);
        Ok(placed)
    }

    /// Under the lock, so that observers see tips in their order.
    fn announce(&self, state: &State) -> Tip {
        let tip = state.tree.tip();
        self.tip.send_if_modified(|last| {
            let changed = *last != tip;
            *last = tip;
            changed
        });
        tip
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the chain")
    }
}

fn replay(params: &DevParams, tree: &mut BlockTree, record: Record) -> Result<(), String> {
    match record {
        Record::Block(bytes) => {
            let block = DevBlock::parse(&bytes).ok_or("a block is malformed")?;
            let height = check::check(params, tree, &block, None)
                .map_err(|refusal| format!("a block breaks the rules: {}", refusal.reason()))?;
            tree.insert(block, height, params);
        }
        Record::Invalidated(hash) => {
            if !tree.can_invalidate(hash) {
                return Err("an unknown block was invalidated".to_owned());
            }
            tree.invalidate(hash);
        }
    }
    Ok(())
}

/// Tells the addresses of two chains apart. It guards no secret: nothing can be spent here.
fn random_seed() -> [u8; 32] {
    let mut material = [0; 32];
    for part in material.chunks_mut(8) {
        part.copy_from_slice(&RandomState::new().build_hasher().finish().to_le_bytes());
    }
    sha256d(&material)
}
