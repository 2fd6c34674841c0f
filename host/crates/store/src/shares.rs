//! The share log: group commits, numbered without gaps. A share that was appended is
//! there for ever and counted once; the totals move in the same transaction.

use std::collections::{BTreeMap, BTreeSet};

use chimera_pow::Work;
use chimera_work::WorkerId;
use sqlx::SqliteConnection;

use crate::codec::encode;
use crate::number::{int, uint, work_pair};
use crate::rows::{Cell, Rows};
use crate::store::named;
use crate::{Booking, ShareRecord, Store, StoreError, WORK_MAX};

/// Length of a time slice of work: a minute.
pub const SLICE_MS: u64 = 60_000;

/// What one worker, or all, did.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    shares: i64,
    work: Work,
    last_ms: u64,
}

impl Tally {
    fn add(&mut self, share: &ShareRecord) {
        self.shares += 1;
        self.work += share.work;
        self.last_ms = self.last_ms.max(share.time_ms);
    }
}

impl Store {
    /// The sequence number of the last durable share; 0 for an empty log.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn last_seq(&self) -> Result<u64, StoreError> {
        named("read the log's end", async {
            let mut connection = self.readers.acquire().await?;
            last_seq(&mut connection).await
        })
        .await
    }

    /// Appends a batch whose first share has the number `first_seq`, in one transaction:
    /// when this returns, every share of it is durable and counted; if it fails, none is.
    ///
    /// Repeating a batch that is in the log changes nothing, so a failure that left the
    /// outcome open is cured by calling again. An empty batch is no batch.
    ///
    /// # Errors
    /// When the disk is full or failing (see [`StoreError::is_retryable`]), when the batch
    /// does not start at the log's end, when the log holds other shares there, or when a
    /// share is of an unknown worker or impossible work.
    pub async fn append_shares(
        &self,
        first_seq: u64,
        shares: &[ShareRecord],
        now_ms: u64,
    ) -> Result<Booking, StoreError> {
        if shares.is_empty() {
            return Ok(Booking::AlreadyBooked);
        }
        check(shares)?;
        let blob = encode(shares)?;
        named("append shares", async {
            let mut tx = self.begin().await?;
            let expected = last_seq(&mut tx).await? + 1;
            if first_seq < expected {
                return already_there(&mut tx, first_seq, &blob).await;
            }
            if first_seq > expected {
                return Err(StoreError::SequenceGap { expected, found: first_seq });
            }
            sqlx::query(
                "INSERT INTO share_batch (first_seq, last_seq, stored_ms, shares)
                 VALUES (?1, ?2, ?3, ?4)",
            )
            .bind(int("sequence number", first_seq)?)
            .bind(int("sequence number", first_seq - 1 + shares.len() as u64)?)
            .bind(int("time", now_ms)?)
            .bind(blob)
            .execute(&mut *tx)
            .await?;
            count(&mut tx, shares).await?;
            tx.commit().await?;
            Ok(Booking::Booked)
        })
        .await
    }
}

/// The log's end as this connection sees it.
pub(crate) async fn last_seq(connection: &mut SqliteConnection) -> Result<u64, StoreError> {
    let last: Option<(i64,)> =
        sqlx::query_as("SELECT last_seq FROM share_batch ORDER BY first_seq DESC LIMIT 1")
            .fetch_optional(connection)
            .await?;
    last.map_or(Ok(0), |(last,)| uint("a sequence number", last))
}

/// What no later step could account for.
fn check(shares: &[ShareRecord]) -> Result<(), StoreError> {
    let max = WORK_MAX.hashes();
    for share in shares {
        for (what, work) in [("work", share.work), ("network work", share.network_work)] {
            if work > WORK_MAX {
                return Err(StoreError::TooLarge { what, value: work.hashes(), max });
            }
        }
        if share.network_work == Work::ZERO {
            return Err(StoreError::NoNetworkWork);
        }
        int("time", share.time_ms)?;
    }
    Ok(())
}

