//! Which component decided from when on: a generation is a component with a canonical
//! configuration and grants, in force from a place in the share log. A block is settled by
//! the generation that was in force at its place, however many followed.

use chimera_ledger::{Hash256, SchemeKind};
use sqlx::SqliteConnection;

use crate::number::{int, uint, uint32};
use crate::shares::last_seq;
use crate::store::named;
use crate::{Store, StoreError};

/// A generation's number, ascending over all slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GenerationId(pub u32);

/// What takes over in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewGeneration {
    /// What it decides: `payout`, `auth`, `difficulty`.
    pub slot: String,
    /// Digest of the component, which is stored already.
    pub digest: [u8; 32],
    /// The component's own name.
    pub name: String,
    /// The component's own version.
    pub version: String,
    /// Canonical configuration.
    pub config: String,
    /// For payout schemes, what kind.
    pub kind: Option<SchemeKind>,
    /// The last share before it takes over.
    pub from_seq: u64,
    /// Version of the state bytes it writes.
    pub state_version: u32,
    /// The state it starts with.
    pub state: Vec<u8>,
}

/// A generation on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number.
    pub id: GenerationId,
    /// What took over; `state` is that after its latest settlement.
    pub facts: NewGeneration,
    /// When it was put on record, ms since the Unix epoch.
    pub begun_at_ms: u64,
    /// How it came, and how it went.
    pub life: Life,
}

/// How a generation came and went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    /// What the operator granted it, as written.
    pub grants: Vec<String>,
    /// Who put it in force.
    pub begun_by: String,
    /// Hash of the slot's settings in the configuration when it took over.
    pub settings: Option<[u8; 32]>,
    /// When its probation ended well, ms since the Unix epoch.
    pub proven_at_ms: Option<u64>,
    /// When another took over, ms since the Unix epoch.
    pub ended_at_ms: Option<u64>,
    /// Why it was rolled back.
    pub rolled_back: Option<String>,
}

/// A generation's columns.
#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    slot: String,
    digest: Vec<u8>,
    name: String,
    version: String,
    config: String,
    kind: Option<String>,
    from_seq: i64,
    state_version: i64,
    state: Vec<u8>,
    begun_ms: i64,
    grants: String,
    begun_by: String,
    settings: Option<Vec<u8>>,
    proven_ms: Option<i64>,
    ended_ms: Option<i64>,
    rolled_back: Option<String>,
}

/// Generations; conditions follow.
macro_rules! select_generations {
    ($conditions:literal) => {
        concat!(
            "SELECT id, slot, digest, name, version, config, kind, from_seq, state_version,
                    state, begun_ms, grants, begun_by, settings, proven_ms, ended_ms, rolled_back
             FROM generation ",
            $conditions
        )
    };
}

