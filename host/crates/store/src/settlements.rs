//! Settling: a checked distribution becomes transfers, in one transaction with the
//! scheme's next state and the block's. The key decides whether it happened already.

use chimera_ledger::{Account, BlockState, Hash256, Transfer};
use sqlx::SqliteConnection;

use crate::blocks::{check_move, read_block};
use crate::books::{book, read_balance, read_transfers};
use crate::number::{int, uint, uint32};
use crate::records::{NewRecord, insert_record};
use crate::scheme_states::{forget_states, keep_state};
use crate::shares::last_seq;
use crate::store::named;
use crate::takeovers::check_not_rolled_back;
use crate::{Booking, GenerationId, Store, StoreError};

/// One decision about money, with what is needed to recompute it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementRow {
    /// Unique: `block:<id>` or `interval:<generation>:<from>-<to>`.
    pub key: String,
    /// The generation that decided.
    pub generation: GenerationId,
    /// The block that is divided; `None` for an interval of work.
    pub block: Option<String>,
    /// The shares it looked at are those after this one,
    pub from_seq: u64,
    /// up to and with this one.
    pub to_seq: u64,
    /// Digest of the component.
    pub digest: [u8; 32],
    /// Hash of its canonical configuration.
    pub config_hash: [u8; 32],
    /// The component's facts for people: a JSON list of texts.
    pub notes: String,
    /// The scheme's state after it; empty if it is no longer kept.
    pub state: Vec<u8>,
    /// Remainder it took over, in base units.
    pub carry_in: u64,
    /// Remainder it leaves, in base units.
    pub carry_out: u64,
    /// When it is booked, ms since the Unix epoch.
    pub booked_at_ms: u64,
}

/// A settlement on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// Its place in the order of booking, from 1.
    pub number: u64,
    /// What was decided.
    pub row: SettlementRow,
    /// When all its transfers were reversed, ms since the Unix epoch; none if they were not, or
    /// are booked again. [`Store::legs`] has all of it.
    pub reversed_at_ms: Option<u64>,
}

/// A settlement's columns, in the order [`settlement`] reads them.
#[derive(sqlx::FromRow)]
struct Columns {
    number: i64,
    key: String,
    generation: i64,
    block: Option<String>,
    from_seq: i64,
    to_seq: i64,
    digest: Vec<u8>,
    config_hash: Vec<u8>,
    notes: String,
    state: Vec<u8>,
    carry_in: i64,
    carry_out: i64,
    booked_ms: i64,
    reversed_ms: Option<i64>,
}

impl Store {
    /// Books a settlement: its transfers, the scheme's state and the block's state, all
    /// or nothing. A key that is on record changes nothing.
    ///
    /// # Errors
    /// When the transfers do not move exactly what the chain pays for the block (nothing,
    /// for an interval), when the block is not mature, when another settlement took the
    /// carry, when an interval does not go on where the last one ended, or when the
    /// database cannot be written.
    pub async fn settle(
        &self,
        row: &SettlementRow,
        transfers: &[Transfer],
    ) -> Result<Booking, StoreError> {
        self.settle_recorded(row, transfers, None).await
    }

    /// As [`Store::settle`], with the record of how it came about. Every settlement of a
    /// pool has one: [`Store::verify_records`] finds those that have none.
    ///
    /// # Errors
    /// As [`Store::settle`].
    pub async fn settle_recorded(
        &self,
        row: &SettlementRow,
        transfers: &[Transfer],
        record: Option<&NewRecord>,
    ) -> Result<Booking, StoreError> {
        named("settle", async {
            let mut tx = self.begin().await?;
            if find(&mut tx, &row.key).await?.is_some() {
                return Ok(Booking::AlreadyBooked);
            }
            let reward = match &row.block {
                Some(id) => mature_reward(&mut tx, id).await?,
                None => 0,
            };
            check_not_rolled_back(&mut tx, row.generation, row.block.as_deref()).await?;
            check_interval(&mut tx, row).await?;
            check_money(&mut tx, row, transfers, reward).await?;
            keep_state(&mut tx, &row.state).await?;
            let number = insert(&mut tx, row).await?;
            if let Some(record) = record {
                insert_record(&mut tx, number, record).await?;
            }
            if row.block.is_none() {
                forget_states(&mut tx, row.generation, row.state.len()).await?;
            }
            book(&mut tx, number, transfers, row.booked_at_ms).await?;
            sqlx::query("UPDATE generation SET state = ?2 WHERE id = ?1")
                .bind(row.generation.0)
                .bind(&row.state)
                .execute(&mut *tx)
                .await?;
            if let Some(id) = &row.block {
                move_block(&mut tx, id, BlockState::Settled, &row.key, row.booked_at_ms).await?;
            }
            tx.commit().await?;
            Ok(Booking::Booked)
        })
        .await
    }

