//! From found blocks and finished work to money: follows every open block through its
//! life, and books each settlement once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use chimera_chain::{BlockRef, NodeChain, RewardState, RpcError};
use chimera_ledger::{
    Account, Accounts, Allocation, Amount, BlockState, Decided, Decision, Distribution, Event,
    Imbalance, Limits, Premises, Proposal, Request, SCORE_PER_BLOCK, SaltedKey, Slices,
    block_to_reserve,
};
use chimera_plugin::PluginError;
use chimera_store::{
    Block, BlockChange, GenerationId, NewRecord, SettlementRow, Store, Unpaid, Window,
};
use chimera_work::Template;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::candidates::Candidates;
use crate::causes;
use crate::clock::now_ms;
use crate::health::Probe;
use crate::reserve::{self, FeeMean, ReserveTooLow};
use crate::schemes::{Scheme, Schemes};
use crate::settle_process::{SettleFailure, SettleProcess};
use crate::traps::Traps;

/// How often open blocks are looked at when no new tip calls for it.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Blocks that came to nothing are asked about for so many blocks: a chain may change its
/// mind (a reorganisation deeper than this is an operator's matter).
const SECOND_CHANCE_BLOCKS: u64 = 32;
/// How many of the latest blocks are looked through for those.
const RECENT_BLOCKS: u32 = 256;
/// Tips in a row at which a settled block must be missing before it is undone, and at which a
/// reversed one must be there, ripe, before it is booked again.
const REVERSAL_TIPS: u32 = 6;
const HELD: &str = "The settlement is held and nothing was booked; shares are still recorded. It \
                    is retried by itself, at last every five minutes. If its payout component \
                    cannot be made to work, set payout.take_over = true and swap to another of the \
                    same kind: that one settles the blocks and pays the work its predecessor \
                    could not.";

/// Who books settlements.
pub(crate) struct Settler {
    /// The chain that is asked about blocks.
    pub chain: Arc<NodeChain>,
    /// The books.
    pub store: Arc<Store>,
    /// Who hands in blocks again.
    pub candidates: Arc<Candidates>,
    /// The payout generations.
    pub schemes: Arc<Schemes>,
    /// Whether the scheme in force settles blocks that an earlier one cannot.
    pub take_over: bool,
    /// Settled blocks that are not on the chain and reversed ones that are, and at how many tips
    /// in a row.
    pub contradicted: Mutex<HashMap<String, (u32, u64)>>,
    /// How often work is settled by accruing schemes.
    pub settle_interval: Duration,
    /// Who runs the components.
    pub process: SettleProcess,
    /// How far below zero accrued work may bring the reserve, in base units.
    pub reserve: Option<u64>,
    /// What the templates since the last settled interval promised in fees.
    pub fees: Mutex<FeeMean>,
    /// Where failed calls are kept.
    pub traps: Arc<Traps>,
    /// Where trouble with settlements is told.
    pub probe: Probe,
}

