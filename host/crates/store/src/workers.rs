//! Workers and their accounts: who a share belongs to.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use chimera_ledger::{Account, AccountName};
use chimera_work::WorkerId;
use sqlx::SqliteConnection;

use crate::gather::Gather;
use crate::number::{int, uint32};
use crate::rows::{Cell, Rows};
use crate::store::named;
use crate::{ShareRecord, Store, StoreError};

/// Longest name of a worker: what a miner calls a machine.
pub const WORKER_NAME_BYTES_MAX: usize = 128;

/// Names looked up by one query.
const LOOKED_UP_MAX: usize = 1_000;
/// Workers registered by one transaction: shares wait for it, some milliseconds.
const REGISTERED_MAX: usize = 500;

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

/// Who is on record, and who is about to be.
#[derive(Debug)]
pub(crate) struct Register {
    /// The highest id known to be on record.
    newest: AtomicU32,
    lookups: Gather<Name, Option<WorkerId>>,
    registrations: Gather<Name, WorkerId>,
}

impl Register {
    pub(crate) fn new(newest: u32) -> Self {
        Self {
            newest: AtomicU32::new(newest),
            lookups: Gather::new(LOOKED_UP_MAX),
            registrations: Gather::new(REGISTERED_MAX),
        }
    }
}

/// A worker that may be new.
#[derive(Debug, Clone)]
struct Name {
    /// As the account table has it.
    account: String,
    worker: String,
    now: i64,
}

impl Store {
    /// The worker of that name, put on record if it is new. The id never changes. Many calls at
    /// once share a query and a transaction.
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
        let name = Name { account, worker: worker.to_owned(), now: int("time", now_ms)? };
        // Reconnecting miners are known: no write, no wait for the writer.
        let looked_up = self.register.lookups.ask(name.clone(), |names| self.look_up(names));
        if let Some(known) = looked_up.await? {
            return Ok(known);
        }
        self.register.registrations.ask(name, |names| self.register_all(names)).await
    }

    async fn look_up(&self, names: Vec<Name>) -> Result<Vec<Option<WorkerId>>, StoreError> {
        named("look up workers", async {
            let mut connection = self.readers.acquire().await?;
            look_up(&mut connection, &names).await
        })
        .await
    }

    /// Puts those on record that are not.
    async fn register_all(&self, names: Vec<Name>) -> Result<Vec<WorkerId>, StoreError> {
        named("register workers", async {
            let _turn = self.patient.lock().await;
            let mut tx = self.begin().await?;
            let rows = rows(&names);
            for statement in [
                "INSERT INTO account (name)
                 SELECT DISTINCT value ->> 0 FROM json_each(?1) WHERE true
                 ON CONFLICT (name) DO NOTHING",
                "INSERT INTO worker (account, name, created_ms)
                 SELECT account.id, asked.value ->> 1, asked.value ->> 2
                 FROM json_each(?1) AS asked CROSS JOIN account ON account.name = asked.value ->> 0
                 WHERE true ORDER BY asked.key
                 ON CONFLICT (account, name) DO NOTHING",
            ] {
                sqlx::query(statement).bind(&rows).execute(&mut *tx).await?;
            }
            let registered = look_up(&mut tx, &names).await?;
            let newest = newest_worker(&mut tx).await?;
            tx.commit().await?;
            self.register.newest.fetch_max(newest, Ordering::AcqRel);
            let missing =
                || StoreError::Corrupt("a worker is missing that was just made".to_owned());
            registered.into_iter().map(|worker| worker.ok_or_else(missing)).collect()
        })
        .await
    }

    /// Whether all of them are on record. Ids have no gaps, and nobody is ever deleted.
    pub(crate) async fn check_workers(&self, shares: &[ShareRecord]) -> Result<(), StoreError> {
        let stranger = || {
            let newest = self.register.newest.load(Ordering::Acquire);
            shares.iter().find(|share| !(1..=newest).contains(&share.worker.0))
        };
        if stranger().is_none() {
            return Ok(());
        }
        // A registration whose caller went away may have come to its end unseen.
        let newest = newest_worker(&mut *self.readers.acquire().await?).await?;
        self.register.newest.fetch_max(newest, Ordering::AcqRel);
        stranger().map_or(Ok(()), |share| Err(StoreError::UnknownWorker(share.worker)))
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

/// The highest worker id on record; 0 if there is none.
pub(crate) async fn newest_worker(connection: &mut SqliteConnection) -> Result<u32, StoreError> {
    let (newest,): (i64,) =
        sqlx::query_as("SELECT coalesce(max(id), 0) FROM worker").fetch_one(connection).await?;
    uint32("a worker's id", newest)
}

fn rows(names: &[Name]) -> String {
    let mut rows = Rows::new();
    for Name { account, worker, now } in names {
        rows.push(&[Cell::Text(account), Cell::Text(worker), Cell::Int(*now)]);
    }
    rows.finish()
}

async fn look_up(
    connection: &mut SqliteConnection,
    names: &[Name],
) -> Result<Vec<Option<WorkerId>>, StoreError> {
    let known: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT asked.key, worker.id
         FROM json_each(?1) AS asked
         CROSS JOIN account ON account.name = asked.value ->> 0
         CROSS JOIN worker ON worker.account = account.id AND worker.name = asked.value ->> 1",
    )
    .bind(rows(names))
    .fetch_all(connection)
    .await?;
    let mut ids = vec![None; names.len()];
    for (place, id) in known {
        let place = usize::try_from(place).ok().and_then(|place| ids.get_mut(place));
        *place.expect("an answer to what was asked") = Some(WorkerId(uint32("a worker's id", id)?));
    }
    Ok(ids)
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
