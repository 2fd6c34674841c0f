//! What the API shows: sums that are kept anyway, never estimates. Rates are left to the
//! reader, who gets exact work and the exact time it was done in.

use std::collections::BTreeMap;

use chimera_ledger::{Account, AccountName, Amount, BlockState, Reason};
use chimera_pow::Work;
use chimera_work::WorkerId;

use crate::number::{fee, int, paired, uint, uint32};
use crate::store::named;
use crate::workers::miner;
use crate::{Recorded, SLICE_MS, Store, StoreError};

/// Lines of credit shown for one account.
const CREDIT_LINES_MAX: u32 = 100;

/// Work since a moment. Slices are whole minutes, so the moment is the start of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Where it begins, ms since the Unix epoch.
    pub since_ms: u64,
    /// Accepted shares.
    pub shares: u64,
    /// Their work.
    pub work: Work,
}

/// The pool as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// Accepted shares, all time.
    pub shares: u64,
    /// Their work.
    pub work: Work,
    /// The last five minutes.
    pub five_minutes: Span,
    /// The last hour.
    pub hour: Span,
    /// The last 24 hours.
    pub day: Span,
    /// Accounts with workers.
    pub accounts: u64,
    /// Workers on record.
    pub workers: u64,
    /// Found blocks by state; every state is listed.
    pub blocks: BTreeMap<BlockState, u64>,
}

/// One account in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinerSummary {
    /// Whose.
    pub account: AccountName,
    /// Workers on record.
    pub workers: u64,
    /// Accepted shares, all time.
    pub shares: u64,
    /// Their work.
    pub work: Work,
    /// The time asked for.
    pub recent: Span,
    /// Time of the latest share, ms since the Unix epoch.
    pub last_share_ms: Option<u64>,
    /// What the account holds, in base units.
    pub balance: i128,
}

/// One worker of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSummary {
    /// What its shares carry.
    pub id: WorkerId,
    /// The miner's name for it.
    pub name: String,
    /// Accepted shares, all time.
    pub shares: u64,
    /// Their work.
    pub work: Work,
    /// The time asked for.
    pub recent: Span,
    /// Time of its latest share, ms since the Unix epoch.
    pub last_share_ms: Option<u64>,
}

/// One account in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinerAccount {
    /// The line of the list.
    pub summary: MinerSummary,
    /// Fee components are told for it, parts per million.
    pub fee_ppm: i32,
    /// Its workers, by name.
    pub workers: Vec<WorkerSummary>,
    /// Latest movements, newest first; at most a hundred.
    pub credits: Vec<CreditLine>,
}

/// One movement of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditLine {
    /// Key of the settlement it belongs to.
    pub settlement: String,
    /// The block that was divided.
    pub block: Option<String>,
    /// Base units; below zero for what was taken.
    pub amount: i128,
    /// Why.
    pub reason: Reason,
    /// When, ms since the Unix epoch.
    pub booked_at_ms: u64,
}

/// What a settlement paid to miners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credits {
    /// Accounts that got something.
    pub accounts: u64,
    /// What they got together, in base units.
    pub credited: u128,
    /// What the pool kept, in base units.
    pub pool_fee: u128,
    /// The largest credits, largest first, as many as were asked for.
    pub largest: Vec<(AccountName, Amount, Reason)>,
}

/// Columns of an account in a list.
#[derive(sqlx::FromRow)]
struct MinerColumns {
    name: String,
    workers: i64,
    shares: i64,
    work_hi: i64,
    work_lo: i64,
    recent_shares: i64,
    recent_hi: i64,
    recent_lo: i64,
    last_share_ms: Option<i64>,
    debits_hi: i64,
    debits_lo: i64,
    credits_hi: i64,
    credits_lo: i64,
    fee_ppm: i64,
}

/// Accounts with their sums over `?1` (a slice) and later; conditions follow.
macro_rules! select_miners {
    ($conditions:literal) => {
        concat!(
            "SELECT account.name, count(*) AS workers, sum(worker.shares) AS shares,
                    sum(worker.work_hi) AS work_hi, sum(worker.work_lo) AS work_lo,
                    coalesce(sum(recent.shares), 0) AS recent_shares,
                    coalesce(sum(recent.high), 0) AS recent_hi,
                    coalesce(sum(recent.low), 0) AS recent_lo,
                    max(worker.last_share_ms) AS last_share_ms,
                    account.debits_hi, account.debits_lo, account.credits_hi,
                    account.credits_lo, account.fee_ppm
             FROM account
             JOIN worker ON worker.account = account.id
             LEFT JOIN (SELECT worker, sum(shares) AS shares, sum(work_hi) AS high,
                               sum(work_lo) AS low
                        FROM work_slice WHERE slice >= ?1 GROUP BY worker) AS recent
                 ON recent.worker = worker.id ",
            $conditions
        )
    };
}

