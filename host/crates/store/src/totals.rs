//! Totals over the share log: per worker, per minute, for the whole pool. Only people look at
//! them, so no miner waits for them: the log is the truth, and they follow it.
//!
//! How far they have come moves in the transaction that moves them, so a crash at any point
//! neither leaves a share out nor counts one twice.

use std::collections::{BTreeMap, HashMap};

use chimera_pow::Work;
use chimera_work::WorkerId;
use tokio::sync::Mutex;

use crate::codec::decode;
use crate::number::{int, uint, work_pair};
use crate::rows::{Cell, Rows};
use crate::store::named;
use crate::{SLICE_MS, ShareRecord, Store, StoreError};

/// Rows moved by one transaction: shares wait for it, some twenty milliseconds when so many
/// workers mine at once. Fewer would not keep up with them.
const ROWS_MAX: usize = 2_000;
/// Work counted by one transaction: what a pair of columns holds, halved.
const WORK_BITS_MAX: u32 = 102;

/// Held while shares are counted: one after the other, or two would count the same.
pub(crate) type Counting = Mutex<()>;

impl Store {
    /// Brings the totals that statistics are read from ([`Store::stats`], [`Store::miners`],
    /// [`Store::miner`], [`Store::rounds`]) up to where the log ends now, in short transactions; how many shares that
    /// were. To be called every now and then: what was not counted when the pool was killed
    /// is counted by the next call. Nothing that is paid depends on it.
    ///
    /// # Errors
    /// When the log is damaged, or the database cannot be written.
    pub async fn count_shares(&self) -> Result<u64, StoreError> {
        named("count shares", async {
            let _turn = self.counting.lock().await;
            let shares = self.count_to_the_end().await?;
            self.place_blocks().await?;
            Ok(shares)
        })
        .await
    }

    async fn count_to_the_end(&self) -> Result<u64, StoreError> {
        // Where it is now: under load the end is never reached.
        let end = self.last_seq().await?;
        let mut shares = 0;
        loop {
            let mut totals = Totals::after(self.counted_seq().await?);
            if totals.upto >= end {
                return Ok(shares);
            }
            while totals.upto < end {
                for (first_seq, bytes) in self.batches_from(totals.upto + 1).await? {
                    let batch = decode(first_seq, &bytes)?;
                    for (seq, share) in &batch {
                        if *seq > totals.upto {
                            totals.add(*seq, share);
                        }
                        if totals.is_full() {
                            totals.end_run();
                            shares += self.move_totals(&totals).await?;
                            totals = Totals::after(totals.upto);
                        }
                    }
                    // A batch takes a millisecond, and others have work to do.
                    tokio::task::yield_now().await;
                }
            }
            totals.end_run();
            shares += self.move_totals(&totals).await?;
        }
    }

    /// The last share the totals have counted.
    async fn counted_seq(&self) -> Result<u64, StoreError> {
        let (seq,): (i64,) = sqlx::query_as("SELECT counted_seq FROM pool WHERE id = 1")
            .fetch_one(&self.readers)
            .await?;
        uint("a sequence number", seq)
    }

