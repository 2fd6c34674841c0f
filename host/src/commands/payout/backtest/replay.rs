//! The record, settled again: block after block, with the state and the carry the other
//! scheme would have had.
//!
//! A block is divided over the window the other scheme asks for, cut from the same share log.
//! Work that is paid as it comes is paid from block to block, at what the later one brought:
//! what a template promised at the time is not on record. The other scheme counts as in force
//! since ever, so its windows reach behind what an accruing scheme had paid.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use chimera_ledger::{Account, BlockState, Distribution, Event, Limits, Request, SCORE_PER_BLOCK};
use chimera_plugin::PayoutScheme;
use chimera_store::{Block, Settlement, Store, Window, WindowQuery};

use super::comparison::Step;
use super::since::Since;

/// What the other scheme would remember.
#[derive(Default)]
struct Standing {
    state: Vec<u8>,
    carry: u64,
    /// Up to here work is paid.
    paid_seq: u64,
    settled_at_ms: u64,
}

/// Settles every block on record again; oldest first. A scheme with a memory, too, begins
/// with none at the first block looked at.
pub(super) async fn replay(
    store: &Store,
    scheme: Arc<PayoutScheme>,
    since: Option<Since>,
) -> anyhow::Result<Vec<Step>> {
    let mut blocks = store.blocks(u32::MAX, None).await?;
    blocks.retain(|block| block.state == BlockState::Settled);
    blocks.reverse();
    let first = match since {
        None => 0,
        Some(Since::Blocks(count)) => blocks.len().saturating_sub(count),
        Some(Since::Time(time)) => blocks.partition_point(|block| block.found_at_ms < time),
    };
    let before = first.checked_sub(1).map(|index| &blocks[index]);
    let mut standing = Standing {
        paid_seq: before.map_or(0, |block| block.seq),
        settled_at_ms: before.map_or(0, |block| block.found_at_ms),
        ..Standing::default()
    };
    let mut settlements = store.settlements(u32::MAX, None).await?;
    settlements.retain(|settlement| settlement.reversed_at_ms.is_none());
    let mut steps = Vec::new();
    for block in &blocks[first..] {
        let from_seq = standing.paid_seq;
        let mut step = Step {
            height: block.height,
            found_at_ms: block.found_at_ms,
            reward: block.reward.map_or(0, |reward| reward.units()),
            accounts: BTreeMap::new(),
            carried: (0, 0),
        };
        add_paid(store, &settlements, block, from_seq, &mut step).await?;
        let again = settle_again(store, &scheme, block, &mut standing, &mut step).await;
        again.with_context(|| format!("block {}", block.height))?;
        steps.push(step);
    }
    Ok(steps)
}

/// What was paid for the block, and for intervals of work that ended since the one before.
async fn add_paid(
    store: &Store,
    settlements: &[Settlement],
    block: &Block,
    from_seq: u64,
    step: &mut Step,
) -> anyhow::Result<()> {
    let counts = |settlement: &&Settlement| match &settlement.row.block {
        Some(id) => *id == block.id,
        None => settlement.row.to_seq > from_seq && settlement.row.to_seq <= block.seq,
    };
    for settlement in settlements.iter().filter(counts) {
        let found = store.settlement(&settlement.row.key).await?;
        let (row, transfers) = found.context("a settlement is gone from the record")?;
        for transfer in transfers {
            if let Account::Miner(name) = &transfer.credit {
                step.accounts.entry(name.to_string()).or_default().0 += transfer.amount.units();
            }
        }
        step.carried.0 += i128::from(row.row.carry_in) - i128::from(row.row.carry_out);
    }
    Ok(())
}

/// What the other scheme pays: for the work up to the block, and of the block.
async fn settle_again(
    store: &Store,
    scheme: &Arc<PayoutScheme>,
    block: &Block,
    standing: &mut Standing,
    step: &mut Step,
) -> anyhow::Result<()> {
    let plan = *scheme.plan();
    let reward = step.reward;
    let tx_fees = block.tx_fees.units().min(reward);
    if plan.kind.accrues() {
        while standing.paid_seq < block.seq {
            let window = store.work_between(standing.paid_seq, block.seq).await?;
            anyhow::ensure!(window.to_seq > standing.paid_seq, "the share log has a gap");
            standing.paid_seq = window.to_seq;
            let event = Event::Interval {
                started_at_ms: standing.settled_at_ms,
                ended_at_ms: block.found_at_ms,
                network_work: SCORE_PER_BLOCK,
                expected_reward: reward,
                expected_fees: tx_fees,
            };
            settle(scheme, event, window, standing, step).await?;
        }
    }
    if plan.kind.splits_blocks() {
        let query = WindowQuery {
            upto_seq: block.seq,
            floor_seq: 0,
            size: plan.window,
            previous_block_seq: store.previous_block_seq(block.seq).await?,
            buckets: plan.buckets,
            found_at_ms: block.found_at_ms,
            finder: block.worker,
        };
        let window = store.window(&query).await?;
        let event = Event::Block {
            height: block.height,
            reward,
            tx_fees,
            window_work: window.window_work,
            found_at_ms: block.found_at_ms,
            finder: window.finder,
        };
        settle(scheme, event, window, standing, step).await?;
    }
    standing.paid_seq = block.seq;
    standing.settled_at_ms = block.found_at_ms;
    Ok(())
}

/// One call of the component, checked as the pool would check it.
async fn settle(
    scheme: &Arc<PayoutScheme>,
    event: Event,
    window: Window,
    standing: &mut Standing,
    step: &mut Step,
) -> anyhow::Result<()> {
    let carry = match event {
        Event::Block { .. } => standing.carry,
        Event::Interval { .. } => 0,
    };
    let Window { names, accounts, slices, .. } = window;
    let state = std::mem::take(&mut standing.state);
    let request = Request { event, accounts, slices, carry, state };
    let scheme = Arc::clone(scheme);
    let checked = tokio::task::spawn_blocking(move || {
        let proposal = scheme.settle(&request)?;
        let (name, plan) = (&scheme.info().name, scheme.plan());
        let limits = Limits::default();
        anyhow::Ok(Distribution::check(name, &request, plan, proposal, &limits)?)
    });
    let checked = checked.await??;
    for (name, amount) in names.iter().zip(checked.amounts()) {
        if *amount > 0 {
            step.accounts.entry(name.to_string()).or_default().1 += amount;
        }
    }
    standing.state = checked.state().to_vec();
    if let Event::Block { .. } = event {
        step.carried.1 += i128::from(checked.carry_in()) - i128::from(checked.carry_out());
        standing.carry = checked.carry_out();
    }
    Ok(())
}
