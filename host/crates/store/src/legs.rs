//! What happens to a settlement after it was booked: while its block comes and goes, every
//! transfer of it is undone and booked again, each time by more transfers.

use chimera_ledger::{BlockState, Transfer};
use sqlx::SqliteConnection;

use crate::blocks::{check_move, read_block};
use crate::books::{book, read_transfers};
use crate::number::{int, uint, uint32};
use crate::settlements::move_block;
use crate::store::named;
use crate::{Booking, Store, StoreError};

/// All transfers of a settlement undone, or booked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    /// From 1: odd ones are reversals, even ones reinstatements, as [`Transfer::leg`] has it.
    pub number: u32,
    /// Why, for people.
    pub why: String,
    /// When, ms since the Unix epoch.
    pub booked_at_ms: u64,
}

impl Leg {
    /// Whether it undid the settlement.
    pub const fn is_reversal(&self) -> bool {
        !self.number.is_multiple_of(2)
    }
}

impl Store {
    /// Undoes the settlement of a block that left the best chain: one reversing transfer for
    /// every transfer. Of a block that is reversed nothing changes.
    ///
    /// # Errors
    /// When the block is not settled, or the database cannot be written.
    pub async fn reverse(
        &self,
        block: &str,
        why: &str,
        now_ms: u64,
    ) -> Result<Booking, StoreError> {
        let booking = self.book_leg(block, BlockState::Reversed, why, now_ms);
        named("reverse a settlement", booking).await
    }

    /// Books the settlement of a reversed block again that came back to the best chain: every
    /// transfer as it was, whatever was settled meanwhile. Of a settled block nothing changes.
    ///
    /// What the accounts were that it takes from does not matter: a carry that is spent
    /// meanwhile goes below zero, as by a reversal, and the next remainders fill it.
    ///
    /// # Errors
    /// When the block was never settled, or the database cannot be written.
    pub async fn reinstate(
        &self,
        block: &str,
        why: &str,
        now_ms: u64,
    ) -> Result<Booking, StoreError> {
        let booking = self.book_leg(block, BlockState::Settled, why, now_ms);
        named("reinstate a settlement", booking).await
    }

    /// What happened to a settlement after it was booked, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn legs(&self, settlement: u64) -> Result<Vec<Leg>, StoreError> {
        named("list the legs of a settlement", async {
            let mut connection = self.readers.acquire().await?;
            read_legs(&mut connection, int("number", settlement)?).await
        })
        .await
    }

    /// The state of the block says which leg is next, and moves with it: a call repeated after
    /// a crash finds it booked.
    async fn book_leg(
        &self,
        id: &str,
        to: BlockState,
        why: &str,
        now_ms: u64,
    ) -> Result<Booking, StoreError> {
        let mut tx = self.begin().await?;
        if !check_move(&read_block(&mut tx, id).await?, to)? {
            return Ok(Booking::AlreadyBooked);
        }
        let found: Option<(i64,)> =
            sqlx::query_as("SELECT number FROM settlement WHERE block = ?1")
                .bind(id)
                .fetch_optional(&mut *tx)
                .await?;
        let (settlement,) = found.ok_or_else(|| StoreError::UnknownSettlement(id.to_owned()))?;
        let number = read_legs(&mut tx, settlement).await?.len() as u32 + 1;
        let leg = Leg { number, why: why.to_owned(), booked_at_ms: now_ms };
        if leg.is_reversal() != (to == BlockState::Reversed) {
            let what = format!("block {id} becomes {to} by leg {number} of its settlement");
            return Err(StoreError::Corrupt(what));
        }
        insert_leg(&mut tx, settlement, &leg).await?;
        move_block(&mut tx, id, to, why, now_ms).await?;
        tx.commit().await?;
        Ok(Booking::Booked)
    }
}

async fn insert_leg(
    tx: &mut SqliteConnection,
    settlement: i64,
    leg: &Leg,
) -> Result<(), StoreError> {
    let mut transfers = read_transfers(tx, settlement).await?;
    transfers.retain(|transfer| !transfer.reason.is_leg());
    let legs: Vec<Transfer> = transfers.iter().map(|transfer| transfer.leg(leg.number)).collect();
    book(tx, settlement, &legs, leg.booked_at_ms).await?;
    let at = int("time", leg.booked_at_ms)?;
    sqlx::query(
        "INSERT INTO settlement_leg (settlement, leg, why, booked_ms) VALUES (?1, ?2, ?3, ?4)",
    )
    .bind(settlement)
    .bind(leg.number)
    .bind(&leg.why)
    .bind(at)
    .execute(&mut *tx)
    .await?;
    sqlx::query("UPDATE settlement SET reversed_ms = ?2 WHERE number = ?1")
        .bind(settlement)
        .bind(leg.is_reversal().then_some(at))
        .execute(tx)
        .await?;
    Ok(())
}

/// The legs of a settlement as this connection sees them, in order.
///
/// # Errors
/// Also when one is missing.
pub(crate) async fn read_legs(
    connection: &mut SqliteConnection,
    settlement: i64,
) -> Result<Vec<Leg>, StoreError> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "SELECT leg, why, booked_ms FROM settlement_leg WHERE settlement = ?1 ORDER BY leg",
    )
    .bind(settlement)
    .fetch_all(connection)
    .await?;
    let mut legs = Vec::with_capacity(rows.len());
    for (number, why, booked_ms) in rows {
        let number = uint32("a leg's number", number)?;
        if number as usize != legs.len() + 1 {
            let what = format!("leg {} of settlement {settlement} is missing", legs.len() + 1);
            return Err(StoreError::Corrupt(what));
        }
        legs.push(Leg { number, why, booked_at_ms: uint("a time", booked_ms)? });
    }
    Ok(legs)
}