/// A repetition holds the same bytes; anything else would renumber shares.
async fn already_there(
    tx: &mut SqliteConnection,
    first_seq: u64,
    blob: &[u8],
) -> Result<Booking, StoreError> {
    let stored: Option<(Vec<u8>,)> =
        sqlx::query_as("SELECT shares FROM share_batch WHERE first_seq = ?1")
            .bind(int("sequence number", first_seq)?)
            .fetch_optional(tx)
            .await?;
    match stored {
        Some((stored,)) if stored == blob => Ok(Booking::AlreadyBooked),
        _ => Err(StoreError::SequenceConflict { first_seq }),
    }
}

/// Moves every total the batch belongs to.
async fn count(tx: &mut SqliteConnection, shares: &[ShareRecord]) -> Result<(), StoreError> {
    let mut workers: BTreeMap<WorkerId, Tally> = BTreeMap::new();
    let mut slices: BTreeMap<(u64, WorkerId), Tally> = BTreeMap::new();
    let mut pool: BTreeMap<u64, Tally> = BTreeMap::new();
    for share in shares {
        let slice = share.time_ms / SLICE_MS;
        workers.entry(share.worker).or_default().add(share);
        slices.entry((slice, share.worker)).or_default().add(share);
        pool.entry(slice).or_default().add(share);
    }
    count_workers(tx, &workers).await?;

    let mut rows = Rows::new();
    for (&(slice, worker), tally) in &slices {
        let (high, low) = work_pair(tally.work)?;
        let [slice, worker] = [int("slice", slice)?, worker.0.into()];
        rows.push(&[slice, worker, tally.shares, high, low].map(Cell::Int));
    }
    sqlx::query(
        "INSERT INTO work_slice (slice, worker, shares, work_hi, work_lo)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
         FROM json_each(?1) WHERE true
         ON CONFLICT (slice, worker) DO UPDATE SET
             shares = shares + excluded.shares,
             work_hi = work_hi + excluded.work_hi + ((work_lo + excluded.work_lo) >> 40),
             work_lo = (work_lo + excluded.work_lo) & 1099511627775",
    )
    .bind(rows.finish())
    .execute(&mut *tx)
    .await?;

    let mut rows = Rows::new();
    for (&slice, tally) in &pool {
        let (high, low) = work_pair(tally.work)?;
        rows.push(&[int("slice", slice)?, tally.shares, high, low].map(Cell::Int));
    }
    sqlx::query(
        "INSERT INTO pool_slice (slice, shares, work_hi, work_lo)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3
         FROM json_each(?1) WHERE true
         ON CONFLICT (slice) DO UPDATE SET
             shares = shares + excluded.shares,
             work_hi = work_hi + excluded.work_hi + ((work_lo + excluded.work_lo) >> 40),
             work_lo = (work_lo + excluded.work_lo) & 1099511627775",
    )
    .bind(rows.finish())
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Each worker's totals; all of them must be on record.
async fn count_workers(
    tx: &mut SqliteConnection,
    workers: &BTreeMap<WorkerId, Tally>,
) -> Result<(), StoreError> {
    let mut rows = Rows::new();
    for (worker, tally) in workers {
        let (high, low) = work_pair(tally.work)?;
        let last_ms = int("time", tally.last_ms)?;
        rows.push(&[worker.0.into(), tally.shares, high, low, last_ms].map(Cell::Int));
    }
    let known: Vec<(i64,)> = sqlx::query_as(
        "UPDATE worker SET
             shares = worker.shares + batch.shares,
             work_hi = work_hi + batch.high + ((work_lo + batch.low) >> 40),
             work_lo = (work_lo + batch.low) & 1099511627775,
             last_share_ms = max(coalesce(last_share_ms, 0), batch.last_ms)
         FROM (SELECT value ->> 0 AS worker, value ->> 1 AS shares, value ->> 2 AS high,
                      value ->> 3 AS low, value ->> 4 AS last_ms
               FROM json_each(?1)) AS batch
         WHERE worker.id = batch.worker
         RETURNING worker.id",
    )
    .bind(rows.finish())
    .fetch_all(tx)
    .await?;
    if known.len() == workers.len() {
        return Ok(());
    }
    let known: BTreeSet<i64> = known.into_iter().map(|(id,)| id).collect();
    let stranger = workers.keys().find(|worker| !known.contains(&i64::from(worker.0)));
    stranger.map_or(Ok(()), |&worker| Err(StoreError::UnknownWorker(worker)))
}