impl Store {
    /// Keeps a component's bytes under their digest.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn component(&self, digest: &[u8; 32], wasm: &[u8]) -> Result<(), StoreError> {
        named("keep a component", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "INSERT INTO component (digest, wasm) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )
            .bind(digest.as_slice())
            .bind(wasm)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// The bytes of a component, if they are stored.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn component_bytes(&self, digest: &[u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        named("read a component", async {
            let row: Option<(Vec<u8>,)> =
                sqlx::query_as("SELECT wasm FROM component WHERE digest = ?1")
                    .bind(digest.as_slice())
                    .fetch_optional(&self.readers)
                    .await?;
            Ok(row.map(|(wasm,)| wasm))
        })
        .await
    }

    /// Lets go of components that nothing names any more: they were refused, or withdrawn. A
    /// record names what its generation names. Gives the digests of those that are kept.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn forget_components(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        named("forget components", async {
            let mut tx = self.begin().await?;
            sqlx::query(
                "DELETE FROM component
                 WHERE digest NOT IN (SELECT digest FROM generation)
                   AND digest NOT IN (SELECT digest FROM swap
                                      WHERE outcome IS NULL AND digest IS NOT NULL)
                   AND digest NOT IN (SELECT digest FROM quarantine WHERE lifted_ms IS NULL)",
            )
            .execute(&mut *tx)
            .await?;
            let kept: Vec<(Vec<u8>,)> =
                sqlx::query_as("SELECT digest FROM component").fetch_all(&mut *tx).await?;
            tx.commit().await?;
            let digest = |(digest,): (Vec<u8>,)| digest.try_into().expect("the schema checks it");
            Ok(kept.into_iter().map(digest).collect())
        })
        .await
    }

    /// Lets a generation take over its slot. The caller decides whether one is needed:
    /// every call makes a new one.
    ///
    /// # Errors
    /// When it would begin before its predecessor or after the log's end, when its
    /// component is not stored, or when the database cannot be written.
    pub async fn begin_generation(
        &self,
        new: &NewGeneration,
        now_ms: u64,
    ) -> Result<GenerationId, StoreError> {
        named("begin a generation", async {
            let mut tx = self.begin().await?;
            let id = insert(&mut tx, new, now_ms).await?;
            tx.commit().await?;
            Ok(id)
        })
        .await
    }

    /// The generation in force in a slot.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn generation_current(&self, slot: &str) -> Result<Option<Generation>, StoreError> {
        named("read the generation in force", async {
            let row: Option<Columns> =
                sqlx::query_as(select_generations!("WHERE slot = ?1 ORDER BY id DESC LIMIT 1"))
                    .bind(slot)
                    .fetch_optional(&self.readers)
                    .await?;
            row.map(generation).transpose()
        })
        .await
    }

    /// All generations of a slot, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn generations(&self, slot: &str) -> Result<Vec<Generation>, StoreError> {
        named("list generations", async {
            let rows: Vec<Columns> =
                sqlx::query_as(select_generations!("WHERE slot = ?1 ORDER BY id"))
                    .bind(slot)
                    .fetch_all(&self.readers)
                    .await?;
            rows.into_iter().map(generation).collect()
        })
        .await
    }

    /// The latest generations of a slot, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn generations_before(
        &self,
        slot: &str,
        before: Option<GenerationId>,
        limit: u32,
    ) -> Result<Vec<Generation>, StoreError> {
        named("list the latest generations", async {
            let rows: Vec<Columns> = sqlx::query_as(select_generations!(
                "WHERE slot = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
            ))
            .bind(slot)
            .bind(before.map_or(i64::MAX, |id| id.0.into()))
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
            rows.into_iter().map(generation).collect()
        })
        .await
    }

    /// Whether a component was ever in force in a slot.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn was_in_force(&self, slot: &str, digest: &[u8; 32]) -> Result<bool, StoreError> {
        named("look for a component", async {
            let (found,): (bool,) = sqlx::query_as(
                "SELECT EXISTS (SELECT 1 FROM generation WHERE slot = ?1 AND digest = ?2)",
            )
            .bind(slot)
            .bind(digest.as_slice())
            .fetch_one(&self.readers)
            .await?;
            Ok(found)
        })
        .await
    }

    /// One generation.
    ///
    /// # Errors
    /// When it is unknown, or the database cannot be read.
    pub async fn generation(&self, id: GenerationId) -> Result<Generation, StoreError> {
        named("read a generation", async {
            let row: Option<Columns> = sqlx::query_as(select_generations!("WHERE id = ?1"))
                .bind(id.0)
                .fetch_optional(&self.readers)
                .await?;
            row.map(generation).ok_or(StoreError::UnknownGeneration(id.0))?
        })
        .await
    }

    /// The last share an accruing generation before this one was responsible for: it paid
    /// everything up to there. 0 if none came before. A hybrid pays all but fees, so the
    /// windows of later hybrids, which divide fees only, may still reach behind it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn paid_floor(&self, id: GenerationId) -> Result<u64, StoreError> {
        named("find the paid shares", async {
            let (seq,): (i64,) = sqlx::query_as(
                "SELECT coalesce(max(
                     (SELECT next.from_seq FROM generation AS next
                      WHERE next.slot = earlier.slot AND next.id > earlier.id
                      ORDER BY next.id LIMIT 1)), 0)
                 FROM generation AS earlier JOIN generation AS this ON this.slot = earlier.slot
                 WHERE this.id = ?1 AND earlier.id < this.id
                   AND (earlier.kind = 'accrue' OR earlier.kind = 'hybrid' AND this.kind <> 'hybrid')",
            )
            .bind(id.0)
            .fetch_one(&self.readers)
            .await?;
            uint("a sequence number", seq)
        })
        .await
    }
}

