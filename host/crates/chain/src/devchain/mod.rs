//! An embedded chain with real proof of work: a pool can be tried, rehearsed and tested on a
//! laptop with nothing else installed, over the same road as a real node.
//!
//! It grows into a node simulator: [`DevRules`] says which node it imitates. The plain rules
//! know coinbases only. Those of Bitcoin have transactions, a mempool and witnesses, and every
//! block is checked with the library `bitcoin`, which no pool code shares. Those of Verge have
//! its times, its algorithms and its block signature. There are no peers, and of scripts only
//! those are run that anybody may spend.
//!
//! [`Faults`] make it answer as a node in trouble does, [`Action`]s make things happen to it,
//! and [`SimServer`] puts it behind a real port.

#[cfg(test)]
mod bad_blocks;
#[cfg(test)]
mod golden_blocks;
#[cfg(test)]
mod golden_verge;
#[cfg(test)]
mod ledger_property;

mod action;
mod address;
mod bitcoin_check;
mod block_log;
mod check;
mod dev_block;
mod faults;
mod genesis;
mod http;
mod ledger;
mod login;
mod mempool;
mod merkle_check;
mod methods;
mod miner;
mod node;
mod params;
mod refusal;
mod retarget;
mod rules;
mod server;
mod simulate;
mod spend;
mod state;
mod tree;
mod verge;
mod wallet;
mod zmq;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use chimera_pow::{PowHash, sha256d};
use tokio::sync::{broadcast, watch};

use block_log::{BlockLog, Record};
use check::Asked;
use dev_block::{Body, Candidate};
use refusal::Refusal;
use state::State;
use tree::Placed;
use wallet::Wallet;

pub use action::Action;
pub use faults::{Fault, FaultRule, Faults};
pub use node::DevNode;
pub use params::{DevChainError, DevParams, MATURITY_BLOCKS};
pub use rules::{DevRules, UnknownRules};
pub use server::SimServer;
pub use zmq::ZmqPublisher;

/// The last block of the longest branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Its height; the genesis block has 0.
    pub height: u64,
    /// What it is named by; with the plain rules its proof of work.
    pub hash: PowHash,
}

/// A chain of one process. All methods may be called from any thread.
#[derive(Debug)]
pub struct DevChain {
    params: DevParams,
    wallet: Wallet,
    state: Mutex<State>,
    tip: watch::Sender<Tip>,
    /// Every tip, for those who must not miss one.
    tips: broadcast::Sender<Tip>,
}

/// Tips kept for a publisher that is slow.
const TIPS_KEPT: usize = 1024;