    /// The latest settlements, newest first; with `before`, those booked before that number.
    /// A list carries no scheme states: they can be megabytes each.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn settlements(
        &self,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Vec<Settlement>, StoreError> {
        named("list settlements", async {
            let before = before.map_or(Ok(i64::MAX), |number| int("number", number))?;
            let rows: Vec<Columns> = sqlx::query_as(
                "SELECT number, key, generation, block, from_seq, to_seq, digest, config_hash,
                        notes, x'' AS state, carry_in, carry_out, booked_ms, reversed_ms
                 FROM settlement WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
            )
            .bind(before)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
            rows.into_iter().map(settlement).collect()
        })
        .await
    }

    /// One settlement with its transfers, those of its legs included.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn settlement(
        &self,
        key: &str,
    ) -> Result<Option<(Settlement, Vec<Transfer>)>, StoreError> {
        named("read a settlement", async {
            let mut connection = self.readers.acquire().await?;
            let Some(columns) = find(&mut connection, key).await? else { return Ok(None) };
            let transfers = read_transfers(&mut connection, columns.number).await?;
            Ok(Some((settlement(columns)?, transfers)))
        })
        .await
    }

    /// The same without its transfers, of which there may be a million.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn settlement_alone(&self, key: &str) -> Result<Option<Settlement>, StoreError> {
        named("find a settlement", async {
            let mut connection = self.readers.acquire().await?;
            find(&mut connection, key).await?.map(settlement).transpose()
        })
        .await
    }

    /// Where the next interval of an accruing generation begins: where it settled one last, or
    /// where it took over.
    ///
    /// # Errors
    /// When the generation is unknown, or the database cannot be read.
    pub async fn interval_start(&self, generation: GenerationId) -> Result<u64, StoreError> {
        named("find the next interval", async {
            let mut connection = self.readers.acquire().await?;
            Ok(due_interval(&mut connection, generation).await?.0)
        })
        .await
    }

    /// When the next interval of an accruing generation begins, ms since the Unix epoch: when
    /// it booked one last, or when it took over.
    ///
    /// # Errors
    /// When the generation is unknown, or the database cannot be read.
    pub async fn interval_started_ms(&self, generation: GenerationId) -> Result<u64, StoreError> {
        named("find the time of the next interval", async {
            let row: Option<(i64,)> = sqlx::query_as(
                "SELECT coalesce((SELECT booked_ms FROM settlement
                                  WHERE generation = this.id AND block IS NULL
                                  ORDER BY to_seq DESC, number DESC LIMIT 1),
                                 (SELECT booked_ms FROM settlement
                                  WHERE generation = this.previous AND block IS NULL
                                    AND to_seq = this.from_seq ORDER BY number DESC LIMIT 1),
                                 (SELECT begun_ms FROM generation AS before
                                  WHERE before.id = this.previous
                                    AND before.from_seq = this.from_seq
                                    AND before.kind <> 'distribute'),
                                 this.begun_ms)
                 FROM generation AS this WHERE this.id = ?1",
            )
            .bind(generation.0)
            .fetch_optional(&self.readers)
            .await?;
            let (at,) = row.ok_or(StoreError::UnknownGeneration(generation.0))?;
            uint("a time", at)
        })
        .await
    }
}

async fn find(connection: &mut SqliteConnection, key: &str) -> Result<Option<Columns>, StoreError> {
    let row = sqlx::query_as(
        "SELECT number, key, generation, block, from_seq, to_seq, digest, config_hash, notes,
                coalesce(scheme_state.bytes, state) AS state, carry_in, carry_out, booked_ms,
                reversed_ms
         FROM settlement LEFT JOIN scheme_state ON hash = state_hash WHERE key = ?1",
    )
    .bind(key);
    Ok(row.fetch_optional(connection).await?)
}

/// What the chain pays for a block that may be divided.
async fn mature_reward(tx: &mut SqliteConnection, id: &str) -> Result<u64, StoreError> {
    let block = read_block(tx, id).await?;
    let moves = check_move(&block, BlockState::Settled)?;
    // A reversed one is divided too: it is reinstated, never settled once more.
    if !moves || block.state == BlockState::Reversed {
        return Err(StoreError::SettledElsewhere(id.to_owned()));
    }
    let reward = block.reward.ok_or_else(|| StoreError::RewardMissing(id.to_owned()))?;
    Ok(reward.units())
}

/// An interval goes on where the generation's last one ended, and not into the next one's.
async fn check_interval(tx: &mut SqliteConnection, row: &SettlementRow) -> Result<(), StoreError> {
    let (due_from, due_to) = due_interval(tx, row.generation).await?;
    let due = row.from_seq == due_from && row.from_seq <= row.to_seq && row.to_seq <= due_to;
    if due || row.block.is_some() {
        return Ok(());
    }
    Err(StoreError::IntervalOverlap {
        settlement: row.key.clone(),
        from_seq: row.from_seq,
        to_seq: row.to_seq,
        due_from,
        due_to,
    })
}

