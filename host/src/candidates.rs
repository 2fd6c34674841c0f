//! Possible blocks: recorded first, handed in at once, and handed in again until the chain
//! has answered.

use std::sync::Arc;
use std::time::Duration;

use chimera_chain::{Block, NodeChain, SubmitOutcome};
use chimera_ledger::{Amount, BlockState};
use chimera_store::{BlockChange, BlockRow, GenerationId, Store, StoreError};
use chimera_work::Solution;

use crate::clock::now_ms;
use crate::recorder::Recorder;

/// How long the finder's connection waits for the chain's answer. Handing in goes on
/// behind it; a node that is there answers in milliseconds.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Between two tries to record a candidate that was handed in already.
const RECORD_PAUSE: Duration = Duration::from_secs(1);

/// Where possible blocks go.
#[derive(Debug)]
pub(crate) struct Candidates {
    /// The chain they are handed to.
    pub chain: Arc<NodeChain>,
    /// Where they are recorded.
    pub store: Arc<Store>,
    /// Which knows the share log's end.
    pub recorder: Arc<Recorder>,
    /// The payout generation that will settle them.
    pub generation: GenerationId,
}

impl Candidates {
    /// Records a solution and hands it in to every node. Returns when the chain has
    /// answered, or after a moment: then both go on by themselves.
    ///
    /// The block's place in the share log is the share before it (exact PPLNS leaves the
    /// winning share to the next block).
    pub(crate) async fn offer(self: &Arc<Self>, solution: &Solution) {
        let seq = self.recorder.seq_before_next();
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
            generation: self.generation,
            found_at_ms: now_ms(),
            pow_hash: block.pow_hash,
            tx_fees: Amount::from_units(solution.template.tx_fees),
            bytes: block.bytes.clone(),
        };
        let recorded = self.record(&row).await;
        let this = Arc::clone(self);
        let handing_in = tokio::spawn(async move {
            // A block is worth more than its record: it is handed in whatever the disk does.
            let outcome = this.chain.submit(&block).await;
            if !recorded {
                while !this.record(&row).await {
                    tokio::time::sleep(RECORD_PAUSE).await;
                }
            }
            this.note(&block.id, &outcome).await;
        });
        let _ = tokio::time::timeout(ANSWER_WAIT, handing_in).await;
    }

    /// Hands in a recorded block again, from its stored bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn offer_again(
        &self,
        recorded: &chimera_store::Block,
    ) -> Result<(), StoreError> {
        let bytes = self.store.block_bytes(&recorded.id).await?;
        let chimera_store::Block { id, height, pow_hash, .. } = recorded;
        let block = Block { id: id.clone(), height: *height, pow_hash: *pow_hash, bytes };
        let outcome = self.chain.submit(&block).await;
        self.note(id, &outcome).await;
        Ok(())
    }

    async fn record(&self, row: &BlockRow) -> bool {
        let recorded = self.store.record_candidate(row).await;
        if let Err(error) = &recorded {
            tracing::error!(block = row.id, %error, "a found block is not recorded yet");
        }
        recorded.is_ok()
    }

    async fn note(&self, id: &str, outcome: &SubmitOutcome) {
        let to = match outcome {
            SubmitOutcome::Accepted | SubmitOutcome::Duplicate => BlockState::Pending,
            SubmitOutcome::Stale(_) => BlockState::Orphaned,
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
