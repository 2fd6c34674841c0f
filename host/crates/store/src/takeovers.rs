//! A generation takes over its slot: one transaction writes it with its place in the log, the
//! state it begins with, and the end of the swap that brought it. Before that transaction
//! nothing has changed; after it everything has.

use chimera_ledger::SchemeKind;
use sqlx::SqliteConnection;

use crate::generations::insert;
use crate::number::{int, uint, uint32};
use crate::settlements::due_interval;
use crate::shares::last_seq;
use crate::store::named;
use crate::swaps::{Quarantined, SwapId, add_step, quarantine};
use crate::{GenerationId, NewGeneration, Store, StoreError};

/// The one in force is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// Why, for people.
    pub why: String,
    /// Whether it had not proven itself: what it has not settled is its successor's then.
    pub undone: bool,
    /// What must not come back by itself.
    pub quarantine: Option<Quarantined>,
}

/// A generation that takes over.
#[derive(Debug, Clone)]
pub struct Takeover {
    /// What takes over. Its `from_seq` is decided here: the log's end, or, where a failed
    /// generation is rolled back, the end of what that one has settled.
    pub generation: NewGeneration,
    /// What the operator granted it, as written.
    pub grants: Vec<String>,
    /// Who wants it.
    pub by: String,
    /// Hash of the slot's settings in the configuration.
    pub settings: [u8; 32],
    /// The generation that must be in force, `None` for the first.
    pub previous: Option<GenerationId>,
    /// The generation whose state `generation.state` was made from, and that state.
    pub inherits: Option<(GenerationId, Vec<u8>)>,
    /// What is taken back, if the one in force is.
    pub rollback: Option<Rollback>,
    /// Whether it pays the work the one in force cannot pay ([`Store::hold`]).
    pub pays_held: bool,
    /// The swap that ends with it.
    pub swap: Option<SwapId>,
    /// What is said about its step.
    pub detail: String,
}

/// What a takeover has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenOver {
    /// The generation now in force.
    pub id: GenerationId,
    /// The last share before it.
    pub from_seq: u64,
    /// Blocks found before the log caught up, or left by a failed generation, that it settles.
    pub blocks: u64,
}

impl Takeover {
    /// Why the one in force is undone, if it is.
    fn undone(&self) -> Option<&str> {
        self.rollback.as_ref().filter(|rollback| rollback.undone).map(|rollback| &*rollback.why)
    }
}

const PAYS_HELD: &str = "pays the work its predecessor could not";

impl Store {
    /// Puts a generation in force behind the last durable share.
    ///
    /// A rollback begins behind what the failed generation has settled, so that what it could
    /// not settle is its successor's: the unpaid work, and the blocks that need a scheme. So
    /// does what takes over held work, with an operator's consent.
    ///
    /// # Errors
    /// When another generation took over meanwhile or the state to take over has changed
    /// (both [`StoreError::GenerationMoved`]: ask again), when the component is not stored, or
    /// when the database cannot be written. Then nothing has changed.
    pub async fn take_over(
        &self,
        takeover: &Takeover,
        now_ms: u64,
    ) -> Result<TakenOver, StoreError> {
        named("let a generation take over", async {
            let mut tx = self.begin().await?;
            check_previous(&mut tx, takeover).await?;
            let pays_held = pays_held(&mut tx, takeover).await?;
            let undone = takeover.undone();
            let takes_unsettled = undone.is_some() || pays_held;
            let from_seq = match takeover.previous.filter(|_| takes_unsettled) {
                Some(failed) => settled_end(&mut tx, failed).await?,
                None => last_seq(&mut tx).await?,
            };
            let new = NewGeneration { from_seq, ..takeover.generation.clone() };
            let id = insert(&mut tx, &new, now_ms).await?;
            describe(&mut tx, id, takeover).await?;
            if let Some(previous) = takeover.previous {
                end(&mut tx, previous, undone, now_ms).await?;
            }
            if let Some(rollback) = &takeover.rollback {
                take_back(&mut tx, id, takeover.previous, rollback, now_ms).await?;
            }
            let blocks = if new.slot == "payout" {
                take_blocks(&mut tx, id, from_seq, takeover).await?
            } else {
                0
            };
            if let Some(swap) = takeover.swap {
                let detail = format!("generation {}, from share {from_seq} on", id.0);
                let detail = match (takeover.detail.as_str(), pays_held) {
                    ("", false) => detail,
                    ("", true) => format!("{detail}: {PAYS_HELD}"),
                    (more, false) => format!("{detail}: {more}"),
                    (more, true) => format!("{detail}: {more}; {PAYS_HELD}"),
                };
                add_step(&mut tx, swap, "active", &detail, now_ms).await?;
                sqlx::query("UPDATE swap SET generation = ?2, outcome = 'active' WHERE id = ?1")
                    .bind(int("swap", swap.0)?)
                    .bind(id.0)
                    .execute(&mut *tx)
                    .await?;
            }
            tx.commit().await?;
            Ok(TakenOver { id, from_seq, blocks })
        })
        .await
    }

