//! Swaps: every component or configuration that was to take over a slot, step by step, and
//! the components that failed there and must not come back by themselves.

use sqlx::SqliteConnection;

use crate::number::{int, uint, uint32};
use crate::store::named;
use crate::{GenerationId, Store, StoreError};

/// A swap's number, ascending over all slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwapId(pub u64);

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSwap {
    /// `payout`, `auth`, `difficulty`.
    pub slot: String,
    /// A component's name, or the digest of one that is kept.
    pub component: String,
    /// Its configuration, JSON.
    pub config: String,
    /// What it may use, as operators write it; what it was staged with once it is.
    pub grants: Vec<String>,
    /// Who asks.
    pub by: String,
    /// Hash of the slot's settings in the configuration.
    pub settings: [u8; 32],
}

/// A swap on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swap {
    /// Its number.
    pub id: SwapId,
    /// What was asked for; `config` is canonical once the component has accepted it.
    pub asked: NewSwap,
    /// The canonical configuration without what its schema marks as secret, JSON; `None` if
    /// nothing of it may be shown, or before the component was found.
    pub shown_config: Option<String>,
    /// When, ms since the Unix epoch.
    pub begun_at_ms: u64,
    /// The component, once it was found.
    pub digest: Option<[u8; 32]>,
    /// When it may take effect, if that was announced, ms since the Unix epoch.
    pub due_ms: Option<u64>,
    /// What it became.
    pub generation: Option<GenerationId>,
    /// How it ended: `active`, `refused`, `withdrawn`, `abandoned`; `None` while under way.
    pub outcome: Option<String>,
    /// Its steps, oldest first.
    pub steps: Vec<SwapStep>,
}

/// A step on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapStep {
    /// Which, e.g. `staged`.
    pub step: String,
    /// What happened, for people.
    pub detail: String,
    /// When, ms since the Unix epoch.
    pub at_ms: u64,
}

/// A component that failed in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its digest.
    pub digest: [u8; 32],
    /// Only under this canonical configuration; `None` under any.
    pub config: Option<String>,
    /// Its name.
    pub name: String,
    /// What it did.
    pub why: String,
    /// Since when, ms since the Unix epoch.
    pub since_ms: u64,
}

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    slot: String,
    component: String,
    config: String,
    shown_config: Option<String>,
    grants: String,
    requested_by: String,
    begun_ms: i64,
    settings: Option<Vec<u8>>,
    digest: Option<Vec<u8>>,
    due_ms: Option<i64>,
    generation: Option<i64>,
    outcome: Option<String>,
}

/// Swaps; conditions follow.
macro_rules! select_swaps {
    ($conditions:literal) => {
        concat!(
            "SELECT id, slot, component, config, shown_config, grants, requested_by, begun_ms, settings,
                    digest, due_ms, generation, outcome FROM swap ",
            $conditions
        )
    };
}

/// Digest, configuration, name, reason and since when, as the table has them.
type QuarantineRow = (Vec<u8>, Option<String>, String, String, i64);

