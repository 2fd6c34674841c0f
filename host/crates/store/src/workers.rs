//! Workers and their accounts: who a share belongs to.

use std::collections::BTreeMap;

use chimera_ledger::{Account, AccountName};
use chimera_work::WorkerId;
use sqlx::SqliteConnection;

use crate::number::{int, uint32};
use crate::store::named;
use crate::{Store, StoreError};

/// Longest name of a worker: what a miner calls a machine.
pub const WORKER_NAME_BYTES_MAX: usize = 128;

/// A worker on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// What its shares carry.
    pub id: WorkerId,
    /// Whom its work is paid to.
    pub account: AccountName,
    /// What the miner calls it; may be empty.
    pub name: String,
}

impl Store {
    /// The worker of that name, put on record if it is new. The id never changes.
    ///
    /// # Errors
    /// When a name cannot be used, or the database cannot be written.
    pub async fn worker(
        &self,
        account: &str,
        worker: &str,
        now_ms: u64,
    ) -> Result<WorkerId, StoreError> {
        let account = Account::Miner(AccountName::new(account)?).to_string();
        if worker.len() > WORKER_NAME_BYTES_MAX || worker.contains(char::is_control) {
            let max = WORKER_NAME_BYTES_MAX;
            return Err(StoreError::BadWorkerName { bytes: worker.len(), max });
        }
        named("register a worker", async {
            // Reconnecting miners are known: no write, no wait for the writer.
            let known: Option<(i64,)> = sqlx::query_as(
                "SELECT worker.id FROM worker JOIN account ON account.id = worker.account
                 WHERE account.name = ?1 AND worker.name = ?2",
            )
            .bind(&account)
            .bind(worker)
            .fetch_optional(&self.readers)
            .await?;
            if let Some((id,)) = known {
                return Ok(WorkerId(uint32("a worker's id", id)?));
            }
            let _turn = self.registering.lock().await;
            let mut tx = self.begin().await?;
            sqlx::query("INSERT INTO account (name) VALUES (?1) ON CONFLICT DO NOTHING")
                .bind(&account)
                .execute(&mut *tx)
                .await?;
            let (id,): (i64,) = sqlx::query_as(
                "INSERT INTO worker (account, name, created_ms)
                 SELECT id, ?2, ?3 FROM account WHERE name = ?1
                 ON CONFLICT (account, name) DO UPDATE SET name = excluded.name
                 RETURNING id",
            )
            .bind(&account)
            .bind(worker)
            .bind(int("time", now_ms)?)
            .fetch_one(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(WorkerId(uint32("a worker's id", id)?))
        })
        .await
    }

    /// All workers on record, in order of their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn workers(&self) -> Result<Vec<Worker>, StoreError> {
        named("list workers", async {
            let rows: Vec<(i64, String, String)> = sqlx::query_as(
                "SELECT worker.id, account.name, worker.name
                 FROM worker JOIN account ON account.id = worker.account ORDER BY worker.id",
            )
            .fetch_all(&self.readers)
            .await?;
            rows.into_iter()
                .map(|(id, account, name)| {
                    let id = WorkerId(uint32("a worker's id", id)?);
                    Ok(Worker { id, account: miner(&account)?, name })
                })
                .collect()
        })
        .await
    }

    /// Sets what is added to the scheme's fee for an account, parts per million; a negative
    /// number is a bonus.
    ///
    /// # Errors
    /// When it is beyond one million, or the database cannot be written.
    pub async fn set_fee_ppm(&self, account: &AccountName, fee_ppm: i32) -> Result<(), StoreError> {
        named("set a fee", async {
            let mut tx = self.begin().await?;
            set_fee(&mut tx, account, fee_ppm).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    /// Sets the fees of the accounts given, and sets those of all others back to nothing, all
    /// at once: no settlement sees half of them.
    ///
    /// # Errors
    /// As [`Store::set_fee_ppm`]; then nothing changes.
    pub async fn set_all_fees_ppm(
        &self,
        fees: &BTreeMap<AccountName, i32>,
    ) -> Result<(), StoreError> {
        named("set all fees", async {
            let mut tx = self.begin().await?;
            sqlx::query("UPDATE account SET fee_ppm = 0 WHERE fee_ppm <> 0")
                .execute(&mut *tx)
                .await?;
            for (account, fee_ppm) in fees {
                set_fee(&mut tx, account, *fee_ppm).await?;
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

async fn set_fee(
    tx: &mut SqliteConnection,
    account: &AccountName,
    fee_ppm: i32,
) -> Result<(), StoreError> {
    if fee_ppm.unsigned_abs() > 1_000_000 {
        let (value, max) = (fee_ppm.unsigned_abs().into(), 1_000_000);
        return Err(StoreError::TooLarge { what: "fee in parts per million", value, max });
    }
    sqlx::query(
        "INSERT INTO account (name, fee_ppm) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET fee_ppm = excluded.fee_ppm",
    )
    .bind(Account::Miner(account.clone()).to_string())
    .bind(fee_ppm)
    .execute(tx)
    .await?;
    Ok(())
}

/// The account a stored text names.
pub(crate) fn account(text: &str) -> Result<Account, StoreError> {
    text.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))
}

/// The miner a stored text names.
pub(crate) fn miner(text: &str) -> Result<AccountName, StoreError> {
    match account(text)? {
        Account::Miner(name) => Ok(name),
        other => Err(StoreError::Corrupt(format!("{other} has workers"))),
    }
}
