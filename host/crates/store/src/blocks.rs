//! Found blocks and where they stand. A block is recorded before its share is answered,
//! and moves only along the ledger's table.

use chimera_ledger::{AccountName, Amount, BlockState};
use chimera_pow::{PowHash, Target, Work};
use chimera_work::WorkerId;
use sqlx::SqliteConnection;

use crate::generations::payout_generation_at;
use crate::number::{int, paired, uint, uint32};
use crate::store::named;
use crate::workers::miner;
use crate::{Booking, GenerationId, Store, StoreError};

/// A block as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRow {
    /// The chain's name for it: its hash in hex.
    pub id: String,
    /// Its height.
    pub height: u64,
    /// The last durable share when it was found; its own share comes later.
    pub seq: u64,
    /// Who found it.
    pub worker: WorkerId,
    /// When it was found, ms since the Unix epoch.
    pub found_at_ms: u64,
    /// Its proof of work.
    pub pow_hash: PowHash,
    /// What that had to meet.
    pub target: Target,
    /// The fees of the transactions in it, part of the reward.
    pub tx_fees: Amount,
    /// What is handed to the chain.
    pub bytes: Vec<u8>,
}

/// Where a block goes, and what is known of it then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockChange {
    /// Its next state.
    pub to: BlockState,
    /// What the chain pays: needed to mature, ignored otherwise.
    pub reward: Option<Amount>,
    /// For people.
    pub detail: String,
}

/// A block on record, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Its place in the order of finding, from 1.
    pub number: u64,
    /// The chain's name for it.
    pub id: String,
    /// Its height.
    pub height: u64,
    /// The last durable share when it was found.
    pub seq: u64,
    /// Who found it.
    pub worker: WorkerId,
    /// The finder's account.
    pub account: AccountName,
    /// The finder's name for the machine.
    pub worker_name: String,
    /// The generation that settles it.
    pub generation: GenerationId,
    /// When it was found, ms since the Unix epoch.
    pub found_at_ms: u64,
    /// Its proof of work.
    pub pow_hash: PowHash,
    /// What that had to meet; unknown of blocks from before it was kept.
    pub target: Option<Target>,
    /// Work credited between the block before and this one, by their places in the share log:
    /// zero for the second of two that were found within one batch. A block that was orphaned
    /// was found all the same and is a block before; one that was rejected never was one.
    /// Unknown until the totals have come to its place, about a second, and of blocks from
    /// before it was kept.
    pub round_work: Option<Work>,
    /// Where it stands.
    pub state: BlockState,
    /// What the chain pays for it, fees included; known once it matured.
    pub reward: Option<Amount>,
    /// The fees of the transactions in it, part of the reward.
    pub tx_fees: Amount,
    /// The latest word about it, for people.
    pub detail: String,
    /// What the chain said when it was handed in last, for people; empty before.
    pub answer: String,
    /// When it moved last, ms since the Unix epoch.
    pub changed_at_ms: u64,
}

/// A block's columns, in the order [`block`] reads them.
#[derive(sqlx::FromRow)]
struct Columns {
    number: i64,
    id: String,
    height: i64,
    seq: i64,
    worker: i64,
    account_name: String,
    worker_name: String,
    generation: i64,
    found_ms: i64,
    pow_hash: Vec<u8>,
    target: Option<Vec<u8>>,
    work_hi: Option<i64>,
    work_lo: Option<i64>,
    before_number: Option<i64>,
    before_hi: Option<i64>,
    before_lo: Option<i64>,
    state: String,
    reward: Option<i64>,
    tx_fees: i64,
    detail: String,
    answer: String,
    changed_ms: i64,
}

/// Blocks with their finders and the block before; conditions follow.
macro_rules! select_blocks {
    ($conditions:literal) => {
        concat!(
            "SELECT block.number, block.id, block.height, block.seq, block.worker,
                    account.name AS account_name, worker.name AS worker_name,
                    block.generation, block.found_ms, block.pow_hash, block.state, block.reward,
                    block.tx_fees, block.detail, block.answer, block.changed_ms,
                    block.target, block.work_hi, block.work_lo, previous.number AS before_number,
                    previous.work_hi AS before_hi, previous.work_lo AS before_lo
             FROM block
             JOIN worker ON worker.id = block.worker
             JOIN account ON account.id = worker.account
             LEFT JOIN block AS previous ON previous.number =
                 (SELECT earlier.number FROM block AS earlier
                  WHERE (earlier.seq, earlier.number) < (block.seq, block.number)
                    AND earlier.state <> 'rejected'
                  ORDER BY earlier.seq DESC, earlier.number DESC LIMIT 1) ",
            $conditions
        )
    };
}

