//! Rounds: the work between one found block and the next, by their places in the share log.
//!
//! The totals carry the work of the log up to where they have come. A block is recorded
//! beside them, mostly a moment earlier or later, so its place gets its work by walking back
//! from there: over the shares of that moment, never over the log.

use std::ops::ControlFlow;

use chimera_pow::{Target, Work};

use crate::blocks::work_at;
use crate::number::{int, paired, uint, work_pair};
use crate::store::named;
use crate::{Store, StoreError};

/// What it took to find a block, and what it should have taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Work credited since the block before.
    pub work: Work,
    /// Work a block was expected to need when this one was found.
    pub network_work: Work,
}

/// The latest rounds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rounds {
    /// Work credited since the last block, or since the log began; unknown for the moment
    /// after one was found, and until the next one where the last is from before this was kept.
    pub current: Option<Work>,
    /// Those that ended with a block, newest first. Those of which something is unknown are
    /// left out.
    pub ended: Vec<Round>,
}

/// A block's target, and the work up to its place as a pair.
type PlaceColumns = (Option<Vec<u8>>, Option<i64>, Option<i64>);

/// A block that waits for the work of its place.
struct Unplaced {
    number: i64,
    seq: u64,
}

impl Store {
    /// The rounds of the latest `limit` blocks, and the one under way. A block counts as
    /// found unless the chain rejected it: an orphan took the same luck.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn rounds(&self, limit: u32) -> Result<Rounds, StoreError> {
        named("read the rounds", async {
            // One snapshot: the work up to now is not less than that up to a block.
            let mut connection = self.readers.begin().await?;
            let (high, low): (i64, i64) =
                sqlx::query_as("SELECT work_hi, work_lo FROM pool WHERE id = 1")
                    .fetch_one(&mut *connection)
                    .await?;
            let rows: Vec<PlaceColumns> = sqlx::query_as(
                "SELECT target, work_hi, work_lo FROM block WHERE state <> 'rejected'
                 ORDER BY seq DESC, number DESC LIMIT ?1",
            )
            .bind(i64::from(limit) + 1)
            .fetch_all(&mut *connection)
            .await?;
            let mut places = Vec::with_capacity(rows.len() + 1);
            for (target, high, low) in rows {
                places.push((target, work_at(high, low)?));
            }
            // Before the first block there was nothing.
            if places.len() <= limit as usize {
                places.push((None, Some(0)));
            }
            let now = paired("the work of the log", high, low)?;
            let since =
                |earlier: u128, later: u128| Work::from_hashes(later.saturating_sub(earlier));
            let round = |pair: &[(Option<Vec<u8>>, Option<u128>)]| {
                let [(target, end), (_, start)] = pair else { return None };
                let target: [u8; 32] = target.as_deref()?.try_into().ok()?;
                let network_work = Target::from_be_bytes(target).work();
                Some(Round { work: since((*start)?, (*end)?), network_work })
            };
            Ok(Rounds {
                current: places[0].1.map(|start| since(start, now)),
                ended: places.windows(2).filter_map(round).collect(),
            })
        })
        .await
    }

    /// Writes the work up to their places to blocks that have none yet, as far as the totals
    /// have come. Repeating it changes nothing.
    pub(crate) async fn place_blocks(&self) -> Result<(), StoreError> {
        let (counted, total, unplaced) = self.unplaced_blocks().await?;
        let Some(first) = unplaced.last().map(|block| block.seq) else { return Ok(()) };
        let (mut work, mut waiting, mut placed) = (total, &unplaced[..], Vec::new());
        self.walk_back(counted, first, |seq, share| {
            // What was found here does not have the shares behind it, which are taken off by now.
            while let [block, rest @ ..] = waiting
                && block.seq >= seq
            {
                placed.push((block, work));
                waiting = rest;
            }
            work = work.saturating_sub(share.work.hashes());
            ControlFlow::Continue(())
        })
        .await?;
        placed.extend(waiting.iter().map(|block| (block, work)));
        let mut tx = self.begin().await?;
        for (Unplaced { number, seq }, work) in placed {
            let (high, low) = work_pair(Work::from_hashes(work))?;
            sqlx::query(
                "UPDATE block SET work_hi = ?3, work_lo = ?4
                 WHERE number = ?1 AND seq = ?2 AND work_hi IS NULL",
            )
            .bind(number)
            .bind(int("sequence number", *seq)?)
            .bind(high)
            .bind(low)
            .execute(&mut *tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }

    /// Where the totals are, the work up to there, and the blocks before it that have no work
    /// yet, last place first.
    async fn unplaced_blocks(&self) -> Result<(u64, u128, Vec<Unplaced>), StoreError> {
        let mut connection = self.readers.begin().await?;
        let (counted, high, low): (i64, i64, i64) =
            sqlx::query_as("SELECT counted_seq, work_hi, work_lo FROM pool WHERE id = 1")
                .fetch_one(&mut *connection)
                .await?;
        // In the words of the index `block_unplaced`, or it is not used.
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT number, seq FROM block
             WHERE target IS NOT NULL AND work_hi IS NULL AND seq <= ?1 ORDER BY seq DESC",
        )
        .bind(counted)
        .fetch_all(&mut *connection)
        .await?;
        let unplaced = rows
            .into_iter()
            .map(|(number, seq)| Ok(Unplaced { number, seq: uint("a sequence number", seq)? }))
            .collect::<Result<_, StoreError>>()?;
        let total = paired("the work of the log", high, low)?;
        Ok((uint("a sequence number", counted)?, total, unplaced))
    }
}