impl Store {
    /// Puts a request on record, with its first step.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn begin_swap(&self, new: &NewSwap, now_ms: u64) -> Result<SwapId, StoreError> {
        named("begin a swap", async {
            let mut tx = self.begin().await?;
            let (id,): (i64,) = sqlx::query_as(
                "INSERT INTO swap (slot, component, config, grants, requested_by, begun_ms,
                                   settings)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) RETURNING id",
            )
            .bind(&new.slot)
            .bind(&new.component)
            .bind(&new.config)
            .bind(new.grants.join(" "))
            .bind(&new.by)
            .bind(int("time", now_ms)?)
            .bind(new.settings.as_slice())
            .fetch_one(&mut *tx)
            .await?;
            let id = SwapId(uint("a swap's number", id)?);
            add_step(&mut tx, id, "requested", &format!("by {}", new.by), now_ms).await?;
            tx.commit().await?;
            Ok(id)
        })
        .await
    }

    /// Records a step of a swap.
    ///
    /// # Errors
    /// When the swap is unknown, or the database cannot be written.
    pub async fn swap_step(
        &self,
        id: SwapId,
        step: &str,
        detail: &str,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        named("record a step of a swap", async {
            let mut tx = self.begin().await?;
            add_step(&mut tx, id, step, detail, now_ms).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// The component was found and has accepted its configuration; it is kept from now on.
    /// `config` is that configuration, and what of it may be shown to everybody, if anything;
    /// `grants` are those it was staged with, asked for or inherited.
    ///
    /// # Errors
    /// When the swap is not under way, or the database cannot be written.
    pub async fn stage_swap(
        &self,
        id: SwapId,
        (digest, wasm): (&[u8; 32], &[u8]),
        (config, shown): (&str, Option<&str>),
        grants: &[String],
        detail: &str,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        named("stage a swap", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO component (digest, wasm) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )
            .bind(digest.as_slice())
            .bind(wasm)
            .execute(&mut *tx)
            .await?;
            let updated = sqlx::query(
                "UPDATE swap SET digest = ?2, config = ?3, shown_config = ?4, grants = ?5
                 WHERE id = ?1 AND outcome IS NULL",
            )
            .bind(int("swap", id.0)?)
            .bind(digest.as_slice())
            .bind(config)
            .bind(shown)
            .bind(grants.join(" "))
            .execute(&mut *tx)
            .await?;
            if updated.rows_affected() == 0 {
                return Err(StoreError::UnknownSwap(id.0));
            }
            add_step(&mut tx, id, "staged", detail, now_ms).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Announces when a swap may take effect.
    ///
    /// # Errors
    /// When the swap is not under way, or the database cannot be written.
    pub async fn announce_swap(
        &self,
        id: SwapId,
        due_ms: u64,
        detail: &str,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        named("announce a swap", async {
            let mut tx = self.begin().await?;
            let updated =
                sqlx::query("UPDATE swap SET due_ms = ?2 WHERE id = ?1 AND outcome IS NULL")
                    .bind(int("swap", id.0)?)
                    .bind(int("time", due_ms)?)
                    .execute(&mut *tx)
                    .await?;
            if updated.rows_affected() == 0 {
                return Err(StoreError::UnknownSwap(id.0));
            }
            add_step(&mut tx, id, "announced", detail, now_ms).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Ends a swap that changes nothing: `refused`, `withdrawn` or `abandoned`.
    ///
    /// # Errors
    /// When the swap has ended already, or the database cannot be written.
    pub async fn end_swap(
        &self,
        id: SwapId,
        outcome: &str,
        detail: &str,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        named("end a swap", async {
            let mut tx = self.begin().await?;
            let updated =
                sqlx::query("UPDATE swap SET outcome = ?2 WHERE id = ?1 AND outcome IS NULL")
                    .bind(int("swap", id.0)?)
                    .bind(outcome)
                    .execute(&mut *tx)
                    .await?;
            if updated.rows_affected() == 0 {
                return Err(StoreError::UnknownSwap(id.0));
            }
            add_step(&mut tx, id, outcome, detail, now_ms).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Swaps that have not ended, oldest first, without their steps.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_swaps(&self) -> Result<Vec<Swap>, StoreError> {
        named("list open swaps", async {
            let rows: Vec<Columns> =
                sqlx::query_as(select_swaps!("WHERE outcome IS NULL ORDER BY id"))
                    .fetch_all(&self.readers)
                    .await?;
            rows.into_iter().map(swap).collect()
        })
        .await
    }

    /// The swap that put a generation in force.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn swap_of(&self, generation: GenerationId) -> Result<Option<SwapId>, StoreError> {
        named("find a generation's swap", async {
            let row: Option<(i64,)> =
                sqlx::query_as("SELECT id FROM swap WHERE generation = ?1 ORDER BY id LIMIT 1")
                    .bind(generation.0)
                    .fetch_optional(&self.readers)
                    .await?;
            row.map(|(id,)| Ok(SwapId(uint("a swap's number", id)?))).transpose()
        })
        .await
    }

    /// One swap with its steps.
    ///
    /// # Errors
    /// When it is unknown, or the database cannot be read.
    pub async fn swap(&self, id: SwapId) -> Result<Swap, StoreError> {
        let mut found = self.swaps(None, 1, Some(SwapId(id.0 + 1))).await?;
        found.pop().filter(|swap| swap.id == id).ok_or(StoreError::UnknownSwap(id.0))
    }

    /// Swaps with their steps, newest first: at most `limit`, older than `before`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn swaps(
        &self,
        slot: Option<&str>,
        limit: u32,
        before: Option<SwapId>,
    ) -> Result<Vec<Swap>, StoreError> {
        named("list swaps", async {
            // One snapshot: a step and the outcome it brings are seen together.
            let mut connection = self.readers.begin().await?;
            let before = before.map_or(Ok(i64::MAX), |id| int("swap", id.0))?;
            let rows: Vec<Columns> = sqlx::query_as(select_swaps!(
                "WHERE id < ?1 AND (?2 IS NULL OR slot = ?2) ORDER BY id DESC LIMIT ?3"
            ))
            .bind(before)
            .bind(slot)
            .bind(limit)
            .fetch_all(&mut *connection)
            .await?;
            let mut swaps = Vec::with_capacity(rows.len());
            for row in rows {
                let id = row.id;
                let steps: Vec<(String, String, i64)> = sqlx::query_as(
                    "SELECT step, detail, at_ms FROM swap_step WHERE swap = ?1 ORDER BY number",
                )
                .bind(id)
                .fetch_all(&mut *connection)
                .await?;
                let step = |(step, detail, at_ms)| {
                    Ok(SwapStep { step, detail, at_ms: uint("a time", at_ms)? })
                };
                let steps: Result<Vec<SwapStep>, StoreError> =
                    steps.into_iter().map(step).collect();
                swaps.push(Swap { steps: steps?, ..swap(row)? });
            }
            Ok(swaps)
        })
        .await
    }

    /// Lets a component come back. Says whether it was quarantined.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn lift_quarantine(
        &self,
        digest: &[u8; 32],
        by: &str,
        now_ms: u64,
    ) -> Result<bool, StoreError> {
        named("lift a quarantine", async {
            let mut tx = self.begin().await?;
            let lifted = sqlx::query(
                "UPDATE quarantine SET lifted_ms = ?2, lifted_by = ?3
                 WHERE digest = ?1 AND lifted_ms IS NULL",
            )
            .bind(digest.as_slice())
            .bind(int("time", now_ms)?)
            .bind(by)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(lifted.rows_affected() > 0)
        })
        .await
    }

    /// What is quarantined now, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn quarantined(&self) -> Result<Vec<Quarantined>, StoreError> {
        named("list what is quarantined", async {
            let rows: Vec<QuarantineRow> = sqlx::query_as(
                "SELECT digest, config, name, why, since_ms FROM quarantine
                 WHERE lifted_ms IS NULL ORDER BY number",
            )
            .fetch_all(&self.readers)
            .await?;
            rows.into_iter()
                .map(|(digest, config, name, why, since_ms)| {
                    Ok(Quarantined {
                        digest: digest.try_into().expect("the schema checks its length"),
                        config,
                        name,
                        why,
                        since_ms: uint("a time", since_ms)?,
                    })
                })
                .collect()
        })
        .await
    }
}

/// Keeps a component from coming back until an operator lifts it.
pub(crate) async fn quarantine(
    tx: &mut SqliteConnection,
    failed: &Quarantined,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO quarantine (digest, config, name, why, since_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
    )
    .bind(failed.digest.as_slice())
    .bind(&failed.config)
    .bind(&failed.name)
    .bind(&failed.why)
    .bind(int("time", failed.since_ms)?)
    .execute(tx)
    .await?;
    Ok(())
}

/// Adds a step inside a transaction.
pub(crate) async fn add_step(
    tx: &mut SqliteConnection,
    id: SwapId,
    step: &str,
    detail: &str,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO swap_step (swap, step, detail, at_ms) VALUES (?1, ?2, ?3, ?4)")
        .bind(int("swap", id.0)?)
        .bind(step)
        .bind(detail)
        .bind(int("time", now_ms)?)
        .execute(tx)
        .await?;
    Ok(())
}

fn swap(row: Columns) -> Result<Swap, StoreError> {
    let fixed = |bytes: Vec<u8>| -> Result<[u8; 32], StoreError> {
        bytes.try_into().map_err(|_| StoreError::Corrupt("a digest of another length".to_owned()))
    };
    Ok(Swap {
        id: SwapId(uint("a swap's number", row.id)?),
        asked: NewSwap {
            slot: row.slot,
            component: row.component,
            config: row.config,
            grants: row.grants.split_whitespace().map(str::to_owned).collect(),
            by: row.requested_by,
            settings: row.settings.map(fixed).transpose()?.unwrap_or_default(),
        },
        shown_config: row.shown_config,
        begun_at_ms: uint("a time", row.begun_ms)?,
        digest: row.digest.map(fixed).transpose()?,
        due_ms: row.due_ms.map(|at| uint("a time", at)).transpose()?,
        generation: row
            .generation
            .map(|id| Ok::<_, StoreError>(GenerationId(uint32("a generation's id", id)?)))
            .transpose()?,
        outcome: row.outcome,
        steps: Vec::new(),
    })
}