    /// Moves every total; how many shares were counted. None if the totals have come from
    /// elsewhere meanwhile: by a call that was given up while its transaction ended well.
    async fn move_totals(&self, totals: &Totals) -> Result<u64, StoreError> {
        let Totals { after, upto, work, .. } = *totals;
        let (high, low) = work_pair(work)?;
        let mut tx = self.begin().await?;
        let moved = sqlx::query(
            "UPDATE pool SET
                 counted_seq = ?2,
                 work_hi = work_hi + ?3 + ((work_lo + ?4) >> 40),
                 work_lo = (work_lo + ?4) & 1099511627775
             WHERE id = 1 AND counted_seq = ?1 AND ?2 > ?1",
        )
        .bind(int("sequence number", after)?)
        .bind(int("sequence number", upto)?)
        .bind(high)
        .bind(low)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if moved == 0 {
            return Ok(0);
        }
        for (statement, rows) in [
            (MOVE_WORKERS, totals.workers()?),
            (MOVE_SLICES, totals.slices()?),
            (MOVE_POOL, totals.pool()?),
        ] {
            sqlx::query(statement).bind(rows).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(upto - after)
    }
}

const MOVE_WORKERS: &str = "
    UPDATE worker SET
        shares = worker.shares + new.shares,
        work_hi = work_hi + new.high + ((work_lo + new.low) >> 40),
        work_lo = (work_lo + new.low) & 1099511627775,
        last_share_ms = max(coalesce(last_share_ms, 0), new.last_ms)
    FROM (SELECT value ->> 0 AS worker, value ->> 1 AS shares, value ->> 2 AS high,
                 value ->> 3 AS low, value ->> 4 AS last_ms
          FROM json_each(?1)) AS new
    WHERE worker.id = new.worker";

const MOVE_SLICES: &str = "
    INSERT INTO work_slice (slice, worker, shares, work_hi, work_lo)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
    FROM json_each(?1) WHERE true
    ON CONFLICT (slice, worker) DO UPDATE SET
        shares = shares + excluded.shares,
        work_hi = work_hi + excluded.work_hi + ((work_lo + excluded.work_lo) >> 40),
        work_lo = (work_lo + excluded.work_lo) & 1099511627775";

const MOVE_POOL: &str = "
    INSERT INTO pool_slice (slice, shares, work_hi, work_lo)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3
    FROM json_each(?1) WHERE true
    ON CONFLICT (slice) DO UPDATE SET
        shares = shares + excluded.shares,
        work_hi = work_hi + excluded.work_hi + ((work_lo + excluded.work_lo) >> 40),
        work_lo = (work_lo + excluded.work_lo) & 1099511627775";

/// What one worker did in one minute, or more of them.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    shares: i64,
    work: Work,
    last_ms: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.shares += other.shares;
        self.work += other.work;
        self.last_ms = self.last_ms.max(other.last_ms);
    }
}

/// A part of the log, added up.
#[derive(Debug)]
struct Totals {
    /// The shares behind this one,
    after: u64,
    /// up to and with this one.
    upto: u64,
    work: Work,
    by_slice: HashMap<(u64, WorkerId), Tally>,
    /// Of the newest shares in a row of one worker, not yet in there: a miner's come together.
    run: Option<((u64, WorkerId), Tally)>,
}

impl Totals {
    fn after(seq: u64) -> Self {
        Self { after: seq, upto: seq, work: Work::ZERO, by_slice: HashMap::new(), run: None }
    }

    fn add(&mut self, seq: u64, share: &ShareRecord) {
        let ShareRecord { worker, work, time_ms: last_ms, .. } = *share;
        let tally = Tally { shares: 1, work, last_ms };
        let key = (last_ms / SLICE_MS, worker);
        match &mut self.run {
            Some((at, run)) if *at == key => run.add(tally),
            _ => {
                self.end_run();
                self.run = Some((key, tally));
            }
        }
        self.work += work;
        self.upto = seq;
    }

    fn end_run(&mut self) {
        if let Some((key, tally)) = self.run.take() {
            self.by_slice.entry(key).or_default().add(tally);
        }
    }

    fn is_full(&self) -> bool {
        self.by_slice.len() >= ROWS_MAX || self.work.hashes() >> WORK_BITS_MAX > 0
    }

    fn workers(&self) -> Result<String, StoreError> {
        let mut sums: BTreeMap<WorkerId, Tally> = BTreeMap::new();
        for (&(_, worker), &tally) in &self.by_slice {
            sums.entry(worker).or_default().add(tally);
        }
        let mut rows = Rows::new();
        for (worker, tally) in sums {
            let (high, low) = work_pair(tally.work)?;
            let last_ms = int("time", tally.last_ms)?;
            rows.push(&[worker.0.into(), tally.shares, high, low, last_ms].map(Cell::Int));
        }
        Ok(rows.finish())
    }

    fn slices(&self) -> Result<String, StoreError> {
        let sorted: BTreeMap<_, _> = self.by_slice.iter().collect();
        let mut rows = Rows::new();
        for (&(slice, worker), tally) in sorted {
            let (high, low) = work_pair(tally.work)?;
            let [slice, worker] = [int("slice", slice)?, worker.0.into()];
            rows.push(&[slice, worker, tally.shares, high, low].map(Cell::Int));
        }
        Ok(rows.finish())
    }

    fn pool(&self) -> Result<String, StoreError> {
        let mut sums: BTreeMap<u64, Tally> = BTreeMap::new();
        for (&(slice, _), &tally) in &self.by_slice {
            sums.entry(slice).or_default().add(tally);
        }
        let mut rows = Rows::new();
        for (slice, tally) in sums {
            let (high, low) = work_pair(tally.work)?;
            rows.push(&[int("slice", slice)?, tally.shares, high, low].map(Cell::Int));
        }
        Ok(rows.finish())
    }
}
