//! The books: transfers, and what they make of each account. A transfer is booked once,
//! never changed, never deleted.

use chimera_ledger::{Account, Amount, Transfer};
use sqlx::SqliteConnection;

use crate::number::{int, paired, uint};
use crate::rows::{Cell, Rows};
use crate::store::named;
use crate::workers::account;
use crate::{Store, StoreError};

/// Both sides of an account, in base units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Whose.
    pub account: Account,
    /// Sum of the transfers that took from it.
    pub debits: u128,
    /// Sum of the transfers that gave to it.
    pub credits: u128,
}

impl Balance {
    /// What it holds; below zero for `chain:reward`, and for a reserve that advanced more
    /// than it received. Saturates beyond 127 bits.
    pub fn units(&self) -> i128 {
        let side = |sum: u128| i128::try_from(sum).unwrap_or(i128::MAX);
        side(self.credits) - side(self.debits)
    }
}

/// What a verification of the books went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Books {
    /// Accounts compared.
    pub accounts: u64,
    /// Transfers added up.
    pub transfers: u64,
    /// Sum of all of them, in base units.
    pub moved: u128,
}

impl Store {
    /// Every account that money ever touched, in order of their names.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn balances(&self) -> Result<Vec<Balance>, StoreError> {
        named("list balances", async {
            let rows: Vec<(String, i64, i64, i64, i64)> = sqlx::query_as(
                "SELECT name, debits_hi, debits_lo, credits_hi, credits_lo FROM account
                 WHERE debits_hi + debits_lo + credits_hi + credits_lo > 0 ORDER BY name",
            )
            .fetch_all(&self.readers)
            .await?;
            rows.into_iter()
                .map(|(name, debits_high, debits_low, credits_high, credits_low)| {
                    Ok(Balance {
                        account: account(&name)?,
                        debits: paired("debits", debits_high, debits_low)?,
                        credits: paired("credits", credits_high, credits_low)?,
                    })
                })
                .collect()
        })
        .await
    }

    /// One account; zero on both sides if money never touched it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn balance(&self, account: &Account) -> Result<Balance, StoreError> {
        named("read a balance", async {
            let mut connection = self.readers.acquire().await?;
            read_balance(&mut connection, account).await
        })
        .await
    }

    /// Adds up all transfers and compares them with what each account keeps. All
    /// balances together are zero because every transfer has two sides.
    ///
    /// # Errors
    /// At the first account that disagrees; or when the database cannot be read.
    pub async fn verify_books(&self) -> Result<Books, StoreError> {
        named("verify the books", async {
            // Halves of 31 and 32 bits: sums of either stay exact for 2^31 transfers.
            type Row = (String, i64, i64, i64, i64, i64, i64, i64, i64, i64);
            let rows: Vec<Row> = sqlx::query_as(
                "SELECT name, debits_hi, debits_lo, credits_hi, credits_lo,
                     coalesce(taken.high, 0), coalesce(taken.low, 0), coalesce(taken.count, 0),
                     coalesce(given.high, 0), coalesce(given.low, 0)
                 FROM account
                 LEFT JOIN (SELECT debit, sum(amount >> 31) AS high,
                                   sum(amount & 2147483647) AS low, count(*) AS count
                            FROM transfer GROUP BY debit) AS taken ON taken.debit = account.id
                 LEFT JOIN (SELECT credit, sum(amount >> 31) AS high,
                                   sum(amount & 2147483647) AS low
                            FROM transfer GROUP BY credit) AS given ON given.credit = account.id
                 ORDER BY name",
            )
            .fetch_all(&self.readers)
            .await?;
            let halves = |high: i64, low: i64| -> Result<u128, StoreError> {
                let high = u128::from(uint("a sum", high)?) << 31;
                Ok(high + u128::from(uint("a sum", low)?))
            };
            let mut books = Books { accounts: rows.len() as u64, transfers: 0, moved: 0 };
            let mut received = 0;
            for row in rows {
                let (debits, credits) =
                    (paired("debits", row.1, row.2)?, paired("credits", row.3, row.4)?);
                let (debits_found, credits_found) = (halves(row.5, row.6)?, halves(row.8, row.9)?);
                if (debits, credits) != (debits_found, credits_found) {
                    let account = row.0;
                    return Err(StoreError::BooksDisagree {
                        account,
                        debits,
                        credits,
                        debits_found,
                        credits_found,
                    });
                }
                books.transfers += uint("a count", row.7)?;
                books.moved += debits;
                received += credits;
            }
            if books.moved == received {
                return Ok(books);
            }
            let moved = books.moved;
            Err(StoreError::Corrupt(format!("{moved} was taken but {received} was given")))
        })
        .await
    }
}

