//! Values a slot's component keeps, with a quota. Time is the caller's; what has expired is
//! gone for readers at once, and from the disk with the slot's next write.

use sqlx::SqliteConnection;

use crate::number::int;
use crate::store::named;
use crate::{Store, StoreError};

/// How much a slot may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvQuota {
    /// So many keys.
    pub keys: u32,
    /// So many bytes, keys and values together.
    pub bytes: u64,
}

/// Why a value was not kept.
#[derive(Debug, thiserror::Error)]
pub enum KvFailure {
    /// The slot has as much as it may.
    #[error("the slot's quota is used up")]
    Quota,
    /// The value is none that [`Store::kv_add`] made.
    #[error("the value is no counter")]
    NotANumber,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// The value under a key; a counter's is its number in decimal digits.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn kv_get(
        &self,
        slot: &str,
        key: &str,
        now_ms: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        named("read a component's value", async {
            let found: Option<(Vec<u8>,)> = sqlx::query_as(
                "SELECT value FROM kv
                 WHERE slot = ?1 AND key = ?2 AND (expires_ms IS NULL OR expires_ms > ?3)",
            )
            .bind(slot)
            .bind(key)
            .bind(int("time", now_ms)?)
            .fetch_optional(&self.readers)
            .await?;
            Ok(found.map(|(value,)| value))
        })
        .await
    }

    /// Keeps a value; `expires_ms` of `None` keeps it until it is overwritten.
    ///
    /// # Errors
    /// When the quota would be exceeded (nothing changes), or the database cannot be written.
    pub async fn kv_set(
        &self,
        (slot, key): (&str, &str),
        value: &[u8],
        expires_ms: Option<u64>,
        quota: KvQuota,
        now_ms: u64,
    ) -> Result<(), KvFailure> {
        let within = named("keep a component's value", async {
            let _turn = self.patient.lock().await;
            let mut tx = self.begin().await?;
            forget_expired(&mut tx, slot, now_ms).await?;
            put(&mut tx, (slot, key), value, false, expires_ms).await?;
            if !within(&mut tx, slot, quota).await? {
                return Ok(false);
            }
            tx.commit().await?;
            Ok(true)
        })
        .await?;
        if within { Ok(()) } else { Err(KvFailure::Quota) }
    }

    /// Adds to a counter, which begins at 0, and gives what it has become; it stops at the
    /// ends of its range. `expires_ms` holds for a counter that begins.
    ///
    /// # Errors
    /// When the key has a value that is no counter, when the quota would be exceeded, or when
    /// the database cannot be written. Nothing changes then.
    pub async fn kv_add(
        &self,
        (slot, key): (&str, &str),
        delta: i64,
        expires_ms: Option<u64>,
        quota: KvQuota,
        now_ms: u64,
    ) -> Result<i64, KvFailure> {
        named("add to a component's counter", async {
            let _turn = self.patient.lock().await;
            let mut tx = self.begin().await?;
            forget_expired(&mut tx, slot, now_ms).await?;
            let before: Option<(Vec<u8>, bool, Option<i64>)> = sqlx::query_as(
                "SELECT value, counter, expires_ms FROM kv WHERE slot = ?1 AND key = ?2",
            )
            .bind(slot)
            .bind(key)
            .fetch_optional(&mut *tx)
            .await?;
            let (number, expires_ms) = match &before {
                None => (0, expires_ms),
                Some((value, true, expires)) => {
                    let expires = expires.map(|expires| u64::try_from(expires).unwrap_or(0));
                    match std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()) {
                        Some(number) => (number, expires),
                        None => return Ok(Err(KvFailure::NotANumber)),
                    }
                }
                Some((_, false, _)) => return Ok(Err(KvFailure::NotANumber)),
            };
            let number: i64 = i64::saturating_add(number, delta);
            put(&mut tx, (slot, key), number.to_string().as_bytes(), true, expires_ms).await?;
            if !within(&mut tx, slot, quota).await? {
                return Ok(Err(KvFailure::Quota));
            }
            tx.commit().await?;
            Ok(Ok(number))
        })
        .await?
    }

    /// Forgets a key.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn kv_delete(&self, slot: &str, key: &str) -> Result<(), StoreError> {
        named("forget a component's value", async {
            let _turn = self.patient.lock().await;
            let mut tx = self.begin().await?;
            sqlx::query("DELETE FROM kv WHERE slot = ?1 AND key = ?2")
                .bind(slot)
                .bind(key)
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

async fn forget_expired(
    tx: &mut SqliteConnection,
    slot: &str,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM kv WHERE slot = ?1 AND expires_ms <= ?2")
        .bind(slot)
        .bind(int("time", now_ms)?)
        .execute(tx)
        .await?;
    Ok(())
}

async fn put(
    tx: &mut SqliteConnection,
    (slot, key): (&str, &str),
    value: &[u8],
    counter: bool,
    expires_ms: Option<u64>,
) -> Result<(), StoreError> {
    let expires_ms = expires_ms.map(|expires| int("time", expires)).transpose()?;
    sqlx::query(
        "INSERT INTO kv (slot, key, value, counter, expires_ms) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (slot, key) DO UPDATE SET value = excluded.value,
             counter = excluded.counter, expires_ms = excluded.expires_ms",
    )
    .bind(slot)
    .bind(key)
    .bind(value)
    .bind(counter)
    .bind(expires_ms)
    .execute(tx)
    .await?;
    Ok(())
}

async fn within(tx: &mut SqliteConnection, slot: &str, quota: KvQuota) -> Result<bool, StoreError> {
    let (keys, bytes): (i64, i64) =
        sqlx::query_as("SELECT keys, bytes FROM kv_usage WHERE slot = ?1")
            .bind(slot)
            .fetch_one(tx)
            .await?;
    Ok(keys <= i64::from(quota.keys) && bytes <= int("bytes", quota.bytes)?)
}