    /// Notes that a generation's probation ended well. Repeating it changes nothing.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn prove_generation(&self, id: GenerationId, now_ms: u64) -> Result<(), StoreError> {
        named("prove a generation", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "UPDATE generation SET proven_ms = ?2
                 WHERE id = ?1 AND proven_ms IS NULL AND rolled_back IS NULL",
            )
            .bind(id.0)
            .bind(int("time", now_ms)?)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Notes why a generation cannot pay the work it has accrued, or with `None` that it can.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn hold(&self, id: GenerationId, why: Option<&str>) -> Result<(), StoreError> {
        named("hold a generation's work", async {
            let mut tx = self.begin().await?;
            sqlx::query("UPDATE generation SET held = ?2 WHERE id = ?1 AND held IS NOT ?2")
                .bind(id.0)
                .bind(why)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Notes under which settings a generation goes on.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn note_settings(
        &self,
        id: GenerationId,
        settings: &[u8; 32],
    ) -> Result<(), StoreError> {
        named("note a slot's settings", async {
            let mut tx = self.begin().await?;
            sqlx::query("UPDATE generation SET settings = ?2 WHERE id = ?1")
                .bind(id.0)
                .bind(settings.as_slice())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

/// What was to be in force is, and what was to be inherited has not moved.
async fn check_previous(tx: &mut SqliteConnection, takeover: &Takeover) -> Result<(), StoreError> {
    let slot = &takeover.generation.slot;
    let moved = || StoreError::GenerationMoved { slot: slot.clone() };
    let in_force: Option<(i64,)> =
        sqlx::query_as("SELECT id FROM generation WHERE slot = ?1 ORDER BY id DESC LIMIT 1")
            .bind(slot)
            .fetch_optional(&mut *tx)
            .await?;
    if in_force.map(|(id,)| id) != takeover.previous.map(|id| id.0.into()) {
        return Err(moved());
    }
    if let Some((from, state)) = &takeover.inherits {
        let row: Option<(Vec<u8>, Option<String>)> =
            sqlx::query_as("SELECT state, kind FROM generation WHERE id = ?1")
                .bind(from.0)
                .fetch_optional(&mut *tx)
                .await?;
        let (found, kind) = row.ok_or(StoreError::UnknownGeneration(from.0))?;
        // What a scheme still has to pay it pays by its own state, and two must not count
        // from the same.
        let (due_from, due_to) = due_interval(tx, *from).await?;
        let pays_it = takeover.previous == Some(*from) && pays_held(tx, takeover).await?;
        let distributes = kind.as_deref() == Some(SchemeKind::Distribute.name());
        if found != *state || !(distributes || pays_it || due_from >= due_to) {
            return Err(moved());
        }
    }
    Ok(())
}

/// Whether work that the one in force cannot pay goes to its successor: it must pay in the
/// same way. What another kind begins with is not what was promised, and blocks of that work
/// may have gone to the reserve.
async fn pays_held(tx: &mut SqliteConnection, takeover: &Takeover) -> Result<bool, StoreError> {
    let Some(previous) = takeover.previous.filter(|_| takeover.pays_held) else {
        return Ok(false);
    };
    let (held,): (bool,) =
        sqlx::query_as("SELECT held IS NOT NULL AND kind IS ?2 FROM generation WHERE id = ?1")
            .bind(previous.0)
            .bind(takeover.generation.kind.map(SchemeKind::name))
            .fetch_one(tx)
            .await?;
    Ok(held)
}

/// The last share a generation has settled, or where it began. Blocks count only where the
/// scheme divides all of them: one that went to the reserve has paid nobody's share, and one
/// of which the fees were divided only a part.
async fn settled_end(tx: &mut SqliteConnection, id: GenerationId) -> Result<u64, StoreError> {
    let (end,): (i64,) = sqlx::query_as(
        "SELECT max(this.from_seq,
                    coalesce((SELECT max(to_seq) FROM settlement
                              WHERE generation = this.id AND block IS NULL), 0),
                    coalesce((SELECT max(block.seq) FROM settlement
                              JOIN block ON block.id = settlement.block
                              WHERE settlement.generation = this.id
                                AND this.kind = 'distribute'), 0))
         FROM generation AS this WHERE this.id = ?1",
    )
    .bind(id.0)
    .fetch_one(&mut *tx)
    .await?;
    Ok(uint("a sequence number", end)?.min(last_seq(tx).await?))
}

async fn describe(
    tx: &mut SqliteConnection,
    id: GenerationId,
    takeover: &Takeover,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE generation SET grants = ?2, begun_by = ?3, settings = ?4, previous = ?5
         WHERE id = ?1",
    )
    .bind(id.0)
    .bind(takeover.grants.join(" "))
    .bind(&takeover.by)
    .bind(takeover.settings.as_slice())
    .bind(takeover.previous.map(|id| id.0))
    .execute(tx)
    .await?;
    Ok(())
}

async fn end(
    tx: &mut SqliteConnection,
    id: GenerationId,
    rolled_back: Option<&str>,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE generation SET ended_ms = ?2, rolled_back = ?3 WHERE id = ?1")
        .bind(id.0)
        .bind(int("time", now_ms)?)
        .bind(rolled_back)
        .execute(tx)
        .await?;
    Ok(())
}

/// What comes back was good before and is not watched again; what failed is quarantined, and
/// its swap says what became of it.
async fn take_back(
    tx: &mut SqliteConnection,
    back: GenerationId,
    failed: Option<GenerationId>,
    rollback: &Rollback,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE generation SET proven_ms = ?2 WHERE id = ?1")
        .bind(back.0)
        .bind(int("time", now_ms)?)
        .execute(&mut *tx)
        .await?;
    if let Some(quarantined) = &rollback.quarantine {
        quarantine(tx, quarantined).await?;
    }
    let swap: Option<(i64,)> =
        sqlx::query_as("SELECT id FROM swap WHERE generation = ?1 ORDER BY id LIMIT 1")
            .bind(failed.map(|id| id.0))
            .fetch_optional(&mut *tx)
            .await?;
    if let Some((swap,)) = swap {
        let swap = SwapId(uint("a swap's number", swap)?);
        add_step(tx, swap, "rolled-back", &rollback.why, now_ms).await?;
    }
    Ok(())
}

/// Blocks on record whose place is behind the takeover were found before the log caught up
/// with them; and a failed scheme leaves what it did not divide.
async fn take_blocks(
    tx: &mut SqliteConnection,
    id: GenerationId,
    from_seq: u64,
    takeover: &Takeover,
) -> Result<u64, StoreError> {
    let from_seq = int("sequence number", from_seq)?;
    let ahead = sqlx::query(
        "UPDATE block SET generation = ?1
         WHERE seq > ?2 AND generation <> ?1 AND state NOT IN ('settled', 'reversed')",
    )
    .bind(id.0)
    .bind(from_seq)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    let (Some(_), Some(failed)) = (takeover.undone(), takeover.previous) else {
        return Ok(ahead);
    };
    let left = sqlx::query(
        "UPDATE block SET generation = ?1
         WHERE generation = ?2 AND state NOT IN ('settled', 'reversed')
           AND (SELECT kind FROM generation WHERE id = ?2) = 'distribute'",
    )
    .bind(id.0)
    .bind(failed.0)
    .execute(&mut *tx)
    .await?
    .rows_affected();
    Ok(ahead + left)
}

/// A scheme that was rolled back may not finish a settlement it was computing: what it left
/// has another owner. What it paid share by share and its blocks in the reserve stay its own.
pub(crate) async fn check_not_rolled_back(
    tx: &mut SqliteConnection,
    generation: GenerationId,
    block: Option<&str>,
) -> Result<(), StoreError> {
    let Some(block) = block else {
        // Intervals are checked by the shares they cover.
        return Ok(());
    };
    let (strange,): (bool,) = sqlx::query_as(
        "SELECT EXISTS (SELECT 1 FROM generation JOIN block ON block.id = ?2
                        WHERE generation.id = ?1 AND generation.rolled_back IS NOT NULL
                          AND block.generation <> ?1)",
    )
    .bind(generation.0)
    .bind(block)
    .fetch_one(tx)
    .await?;
    if strange { Err(StoreError::RolledBack(generation.0)) } else { Ok(()) }
}

/// A generation that credits work before blocks exist, with work it has not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpaid {
    /// The generation.
    pub generation: GenerationId,
    /// The last share that is its own.
    pub until: u64,
}

impl Store {
    /// Accruing generations of the payout slot that have work to pay, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn unpaid(&self) -> Result<Vec<Unpaid>, StoreError> {
        named("find unpaid work", async {
            let mut connection = self.readers.acquire().await?;
            let last = int("sequence number", last_seq(&mut connection).await?)?;
            let rows: Vec<(i64, i64)> = sqlx::query_as(
                "SELECT id, until FROM
                     (SELECT this.id AS id,
                             coalesce((SELECT max(to_seq) FROM settlement
                                       WHERE generation = this.id AND block IS NULL),
                                      this.from_seq) AS paid,
                             coalesce((SELECT next.from_seq FROM generation AS next
                                       WHERE next.slot = 'payout' AND next.id > this.id
                                       ORDER BY next.id LIMIT 1), ?1) AS until
                      FROM generation AS this
                      WHERE this.slot = 'payout' AND this.kind IN ('accrue', 'hybrid'))
                 WHERE paid < until ORDER BY id",
            )
            .bind(last)
            .fetch_all(&mut *connection)
            .await?;
            rows.into_iter()
                .map(|(id, until)| {
                    Ok(Unpaid {
                        generation: GenerationId(uint32("a generation's id", id)?),
                        until: uint("a sequence number", until)?,
                    })
                })
                .collect()
        })
        .await
    }
}
