//! Records of settlements, chained: each names the hash of the one before it. Written in the
//! transaction of its settlement, read for export, and verified as a whole.

use chimera_ledger::{
    Account, AccountName, Body, Hash256, Header, Proposal, Reason, Record, Request, Salt,
    SaltedKey, transfers_hash,
};
use sqlx::SqliteConnection;

use crate::books::read_transfers;
use crate::number::{int, uint};
use crate::scheme_states::keep_state;
use crate::store::named;
use crate::{Settlement, Store, StoreError};

/// What is recorded with a settlement; its place in the chain is given by the books.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// The facts, with no place yet.
    pub header: Header,
    /// The rows.
    pub body: Body,
}

/// A record as the ledger keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The chained facts.
    pub header: Header,
    /// Their hash.
    pub hash: Hash256,
}

/// What a verification of the records went through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordChain {
    /// Records in the chain.
    pub records: u64,
    /// Of them, those that can be recomputed: their states are still kept.
    pub recomputable: u64,
    /// Settlements of before records were kept.
    pub unrecorded: u64,
    /// Hash of the last record.
    pub head: Hash256,
}

/// A record's columns with both states, as far as they are kept.
#[derive(sqlx::FromRow)]
struct Columns {
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
            let kept = columns.before.is_some() && columns.after.is_some();
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
            Some((key,)) => Ok(self.settlement(&key).await?.map(|(settlement, _)| settlement)),
            None => Ok(None),
        }
    }

    /// Goes through all records in order: each is what its hash says, names the one before
    /// it, and agrees with its settlement, its transfers and its rows; none is missing.
    ///
    /// # Errors
    /// At the first that disagrees, with its number and what is wrong; or when the database
    /// cannot be read.
    pub async fn verify_records(&self) -> Result<RecordChain, StoreError> {
        named("verify the records", async {
            let mut connection = self.readers.acquire().await?;
            let settlements: Vec<(i64, String)> =
                sqlx::query_as("SELECT number, key FROM settlement ORDER BY number")
                    .fetch_all(&mut *connection)
                    .await?;
            let mut chain = RecordChain::default();
            let mut expected = None;
            for (number, key) in settlements {
                let number = uint("a settlement's number", number)?;
                let broken = |why: String| {
                    let key = key.clone();
                    StoreError::RecordsDisagree { number, key, why }
                };
                if expected.is_some_and(|expected| expected != number) {
                    return Err(broken("the settlement before it is missing".to_owned()));
                }
                let Some(columns) = read(&mut connection, number).await? else {
                    if chain.records > 0 {
                        return Err(broken("it has no record".to_owned()));
                    }
                    chain.unrecorded += 1;
                    continue;
                };
                expected = Some(number + 1);
                let kept = columns.before.is_some() && columns.after.is_some();
                let record = columns.record()?;
                let link = (record.header.number, record.header.previous);
                if link != (number, chain.head) {
                    return Err(broken("it does not follow the record before it".to_owned()));
                }
                if let Some(why) = disagreement(&record, kept) {
                    return Err(broken(why));
                }
                if let Some(why) = check_books(&mut connection, number, &record.header).await? {
                    return Err(broken(why));
                }
                chain.head = record.hash;
                chain.records += 1;
                chain.recomputable += u64::from(kept);
            }
            Ok(chain)
        })
        .await
    }
}

/// What a record says against itself.
fn disagreement(record: &Record, kept: bool) -> Option<String> {
    if kept {
        return record.differences().first().map(ToString::to_string);
    }
    let (header, body) = (&record.header, record.body.as_ref()?);
    if header.hash() != record.hash {
        return Some("its header has another hash".to_owned());
    }
    let same = body.request.digest_with(&header.state_in) == header.request
        && body.outcome.digest_with(&header.state_out) == header.outcome;
    (!same).then(|| "its rows have another digest".to_owned())
}

/// What the settlement and its transfers say against the record.
async fn check_books(
    connection: &mut SqliteConnection,
    number: u64,
    header: &Header,
) -> Result<Option<String>, StoreError> {
    type Row = (String, i64, i64, i64, Vec<u8>, Vec<u8>, i64, i64);
    let number = int("number", number)?;
    let row: Row = sqlx::query_as(
        "SELECT key, generation, from_seq, to_seq, digest, config_hash, carry_in, carry_out
         FROM settlement WHERE number = ?1",
    )
    .bind(number)
    .fetch_one(&mut *connection)
    .await?;
    let decider = &header.decider;
    let recorded: Row = (
        header.key.clone(),
        decider.generation.into(),
        int("sequence number", header.from_seq)?,
        int("sequence number", header.to_seq)?,
        decider.digest.as_bytes().to_vec(),
        decider.config_hash.as_bytes().to_vec(),
        int("carry", header.carry_in)?,
        int("carry", header.carry_out)?,
    );
    if row != recorded {
        return Ok(Some("the settlement says something else than its record".to_owned()));
    }
    let transfers = read_transfers(connection, number).await?;
    let booked: Vec<_> =
        transfers.into_iter().filter(|transfer| transfer.reason != Reason::Reversal).collect();
    let same = transfers_hash(&booked) == header.transfers;
    Ok((!same).then(|| "its transfers are not those that were recorded".to_owned()))
}

async fn read(
    connection: &mut SqliteConnection,
    number: u64,
) -> Result<Option<Columns>, StoreError> {
    let row = sqlx::query_as(SELECT).bind(int("number", number)?);
    Ok(row.fetch_optional(connection).await?)
}

impl Columns {
    /// The record; states that are no longer kept are empty in it.
    fn record(self) -> Result<Record, StoreError> {
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
    let Body { accounts, request, outcome, .. } = &record.body;
    let header = record.header.clone().chained(uint("a settlement's number", number)?, previous);
    keep_state(tx, &request.state).await?;
    keep_state(tx, &outcome.state).await?;
    let accounts: Vec<u8> = accounts.iter().flat_map(|key| *key.as_bytes()).collect();
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
    .bind(request.to_bytes_without_state())
    .bind(outcome.to_bytes_without_state())
    .execute(tx)
    .await?;
    Ok(())
}

fn header_of(text: &str) -> Result<Header, StoreError> {
    serde_json::from_str(text)
        .map_err(|error| StoreError::Corrupt(format!("the header of a record: {error}")))
}

fn hash_of(bytes: &[u8]) -> Result<Hash256, StoreError> {
    let bytes = bytes.try_into();
    bytes.map(Hash256::from_bytes).map_err(|_| StoreError::Corrupt("a hash".to_owned()))
}

pub(crate) fn salt_of(bytes: &[u8]) -> Result<Salt, StoreError> {
    let bytes = bytes.try_into();
    bytes
        .map(Salt::from_bytes)
        .map_err(|_| StoreError::Corrupt("the salt of an account".to_owned()))
}
