//! Possible blocks: recorded first, handed in milliseconds later, and handed in again until
//! the chain has answered.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chimera_chain::{Block, NodeChain, SubmitOutcome};
use chimera_ledger::{Amount, BlockState};
use chimera_store::{BlockChange, BlockRow, Store, StoreError};
use chimera_work::Solution;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::now_ms;

/// How long the finder's connection waits for the chain's answer. Handing in goes on
/// behind it; a node that is there answers in milliseconds.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// A stale solution can still win the round before this one; an older one cannot, and a
/// miner could have very many of them.
const LATE_BLOCKS_MAX: u64 = 1;
/// A block that is on record survives a crash between here and the chain; one that is on the
/// chain and not on record would be nobody's. A commit takes milliseconds; a disk that takes
/// longer must not cost the block.
const RECORD_HEAD_START: Duration = Duration::from_millis(250);
/// Between two tries to record a candidate.
const RECORD_PAUSE: Duration = Duration::from_secs(1);

/// Where possible blocks go.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// The chain they are handed to.
    pub chain: Arc<NodeChain>,
    /// Where they are recorded.
    pub store: Arc<Store>,
    /// What goes on behind the finder's back, so that a stop can wait for it.
    pub tasks: TaskTracker,
    /// Set when another process goes on.
    pub gone: CancellationToken,
    /// Blocks that are being handed in again.
    pub under_way: Mutex<HashSet<String>>,
}

impl Candidates {
    /// Records a solution, then hands it in to every node; a disk that does not answer gets
    /// a head start only. Returns when both are done, or after a moment: then they go on by
    /// themselves.
    ///
    /// `found` is when its share was judged, for the log.
    ///
    /// The block's place in the share log, `seq`, is the share before it (exact PPLNS leaves the
    /// winning share to the next block). Its place decides which payout generation settles
    /// it, in the transaction that records it: a swap at the same moment cannot come between.
    pub(crate) async fn offer(self: &Arc<Self>, solution: &Solution, seq: u64, found: Instant) {
        let tip = self.chain.rounds().borrow().as_ref().map_or(0, |template| template.height);
        if solution.template.height + LATE_BLOCKS_MAX < tip {
            return tracing::debug!(height = solution.template.height, tip, "solved far too late");
        }
        let block = match self.chain.assemble(solution) {
            Ok(block) => block,
            Err(error) => return tracing::error!(%error, "a solved block cannot be assembled"),
        };
        tracing::info!(
            block = block.id,
            height = block.height,
            stale = solution.stale,
            worker = solution.worker.0,
            "block found"
        );
        let row = BlockRow {
            id: block.id.clone(),
            height: block.height,
            seq,
            worker: solution.worker,
            found_at_ms: now_ms(),
            pow_hash: block.pow_hash,
            target: solution.template.target,
            tx_fees: Amount::from_units(solution.template.tx_fees),
            bytes: block.bytes.clone(),
        };
        let this = Arc::clone(self);
        let offering = self.tasks.spawn(async move {
            let mut recording = pin!(async {
                while !this.record(&row).await {
                    tokio::time::sleep(RECORD_PAUSE).await;
                }
            });
            let head_start = tokio::time::timeout(RECORD_HEAD_START, &mut recording).await;
            let after_us = u64::try_from(found.elapsed().as_micros()).unwrap_or(u64::MAX);
            tracing::info!(block = block.id, after_us, "block leaves");
            // Whoever takes over hands in what is on record and not yet answered.
            let handing_in = this.gone.run_until_cancelled(this.chain.submit(&block));
            let outcome = match head_start {
                Ok(()) => handing_in.await,
                Err(_) => tokio::join!(recording, handing_in).1,
            };
            if let Some(outcome) = outcome {
                this.note(&block.id, BlockState::Candidate, &outcome).await;
            }
        });
        let _ = tokio::time::timeout(ANSWER_WAIT, offering).await;
    }

    /// Hands in a recorded block again, from its stored bytes, unless that is under way. Does
    /// not wait for the chain: a node that does not answer would hold up everything else.
    pub(crate) fn offer_again(self: &Arc<Self>, block: &chimera_store::Block) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.insert(block.id.clone()) {
            let (this, block) = (Arc::clone(self), block.clone());
            self.tasks.spawn(async move {
                // Whoever takes over hands it in again.
                let handing_in = this.gone.run_until_cancelled(this.hand_in_again(&block));
                if let Some(Err(error)) = handing_in.await {
                    tracing::warn!(block = block.id, %error, "cannot be handed in again yet");
                }
                let mut under_way = this.under_way.lock().unwrap_or_else(PoisonError::into_inner);
                under_way.remove(&block.id);
            });
        }
    }

    async fn hand_in_again(&self, recorded: &chimera_store::Block) -> Result<(), StoreError> {
        let bytes = self.store.block_bytes(&recorded.id).await?;
        let chimera_store::Block { id, height, pow_hash, .. } = recorded;
        let block = Block { id: id.clone(), height: *height, pow_hash: *pow_hash, bytes };
        let outcome = self.chain.submit(&block).await;
        self.note(id, recorded.state, &outcome).await;
        Ok(())
    }

    /// Whether nothing is left to do: it is recorded, or can never be (the same header
    /// offered again for another worker).
    async fn record(&self, row: &BlockRow) -> bool {
        let Err(error) = self.store.record_candidate(row).await else { return true };
        tracing::error!(block = row.id, %error, "a found block is not recorded");
        !error.is_retryable()
    }

    async fn note(&self, id: &str, from: BlockState, outcome: &SubmitOutcome) {
        // Its own word, also where nobody could be asked: the block's state may stay or go on.
        if let Err(error) = self.store.note_answer(id, &outcome.to_string()).await {
            tracing::warn!(block = id, %error, "the chain's answer is not kept");
        }
        let to = match outcome {
            SubmitOutcome::Accepted | SubmitOutcome::Duplicate => BlockState::Pending,
            SubmitOutcome::Stale(_) => BlockState::Orphaned,
            // It was on the chain before: a node that forgot it and what it was built on.
            SubmitOutcome::Rejected(_) if from == BlockState::Pending => BlockState::Orphaned,
            SubmitOutcome::Rejected(_) => BlockState::Rejected,
            // Stays a candidate: the settler hands it in again.
            SubmitOutcome::Unreachable(_) => return,
        };
        let change = BlockChange { to, reward: None, detail: outcome.to_string() };
        if let Err(error) = self.store.set_block_state(id, &change, now_ms()).await {
            tracing::warn!(block = id, %error, "the chain's answer is not recorded yet");
        }
    }
}