impl Store {
    /// Puts a found block on record as a candidate, for the payout generation that was in
    /// force at its place: shares up to a generation's `from_seq`, and blocks placed there,
    /// are its predecessor's. Repeating it changes nothing.
    ///
    /// # Errors
    /// When the block is on record with another height or finder, when its worker or
    /// generation is unknown, or when the database cannot be written.
    pub async fn record_candidate(&self, row: &BlockRow) -> Result<Booking, StoreError> {
        named("record a block", async {
            let mut tx = self.begin().await?;
            let generation = payout_generation_at(&mut tx, row.seq).await?;
            let inserted = sqlx::query(
                "INSERT INTO block (id, height, seq, worker, generation, found_ms, pow_hash,
                                    state, detail, changed_ms, tx_fees, target)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', ?6, ?9, ?10)
                 ON CONFLICT (id) DO NOTHING",
            )
            .bind(&row.id)
            .bind(int("height", row.height)?)
            .bind(int("sequence number", row.seq)?)
            .bind(row.worker.0)
            .bind(generation.0)
            .bind(int("time", row.found_at_ms)?)
            .bind(row.pow_hash.0.as_slice())
            .bind(BlockState::Candidate.name())
            .bind(int("fees", row.tx_fees.units())?)
            .bind(row.target.to_be_bytes().as_slice())
            .execute(&mut *tx)
            .await?
            .rows_affected();
            if inserted == 0 {
                let known = read_block(&mut tx, &row.id).await?;
                let same = (known.height, known.worker) == (row.height, row.worker);
                let conflict = || StoreError::BlockConflict(row.id.clone());
                return same.then_some(Booking::AlreadyBooked).ok_or_else(conflict);
            }
            sqlx::query(
                "INSERT INTO block_bytes (number, bytes)
                 SELECT number, ?2 FROM block WHERE id = ?1",
            )
            .bind(&row.id)
            .bind(&row.bytes)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(Booking::Booked)
        })
        .await
    }

    /// Moves a block on. Where it stands already, nothing changes.
    ///
    /// # Errors
    /// When the block's life has no such move, when a mature block comes without its
    /// reward, when the move is one of money ([`Store::settle`], [`Store::reverse`]), or
    /// when the database cannot be written.
    pub async fn set_block_state(
        &self,
        id: &str,
        change: &BlockChange,
        now_ms: u64,
    ) -> Result<Booking, StoreError> {
        named("move a block", async {
            let mut tx = self.begin().await?;
            let block = read_block(&mut tx, id).await?;
            if !check_move(&block, change.to)? {
                return Ok(Booking::AlreadyBooked);
            }
            if matches!(change.to, BlockState::Settled | BlockState::Reversed) {
                return Err(StoreError::MoneyMove(id.to_owned()));
            }
            if change.to == BlockState::Mature && change.reward.is_none() {
                return Err(StoreError::RewardMissing(id.to_owned()));
            }
            // A block that leaves the best chain pays nothing.
            let reward = change.reward.filter(|_| change.to == BlockState::Mature);
            let units = |amount: Amount| int("reward", amount.units());
            sqlx::query(
                "UPDATE block SET state = ?2, reward = ?3, detail = ?4, changed_ms = ?5
                 WHERE id = ?1",
            )
            .bind(id)
            .bind(change.to.name())
            .bind(reward.map(units).transpose()?)
            .bind(&change.detail)
            .bind(int("time", now_ms)?)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(Booking::Booked)
        })
        .await
    }

    /// Keeps what the chain said when a block was handed in. It stays when the block moves on,
    /// until the block is handed in again.
    ///
    /// # Errors
    /// When the database cannot be written. An unknown block is no error: it has nobody to tell.
    pub async fn note_answer(&self, id: &str, answer: &str) -> Result<(), StoreError> {
        named("note the chain's answer", async {
            let statement =
                sqlx::query("UPDATE block SET answer = ?2 WHERE id = ?1 AND answer <> ?2")
                    .bind(id)
                    .bind(answer);
            self.writer.execute(statement).await?;
            Ok(())
        })
        .await
    }

    /// One block.
    ///
    /// # Errors
    /// When it is unknown, or the database cannot be read.
    pub async fn block(&self, id: &str) -> Result<Block, StoreError> {
        named("read a block", async {
            let mut connection = self.readers.acquire().await?;
            read_block(&mut connection, id).await
        })
        .await
    }

    /// What is handed to the chain for a block.
    ///
    /// # Errors
    /// When it is unknown, or the database cannot be read.
    pub async fn block_bytes(&self, id: &str) -> Result<Vec<u8>, StoreError> {
        named("read a block's bytes", async {
            let row: Option<(Vec<u8>,)> = sqlx::query_as(
                "SELECT block_bytes.bytes FROM block_bytes JOIN block USING (number)
                 WHERE block.id = ?1",
            )
            .bind(id)
            .fetch_optional(&self.readers)
            .await?;
            row.map(|(bytes,)| bytes).ok_or_else(|| StoreError::UnknownBlock(id.to_owned()))
        })
        .await
    }

    /// Blocks something is still to be done for, in the order they were found.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn open_blocks(&self) -> Result<Vec<Block>, StoreError> {
        named("list open blocks", async {
            let rows: Vec<Columns> = sqlx::query_as(select_blocks!(
                "WHERE block.state IN ('candidate', 'pending', 'mature') ORDER BY block.number"
            ))
            .fetch_all(&self.readers)
            .await?;
            rows.into_iter().map(block).collect()
        })
        .await
    }

    /// Blocks whose settlement is taken back, in the order they were found: few, and each may be
    /// on the chain again.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn reversed_blocks(&self) -> Result<Vec<Block>, StoreError> {
        named("list reversed blocks", async {
            let rows: Vec<Columns> = sqlx::query_as(select_blocks!(
                "WHERE block.state = 'reversed' ORDER BY block.number"
            ))
            .fetch_all(&self.readers)
            .await?;
            rows.into_iter().map(block).collect()
        })
        .await
    }

    /// The latest blocks, newest first; with `before`, those found before that number.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn blocks(&self, limit: u32, before: Option<u64>) -> Result<Vec<Block>, StoreError> {
        named("list blocks", async {
            let before = before.map_or(Ok(i64::MAX), |number| int("number", number))?;
            let rows: Vec<Columns> = sqlx::query_as(select_blocks!(
                "WHERE block.number < ?1 ORDER BY block.number DESC LIMIT ?2"
            ))
            .bind(before)
            .bind(limit)
            .fetch_all(&self.readers)
            .await?;
            rows.into_iter().map(block).collect()
        })
        .await
    }

    /// Where the round of a block found at `seq` begins: the log's end at the latest
    /// earlier block that ended a round, 0 if there was none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn previous_block_seq(&self, seq: u64) -> Result<u64, StoreError> {
        named("find the round", async {
            let (previous,): (i64,) = sqlx::query_as(
                "SELECT coalesce(max(seq), 0) FROM block
                 WHERE seq < ?1 AND state NOT IN ('orphaned', 'rejected', 'reversed')",
            )
            .bind(int("sequence number", seq)?)
            .fetch_one(&self.readers)
            .await?;
            uint("a sequence number", previous)
        })
        .await
    }
}