/// Why a block is not part of the chain after it was handed in.
#[derive(Debug)]
enum NotAccepted {
    Malformed,
    Refused(Refusal),
    /// Verge: no key of the wallet fits.
    Unsignable,
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
        let state = State::new(genesis::mine(&params));
        let seed = sha256d(params.network.as_bytes());
        Ok(Self::assembled(params, seed, state))
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
        let opened = BlockLog::open(directory, genesis.id, random_seed())?;
        let mut state = State::new(genesis);
        for (offset, record) in opened.records {
            replay(&params, &mut state, record)
                .map_err(|cause| opened.log.corrupt(offset, cause))?;
        }
        state.log = Some(opened.log);
        Ok(Self::assembled(params, opened.seed, state))
    }

    fn assembled(params: DevParams, seed: [u8; 32], state: State) -> Self {
        let tip = watch::Sender::new(state.tree.tip());
        let tips = broadcast::Sender::new(TIPS_KEPT);
        Self { params, wallet: Wallet::new(seed), state: Mutex::new(state), tip, tips }
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
        self.judge(block.0, Record::Invalidated(block.0))
    }

    /// Undoes [`DevChain::orphan`], as `reconsiderblock` does: the block and its branch count
    /// again, and are the chain if they have most work.
    ///
    /// # Errors
    /// When there is no such block, it is the genesis block, or it cannot be made durable.
    pub fn reconsider(&self, block: PowHash) -> Result<Tip, DevChainError> {
        self.judge(block.0, Record::Reconsidered(block.0))
    }

    fn judge(&self, block: [u8; 32], record: Record) -> Result<Tip, DevChainError> {
        let mut state = self.state();
        if !state.tree.can_invalidate(block) {
            return Err(DevChainError::NotOrphanable { block: PowHash(block).to_string() });
        }
        if let Some(log) = &mut state.log {
            log.append(&record).map_err(|error| log.io_error(&error))?;
        }
        apply_verdict(&self.params, &mut state, &record);
        Ok(self.announce(&state))
    }

    /// Of branches with equal work makes this block's the chain, as `preciousblock` does;
    /// `None` if the block is unknown. A restart forgets it, as Core does.
    fn prefer(&self, block: [u8; 32]) -> Option<Tip> {
        let mut state = self.state();
        if !state.tree.prefer(block) {
            return None;
        }
        state.activate(&self.params, None);
        Some(self.announce(&state))
    }

    fn submit(&self, bytes: &[u8], now: u64) -> Result<(PowHash, Placed), NotAccepted> {
        let candidate = Candidate::parse(bytes, &self.params).ok_or(NotAccepted::Malformed)?;
        let id = candidate.block.id;
        let mut state = self.state();
        if state.tree.get(id.0).is_none() && !self.signs(&candidate) {
            return Err(NotAccepted::Unsignable);
        }
        let asked = Asked { now: Some(now), work: true };
        let height = self.checked(&mut state, &candidate, asked)?;
        if let Some(log) = &mut state.log {
            log.append(&Record::Block(bytes.into())).map_err(NotAccepted::Disk)?;
        }
        let added = state.add(&self.params, candidate.block, height);
        let tip = self.announce(&state);
        added.map_err(NotAccepted::Refused)?;
        Ok((id, if tip.hash == id { Placed::Tip } else { Placed::Side }))
    }

    fn checked(
        &self,
        state: &mut State,
        candidate: &Candidate,
        asked: Asked,
    ) -> Result<u64, NotAccepted> {
        let checked = check::check(&self.params, state, candidate, asked);
        if let Err(refusal) = checked
            && asked.work
            && refusal.condemns()
            && self.params.rules.is_bitcoin()
        {
            state.refused.insert(candidate.block.id.0);
        }
        checked.map_err(NotAccepted::Refused)
    }

    /// Whether the wallet can sign the block, where that is asked for.
    fn signs(&self, candidate: &Candidate) -> bool {
        let Body::Verge(all) = &candidate.body else { return true };
        let has_key = |key: &[u8]| self.wallet.has_key(key);
        all.first().is_some_and(|coinbase| verge::is_signable(&coinbase.transaction, has_key))
    }

    /// Under the lock, so that observers see tips in their order.
    fn announce(&self, state: &State) -> Tip {
        let tip = state.tree.tip();
        let changed = self.tip.send_if_modified(|last| std::mem::replace(last, tip) != tip);
        if changed {
            // Nobody may be listening.
            drop(self.tips.send(tip));
        }
        tip
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the chain")
    }
}

fn replay(params: &DevParams, state: &mut State, record: Record) -> Result<(), String> {
    if let Record::Block(bytes) = &record {
        let candidate = Candidate::parse(bytes, params).ok_or("a block is malformed")?;
        let asked = Asked { now: None, work: true };
        let height = check::check(params, state, &candidate, asked)
            .map_err(|refusal| format!("a block breaks the rules: {}", refusal.reason()))?;
        // One that could not join the chain is as invalid now as it was then.
        let _ = state.add(params, candidate.block, height);
        return Ok(());
    }
    if apply_verdict(params, state, &record) {
        Ok(())
    } else {
        Err("an unknown block was invalidated".to_owned())
    }
}

/// False if there is no such block.
fn apply_verdict(params: &DevParams, state: &mut State, record: &Record) -> bool {
    match record {
        Record::Invalidated(hash) if state.tree.can_invalidate(*hash) => {
            state.tree.invalidate(*hash);
        }
        Record::Reconsidered(hash) if state.tree.can_invalidate(*hash) => {
            state.tree.reconsider(*hash);
        }
        _ => return false,
    }
    state.activate(params, None);
    true
}

/// Tells the addresses of two chains apart. It guards no secret: nothing can be spent here.
fn random_seed() -> [u8; 32] {
    let mut material = [0; 32];
    for part in material.chunks_mut(8) {
        part.copy_from_slice(&RandomState::new().build_hasher().finish().to_le_bytes());
    }
    sha256d(&material)
}