/// Writes a generation behind its predecessor and not behind the log's end.
pub(crate) async fn insert(
    tx: &mut SqliteConnection,
    new: &NewGeneration,
    now_ms: u64,
) -> Result<GenerationId, StoreError> {
    let latest = last_seq(tx).await?;
    let (earliest,): (i64,) =
        sqlx::query_as("SELECT coalesce(max(from_seq), 0) FROM generation WHERE slot = ?1")
            .bind(&new.slot)
            .fetch_one(&mut *tx)
            .await?;
    let earliest = uint("a sequence number", earliest)?;
    if !(earliest..=latest).contains(&new.from_seq) {
        let from_seq = new.from_seq;
        return Err(StoreError::GenerationOrder { from_seq, earliest, latest });
    }
    let (id,): (i64,) = sqlx::query_as(
        "INSERT INTO generation (slot, digest, name, version, config, kind, from_seq,
                                 state_version, state, first_state, begun_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING id",
    )
    .bind(&new.slot)
    .bind(new.digest.as_slice())
    .bind(&new.name)
    .bind(&new.version)
    .bind(&new.config)
    .bind(new.kind.map(SchemeKind::name))
    .bind(int("sequence number", new.from_seq)?)
    .bind(new.state_version)
    .bind(&new.state)
    .bind(Hash256::of_state(&new.state).as_bytes().as_slice())
    .bind(int("time", now_ms)?)
    .fetch_one(&mut *tx)
    .await?;
    Ok(GenerationId(uint32("a generation's id", id)?))
}

/// The payout generation that settles a block at a place in the log: the one that was in
/// force at its last share before the block. What a rolled back scheme did not divide is its
/// successor's; what it paid share by share stays its own.
pub(crate) async fn payout_generation_at(
    tx: &mut SqliteConnection,
    seq: u64,
) -> Result<GenerationId, StoreError> {
    let found: Option<(i64,)> = sqlx::query_as(
        "SELECT id FROM generation
         WHERE slot = 'payout'
           AND id >= coalesce((SELECT max(id) FROM generation
                               WHERE slot = 'payout' AND from_seq < ?1), 0)
           AND (rolled_back IS NULL OR kind <> 'distribute')
         ORDER BY id LIMIT 1",
    )
    .bind(int("sequence number", seq)?)
    .fetch_optional(tx)
    .await?;
    let (id,) = found.ok_or(StoreError::NoGeneration)?;
    Ok(GenerationId(uint32("a generation's id", id)?))
}

fn generation(row: Columns) -> Result<Generation, StoreError> {
    let digest = row.digest.try_into().expect("the schema checks the length of digests");
    let settings = row.settings.map(|hash| hash.try_into().expect("the schema checks its length"));
    let time = |at: Option<i64>| at.map(|at| uint("a time", at)).transpose();
    Ok(Generation {
        id: GenerationId(uint32("a generation's id", row.id)?),
        facts: NewGeneration {
            slot: row.slot,
            digest,
            name: row.name,
            version: row.version,
            config: row.config,
            kind: row.kind.as_deref().map(kind_of).transpose()?,
            from_seq: uint("a sequence number", row.from_seq)?,
            state_version: uint32("a state version", row.state_version)?,
            state: row.state,
        },
        begun_at_ms: uint("a time", row.begun_ms)?,
        life: Life {
            grants: row.grants.split_whitespace().map(str::to_owned).collect(),
            begun_by: row.begun_by,
            settings,
            proven_at_ms: time(row.proven_ms)?,
            ended_at_ms: time(row.ended_ms)?,
            rolled_back: row.rolled_back,
        },
    })
}

fn kind_of(name: &str) -> Result<SchemeKind, StoreError> {
    [SchemeKind::Distribute, SchemeKind::Accrue, SchemeKind::Hybrid]
        .into_iter()
        .find(|kind| kind.name() == name)
        .ok_or_else(|| StoreError::Corrupt(format!("a scheme of kind {name}")))
}
