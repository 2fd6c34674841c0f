//! `/api/v1/blocks`: found blocks and where they stand.

use axum::Json;
use axum::extract::State;
use chimera_ledger::Amount;
use chimera_store::Block;
use serde::Serialize;

use crate::amount::Money;
use crate::error::ApiError;
use crate::page::{Asked, LIMIT_MAX, Newest, Page};
use crate::{Coin, Live, luck};

#[derive(Debug, Serialize)]
pub(crate) struct BlockView {
    number: u64,
    id: String,
    height: u64,
    state: &'static str,
    /// The latest word about it.
    detail: String,
    /// What the chain said when it was handed in last; empty before.
    answer: String,
    account: String,
    worker: String,
    found_at_ms: u64,
    changed_at_ms: u64,
    pow_hash: String,
    /// Of the block, when it was found; null for blocks of before it was kept.
    network_difficulty: Option<f64>,
    /// Work credited since the block before, orphans included, rejected ones not; null until
    /// the totals have come to it, and for blocks of before it was kept.
    round_work: Option<String>,
    /// That over what a block was expected to take: 1 as expected, below is lucky.
    effort: Option<f64>,
    /// The last durable share before it.
    share_seq: u64,
    /// The payout generation that settles it.
    generation: u32,
    /// Known once it matured.
    reward: Option<Money>,
    tx_fees: Money,
}

pub(crate) async fn list(
    State(live): State<Live>,
    Asked(query): Asked<Newest>,
) -> Result<Json<Page<BlockView>>, ApiError> {
    let limit = query.limit(LIMIT_MAX)?;
    let (snapshot, store) = (live.snapshot(), live.store()?);
    let blocks = store.blocks(limit + 1, query.before()).await?;
    let cursor = |last: &Block| ("before", last.number.to_string());
    let view = |block| BlockView::new(block, &snapshot.coin);
    Ok(Json(Page::cut(blocks, limit, "/api/v1/blocks", cursor, view)))
}

impl BlockView {
    fn new(block: Block, coin: &Coin) -> Self {
        let money = |amount: Amount| Money::new(amount.units().into(), coin);
        Self {
            number: block.number,
            id: block.id,
            height: block.height,
            state: block.state.name(),
            detail: block.detail,
            answer: block.answer,
            account: block.account.to_string(),
            worker: block.worker_name,
            found_at_ms: block.found_at_ms,
            changed_at_ms: block.changed_at_ms,
            pow_hash: block.pow_hash.to_string(),
            network_difficulty: block.target.map(|target| target.difficulty().get()),
            round_work: block.round_work.map(|work| work.to_string()),
            effort: block
                .round_work
                .zip(block.target)
                .and_then(|(work, target)| luck::effort(work, target.work())),
            share_seq: block.seq,
            generation: block.generation.0,
            reward: block.reward.map(money),
            tx_fees: money(block.tx_fees),
        }
    }
}