/// The block as this connection sees it.
pub(crate) async fn read_block(
    connection: &mut SqliteConnection,
    id: &str,
) -> Result<Block, StoreError> {
    let row: Option<Columns> = sqlx::query_as(select_blocks!("WHERE block.id = ?1"))
        .bind(id)
        .fetch_optional(connection)
        .await?;
    row.map(block).ok_or_else(|| StoreError::UnknownBlock(id.to_owned()))?
}

/// Whether the block moves at all.
pub(crate) fn check_move(block: &Block, to: BlockState) -> Result<bool, StoreError> {
    block.state.check_move(to).map_err(|source| {
        let block = block.id.clone();
        StoreError::IllegalMove { block, source }
    })
}

fn block(row: Columns) -> Result<Block, StoreError> {
    let amount = |units: Option<i64>| {
        units.map(|units| uint("a reward", units).map(Amount::from_units)).transpose()
    };
    let state = row.state.parse().map_err(|error| StoreError::Corrupt(format!("{error}")))?;
    let pow_hash = row.pow_hash.try_into().expect("the schema checks the length of hashes");
    let target = row.target.map(|bytes| {
        Target::from_be_bytes(bytes.try_into().expect("the schema checks the length of targets"))
    });
    let work = work_at(row.work_hi, row.work_lo)?;
    let before = match row.before_number {
        Some(_) => work_at(row.before_hi, row.before_lo)?,
        None => Some(0),
    };
    let round_work = work.zip(before).map(|(work, before)| work.saturating_sub(before));
    Ok(Block {
        number: uint("a block's number", row.number)?,
        id: row.id,
        height: uint("a height", row.height)?,
        seq: uint("a sequence number", row.seq)?,
        worker: WorkerId(uint32("a worker's id", row.worker)?),
        account: miner(&row.account_name)?,
        worker_name: row.worker_name,
        generation: GenerationId(uint32("a generation's id", row.generation)?),
        found_at_ms: uint("a time", row.found_ms)?,
        pow_hash: PowHash(pow_hash),
        target,
        round_work: round_work.map(Work::from_hashes),
        state,
        reward: amount(row.reward)?,
        tx_fees: Amount::from_units(uint("fees", row.tx_fees)?),
        detail: row.detail,
        answer: row.answer,
        changed_at_ms: uint("a time", row.changed_ms)?,
    })
}

/// Work of the log up to a place, if that is known yet.
pub(crate) fn work_at(high: Option<i64>, low: Option<i64>) -> Result<Option<u128>, StoreError> {
    high.zip(low).map(|(high, low)| paired("the work up to a block", high, low)).transpose()
}
