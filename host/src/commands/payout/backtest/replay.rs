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
use chimera_ledger::{
    Account, AccountName, BlockState, Distribution, Event, Limits, Request, SCORE_PER_BLOCK,
};
use chimera_plugin::PayoutScheme;
use chimera_store::{Block, Settlement, SettlementRow, Store, Window, WindowQuery};

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

/// What was paid for the block, and for the work since the one before.
async fn add_paid(
    store: &Store,
    settlements: &[Settlement],
    block: &Block,
    from_seq: u64,
    step: &mut Step,
) -> anyhow::Result<()> {
    for settlement in settlements {
        let row = &settlement.row;
        let paid = match &row.block {
            Some(id) if *id == block.id => paid_by(store, &row.key).await?,
            Some(_) => continue,
            None if row.to_seq <= from_seq || row.from_seq >= block.seq => continue,
            None => paid_between(store, row, from_seq, block.seq).await?,
        };
        for (name, amount) in paid {
            step.accounts.entry(name.to_string()).or_default().0 += amount;
        }
        step.carried.0 += i128::from(row.carry_in) - i128::from(row.carry_out);
    }
    Ok(())
}

/// What a settlement paid, in base units; that its block left the chain and came back is no
/// second payment.
async fn paid_by(store: &Store, key: &str) -> anyhow::Result<BTreeMap<AccountName, u64>> {
    let found = store.settlement(key).await?;
    let (_, transfers) = found.context("a settlement is gone from the record")?;
    let mut paid = BTreeMap::new();
    for transfer in transfers.into_iter().filter(|transfer| !transfer.reason.is_leg()) {
        if let Account::Miner(name) = transfer.credit {
            *paid.entry(name).or_default() += transfer.amount.units();
        }
    }
    Ok(paid)
}

/// What an interval paid for its shares after one and up to another.
///
/// A scheme is told each account's work in an interval and not when it was done, so all of it
/// was paid alike: part of the work is that part of the amount. Counted from the interval's
/// beginning and rounded down, so that its parts are together what it paid, to the last unit.
async fn paid_between(
    store: &Store,
    row: &SettlementRow,
    after: u64,
    upto: u64,
) -> anyhow::Result<BTreeMap<AccountName, u64>> {
    let paid = paid_by(store, &row.key).await?;
    if after <= row.from_seq && row.to_seq <= upto {
        return Ok(paid);
    }
    let all = work_of(store, row.from_seq, row.to_seq).await?;
    let before = work_of(store, row.from_seq, after.max(row.from_seq)).await?;
    let until = work_of(store, row.from_seq, upto.min(row.to_seq)).await?;
    let part = |(name, amount): (AccountName, u64)| {
        let of = |work: &BTreeMap<AccountName, u64>| work.get(&name).copied().unwrap_or(0);
        let whole = of(&all);
        anyhow::ensure!(
            whole > 0,
            "{} cannot be divided at a block: it paid {amount} to {name}, of whom the share log \
             has no work in it; --since a later day leaves it out",
            row.key
        );
        let upto = |work: u64| u128::from(amount) * u128::from(work) / u128::from(whole);
        let part = upto(of(&until).min(whole)) - upto(of(&before).min(whole));
        let part = u64::try_from(part).context("a part is not above the whole")?;
        Ok((name, part))
    };
    paid.into_iter().map(part).filter(|part| !matches!(part, Ok((_, 0)))).collect()
}

/// Everybody's work between two places of the share log, in the unit of account.
async fn work_of(
    store: &Store,
    from_seq: u64,
    to_seq: u64,
) -> anyhow::Result<BTreeMap<AccountName, u64>> {
    let mut sum = BTreeMap::new();
    let mut reached = from_seq;
    while reached < to_seq {
        let window = store.work_between(reached, to_seq).await?;
        anyhow::ensure!(window.to_seq > reached, "the share log has a gap");
        reached = window.to_seq;
        for (name, work) in window.names.into_iter().zip(window.accounts.work) {
            *sum.entry(name).or_default() += work;
        }
    }
    Ok(sum)
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

#[cfg(test)]
mod tests {
    use chimera_ledger::{Amount, Reason, SchemeKind, Transfer};
    use chimera_pow::{Difficulty, PowHash, Work};
    use chimera_store::{NewGeneration, ShareRecord};

    use super::*;

    const DIGEST: [u8; 32] = [7; 32];

    /// Four shares of ann and bob, paid as one interval: 81 and 41.
    async fn paid(store: &Store) -> SettlementRow {
        store.component(&DIGEST, b"wasm").await.unwrap();
        let (ann, bob) = (store.worker("ann", "", 0).await, store.worker("bob", "", 0).await);
        let (ann, bob) = (ann.unwrap(), bob.unwrap());
        let share = |(worker, work)| ShareRecord {
            worker,
            work: Work::from_hashes(work),
            network_work: Work::from_hashes(100),
            difficulty: Difficulty::ONE,
            height: 1,
            time_ms: 0,
            hash: PowHash([0; 32]),
        };
        let shares = [(ann, 10), (bob, 10), (ann, 30), (bob, 10)].map(share);
        store.append_shares(1, &shares, 0).await.unwrap();
        let scheme = NewGeneration {
            slot: "payout".into(),
            digest: DIGEST,
            name: "payout-test".into(),
            version: "1.0.0".into(),
            config: "{}".into(),
            kind: Some(SchemeKind::Accrue),
            from_seq: 0,
            state_version: 1,
            state: Vec::new(),
        };
        let generation = store.begin_generation(&scheme, 0).await.unwrap();
        let row = SettlementRow {
            key: format!("interval:{}:0-4", generation.0),
            generation,
            block: None,
            from_seq: 0,
            to_seq: 4,
            digest: DIGEST,
            config_hash: DIGEST,
            notes: "[]".into(),
            state: Vec::new(),
            carry_in: 0,
            carry_out: 0,
            booked_at_ms: 0,
        };
        let transfers = [("ann", 81), ("bob", 41)].map(|(name, amount)| Transfer {
            key: format!("{}/{name}", row.key),
            debit: Account::Reserve,
            credit: Account::Miner(AccountName::new(name).unwrap()),
            amount: Amount::from_units(amount),
            reason: Reason::Accrual,
        });
        store.settle(&row, &transfers).await.unwrap();
        row
    }

    /// Defect: an interval that crosses the beginning, or a block, was counted whole.
    #[tokio::test]
    async fn of_an_interval_counts_what_falls_between_two_blocks() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Store::open(&directory.path().join("pool.sqlite")).await.unwrap();
        let row = paid(&store).await;
        for (after, upto, ann, bob) in [
            (0, 4, 81, 41),
            (0, 9, 81, 41),
            (0, 1, 20, 0),
            (1, 2, 0, 20),
            (2, 3, 61, 0),
            (3, 9, 0, 21),
            (1, 3, 61, 20),
        ] {
            let found = paid_between(&store, &row, after, upto).await.unwrap();
            let of = |name| found.get(&AccountName::new(name).unwrap()).copied().unwrap_or(0);
            assert_eq!((of("ann"), of("bob")), (ann, bob), "{after} to {upto}");
        }
        // Nothing says how to divide what was paid without work.
        let elsewhere = SettlementRow { from_seq: 2, to_seq: 3, ..row };
        let error = paid_between(&store, &elsewhere, 2, 2).await.unwrap_err().to_string();
        assert!(error.contains("cannot be divided at a block: it paid 41 to bob"), "{error}");
    }
}
