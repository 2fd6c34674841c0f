//! The share log: group commits, numbered without gaps. A share that was appended is
//! there for ever. That is all a miner waits for, so it is one statement; totals follow
//! (totals.rs).

use chimera_pow::Work;
use sqlx::SqliteConnection;

use crate::codec::{decode, encode};
use crate::number::{int, uint, work_pair};
use crate::store::named;
use crate::{Booking, ShareRecord, Store, StoreError, WORK_MAX};

/// Length of a time slice of work: a minute.
pub const SLICE_MS: u64 = 60_000;

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

    /// Appends a batch whose first share has the number `first_seq`: when this returns, every
    /// share of it is durable; if it fails, none is. Totals count it later
    /// ([`Store::count_shares`]).
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
        named("append shares", async {
            self.check_workers(shares).await?;
            loop {
                if self.append(first_seq, shares, now_ms).await? {
                    return Ok(Booking::Booked);
                }
                let mut connection = self.readers.acquire().await?;
                let expected = last_seq(&mut connection).await? + 1;
                if first_seq < expected {
                    return already_there(&mut connection, first_seq, shares).await;
                }
                if first_seq > expected {
                    return Err(StoreError::SequenceGap { expected, found: first_seq });
                }
                // The log has come to where the batch starts only now.
            }
        })
        .await
    }

    /// Whether the batch starts at the log's end; then it is appended.
    async fn append(
        &self,
        first_seq: u64,
        shares: &[ShareRecord],
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        let last_seq = first_seq.saturating_add(shares.len() as u64 - 1);
        let statement = sqlx::query(
            "INSERT INTO share_batch (first_seq, last_seq, stored_ms, shares)
             SELECT ?1, ?2, ?3, ?4
             WHERE ?1 = 1 + coalesce(
                 (SELECT last_seq FROM share_batch ORDER BY first_seq DESC LIMIT 1), 0)",
        )
        .bind(int("sequence number", first_seq)?)
        .bind(int("sequence number", last_seq)?)
        .bind(int("time", now_ms)?)
        .bind(encode(shares)?);
        Ok(self.writer.execute(statement).await? > 0)
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
    // More than totals could take at once.
    let sum = shares.iter().fold(0_u128, |sum, share| sum.saturating_add(share.work.hashes()));
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
    work_pair(Work::from_hashes(sum)).map(|_| ())
}

/// A repetition holds the same shares; anything else would renumber them.
async fn already_there(
    connection: &mut SqliteConnection,
    first_seq: u64,
    shares: &[ShareRecord],
) -> Result<Booking, StoreError> {
    let stored: Option<(Vec<u8>,)> =
        sqlx::query_as("SELECT shares FROM share_batch WHERE first_seq = ?1")
            .bind(int("sequence number", first_seq)?)
            .fetch_optional(connection)
            .await?;
    let conflict = StoreError::SequenceConflict { first_seq };
    let Some((stored,)) = stored else { return Err(conflict) };
    let stored = decode(first_seq, &stored)?;
    let same = stored.iter().map(|(_, share)| share).eq(shares);
    same.then_some(Booking::AlreadyBooked).ok_or(conflict)
}
