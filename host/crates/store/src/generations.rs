//! Which component decided from when on: a generation is a component with a canonical
//! configuration, in force from a place in the share log. A block is settled by the
//! generation that was in force when it was found, however many followed.

use chimera_ledger::SchemeKind;

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
}

/// Columns of a generation, in the order [`generation`] reads them.
type Row = (i64, String, Vec<u8>, String, String, String, Option<String>, i64, i64, Vec<u8>, i64);

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
            let latest = last_seq(&mut tx).await?;
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
                                         state_version, state, begun_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) RETURNING id",
            )
            .bind(&new.slot)
            .bind(new.digest.as_slice())
            .bind(&new.name)
            .bind(&new.version)
            .bind(&new.config)
            .bind(new.kind.map(kind_name))
            .bind(int("sequence number", new.from_seq)?)
            .bind(new.state_version)
            .bind(&new.state)
            .bind(int("time", now_ms)?)
            .fetch_one(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(GenerationId(uint32("a generation's id", id)?))
        })
        .await
    }

    /// The generation in force in a slot.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn generation_current(&self, slot: &str) -> Result<Option<Generation>, StoreError> {
        Ok(self.generations(slot).await?.pop())
    }

    /// All generations of a slot, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn generations(&self, slot: &str) -> Result<Vec<Generation>, StoreError> {
        named("list generations", async {
            let rows: Vec<Row> = sqlx::query_as(
                "SELECT id, slot, digest, name, version, config, kind, from_seq, state_version,
                        state, begun_ms
                 FROM generation WHERE slot = ?1 ORDER BY id",
            )
            .bind(slot)
            .fetch_all(&self.readers)
            .await?;
            rows.into_iter().map(generation).collect()
        })
        .await
    }

    /// One generation.
    ///
    /// # Errors
    /// When it is unknown, or the database cannot be read.
    pub async fn generation(&self, id: GenerationId) -> Result<Generation, StoreError> {
        named("read a generation", async {
            let row: Option<Row> = sqlx::query_as(
                "SELECT id, slot, digest, name, version, config, kind, from_seq, state_version,
                        state, begun_ms
                 FROM generation WHERE id = ?1",
            )
            .bind(id.0)
            .fetch_optional(&self.readers)
            .await?;
            row.map(generation).ok_or(StoreError::UnknownGeneration(id.0))?
        })
        .await
    }

    /// The last share an accruing generation before this one was responsible for: it paid
    /// everything up to there. 0 if none came before.
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
                 WHERE this.id = ?1 AND earlier.id < this.id AND earlier.kind = 'accrue'",
            )
            .bind(id.0)
            .fetch_one(&self.readers)
            .await?;
            uint("a sequence number", seq)
        })
        .await
    }
}

fn generation(row: Row) -> Result<Generation, StoreError> {
    let (id, slot, digest, name, version, config, kind, from_seq, state_version, state, begun) =
        row;
    let digest = digest.try_into().expect("the schema checks the length of digests");
    Ok(Generation {
        id: GenerationId(uint32("a generation's id", id)?),
        facts: NewGeneration {
            slot,
            digest,
            name,
            version,
            config,
            kind: kind.as_deref().map(kind_of).transpose()?,
            from_seq: uint("a sequence number", from_seq)?,
            state_version: uint32("a state version", state_version)?,
            state,
        },
        begun_at_ms: uint("a time", begun)?,
    })
}

const fn kind_name(kind: SchemeKind) -> &'static str {
    match kind {
        SchemeKind::Distribute => "distribute",
        SchemeKind::Accrue => "accrue",
    }
}

fn kind_of(name: &str) -> Result<SchemeKind, StoreError> {
    match name {
        "distribute" => Ok(SchemeKind::Distribute),
        "accrue" => Ok(SchemeKind::Accrue),
        _ => Err(StoreError::Corrupt(format!("a scheme of kind {name}"))),
    }
}
