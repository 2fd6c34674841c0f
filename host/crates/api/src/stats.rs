//! `/api/v1/stats`: what the pool has done. Sums that are kept, and rates over exact times.
//! They follow the share log within about a second.

use axum::Json;
use axum::extract::State;
use chimera_ledger::Account;
use serde_json::{Map, Value, json};

use crate::amount::Money;
use crate::error::ApiError;
use crate::rate::Recent;
use crate::{Live, luck};

pub(crate) async fn stats(State(live): State<Live>) -> Result<Json<Value>, ApiError> {
    let (snapshot, store) = (live.snapshot(), live.store()?);
    let now_ms = snapshot.taken_at_ms;
    let sums = store.stats(now_ms).await?;
    let rounds = store.rounds(luck::BLOCKS).await?;
    let windows: Map<String, Value> =
        luck::windows(&rounds).map(|(name, luck)| (name.to_owned(), json!(luck))).collect();
    let recent = |span| Recent::new(span, now_ms);
    let blocks: Map<String, Value> =
        sums.blocks.iter().map(|(state, count)| (state.name().to_owned(), json!(count))).collect();
    let mut books = Map::new();
    for (name, account) in [
        ("pool_fee", Account::PoolFee),
        ("carry", Account::Carry),
        ("reserve", Account::Reserve),
        ("chain", Account::Chain),
    ] {
        let units = store.balance(&account).await?.units();
        books.insert(name.to_owned(), json!(Money::new(units, &snapshot.coin)));
    }
    Ok(Json(json!({
        "now_ms": now_ms,
        "accounts": sums.accounts,
        "workers": sums.workers,
        "shares": { "accepted": sums.shares, "work": sums.work.to_string() },
        "hashrate": {
            "five_minutes": recent(&sums.five_minutes),
            "hour": recent(&sums.hour),
            "day": recent(&sums.day),
        },
        "blocks": blocks,
        "luck": windows,
        "current_effort": luck::current_effort(&rounds, snapshot.chain.as_ref()),
        "books": books,
        "since_start": {
            "verdicts": snapshot.verdicts,
            "accepted_work": snapshot.accepted_work.to_string(),
            "share_log": snapshot.share_log,
        },
    })))
}
