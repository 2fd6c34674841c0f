//! Records of settlements, chained: each names the hash of the one before it. Written in the
//! transaction of its settlement, and read for export.

use chimera_ledger::{
    Account, AccountName, Body, Hash256, Header, Proposal, Record, Request, Salt, SaltedKey,
};
use sqlx::SqliteConnection;

use crate::number::{int, uint};
use crate::scheme_states::keep_state;
use crate::store::named;
use crate::{Settlement, Store, StoreError};

/// What is recorded with a settlement; its place in the chain is given by the books. Encoded
/// before the transaction, in which shares wait.
#[derive(Debug, Clone)]
pub struct NewRecord {
    header: Header,
    accounts: Vec<u8>,
    request: Vec<u8>,
    outcome: Vec<u8>,
    /// Before and after.
    states: [Vec<u8>; 2],
}

impl NewRecord {
    /// The record of these facts, which have no place yet, and these rows.
    pub fn new(
        header: Header,
        accounts: &[SaltedKey],
        request: &Request,
        outcome: &Proposal,
    ) -> Self {
        let mut keys = Vec::with_capacity(32 * accounts.len());
        for key in accounts {
            keys.extend_from_slice(key.as_bytes());
        }
        Self {
            header,
            accounts: keys,
            request: request.to_bytes_without_state(),
            outcome: outcome.to_bytes_without_state(),
            states: [request.state.clone(), outcome.state.clone()],
        }
    }
}

/// A record as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The chained facts.
    pub header: Header,
    /// Their hash.
    pub hash: Hash256,
}

/// A record's columns with both states, as far as they are kept.
#[derive(sqlx::FromRow)]
pub(crate) struct Columns {
    header: String,
    hash: Vec<u8>,
    accounts: Vec<u8>,
    request: Vec<u8>,
    outcome: Vec<u8>,
    before: Option<Vec<u8>>,
    after: Option<Vec<u8>>,
}

const SELECT: &str = "SELECT header, record.hash, accounts, request, outcome,
            before.bytes AS before, after.bytes AS after
     FROM settlement_record AS record
     LEFT JOIN scheme_state AS before ON before.hash = state_in
     LEFT JOIN scheme_state AS after ON after.hash = state_out
     WHERE settlement = ?1";

impl Store {
    /// The chained facts of a settlement; `None` for one of before records were kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn recorded(&self, number: u64) -> Result<Option<Recorded>, StoreError> {
        named("read a record", async {
            let row: Option<(String, Vec<u8>)> =
                sqlx::query_as("SELECT header, hash FROM settlement_record WHERE settlement = ?1")
                    .bind(int("number", number)?)
                    .fetch_optional(&self.readers)
                    .await?;
            row.map(|(header, hash)| {
                Ok(Recorded { header: header_of(&header)?, hash: hash_of(&hash)? })
            })
            .transpose()
        })
        .await
    }

    /// The record of a settlement with all its rows; `None` for one of before records were
    /// kept.
    ///
    /// # Errors
    /// When the state it began with is no longer kept, or the database cannot be read.
    pub async fn record(&self, number: u64) -> Result<Option<Record>, StoreError> {
        named("read a record with its rows", async {
            let mut connection = self.readers.acquire().await?;
            let Some(columns) = read(&mut connection, number).await? else { return Ok(None) };
            let kept = columns.states_are_kept();
            let record = columns.record()?;
            if kept { Ok(Some(record)) } else { Err(StoreError::StateNotKept(record.header.key)) }
        })
        .await
    }

    /// The salted key of every row of a settlement and its work: what inclusion is proved
    /// from, also when its state is no longer kept.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn work_rows(
        &self,
        number: u64,
    ) -> Result<Option<(Vec<SaltedKey>, Vec<u64>)>, StoreError> {
        named("read the rows of a record", async {
            let mut connection = self.readers.acquire().await?;
            let Some(columns) = read(&mut connection, number).await? else { return Ok(None) };
            let body = columns.record()?.body.unwrap_or_else(|| unreachable!("read with rows"));
            Ok(Some((body.accounts, body.request.accounts.work)))
        })
        .await
    }

    /// The secret an account's rows are found by; `None` if nobody of that name mined here.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn salt(&self, account: &AccountName) -> Result<Option<Salt>, StoreError> {
        named("read a salt", async {
            let row: Option<(Vec<u8>,)> =
                sqlx::query_as("SELECT salt FROM account WHERE name = ?1")
                    .bind(Account::Miner(account.clone()).to_string())
                    .fetch_optional(&self.readers)
                    .await?;
            row.map(|(salt,)| salt_of(&salt)).transpose()
        })
        .await
    }

    /// The latest settlement of a block, by the block's id or its height in decimal.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn settlement_of_block(&self, block: &str) -> Result<Option<Settlement>, StoreError> {
        let key: Option<(String,)> = named("find the settlement of a block", async {
            Ok(sqlx::query_as(
                "SELECT key FROM settlement JOIN block ON block.id = settlement.block
                 WHERE block.id = ?1 OR CAST(block.height AS TEXT) = ?1
                 ORDER BY settlement.number DESC LIMIT 1",
            )
            .bind(block)
            .fetch_optional(&self.readers)
            .await?)
        })
        .await?;
        match key {
            Some((key,)) => self.settlement_alone(&key).await,
            None => Ok(None),
        }
    }
}

