//! States of schemes, kept by their hash.
//!
//! A record can be recomputed only with the state it began with. Those of blocks are kept
//! for ever: there are few. A scheme that settles every minute and remembers every account
//! would fill the disk with copies of nearly the same state (2.4 MB a minute for 100,000
//! accounts), so of its intervals the newest are kept: a day of them, or as many as fit into
//! 256 MiB, for each generation. The rows of all records stay: each stands for at least one share of the log, so
//! they never take more room than the log does.

use chimera_ledger::Hash256;
use sqlx::SqliteConnection;

use crate::{GenerationId, StoreError};

/// A day of intervals of a minute.
const KEPT_MAX: usize = 1_440;
const KEPT_BYTES_MAX: usize = 256 << 20;
/// So far behind the newest is looked for states to let go of: if states grow at a jump, all
/// that were kept until then may be too many.
const LOOKED_THROUGH: u32 = KEPT_MAX as u32;

/// Keeps a state under its hash, once.
pub(crate) async fn keep_state(tx: &mut SqliteConnection, state: &[u8]) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO scheme_state (hash, bytes) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        .bind(Hash256::of_state(state).as_bytes().as_slice())
        .bind(state)
        .execute(tx)
        .await?;
    Ok(())
}

/// Lets go of the states old intervals of a generation began with, unless a block, a newer
/// interval or another generation needs them.
pub(crate) async fn forget_states(
    tx: &mut SqliteConnection,
    generation: GenerationId,
    state_bytes: usize,
) -> Result<(), StoreError> {
    let kept = (KEPT_BYTES_MAX / state_bytes.max(1)).clamp(2, KEPT_MAX);
    forget_all_but(tx, generation, u32::try_from(kept).unwrap_or(u32::MAX)).await
}

pub(crate) async fn forget_all_but(
    tx: &mut SqliteConnection,
    generation: GenerationId,
    kept: u32,
) -> Result<(), StoreError> {
    sqlx::query(
        "WITH newest AS (
             SELECT state_in, state_out, row_number() OVER (ORDER BY to_seq DESC) AS place
             FROM settlement_record JOIN settlement ON number = settlement
             WHERE number IN (SELECT number FROM settlement
                              WHERE generation = ?1 AND block IS NULL
                              ORDER BY to_seq DESC LIMIT ?2 + ?3))
         DELETE FROM scheme_state
         WHERE hash IN (SELECT state_in FROM newest WHERE place > ?2)
           AND hash NOT IN (SELECT state_in FROM newest WHERE place <= ?2)
           AND hash NOT IN (SELECT state_out FROM newest WHERE place <= ?2)
           AND NOT EXISTS (SELECT 1 FROM settlement_record JOIN settlement ON number = settlement
                           WHERE state_in = scheme_state.hash
                             AND (block IS NOT NULL OR generation <> ?1))
           AND NOT EXISTS (SELECT 1 FROM settlement_record JOIN settlement ON number = settlement
                           WHERE state_out = scheme_state.hash
                             AND (block IS NOT NULL OR generation <> ?1))",
    )
    .bind(generation.0)
    .bind(kept)
    .bind(LOOKED_THROUGH)
    .execute(tx)
    .await?;
    Ok(())
}