/// One account as this connection sees it.
pub(crate) async fn read_balance(
    connection: &mut SqliteConnection,
    account: &Account,
) -> Result<Balance, StoreError> {
    let row: Option<(i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT debits_hi, debits_lo, credits_hi, credits_lo FROM account WHERE name = ?1",
    )
    .bind(account.to_string())
    .fetch_optional(connection)
    .await?;
    let (debits_high, debits_low, credits_high, credits_low) = row.unwrap_or_default();
    Ok(Balance {
        account: account.clone(),
        debits: paired("debits", debits_high, debits_low)?,
        credits: paired("credits", credits_high, credits_low)?,
    })
}

/// Books new transfers under a settlement and moves the sums of their accounts.
pub(crate) async fn book(
    tx: &mut SqliteConnection,
    settlement: i64,
    transfers: &[Transfer],
    now_ms: u64,
) -> Result<(), StoreError> {
    let (mut accounts, mut rows) = (Rows::new(), Rows::new());
    let mut before = None;
    for transfer in transfers {
        let (debit, credit) = (transfer.debit.to_string(), transfer.credit.to_string());
        // Most of a settlement comes out of one account, which needs to be made once.
        if before != Some(&transfer.debit) {
            accounts.push(&[Cell::Text(&debit)]);
            before = Some(&transfer.debit);
        }
        accounts.push(&[Cell::Text(&credit)]);
        rows.push(&[
            Cell::Text(&transfer.key),
            Cell::Text(&debit),
            Cell::Text(&credit),
            Cell::Int(int("amount", transfer.amount.units())?),
            Cell::Text(transfer.reason.name()),
        ]);
    }
    let (last,): (i64,) =
        sqlx::query_as("SELECT coalesce(max(number), 0) FROM transfer").fetch_one(&mut *tx).await?;
    sqlx::query(
        "INSERT INTO account (name) SELECT value ->> 0 FROM json_each(?1) WHERE true
         ON CONFLICT DO NOTHING",
    )
    .bind(accounts.finish())
    .execute(&mut *tx)
    .await?;
    sqlx::query(
        "INSERT INTO transfer (key, debit, credit, amount, reason, settlement, booked_ms)
         SELECT value ->> 0, debit.id, credit.id, value ->> 3, value ->> 4, ?2, ?3
         FROM json_each(?1)
         JOIN account AS debit ON debit.name = value ->> 1
         JOIN account AS credit ON credit.name = value ->> 2
         ORDER BY json_each.key",
    )
    .bind(rows.finish())
    .bind(settlement)
    .bind(int("time", now_ms)?)
    .execute(&mut *tx)
    .await?;
    // Not indexed: the new rows are the last ones, however long the history is.
    for side in [
        "UPDATE account SET
             debits_hi = debits_hi + new.high + ((debits_lo + new.low) >> 40),
             debits_lo = (debits_lo + new.low) & 1099511627775
         FROM (SELECT debit AS id, sum(amount >> 40) AS high, sum(amount & 1099511627775) AS low
               FROM transfer NOT INDEXED WHERE number > ?1 GROUP BY debit) AS new
         WHERE account.id = new.id",
        "UPDATE account SET
             credits_hi = credits_hi + new.high + ((credits_lo + new.low) >> 40),
             credits_lo = (credits_lo + new.low) & 1099511627775
         FROM (SELECT credit AS id, sum(amount >> 40) AS high, sum(amount & 1099511627775) AS low
               FROM transfer NOT INDEXED WHERE number > ?1 GROUP BY credit) AS new
         WHERE account.id = new.id",
    ] {
        sqlx::query(side).bind(last).execute(&mut *tx).await?;
    }
    Ok(())
}

/// The transfers of a settlement, reversals included, in the order they were booked.
pub(crate) async fn read_transfers(
    connection: &mut SqliteConnection,
    settlement: i64,
) -> Result<Vec<Transfer>, StoreError> {
    let rows: Vec<(String, String, String, i64, String)> = sqlx::query_as(
        "SELECT transfer.key, debit.name, credit.name, transfer.amount, transfer.reason
         FROM transfer
         JOIN account AS debit ON debit.id = transfer.debit
         JOIN account AS credit ON credit.id = transfer.credit
         WHERE transfer.settlement = ?1 ORDER BY transfer.number",
    )
    .bind(settlement)
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(key, debit, credit, amount, reason)| {
            Ok(Transfer {
                key,
                debit: account(&debit)?,
                credit: account(&credit)?,
                amount: Amount::from_units(uint("an amount", amount)?),
                reason: reason.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))?,
            })
        })
        .collect()
}