pub(crate) async fn read(
    connection: &mut SqliteConnection,
    number: u64,
) -> Result<Option<Columns>, StoreError> {
    let row = sqlx::query_as(SELECT).bind(int("number", number)?);
    Ok(row.fetch_optional(connection).await?)
}

impl Columns {
    /// Whether it can be recomputed.
    pub(crate) const fn states_are_kept(&self) -> bool {
        self.before.is_some() && self.after.is_some()
    }

    /// The record; states that are no longer kept are empty in it.
    pub(crate) fn record(self) -> Result<Record, StoreError> {
        let damaged = |error| StoreError::Corrupt(format!("the rows of a record: {error}"));
        let mut request = Request::from_bytes(&self.request).map_err(damaged)?;
        let mut outcome = Proposal::from_bytes(&self.outcome).map_err(damaged)?;
        request.state = self.before.unwrap_or_default();
        outcome.state = self.after.unwrap_or_default();
        let (keys, _) = self.accounts.as_chunks::<32>();
        let accounts = keys.iter().map(|key| SaltedKey::from_bytes(*key)).collect();
        let header = header_of(&self.header)?;
        let body = Body { accounts, request, outcome, amounts: Vec::new() };
        let body = body.with_amounts(&header);
        Ok(Record { hash: hash_of(&self.hash)?, ..Record::new(header, Some(body)) })
    }
}

/// Writes a record in its place: behind the last one.
pub(crate) async fn insert_record(
    tx: &mut SqliteConnection,
    number: i64,
    record: &NewRecord,
) -> Result<(), StoreError> {
    let previous: Option<(Vec<u8>,)> =
        sqlx::query_as("SELECT hash FROM settlement_record ORDER BY settlement DESC LIMIT 1")
            .fetch_optional(&mut *tx)
            .await?;
    let previous = previous.map_or(Ok(Hash256::ZERO), |(hash,)| hash_of(&hash))?;
    let NewRecord { accounts, request, outcome, states, .. } = record;
    let header = record.header.clone().chained(uint("a settlement's number", number)?, previous);
    for state in states {
        keep_state(tx, state).await?;
    }
    sqlx::query(
        "INSERT INTO settlement_record (settlement, header, hash, state_in, state_out, accounts,
                                        request, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )
    .bind(number)
    .bind(serde_json::to_string(&header).expect("numbers and texts are always JSON"))
    .bind(header.hash().as_bytes().as_slice())
    .bind(header.state_in.as_bytes().as_slice())
    .bind(header.state_out.as_bytes().as_slice())
    .bind(accounts)
    .bind(request)
    .bind(outcome)
    .execute(tx)
    .await?;
    Ok(())
}

fn header_of(text: &str) -> Result<Header, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("the header of a record: {error}")))
}

pub(crate) fn hash_of(bytes: &[u8]) -> Result<Hash256, StoreError> {
    let bytes = bytes.try_into();
    bytes.map(Hash256::from_bytes).map_err(|_| StoreError::Corrupt("a hash".to_owned()))
}

pub(crate) fn salt_of(bytes: &[u8]) -> Result<Salt, StoreError> {
    let bytes = bytes.try_into();
    bytes
        .map(Salt::from_bytes)
        .map_err(|_| StoreError::Corrupt("the salt of an account".to_owned()))
}