impl Settler {
    /// Looks after blocks and intervals until stopped; a settlement under way is finished.
    pub(crate) async fn run(&self, stopping: CancellationToken) {
        let mut tips = self.chain.rounds();
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut interval_due = Instant::now();
        let (mut tip_before, mut held) = (None, None::<Arc<Template>>);
        let mut intervals = Ok(());
        self.probe.healthy(now_ms());
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = looks.tick() => {}
                changed = tips.changed() => {
                    if changed.is_err() { return }
                    let template = tips.borrow_and_update().clone();
                    if let Some(before) = held.take() {
                        self.count_fees(&before, template.as_deref());
                    }
                    held = template;
                }
            }
            let round = self.chain.rounds().borrow().clone();
            let tip = round.as_ref().map_or(0, |template| template.height);
            // Another block at the same height is a new tip too.
            let block = round.map(|template| template.previous);
            let blocks = self.follow_blocks(tip, block != tip_before).await;
            tip_before = block;
            if Instant::now() >= interval_due {
                intervals = self.settle_intervals().await;
                interval_due = Instant::now() + self.settle_interval;
            }
            match blocks.as_ref().and(intervals.as_ref()) {
                Ok(()) => self.probe.healthy(now_ms()),
                Err(error) => {
                    let low = error.downcast_ref::<ReserveTooLow>();
                    let advice = low.map_or(HELD, |_| reserve::ADVICE);
                    self.probe.error(causes(error), advice, now_ms());
                }
            }
        }
    }

    /// Moves every open block on as far as the chain allows; at a new tip also asks again
    /// about recent ones that are done with. One block's trouble does not stop the others;
    /// the first one is told.
    async fn follow_blocks(&self, tip: u64, tip_is_new: bool) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        let recent = if tip_is_new { RECENT_BLOCKS } else { 0 };
        let recent = self.store.blocks(recent, None).await?;
        let ripening = u64::from(self.chain.confirmations());
        let done = recent.into_iter().filter(|block| match block.state {
            BlockState::Orphaned | BlockState::Rejected => {
                block.height + SECOND_CHANCE_BLOCKS > tip
            }
            BlockState::Settled => block.height + ripening + SECOND_CHANCE_BLOCKS > tip,
            _ => false,
        });
        // However old: what was taken back from miners must be theirs again if the block is.
        let reversed = if tip_is_new { self.store.reversed_blocks().await? } else { Vec::new() };
        let open = self.store.open_blocks().await?;
        let keys = open.iter().map(|block| format!("block:{}", block.id)).collect();
        self.schemes.retries().only("block:", &keys);
        for block in open.into_iter().chain(done).chain(reversed) {
            let followed = self.follow(&block, tip).await;
            outcome = outcome
                .and(followed.map_err(|error| error.context(format!("block {}", block.height))));
        }
        outcome
    }

    async fn follow(&self, block: &Block, tip: u64) -> anyhow::Result<()> {
        let reference = BlockRef { id: block.id.clone(), height: block.height };
        let reward = match self.chain.reward(&reference).await {
            Ok(reward) => reward,
            // A node that answers, but not this question (pruned, without an index).
            Err(error @ (RpcError::Node(_) | RpcError::Forbidden { .. })) => {
                return Err(error.into());
            }
            // A chain that cannot be asked is the chain's trouble and told there.
            Err(_) => return Ok(()),
        };
        use BlockState::{Candidate, Mature, Orphaned, Pending, Rejected, Reversed, Settled};
        match (block.state, reward) {
            (Reversed, RewardState::Ripe { amount }) => self.reinstate(block, amount, tip).await,
            (Reversed, _) => {
                self.agreed(block);
                Ok(())
            }
            (Orphaned, RewardState::Orphaned | RewardState::Unknown) => Ok(()),
            (Rejected, RewardState::Orphaned | RewardState::Unknown) => Ok(()),
            (Candidate | Pending, RewardState::Unknown)
                if block.height + SECOND_CHANCE_BLOCKS < tip =>
            {
                self.move_to(block, Orphaned, None, "no node knows it").await
            }
            (Candidate | Pending, RewardState::Unknown) => {
                self.candidates.offer_again(block);
                Ok(())
            }
            // A mature or settled block nobody knows any more: a node that is catching up.
            (Mature, RewardState::Unknown) => Ok(()),
            (Settled, RewardState::Unknown) => {
                self.agreed(block);
                Ok(())
            }
            (Candidate | Pending | Mature, RewardState::Orphaned) => {
                self.move_to(block, Orphaned, None, "another block has its place").await
            }
            (Settled, RewardState::Orphaned) => self.reverse(block, tip).await,
            (Mature, RewardState::Ripening { .. }) => Ok(()),
            (Settled, RewardState::Ripening { .. } | RewardState::Ripe { .. }) => {
                self.agreed(block);
                Ok(())
            }
            (Candidate | Orphaned | Rejected, _) => {
                self.move_to(block, Pending, None, "on the chain").await
            }
            (Pending, RewardState::Ripening { .. }) => Ok(()),
            (Pending, RewardState::Ripe { amount }) => {
                self.move_to(block, Mature, Some(Amount::from_units(amount)), "ripe").await?;
                self.settle_block(&self.store.block(&block.id).await?).await
            }
            (Mature, RewardState::Ripe { .. }) => self.settle_block(block).await,
        }
    }

    /// Undoes what was booked for a block that left the chain after it was ripe. That cannot
    /// be taken back, so one node's word at one tip is not enough.
    async fn reverse(&self, block: &Block, tip: u64) -> anyhow::Result<()> {
        tracing::warn!(height = block.height, "a settled block is not on the chain");
        if self.contradicted(block, tip) < REVERSAL_TIPS {
            return Ok(());
        }
        let why = "it left the chain after it was settled";
        self.store.reverse(&block.id, why, now_ms()).await?;
        self.agreed(block);
        tracing::error!(height = block.height, block = block.id, "settlement reversed: {why}");
        Ok(())
    }

    /// Books again what was undone for a block that is on the chain after all, and ripe.
    async fn reinstate(&self, block: &Block, amount: u64, tip: u64) -> anyhow::Result<()> {
        let settled = block.reward.map_or(0, Amount::units);
        anyhow::ensure!(
            amount == settled,
            "it was settled with a reward of {settled} and is back on the chain with {amount}"
        );
        tracing::warn!(height = block.height, "a reversed block is on the chain again");
        if self.contradicted(block, tip) < REVERSAL_TIPS {
            return Ok(());
        }
        let why = "it is on the chain again after it was reversed";
        self.store.reinstate(&block.id, why, now_ms()).await?;
        self.agreed(block);
        tracing::warn!(height = block.height, block = block.id, "settlement reinstated: {why}");
        Ok(())
    }

    /// The chain says something else of a block than the books; at how many tips in a row.
    ///
    /// A tip counts if it is higher than those before: two that take each other's place are not
    /// more of the chain's word.
    fn contradicted(&self, block: &Block, tip: u64) -> u32 {
        let mut contradicted = self.contradictions();
        let (times, highest) = contradicted.entry(block.id.clone()).or_insert((0, 0));
        if tip > *highest {
            (*times, *highest) = (*times + 1, tip);
        }
        *times
    }

    /// The chain says of a block what the books say, or nothing.
    fn agreed(&self, block: &Block) {
        self.contradictions().remove(&block.id);
    }

    fn contradictions(&self) -> MutexGuard<'_, HashMap<String, (u32, u64)>> {
        self.contradicted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A template has given way to the next. An empty one that stood for a moment only, until
    /// the full one of its round was there, says nothing of fees.
    fn count_fees(&self, before: &Template, now: Option<&Template>) {
        let same_round = now.is_some_and(|now| now.previous == before.previous);
        if before.tx_fees > 0 || !same_round {
            self.fees().add(before.tx_fees);
        }
    }

    fn fees(&self) -> MutexGuard<'_, FeeMean> {
        self.fees.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn move_to(
        &self,
        block: &Block,
        to: BlockState,
        reward: Option<Amount>,
        detail: &str,
    ) -> anyhow::Result<()> {
        let change = BlockChange { to, reward, detail: detail.to_owned() };
        self.store.set_block_state(&block.id, &change, now_ms()).await?;
        tracing::info!(height = block.height, block = block.id, state = %to, "block moved on");
        Ok(())
    }

    /// Divides a mature block by the generation that was in force when it was found; by the
    /// one in force now only if the operator lets it take over what the other cannot do.
    async fn settle_block(&self, block: &Block) -> anyhow::Result<()> {
        let (key, current) = (format!("block:{}", block.id), self.schemes.current());
        self.paced(&key, async {
            let outcome = match self.schemes.of(block.generation).await {
                Ok(scheme) => self.settle_block_by(&scheme, block).await,
                Err(error) => Err(error),
            };
            match outcome {
                Err(error) if self.may_take_over(block, &current, &error).await? => {
                    let cause = causes(&error);
                    tracing::warn!(height = block.height, cause, "the scheme in force takes over");
                    self.settle_block_by(&current, block).await
                }
                outcome => outcome,
            }
        })
        .await
    }

    /// Whether the scheme in force divides a block its own scheme cannot. Both must divide the
    /// same part of it: what was found under an accruing scheme is paid out of the reserve, not
    /// again, and what was not is not the reserve's. The host's own trouble is no reason.
    async fn may_take_over(
        &self,
        block: &Block,
        current: &Scheme,
        error: &anyhow::Error,
    ) -> anyhow::Result<bool> {
        if !self.take_over || !is_component_s(error) || current.generation() == block.generation {
            return Ok(false);
        }
        let kind = self.store.generation(block.generation).await?.facts.kind;
        let current = current.plan().kind;
        Ok(kind == Some(current) && current.splits_blocks())
    }

    /// Makes a settlement unless it failed a short time ago; then its last error stands.
    async fn paced(
        &self,
        key: &str,
        settlement: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let in_force = self.schemes.current().generation().0;
        let retries = || self.schemes.retries();
        retries().due(key, in_force, now_ms()).map_err(anyhow::Error::msg)?;
        let outcome = settlement.await;
        match &outcome {
            Ok(()) => retries().done(key),
            // Nobody's fault, and over with the next block.
            Err(error) if error.is::<ReserveTooLow>() => retries().done(key),
            Err(error) => retries().failed(key, in_force, now_ms(), causes(error)),
        };
        outcome
    }

    async fn settle_block_by(&self, scheme: &Arc<Scheme>, block: &Block) -> anyhow::Result<()> {
        let key = format!("block:{}", block.id);
        let reward = block.reward.unwrap_or(Amount::ZERO);
        let event = |window_work, finder| Event::Block {
            height: block.height,
            reward: reward.units(),
            // The template's word; the chain's about the reward counts.
            tx_fees: block.tx_fees.units().min(reward.units()),
            window_work,
            found_at_ms: block.found_at_ms,
            finder,
        };
        if !scheme.plan().kind.splits_blocks() {
            return self.settle_to_reserve(scheme, &key, block, event(0, None)).await;
        }
        let window = self.store.window_of_block(&block.id, scheme.plan()).await?;
        let event = event(window.window_work, window.finder);
        let carry = self.store.balance(&Account::Carry).await?.units();
        let carry = u64::try_from(carry).unwrap_or(0);
        let settled = self.settle(scheme, &key, Some(&block.id), event, window, carry).await?;
        tracing::info!(height = block.height, %reward, accounts = settled, "block settled");
        Ok(())
    }

    /// Under an accruing scheme the work of a block is paid already: the scheme is not asked,
    /// and what it remembers stays as it is.
    async fn settle_to_reserve(
        &self,
        scheme: &Arc<Scheme>,
        key: &str,
        block: &Block,
        event: Event,
    ) -> anyhow::Result<()> {
        let reward = block.reward.unwrap_or(Amount::ZERO);
        let state = self.schemes.state_of(scheme).await?;
        let (accounts, slices) = (Accounts::default(), Slices::default());
        let request = Request { event, accounts, slices, carry: 0, state: state.clone() };
        let outcome = Proposal {
            allocation: Allocation::Weights(Vec::new()),
            pool_fee: 0,
            carry: 0,
            state,
            notes: Vec::new(),
        };
        let transfers = block_to_reserve(key, reward);
        let asked = Arc::new(Asked {
            key: key.to_owned(),
            shares: (block.seq, block.seq),
            salted: Vec::new(),
            request: Arc::new(request),
        });
        let premises = premises(Arc::clone(&asked)).await?;
        let (row, record) = record(scheme, &asked, &outcome, premises, Decided::ReserveRule)?;
        let row = SettlementRow { block: Some(block.id.clone()), ..row };
        self.store.settle_recorded(&row, &transfers, Some(&record)).await?;
        tracing::info!(height = block.height, %reward, "block went to the reserve");
        Ok(())
    }

    /// Pays the work that accruing generations have not paid yet.
    async fn settle_intervals(&self) -> anyhow::Result<()> {
        let Some((expected_reward, expected_fees)) =
            self.chain.rounds().borrow().as_ref().map(|template| {
                let fees = self.fees().get().unwrap_or(template.tx_fees);
                let subsidy = template.reward.saturating_sub(template.tx_fees);
                (subsidy.saturating_add(fees), fees)
            })
        else {
            return Ok(());
        };
        let mut outcome = Ok(());
        let unpaid = self.store.unpaid().await?;
        let keys = unpaid.iter().map(|one| interval_key(one.generation)).collect();
        self.schemes.retries().only("interval:", &keys);
        for Unpaid { generation, until } in unpaid {
            let prices = (expected_reward, expected_fees);
            // A broken scheme's work waits; that of the others does not.
            let settlement = self.settle_interval_of(generation, until, prices);
            let settled = self.paced(&interval_key(generation), settlement).await;
            self.note_held(generation, settled.as_ref().err()).await?;
            outcome = outcome.and(settled);
        }
        if outcome.is_ok() {
            *self.fees() = FeeMean::default();
        }
        outcome
    }

    /// Puts on record that an accruing scheme cannot pay its work, or that it can again: with
    /// `take_over` its successor pays it. The host's own trouble is no reason.
    async fn note_held(
        &self,
        generation: GenerationId,
        error: Option<&anyhow::Error>,
    ) -> anyhow::Result<()> {
        let why = match error {
            Some(error) if is_component_s(error) => Some(causes(error)),
            // It has answered, and well: what is missing is money.
            Some(error) if error.is::<ReserveTooLow>() => None,
            Some(_) => return Ok(()),
            None => None,
        };
        Ok(self.store.hold(generation, why.as_deref()).await?)
    }

    async fn settle_interval_of(
        &self,
        generation: GenerationId,
        until: u64,
        (expected_reward, expected_fees): (u64, u64),
    ) -> anyhow::Result<()> {
        let mut from = self.store.interval_start(generation).await?;
        let mut until = until;
        let mut held = None;
        while from < until {
            let scheme = self.schemes.of(generation).await?;
            let window = self.store.work_between(from, until).await?;
            let (from_seq, to_seq) = (window.from_seq, window.to_seq);
            anyhow::ensure!(to_seq > from, "the share log has nothing behind share {from}");
            let key = format!("interval:{}:{from_seq}-{to_seq}", generation.0);
            let ended_at_ms = now_ms();
            // Clocks are set back.
            let started_at_ms = self.store.interval_started_ms(generation).await?.min(ended_at_ms);
            let event = Event::Interval {
                started_at_ms,
                ended_at_ms,
                network_work: SCORE_PER_BLOCK,
                expected_reward,
                expected_fees,
            };
            match self.settle(&scheme, &key, None, event, window, 0).await {
                Ok(accounts) => {
                    tracing::info!(shares = to_seq - from_seq, accounts, "work settled");
                    from = to_seq;
                }
                Err(error) => {
                    let Some(low) = error.downcast_ref::<ReserveTooLow>() else {
                        return Err(error);
                    };
                    // The oldest work is paid as far as the reserve goes; the rest waits.
                    until = from + low.shares_that_fit();
                    held = held.or(Some(error));
                }
            }
        }
        held.map_or(Ok(()), Err)
    }

    /// Asks the component, checks its answer, books it. Returns how many accounts it was about.
    async fn settle(
        &self,
        scheme: &Arc<Scheme>,
        key: &str,
        block: Option<&str>,
        event: Event,
        window: Window,
        carry: u64,
    ) -> anyhow::Result<usize> {
        let Window { names, salted, accounts, slices, from_seq, to_seq, .. } = window;
        let state = self.schemes.state_of(scheme).await?;
        let asked = Arc::new(Asked {
            key: key.to_owned(),
            shares: (from_seq, to_seq),
            salted,
            request: Arc::new(Request { event, accounts, slices, carry, state }),
        });
        // What of the record needs no answer is made while the component is asked.
        let (proposed, premises) =
            tokio::join!(self.propose(scheme, &asked), premises(Arc::clone(&asked)));
        let ((outcome, distribution), premises) = (proposed?, premises?);
        let holds = self.store.balance(&Account::Reserve).await?.units();
        ReserveTooLow::check(&distribution, (from_seq, to_seq), holds, self.reserve)?;
        let (accounts, scheme) = (names.len(), Arc::clone(scheme));
        let recording = tokio::task::spawn_blocking(move || {
            let decided = Decided::Scheme(&distribution);
            let (row, record) = record(&scheme, &asked, &outcome, premises, decided)?;
            let transfers = distribution.transfers(&asked.key, &names)?;
            let (carry_in, carry_out) = (distribution.carry_in(), distribution.carry_out());
            anyhow::Ok((SettlementRow { carry_in, carry_out, ..row }, transfers, record))
        });
        let (row, transfers, record) = recording.await??;
        let row = SettlementRow { block: block.map(str::to_owned), ..row };
        self.store.settle_recorded(&row, &transfers, Some(&record)).await?;
        Ok(accounts)
    }

    /// Runs the component in its process, and checks what it says.
    async fn propose(
        &self,
        scheme: &Arc<Scheme>,
        asked: &Arc<Asked>,
    ) -> anyhow::Result<(Proposal, Distribution)> {
        let digest = scheme.digest();
        let wasm = if self.process.knows(digest) {
            Vec::new()
        } else {
            let wasm = self.store.component_bytes(digest.as_bytes()).await?;
            wasm.context("the component of the payout scheme is not kept")?
        };
        let request = Arc::clone(&asked.request);
        let outcome = match scheme.settle(&self.process, wasm, request).await {
            Ok(outcome) => outcome,
            Err(failure) => {
                self.keep_bundle(&asked.key, &failure).await;
                return Err(failure.into());
            }
        };
        let (scheme, asked) = (Arc::clone(scheme), Arc::clone(asked));
        let checked = tokio::task::spawn_blocking(move || {
            let (name, limits) = (&scheme.info().name, Limits::default());
            let proposal = outcome.clone();
            let checked =
                Distribution::check(name, &asked.request, scheme.plan(), proposal, &limits);
            // What does not add up is as much of a failure as a trap.
            let checked = checked.inspect_err(|breach| scheme.calls.failed(&breach.to_string()))?;
            Ok((outcome, checked))
        });
        checked.await?
    }

    /// The failed call as a file, for whoever mends the component. Failing to keep it costs
    /// only that.
    async fn keep_bundle(&self, key: &str, failure: &SettleFailure) {
        let SettleFailure::Component { bundle, .. } = failure else { return };
        if bundle.is_empty() {
            return;
        }
        let (traps, key, bundle) = (Arc::clone(&self.traps), key.to_owned(), bundle.clone());
        let kept = tokio::task::spawn_blocking(move || traps.keep_settlement(&key, &bundle));
        let _ = kept.await;
    }
}

