//! Walking the share log, page by page, by sequence number alone: no share can fall
//! between two pages, whatever the clock said. The log only grows, so what a walk has
//! passed cannot change behind it.

use std::ops::ControlFlow;

use crate::codec::decode;
use crate::number::{int, uint};
use crate::{ShareRecord, Store, StoreError};

/// Batches read at once: about 1.5 MB at a thousand shares each.
const PAGE_BATCHES: i64 = 32;

impl Store {
    /// Visits the shares after `floor_seq` up to `upto_seq`, newest first.
    pub(crate) async fn walk_back(
        &self,
        upto_seq: u64,
        floor_seq: u64,
        mut visit: impl FnMut(u64, &ShareRecord) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut before = upto_seq;
        while before > floor_seq {
            let page: Vec<(i64, Vec<u8>)> = sqlx::query_as(
                "SELECT first_seq, shares FROM share_batch WHERE first_seq <= ?1
                 ORDER BY first_seq DESC LIMIT ?2",
            )
            .bind(int("sequence number", before)?)
            .bind(PAGE_BATCHES)
            .fetch_all(&self.readers)
            .await?;
            if page.is_empty() {
                return Ok(());
            }
            for (first_seq, bytes) in page {
                let first_seq = uint("a sequence number", first_seq)?;
                for (seq, share) in decode(first_seq, &bytes)?.iter().rev() {
                    if *seq > upto_seq {
                        continue;
                    }
                    if *seq <= floor_seq || visit(*seq, share).is_break() {
                        return Ok(());
                    }
                }
                before = first_seq.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// Visits the shares after `from_seq` up to `to_seq`, oldest first.
    pub(crate) async fn walk_forward(
        &self,
        from_seq: u64,
        to_seq: u64,
        mut visit: impl FnMut(u64, &ShareRecord) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut next = from_seq + 1;
        while next <= to_seq {
            let page = self.batches_from(next).await?;
            let before = next;
            for (first_seq, bytes) in page {
                for (seq, share) in &decode(first_seq, &bytes)? {
                    if *seq > to_seq {
                        return Ok(());
                    }
                    if *seq > from_seq && visit(*seq, share).is_break() {
                        return Ok(());
                    }
                    next = seq + 1;
                }
            }
            if next == before {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A page of batches, from the one on that holds a share; each with its first number.
    pub(crate) async fn batches_from(&self, seq: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        // The batch that holds a share starts at or before it.
        let page: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT first_seq, shares FROM share_batch
             WHERE first_seq >= coalesce(
                 (SELECT max(first_seq) FROM share_batch WHERE first_seq <= ?1), ?1)
             ORDER BY first_seq LIMIT ?2",
        )
        .bind(int("sequence number", seq)?)
        .bind(PAGE_BATCHES)
        .fetch_all(&self.readers)
        .await?;
        let numbered = |(first_seq, bytes)| Ok((uint("a sequence number", first_seq)?, bytes));
        page.into_iter().map(numbered).collect()
    }
}