/// Where a generation's unpaid shares begin (exclusive) and end (inclusive).
pub(crate) async fn due_interval(
    connection: &mut SqliteConnection,
    generation: GenerationId,
) -> Result<(u64, u64), StoreError> {
    let row: Option<(i64, Option<i64>)> = sqlx::query_as(
        "SELECT coalesce((SELECT max(to_seq) FROM settlement
                          WHERE generation = this.id AND block IS NULL), this.from_seq),
                (SELECT next.from_seq FROM generation AS next
                 WHERE next.slot = this.slot AND next.id > this.id ORDER BY next.id LIMIT 1)
         FROM generation AS this WHERE this.id = ?1",
    )
    .bind(generation.0)
    .fetch_optional(&mut *connection)
    .await?;
    let (from, to) = row.ok_or(StoreError::UnknownGeneration(generation.0))?;
    let to = match to {
        Some(to) => uint("a sequence number", to)?,
        None => last_seq(connection).await?,
    };
    Ok((uint("a sequence number", from)?, to))
}

/// The books are checked before they are written: what leaves the chain's account is what
/// the chain pays, and nobody spends a carry twice.
async fn check_money(
    tx: &mut SqliteConnection,
    row: &SettlementRow,
    transfers: &[Transfer],
    reward: u64,
) -> Result<(), StoreError> {
    let moved = outflow(transfers, &Account::Chain);
    if moved != i128::from(reward) {
        let settlement = row.key.clone();
        return Err(StoreError::RewardMismatch { settlement, moved, reward });
    }
    let found = read_balance(tx, &Account::Carry).await?.units();
    let taken: i128 = transfers
        .iter()
        .filter(|transfer| transfer.debit == Account::Carry)
        .map(|transfer| i128::from(transfer.amount.units()))
        .sum();
    if taken != i128::from(row.carry_in) || taken > found.max(0) {
        let settlement = row.key.clone();
        return Err(StoreError::CarryMoved { settlement, expected: row.carry_in, found });
    }
    Ok(())
}

/// What transfers take from an account, less what they give to it.
fn outflow(transfers: &[Transfer], account: &Account) -> i128 {
    let side = |named: &Account, amount| if named == account { amount } else { 0 };
    transfers
        .iter()
        .map(|transfer| {
            let amount = i128::from(transfer.amount.units());
            side(&transfer.debit, amount) - side(&transfer.credit, amount)
        })
        .sum()
}

async fn insert(tx: &mut SqliteConnection, row: &SettlementRow) -> Result<i64, StoreError> {
    let (number,): (i64,) = sqlx::query_as(
        "INSERT INTO settlement (key, generation, block, from_seq, to_seq, digest, config_hash,
                                 notes, state, state_hash, carry_in, carry_out,
                                 booked_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, x'', ?9, ?10, ?11, ?12) RETURNING number",
    )
    .bind(&row.key)
    .bind(row.generation.0)
    .bind(&row.block)
    .bind(int("sequence number", row.from_seq)?)
    .bind(int("sequence number", row.to_seq)?)
    .bind(row.digest.as_slice())
    .bind(row.config_hash.as_slice())
    .bind(&row.notes)
    .bind(Hash256::of_state(&row.state).as_bytes().as_slice())
    .bind(int("carry", row.carry_in)?)
    .bind(int("carry", row.carry_out)?)
    .bind(int("time", row.booked_at_ms)?)
    .fetch_one(tx)
    .await?;
    Ok(number)
}

/// Moves a block together with its money.
pub(crate) async fn move_block(
    tx: &mut SqliteConnection,
    id: &str,
    to: BlockState,
    detail: &str,
    now_ms: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE block SET state = ?2, detail = ?3, changed_ms = ?4 WHERE id = ?1")
        .bind(id)
        .bind(to.name())
        .bind(detail)
        .bind(int("time", now_ms)?)
        .execute(tx)
        .await?;
    Ok(())
}

fn settlement(row: Columns) -> Result<Settlement, StoreError> {
    let digest = |bytes: Vec<u8>| bytes.try_into().expect("the schema checks their length");
    Ok(Settlement {
        number: uint("a settlement's number", row.number)?,
        row: SettlementRow {
            key: row.key,
            generation: GenerationId(uint32("a generation's id", row.generation)?),
            block: row.block,
            from_seq: uint("a sequence number", row.from_seq)?,
            to_seq: uint("a sequence number", row.to_seq)?,
            digest: digest(row.digest),
            config_hash: digest(row.config_hash),
            notes: row.notes,
            state: row.state,
            carry_in: uint("a carry", row.carry_in)?,
            carry_out: uint("a carry", row.carry_out)?,
            booked_at_ms: uint("a time", row.booked_ms)?,
        },
        reversed_at_ms: row.reversed_ms.map(|at| uint("a time", at)).transpose()?,
    })
}
