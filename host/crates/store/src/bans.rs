//! Addresses nobody is let in from, over restarts. Time is the caller's; what has expired is
//! gone from the disk with the next ban, or when the list is read.

use std::net::IpAddr;

use sqlx::SqliteConnection;

use crate::number::{int, uint};
use crate::store::named;
use crate::{Store, StoreError};

/// Who banned an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BanSource {
    /// A person.
    Operator,
    /// The pool, for what was sent.
    Conduct,
    /// The auth component.
    Auth,
}

impl BanSource {
    const ALL: [Self; 3] = [Self::Operator, Self::Conduct, Self::Auth];

    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Conduct => "conduct",
            Self::Auth => "auth",
        }
    }
}

/// A ban.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanRow {
    /// Whom; IPv4 in IPv6 is kept as IPv4.
    pub address: IpAddr,
    /// When it ends, ms since the Unix epoch; `None` is never.
    pub until_ms: Option<u64>,
    /// Why.
    pub reason: String,
    /// By whom.
    pub source: BanSource,
    /// Since when, ms since the Unix epoch.
    pub created_ms: u64,
}

impl BanRow {
    /// Whether it has ended.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until_ms| until_ms <= now_ms)
    }

    /// Whether it takes the place of another one of the same address: the operator's always,
    /// any other only if it lasts longer than one that is not the operator's.
    pub fn replaces(&self, other: &Self) -> bool {
        self.source == BanSource::Operator
            || other.is_over(self.created_ms)
            || other.source != BanSource::Operator
                && other.until_ms.is_some_and(|until_ms| {
                    self.until_ms.is_none_or(|longer_ms| longer_ms > until_ms)
                })
    }
}

impl Store {
    /// Keeps a ban, unless one that counts more is kept; true if it is.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn set_ban(&self, ban: &BanRow) -> Result<bool, StoreError> {
        named("keep a ban", async {
            let until_ms = ban.until_ms.map(|until_ms| int("time", until_ms)).transpose()?;
            let mut tx = self.begin().await?;
            forget_expired(&mut tx, ban.created_ms).await?;
            // As `BanRow::replaces`.
            let done = sqlx::query(
                "INSERT INTO ban (address, until_ms, reason, source, created_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (address) DO UPDATE SET until_ms = excluded.until_ms,
                     reason = excluded.reason, source = excluded.source,
                     created_ms = excluded.created_ms
                 WHERE excluded.source = 'operator'
                    OR ban.source <> 'operator' AND ban.until_ms IS NOT NULL
                       AND (excluded.until_ms IS NULL OR excluded.until_ms > ban.until_ms)",
            )
            .bind(ban.address.to_canonical().to_string())
            .bind(until_ms)
            .bind(&ban.reason)
            .bind(ban.source.name())
            .bind(int("time", ban.created_ms)?)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }

    /// Forgets a ban; false if there was none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn lift_ban(&self, address: IpAddr) -> Result<bool, StoreError> {
        named("lift a ban", async {
            let mut tx = self.begin().await?;
            let done = sqlx::query("DELETE FROM ban WHERE address = ?1")
                .bind(address.to_canonical().to_string())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(done.rows_affected() > 0)
        })
        .await
    }

    /// Every ban in force, oldest first.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn bans(&self, now_ms: u64) -> Result<Vec<BanRow>, StoreError> {
        named("read the bans", async {
            let mut tx = self.begin().await?;
            forget_expired(&mut tx, now_ms).await?;
            tx.commit().await?;
            let rows: Vec<(String, Option<i64>, String, String, i64)> = sqlx::query_as(
                "SELECT address, until_ms, reason, source, created_ms FROM ban
                 ORDER BY created_ms, address",
            )
            .fetch_all(&self.readers)
            .await?;
            rows.into_iter()
                .map(|(address, until_ms, reason, source, created_ms)| {
                    let found = BanSource::ALL.into_iter().find(|known| known.name() == source);
                    let corrupt = |what| StoreError::Corrupt(format!("a ban {what}"));
                    Ok(BanRow {
                        address: address.parse().map_err(|_| corrupt("of no address"))?,
                        until_ms: until_ms.map(|until_ms| uint("time", until_ms)).transpose()?,
                        reason,
                        source: found.ok_or_else(|| corrupt("by nobody known"))?,
                        created_ms: uint("time", created_ms)?,
                    })
                })
                .collect()
        })
        .await
    }
}

async fn forget_expired(tx: &mut SqliteConnection, now_ms: u64) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM ban WHERE until_ms <= ?1")
        .bind(int("time", now_ms)?)
        .execute(tx)
        .await?;
    Ok(())
}
