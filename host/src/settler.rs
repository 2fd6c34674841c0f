//! From found blocks and finished work to money: follows every open block through its
//! life, and books each settlement once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chimera_chain::{BlockRef, NodeChain, RewardState, RpcError};
use chimera_ledger::{
    Account, Amount, BlockState, Distribution, Event, Limits, Request, SCORE_PER_BLOCK, SchemeKind,
    block_to_reserve,
};
use chimera_plugin::Digest;
use chimera_store::{Block, BlockChange, Generation, SettlementRow, Store, Window};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::candidates::Candidates;
use crate::clock::now_ms;
use crate::health::Probe;
use crate::schemes::{Scheme, Schemes};

/// How often open blocks are looked at when no new tip calls for it.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Blocks that came to nothing are asked about for so many blocks: a chain may change its
/// mind (a reorganisation deeper than this is an operator's matter).
const SECOND_CHANCE_BLOCKS: u64 = 32;
/// How many of the latest blocks are looked through for those.
const RECENT_BLOCKS: u32 = 256;
/// Tips in a row at which a settled block must be missing before it is undone.
const REVERSAL_TIPS: u32 = 6;
const HELD: &str = "The settlement is held and nothing was booked; shares are still recorded. It \
                    is retried by itself. If its payout component cannot be made to work, \
                    configure another and set payout.take_over = true: that one settles the \
                    blocks its predecessor could not.";