impl Store {
    /// Sums over the whole pool.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn stats(&self, now_ms: u64) -> Result<Statistics, StoreError> {
        named("read statistics", async {
            let (shares, high, low, workers, accounts): (i64, i64, i64, i64, i64) = sqlx::query_as(
                "SELECT coalesce(sum(shares), 0), coalesce(sum(work_hi), 0),
                        coalesce(sum(work_lo), 0), count(*), count(DISTINCT account)
                 FROM worker",
            )
            .fetch_one(&self.readers)
            .await?;
            let rows: Vec<(String, i64)> =
                sqlx::query_as("SELECT state, count(*) FROM block GROUP BY state")
                    .fetch_all(&self.readers)
                    .await?;
            let mut blocks: BTreeMap<_, _> =
                BlockState::ALL.into_iter().map(|state| (state, 0)).collect();
            for (state, count) in rows {
                let state =
                    state.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))?;
                blocks.insert(state, uint("a count", count)?);
            }
            Ok(Statistics {
                shares: uint("a count", shares)?,
                work: Work::from_hashes(paired("work", high, low)?),
                five_minutes: self.pool_span(now_ms, 5).await?,
                hour: self.pool_span(now_ms, 60).await?,
                day: self.pool_span(now_ms, 24 * 60).await?,
                accounts: uint("a count", accounts)?,
                workers: uint("a count", workers)?,
                blocks,
            })
        })
        .await
    }

    /// Accounts with workers, in order of their names, with their work since then; `after`
    /// is the name the list goes on behind.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn miners(
        &self,
        since_ms: u64,
        limit: u32,
        after: Option<&str>,
    ) -> Result<Vec<MinerSummary>, StoreError> {
        named("list miners", async {
            let slice = since_ms / SLICE_MS;
            let rows: Vec<MinerColumns> = sqlx::query_as(select_miners!(
                "WHERE account.name > ?2 GROUP BY account.id ORDER BY account.name LIMIT ?3"
            ))
            .bind(int("slice", slice)?)
            .bind(format!("miner:{}", after.unwrap_or_default()))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
            rows.iter().map(|row| summary(row, slice)).collect()
        })
        .await
    }

    /// What a settlement paid, with its `limit` largest credits; reversals do not count. The
    /// sums are those of its record, if it has one: nothing is added up.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn credits(
        &self,
        number: u64,
        record: Option<&Recorded>,
        limit: u32,
    ) -> Result<Credits, StoreError> {
        named("list the largest credits", async {
            // In the words of the index `transfer_largest`, or it is not used.
            let rows: Vec<(String, i64, String)> = sqlx::query_as(
                "SELECT account.name, transfer.amount, transfer.reason
                 FROM transfer JOIN account ON account.id = transfer.credit
                 WHERE transfer.settlement = ?1 AND transfer.reason IN ('reward', 'accrual')
                 ORDER BY transfer.amount DESC, transfer.number DESC LIMIT ?2",
            )
            .bind(int("number", number)?)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
            let credit = |(name, amount, reason): (String, i64, String)| {
                let reason =
                    reason.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))?;
                Ok((miner(&name)?, Amount::from_units(uint("an amount", amount)?), reason))
            };
            let mut largest: Vec<(AccountName, Amount, Reason)> =
                rows.into_iter().map(credit).collect::<Result<_, StoreError>>()?;
            largest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            let (accounts, credited, pool_fee) = match record {
                Some(Recorded { header, .. }) => {
                    (header.paid, header.credited.into(), header.pool_fee.into())
                }
                None => self.sums_of_transfers(number).await?,
            };
            Ok(Credits { accounts, credited, pool_fee, largest })
        })
        .await
    }

    /// Miners paid, what they got together, and the pool's fee, from the transfers.
    async fn sums_of_transfers(&self, number: u64) -> Result<(u64, u128, u128), StoreError> {
        let rows: Vec<(bool, i64, i64, i64)> = sqlx::query_as(
            "SELECT reason = 'fee' AS fee, count(*), sum(amount >> 31), sum(amount & 2147483647)
             FROM transfer WHERE settlement = ?1 AND reason IN ('reward', 'accrual', 'fee')
             GROUP BY fee",
        )
        .bind(int("number", number)?)
        .fetch_all(&self.readers)
        .await?;
        let mut sums = (0, 0, 0);
        for (is_fee, count, high, low) in rows {
            let sum = (u128::from(uint("a sum", high)?) << 31) + u128::from(uint("a sum", low)?);
            if is_fee {
                sums.2 = sum;
            } else {
                (sums.0, sums.1) = (uint("a count", count)?, sum);
            }
        }
        Ok(sums)
    }

    /// One account with its workers, balance and latest movements; `None` if no worker
    /// ever mined for it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn miner(
        &self,
        account: &AccountName,
        since_ms: u64,
    ) -> Result<Option<MinerAccount>, StoreError> {
        named("read a miner", async {
            let slice = since_ms / SLICE_MS;
            let name = Account::Miner(account.clone()).to_string();
            let row: Option<MinerColumns> =
                sqlx::query_as(select_miners!("WHERE account.name = ?2 GROUP BY account.id"))
                    .bind(int("slice", slice)?)
                    .bind(&name)
                    .fetch_optional(&self.readers)
                    .await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(MinerAccount {
                summary: summary(&row, slice)?,
                fee_ppm: fee(row.fee_ppm)?,
                workers: self.workers_of(&name, slice).await?,
                credits: self.credits_of(&name).await?,
            }))
        })
        .await
    }

    async fn pool_span(&self, now_ms: u64, minutes: u64) -> Result<Span, StoreError> {
        let slice = (now_ms / SLICE_MS).saturating_sub(minutes);
        let (shares, high, low): (i64, i64, i64) = sqlx::query_as(
            "SELECT coalesce(sum(shares), 0), coalesce(sum(work_hi), 0), coalesce(sum(work_lo), 0)
             FROM pool_slice WHERE slice >= ?1",
        )
        .bind(int("slice", slice)?)
        .fetch_one(&self.readers)
        .await?;
        span(slice, shares, high, low)
    }

    async fn workers_of(
        &self,
        account: &str,
        slice: u64,
    ) -> Result<Vec<WorkerSummary>, StoreError> {
        type Row = (i64, String, i64, i64, i64, Option<i64>, i64, i64, i64);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT worker.id, worker.name, worker.shares, worker.work_hi, worker.work_lo,
                    worker.last_share_ms, coalesce(sum(recent.shares), 0),
                    coalesce(sum(recent.work_hi), 0), coalesce(sum(recent.work_lo), 0)
             FROM worker
             JOIN account ON account.id = worker.account
             LEFT JOIN work_slice AS recent ON recent.worker = worker.id AND recent.slice >= ?2
             WHERE account.name = ?1 GROUP BY worker.id ORDER BY worker.name",
        )
        .bind(account)
        .bind(int("slice", slice)?)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter()
            .map(|(id, name, shares, high, low, last, recent, recent_high, recent_low)| {
                Ok(WorkerSummary {
                    id: WorkerId(uint32("a worker's id", id)?),
                    name,
                    shares: uint("a count", shares)?,
                    work: Work::from_hashes(paired("work", high, low)?),
                    recent: span(slice, recent, recent_high, recent_low)?,
                    last_share_ms: last.map(|at| uint("a time", at)).transpose()?,
                })
            })
            .collect()
    }

    async fn credits_of(&self, account: &str) -> Result<Vec<CreditLine>, StoreError> {
        let rows: Vec<(String, Option<String>, i64, String, i64)> = sqlx::query_as(
            "SELECT settlement.key, settlement.block,
                    iif(transfer.credit = account.id, transfer.amount, -transfer.amount),
                    transfer.reason, transfer.booked_ms
             FROM account
             JOIN transfer ON transfer.credit = account.id OR transfer.debit = account.id
             JOIN settlement ON settlement.number = transfer.settlement
             WHERE account.name = ?1 ORDER BY transfer.number DESC LIMIT ?2",
        )
        .bind(account)
        .bind(CREDIT_LINES_MAX)
        .fetch_all(&self.readers)
        .await?;
        rows.into_iter()
            .map(|(settlement, block, amount, reason, booked_ms)| {
                Ok(CreditLine {
                    settlement,
                    block,
                    amount: amount.into(),
                    reason: reason
                        .parse()
                        .map_err(|error| StoreError::Corrupt(format!("{error}")))?,
                    booked_at_ms: uint("a time", booked_ms)?,
                })
            })
            .collect()
    }
}

fn summary(row: &MinerColumns, slice: u64) -> Result<MinerSummary, StoreError> {
    let side = |sum: u128| i128::try_from(sum).unwrap_or(i128::MAX);
    let credits = side(paired("credits", row.credits_hi, row.credits_lo)?);
    let debits = side(paired("debits", row.debits_hi, row.debits_lo)?);
    Ok(MinerSummary {
        account: miner(&row.name)?,
        workers: uint("a count", row.workers)?,
        shares: uint("a count", row.shares)?,
        work: Work::from_hashes(paired("work", row.work_hi, row.work_lo)?),
        recent: span(slice, row.recent_shares, row.recent_hi, row.recent_lo)?,
        last_share_ms: row.last_share_ms.map(|at| uint("a time", at)).transpose()?,
        balance: credits - debits,
    })
}

fn span(slice: u64, shares: i64, high: i64, low: i64) -> Result<Span, StoreError> {
    Ok(Span {
        since_ms: slice * SLICE_MS,
        shares: uint("a count", shares)?,
        work: Work::from_hashes(paired("work", high, low)?),
    })
}
