//! `/api/v1/payouts`: every decision about money, with what a miner needs to recompute it.

use axum::Json;
use axum::extract::{Path, State};
use chimera_ledger::{Reason, Record};
use chimera_store::{Credits, Leg, Recorded, Settlement};
use serde::Serialize;

use crate::amount::Money;
use crate::error::ApiError;
use crate::page::{Asked, Newest, Page};
use crate::{Coin, Live};

/// A settlement names everybody it paid; a page of them must stay readable.
const LIMIT_MAX: u32 = 50;
/// Largest credits shown of one settlement; an account's own stand at its own route.
const CREDITS_MAX: u32 = 100;

#[derive(Debug, Serialize)]
pub(crate) struct PayoutView {
    number: u64,
    key: String,
    /// The block that was divided; null for an interval of work.
    block: Option<String>,
    /// The payout generation that decided.
    generation: u32,
    /// Digest of the component, hex.
    component: String,
    /// Hash of its canonical configuration, hex.
    config_hash: String,
    /// The shares it looked at are those after this one,
    from_seq: u64,
    /// up to and with this one.
    to_seq: u64,
    booked_at_ms: u64,
    /// When all of it was undone; null if it was not, or is booked again.
    reversed_at_ms: Option<u64>,
    /// How it was undone and booked again as its block left the chain and came back, in order.
    legs: Vec<LegView>,
    /// All credits to miners.
    credited: Money,
    pool_fee: Money,
    carry_in: Money,
    carry_out: Money,
    /// Credits there are.
    accounts: u64,
    /// The largest of them, largest first.
    credits: Vec<CreditView>,
    /// What the pool commits to; null for settlements of before records were kept.
    record: Option<RecordView>,
    /// The component's facts for people.
    notes: Vec<String>,
}

/// The commitment of a settlement: its record's hash, and the root over everybody's work.
#[derive(Debug, Serialize)]
struct RecordView {
    hash: String,
    previous: String,
    /// Root of the Merkle-sum tree over (salted account key, work).
    work_root: String,
    /// The work of all rows, in units of 2^-52 of a block.
    work_total: String,
}

impl From<Recorded> for RecordView {
    fn from(recorded: Recorded) -> Self {
        let Recorded { header, hash } = recorded;
        Self {
            hash: hash.to_string(),
            previous: header.previous.to_string(),
            work_root: header.work.hash.to_string(),
            work_total: header.work.work.to_string(),
        }
    }
}

/// Every transfer of a settlement undone, or booked again.
#[derive(Debug, Serialize)]
struct LegView {
    /// "reversal" or "reinstatement".
    kind: &'static str,
    why: String,
    booked_at_ms: u64,
}

impl From<Leg> for LegView {
    fn from(leg: Leg) -> Self {
        let kind = if leg.is_reversal() { Reason::Reversal } else { Reason::Reinstatement };
        let Leg { why, booked_at_ms, .. } = leg;
        Self { kind: kind.name(), why, booked_at_ms }
    }
}

#[derive(Debug, Serialize)]
struct CreditView {
    account: String,
    amount: Money,
    reason: &'static str,
}

pub(crate) async fn list(
    State(live): State<Live>,
    Asked(query): Asked<Newest>,
) -> Result<Json<Page<PayoutView>>, ApiError> {
    let limit = query.limit(LIMIT_MAX)?;
    let (snapshot, store) = (live.snapshot(), live.store()?);
    let rows = store.settlements(limit + 1, query.before()).await?;
    let cursor = |last: &Settlement| ("before", last.number.to_string());
    let page = Page::cut(rows, limit, "/api/v1/payouts", cursor, |row| row);
    let mut items = Vec::with_capacity(page.items.len());
    for settlement in page.items {
        let record = store.recorded(settlement.number).await?;
        let credits = store.credits(settlement.number, record.as_ref(), CREDITS_MAX).await?;
        let legs = store.legs(settlement.number).await?.into_iter().map(LegView::from).collect();
        let view = PayoutView::new(settlement, record, credits, &snapshot.coin);
        items.push(PayoutView { legs, ..view });
    }
    Ok(Json(Page { items, next: page.next }))
}

/// `/api/v1/payouts/{settlement}/record`: the chained facts of one settlement, by its number
/// or its key, without its rows.
pub(crate) async fn record(
    State(live): State<Live>,
    Path(settlement): Path<String>,
) -> Result<Json<Record>, ApiError> {
    let store = live.store()?;
    let unknown = || ApiError::UnknownSettlement(settlement.clone());
    let number = match settlement.parse::<u64>() {
        Ok(number) => number,
        Err(_) => store.settlement_alone(&settlement).await?.ok_or_else(unknown)?.number,
    };
    let Recorded { header, hash } = store.recorded(number).await?.ok_or_else(unknown)?;
    Ok(Json(Record { hash, ..Record::new(header, None) }))
}

impl PayoutView {
    fn new(
        settlement: Settlement,
        record: Option<Recorded>,
        credits: Credits,
        coin: &Coin,
    ) -> Self {
        let Settlement { number, row, reversed_at_ms } = settlement;
        let money = |units: u128| Money::new(i128::try_from(units).unwrap_or(i128::MAX), coin);
        Self {
            number,
            block: row.block,
            generation: row.generation.0,
            component: hex(&row.digest),
            config_hash: hex(&row.config_hash),
            from_seq: row.from_seq,
            to_seq: row.to_seq,
            booked_at_ms: row.booked_at_ms,
            reversed_at_ms,
            legs: Vec::new(),
            credited: money(credits.credited),
            pool_fee: money(credits.pool_fee),
            carry_in: money(row.carry_in.into()),
            carry_out: money(row.carry_out.into()),
            accounts: credits.accounts,
            credits: credits
                .largest
                .into_iter()
                .map(|(name, amount, reason)| CreditView {
                    account: name.to_string(),
                    amount: money(amount.units().into()),
                    reason: reason.name(),
                })
                .collect(),
            // Written by the host as a list of texts; anything else is shown as it is.
            notes: serde_json::from_str(&row.notes).unwrap_or_else(|_| vec![row.notes.clone()]),
            key: row.key,
            record: record.map(RecordView::from),
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