/// Who books settlements.
pub(crate) struct Settler {
    /// The chain that is asked about blocks.
    pub chain: Arc<NodeChain>,
    /// The books.
    pub store: Arc<Store>,
    /// Who hands in blocks again.
    pub candidates: Arc<Candidates>,
    /// The payout generations.
    pub schemes: Schemes,
    /// Whether the scheme in force settles blocks that an earlier one cannot.
    pub take_over: bool,
    /// Settled blocks that are not on the chain, and at how many tips in a row.
    pub missing: Mutex<HashMap<String, u32>>,
    /// How often work is settled by accruing schemes.
    pub settle_interval: Duration,
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
        let mut tip_before = 0;
        let mut intervals = Ok(());
        self.probe.healthy(now_ms());
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                _ = looks.tick() => {}
                changed = tips.changed() => if changed.is_err() { return },
            }
            let tip = self.chain.rounds().borrow().as_ref().map_or(0, |template| template.height);
            let blocks = self.follow_blocks(tip, tip != tip_before).await;
            tip_before = tip;
            if Instant::now() >= interval_due {
                intervals = self.settle_intervals().await;
                interval_due = Instant::now() + self.settle_interval;
            }
            match blocks.as_ref().and(intervals.as_ref()) {
                Ok(()) => self.probe.healthy(now_ms()),
                Err(error) => self.probe.error(format_args!("{error:#}"), HELD, now_ms()),
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
        for block in self.store.open_blocks().await?.into_iter().chain(done) {
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
            Err(error @ RpcError::Node(_)) => return Err(error.into()),
            // A chain that cannot be asked is the chain's trouble and told there.
            Err(_) => return Ok(()),
        };
        use BlockState::{Candidate, Mature, Orphaned, Pending, Rejected, Reversed, Settled};
        match (block.state, reward) {
            (Reversed, _) | (Orphaned, RewardState::Orphaned | RewardState::Unknown) => Ok(()),
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
            (Mature | Settled, RewardState::Unknown) => Ok(()),
            (Candidate | Pending | Mature, RewardState::Orphaned) => {
                self.move_to(block, Orphaned, None, "another block has its place").await
            }
            (Settled, RewardState::Orphaned) => self.reverse(block).await,
            (Mature, RewardState::Ripening { .. }) => Ok(()),
            (Settled, RewardState::Ripening { .. } | RewardState::Ripe { .. }) => {
                self.missing().remove(&block.id);
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
    async fn reverse(&self, block: &Block) -> anyhow::Result<()> {
        let times = {
            let mut missing = self.missing();
            let times = missing.entry(block.id.clone()).or_insert(0);
            *times += 1;
            *times
        };
        tracing::warn!(height = block.height, times, "a settled block is not on the chain");
        if times < REVERSAL_TIPS {
            return Ok(());
        }
        self.missing().remove(&block.id);
        let why = "it left the chain after it was settled";
        self.store.reverse(&block.id, why, now_ms()).await?;
        tracing::error!(height = block.height, block = block.id, "settlement reversed: {why}");
        Ok(())
    }

    fn missing(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner)
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
        let current = self.schemes.current();
        let outcome = match self.schemes.of(block.generation).await {
            Ok(scheme) => self.settle_block_by(&scheme, block).await,
            Err(error) => Err(error),
        };
        match outcome {
            Err(error) if self.take_over && current.generation() != block.generation => {
                let cause = format!("{error:#}");
                tracing::warn!(height = block.height, cause, "the scheme in force takes over");
                self.settle_block_by(&Arc::clone(current), block).await
            }
            outcome => outcome,
        }
    }

    async fn settle_block_by(&self, scheme: &Arc<Scheme>, block: &Block) -> anyhow::Result<()> {
        let key = format!("block:{}", block.id);
        let reward = block.reward.unwrap_or(Amount::ZERO);
        if scheme.plan().kind == SchemeKind::Accrue {
            let row = SettlementRow {
                block: Some(block.id.clone()),
                // The scheme was not asked: what it remembers stays as it is.
                state: self.schemes.state_of(scheme).await?,
                ..self.row(scheme, &key, (block.seq, block.seq))
            };
            self.store.settle(&row, &block_to_reserve(&key, reward)).await?;
            tracing::info!(height = block.height, %reward, "block went to the reserve");
            return Ok(());
        }
        let window = self.store.window_of_block(&block.id, scheme.plan()).await?;
        let event = Event::Block {
            height: block.height,
            reward: reward.units(),
            tx_fees: block.tx_fees.units(),
            window_work: window.window_work,
            found_at_ms: block.found_at_ms,
            finder: window.finder,
        };
        let carry = self.store.balance(&Account::Carry).await?.units();
        let carry = u64::try_from(carry).unwrap_or(0);
        let settled = self.settle(scheme, &key, Some(&block.id), event, window, carry).await?;
        tracing::info!(height = block.height, %reward, accounts = settled, "block settled");
        Ok(())
    }

    /// Pays the work that accruing generations have not paid yet.
    async fn settle_intervals(&self) -> anyhow::Result<()> {
        let generations = self.store.generations(Schemes::SLOT).await?;
        let Some(expected_reward) =
            self.chain.rounds().borrow().as_ref().map(|template| template.reward)
        else {
            return Ok(());
        };
        let last_seq = self.store.last_seq().await?;
        let mut outcome = Ok(());
        for (index, generation) in generations.iter().enumerate() {
            if generation.facts.kind == Some(SchemeKind::Accrue) {
                let until = generations.get(index + 1).map_or(last_seq, |next| next.facts.from_seq);
                let settled = self.settle_interval_of(generation, until, expected_reward).await;
                // A broken scheme's work waits; that of the others does not.
                outcome = outcome.and(settled);
            }
        }
        outcome
    }

    async fn settle_interval_of(
        &self,
        generation: &Generation,
        until: u64,
        expected_reward: u64,
    ) -> anyhow::Result<()> {
        let mut from = self.store.interval_start(generation.id).await?;
        while from < until {
            let scheme = self.schemes.of(generation.id).await?;
            let window = self.store.work_between(from, until).await?;
            let (from_seq, to_seq) = (window.from_seq, window.to_seq);
            let key = format!("interval:{}:{from_seq}-{to_seq}", generation.id.0);
            let event = Event::Interval {
                started_at_ms: scheme.settled_at_ms(),
                ended_at_ms: now_ms(),
                network_work: SCORE_PER_BLOCK,
                expected_reward,
            };
            let accounts = self.settle(&scheme, &key, None, event, window, 0).await?;
            tracing::info!(shares = to_seq - from_seq, accounts, "work settled");
            from = to_seq;
        }
        Ok(())
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
        let Window { names, accounts, slices, from_seq, to_seq, .. } = window;
        let state = self.schemes.state_of(scheme).await?;
        let request = Request { event, accounts, slices, carry, state };
        let distribution = propose(scheme, request).await?;
        let transfers = distribution.transfers(key, &names)?;
        let row = SettlementRow {
            block: block.map(str::to_owned),
            notes: serde_json::to_string(distribution.notes()).expect("texts are always JSON"),
            state: distribution.state().to_vec(),
            carry_in: distribution.carry_in(),
            carry_out: distribution.carry_out(),
            ..self.row(scheme, key, (from_seq, to_seq))
        };
        self.store.settle(&row, &transfers).await?;
        scheme.settled(now_ms());
        Ok(names.len())
    }

    fn row(&self, scheme: &Scheme, key: &str, (from_seq, to_seq): (u64, u64)) -> SettlementRow {
        SettlementRow {
            key: key.to_owned(),
            generation: scheme.generation(),
            block: None,
            from_seq,
            to_seq,
            digest: *scheme.digest().as_bytes(),
            config_hash: *Digest::of(scheme.config().as_bytes()).as_bytes(),
            notes: "[]".to_owned(),
            state: Vec::new(),
            carry_in: 0,
            carry_out: 0,
            booked_at_ms: now_ms(),
        }
    }
}

/// Runs the component away from the executor, and checks what it says.
async fn propose(scheme: &Arc<Scheme>, request: Request) -> anyhow::Result<Distribution> {
    let scheme = Arc::clone(scheme);
    let checked = tokio::task::spawn_blocking(move || {
        let proposal = scheme.settle(&request)?;
        Ok(Distribution::check(
            &scheme.info().name,
            &request,
            scheme.plan(),
            proposal,
            &Limits::default(),
        )?)
    });
    checked.await.map_err(anyhow::Error::new)?
}