/// What a generation's intervals are retried under.
fn interval_key(generation: GenerationId) -> String {
    format!("interval:{}", generation.0)
}

/// Whether a settlement failed by its component's fault, not by that of the machine, the node
/// or the ledger.
fn is_component_s(error: &anyhow::Error) -> bool {
    use SettleFailure::{Died, Process};
    match error.downcast_ref::<SettleFailure>() {
        Some(failure) => !matches!(failure, Process { .. } | Died { .. }),
        None => error.is::<Imbalance>() || error.is::<PluginError>(),
    }
}

/// What is settled.
struct Asked {
    key: String,
    shares: (u64, u64),
    salted: Vec<SaltedKey>,
    request: Arc<Request>,
}

/// What of the record is known before there is an answer, away from the executor.
async fn premises(asked: Arc<Asked>) -> anyhow::Result<Premises> {
    let known = tokio::task::spawn_blocking(move || Premises::of(&asked.salted, &asked.request));
    Ok(known.await??)
}

/// The settlement's row and its record.
fn record(
    scheme: &Scheme,
    asked: &Asked,
    outcome: &Proposal,
    premises: Premises,
    decided: Decided<'_>,
) -> anyhow::Result<(SettlementRow, NewRecord)> {
    let decided_at_ms = now_ms();
    let decider = scheme.decider();
    let header = Decision {
        key: &asked.key,
        decider: &decider,
        decided,
        limits: Limits::default(),
        shares: asked.shares,
        accounts: &asked.salted,
        request: &asked.request,
        outcome,
        premises,
        decided_at_ms,
    };
    let record = NewRecord::new(header.header()?, &asked.salted, &asked.request, outcome);
    let row = SettlementRow {
        key: asked.key.clone(),
        generation: scheme.generation(),
        block: None,
        from_seq: asked.shares.0,
        to_seq: asked.shares.1,
        digest: *decider.digest.as_bytes(),
        config_hash: *decider.config_hash.as_bytes(),
        notes: serde_json::to_string(&outcome.notes).expect("texts are always JSON"),
        state: outcome.state.clone(),
        carry_in: 0,
        carry_out: 0,
        booked_at_ms: decided_at_ms,
    };
    Ok((row, record))
}
