//! `/api/v1/miners` and `/api/v1/miners/{account}`: who works here, and what it earned.
//! Work follows the share log within about a second; money is exact.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use chimera_ledger::AccountName;
use chimera_store::{CreditLine, MinerSummary, WorkerSummary};
use serde::Serialize;

use crate::amount::Money;
use crate::error::ApiError;
use crate::page::{Asked, ByName, Page};
use crate::rate::Recent;
use crate::{Coin, Live};

/// "Recent" on these pages: long enough for a slow miner's shares to average out.
const RECENT_MS: u64 = 3_600_000;

/// One account in a list.
#[derive(Debug, Serialize)]
pub(crate) struct MinerView {
    account: String,
    balance: Money,
    workers: u64,
    shares: u64,
    work: String,
    last_share_ms: Option<u64>,
    hour: Recent,
}

/// One account in full.
#[derive(Debug, Serialize)]
pub(crate) struct AccountView {
    #[serde(flatten)]
    summary: MinerView,
    fee_ppm: i32,
    worker_list: Vec<WorkerView>,
    /// Newest first, at most a hundred.
    credits: Vec<CreditView>,
}

#[derive(Debug, Serialize)]
struct WorkerView {
    name: String,
    shares: u64,
    work: String,
    last_share_ms: Option<u64>,
    hour: Recent,
}

#[derive(Debug, Serialize)]
struct CreditView {
    settlement: String,
    block: Option<String>,
    amount: Money,
    reason: &'static str,
    booked_at_ms: u64,
}

pub(crate) async fn list(
    State(live): State<Live>,
    Asked(query): Asked<ByName>,
) -> Result<Json<Page<MinerView>>, ApiError> {
    let limit = query.limit()?;
    let (snapshot, store) = (live.snapshot(), live.store()?);
    let now_ms = snapshot.taken_at_ms;
    let since_ms = now_ms.saturating_sub(RECENT_MS);
    let miners = store.miners(since_ms, limit + 1, query.after.as_deref()).await?;
    let cursor = |last: &MinerSummary| ("after", last.account.to_string());
    let view = |miner| MinerView::new(miner, &snapshot.coin, now_ms);
    Ok(Json(Page::cut(miners, limit, "/api/v1/miners", cursor, view)))
}

pub(crate) async fn one(
    State(live): State<Live>,
    account: Result<Path<String>, PathRejection>,
) -> Result<Json<AccountView>, ApiError> {
    let Path(account) = account.map_err(|error| ApiError::BadQuery(error.body_text()))?;
    let (snapshot, store) = (live.snapshot(), live.store()?);
    let now_ms = snapshot.taken_at_ms;
    let unknown = || ApiError::UnknownAccount(account.chars().take(128).collect());
    let name = AccountName::new(account.clone()).map_err(|_| unknown())?;
    let since_ms = now_ms.saturating_sub(RECENT_MS);
    let found = store.miner(&name, since_ms).await?.ok_or_else(unknown)?;
    let coin = &snapshot.coin;
    Ok(Json(AccountView {
        summary: MinerView::new(found.summary, coin, now_ms),
        fee_ppm: found.fee_ppm,
        worker_list: found.workers.into_iter().map(|row| WorkerView::new(row, now_ms)).collect(),
        credits: found.credits.into_iter().map(|line| CreditView::new(line, coin)).collect(),
    }))
}

impl MinerView {
    fn new(miner: MinerSummary, coin: &Coin, now_ms: u64) -> Self {
        Self {
            account: miner.account.to_string(),
            balance: Money::new(miner.balance, coin),
            workers: miner.workers,
            shares: miner.shares,
            work: miner.work.to_string(),
            last_share_ms: miner.last_share_ms,
            hour: Recent::new(&miner.recent, now_ms),
        }
    }
}

impl WorkerView {
    fn new(worker: WorkerSummary, now_ms: u64) -> Self {
        Self {
            name: worker.name,
            shares: worker.shares,
            work: worker.work.to_string(),
            last_share_ms: worker.last_share_ms,
            hour: Recent::new(&worker.recent, now_ms),
        }
    }
}

impl CreditView {
    fn new(line: CreditLine, coin: &Coin) -> Self {
        Self {
            settlement: line.settlement,
            block: line.block,
            amount: Money::new(line.amount, coin),
            reason: line.reason.name(),
            booked_at_ms: line.booked_at_ms,
        }
    }
}
