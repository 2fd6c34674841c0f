//! All records of a pool compared with everything the ledger knows of them: what each says of
//! itself, the record before it, the settlement before it of the same generation, and the
//! transfers that were booked.

use std::collections::HashMap;

use chimera_ledger::{Account, AccountName, Event, Hash256, Header, Record, SaltedKey, Transfer};
use sqlx::SqliteConnection;

use crate::books::read_transfers;
use crate::legs::{Leg, read_legs};
use crate::number::{int, uint, uint32};
use crate::records::{hash_of, read, salt_of};
use crate::store::named;
use crate::workers::account;
use crate::{Store, StoreError};

/// What a verification of the records went through.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordChain {
    /// Records in the chain.
    pub records: u64,
    /// Numbers of those whose states are kept, so that their components can be asked again.
    pub recomputable: Vec<u64>,
    /// Numbers of those whose states are let go of: of these only the hashes are compared.
    pub by_hash: Vec<u64>,
    /// Settlements of before records were kept.
    pub unrecorded: u64,
    /// Hash of the last record.
    pub head: Hash256,
}

/// A settlement's columns that its record repeats.
#[derive(sqlx::FromRow)]
struct Row {
    number: i64,
    key: String,
    generation: i64,
    block: Option<String>,
    from_seq: i64,
    to_seq: i64,
    digest: Vec<u8>,
    config_hash: Vec<u8>,
    notes: String,
    state_hash: Option<Vec<u8>>,
    carry_in: i64,
    carry_out: i64,
    booked_ms: i64,
    reversed_ms: Option<i64>,
}

/// A generation's columns that records repeat.
#[derive(sqlx::FromRow)]
struct Facts {
    id: i64,
    digest: Vec<u8>,
    name: String,
    version: String,
    config: String,
    grants: String,
    from_seq: i64,
    state: Vec<u8>,
    first_state: Option<Vec<u8>>,
    until: Option<i64>,
}

/// How far a generation has come.
struct Course {
    facts: Facts,
    /// Up to here its intervals are paid.
    paid_to: i64,
    /// Hash of the state after its last settlement, or of the one it began with; unknown for
    /// what was settled before records were kept.
    state: Option<Hash256>,
}

/// What all records are compared with.
struct Ledger {
    names: HashMap<SaltedKey, AccountName>,
    courses: HashMap<i64, Course>,
}

/// What is wrong, if anything is.
type Found = Result<Option<String>, StoreError>;

impl Store {
    /// Goes through all records in order. Each is what its hash says and names the one before
    /// it; an interval begins where the one before it of its generation ended, with the state
    /// that one left; settlement, generation, block and transfers are those the record's rows
    /// come to. None is missing.
    ///
    /// # Errors
    /// At the first that disagrees, with its number and what is wrong; or when the database
    /// cannot be read.
    pub async fn verify_records(&self) -> Result<RecordChain, StoreError> {
        named("verify the records", async {
            // One snapshot: a pool beside it goes on settling.
            let mut connection = self.readers.begin().await?;
            let mut ledger = Ledger::read(&mut connection).await?;
            let rows: Vec<Row> = sqlx::query_as(
                "SELECT number, key, generation, block, from_seq, to_seq, digest, config_hash,
                        notes, state_hash, carry_in, carry_out, booked_ms, reversed_ms
                 FROM settlement ORDER BY number",
            )
            .fetch_all(&mut *connection)
            .await?;
            let mut chain = RecordChain::default();
            for row in &rows {
                let wrong = match ledger.follow(&mut connection, row, &mut chain).await {
                    Err(StoreError::Corrupt(what)) => Some(what),
                    followed => followed?,
                };
                if let Some(why) = wrong {
                    let number = uint("a settlement's number", row.number)?;
                    return Err(StoreError::RecordsDisagree { number, key: row.key.clone(), why });
                }
            }
            ledger.end(&mut connection, rows.last()).await?;
            Ok(chain)
        })
        .await
    }
}

impl Ledger {
    async fn read(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let accounts: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT name, salt FROM account").fetch_all(&mut *connection).await?;
        let mut names = HashMap::new();
        for (name, salt) in accounts {
            if let Account::Miner(name) = account(&name)? {
                names.insert(SaltedKey::of(&name, &salt_of(&salt)?), name);
            }
        }
        let generations: Vec<Facts> = sqlx::query_as(
            "SELECT id, digest, name, version, config, grants, from_seq, state, first_state,
                    (SELECT next.from_seq FROM generation AS next
                     WHERE next.slot = this.slot AND next.id > this.id
                     ORDER BY next.id LIMIT 1) AS until
             FROM generation AS this WHERE slot = 'payout'",
        )
        .fetch_all(connection)
        .await?;
        let course = |facts: Facts| {
            let state = facts.first_state.as_deref().map(hash_of).transpose()?;
            Ok((facts.id, Course { paid_to: facts.from_seq, state, facts }))
        };
        let courses = generations.into_iter().map(course).collect::<Result<_, StoreError>>()?;
        Ok(Self { names, courses })
    }

    /// Compares the next settlement with its record, and moves its generation on.
    async fn follow(
        &mut self,
        connection: &mut SqliteConnection,
        row: &Row,
        chain: &mut RecordChain,
    ) -> Found {
        let number = uint("a settlement's number", row.number)?;
        let Some(course) = self.courses.get_mut(&row.generation) else {
            return wrong("its generation is no payout scheme");
        };
        let Some(columns) = read(connection, number).await? else {
            // Only what was settled before records were kept has no state hash.
            if chain.records > 0 || row.state_hash.is_some() {
                return wrong("it has no record");
            }
            chain.unrecorded += 1;
            course.state = None;
            if row.block.is_none() {
                course.paid_to = row.to_seq;
            }
            return Ok(None);
        };
        let kept = columns.states_are_kept();
        let record = columns.record()?;
        let header = &record.header;
        let follows = chain.records == 0 || number == chain.last() + 1;
        if !follows {
            return wrong("the settlement before it is missing");
        }
        if (header.number, header.previous) != (number, chain.head) {
            return wrong("it does not follow the record before it");
        }
        let differences =
            if kept { record.differences() } else { record.differences_without_states() };
        if let Some(first) = differences.first() {
            return wrong(first);
        }
        if let Some(why) = compare_row(row, &record)? {
            return wrong(why);
        }
        if let Some(why) = course.follow(row, header)? {
            return wrong(why);
        }
        if let Some(why) = compare_block(connection, row, &record).await? {
            return wrong(why);
        }
        if let Some(why) = self.compare_transfers(connection, row, &record).await? {
            return wrong(why);
        }
        chain.head = record.hash;
        chain.records += 1;
        if kept { &mut chain.recomputable } else { &mut chain.by_hash }.push(number);
        Ok(None)
    }

    /// What was booked is what follows from the record, to the last transfer.
    async fn compare_transfers(
        &self,
        connection: &mut SqliteConnection,
        row: &Row,
        record: &Record,
    ) -> Found {
        let Some(body) = &record.body else { return wrong("its record has no rows") };
        let mut names = Vec::with_capacity(body.accounts.len());
        for key in &body.accounts {
            let Some(name) = self.names.get(key) else {
                return wrong(format_args!("account {key} of its record is nobody's"));
            };
            names.push(name.clone());
        }
        let Some(follow) = body.transfers(&record.header, &names) else {
            return wrong("no transfers follow from its record");
        };
        let found = read_transfers(connection, row.number).await?;
        let (afterwards, booked): (Vec<Transfer>, Vec<Transfer>) =
            found.into_iter().partition(|transfer| transfer.reason.is_leg());
        if let Some(why) = first_unequal("transfer", &follow, &booked) {
            return wrong(why);
        }
        let legs = read_legs(connection, row.number).await?;
        let every = |leg: &Leg| {
            let number = leg.number;
            booked.iter().map(move |transfer| transfer.leg(number))
        };
        let due: Vec<Transfer> = legs.iter().flat_map(every).collect();
        if let Some(why) = first_unequal("leg", &due, &afterwards) {
            return wrong(why);
        }
        compare_times(connection, row, booked.len(), &legs).await
    }

    /// What must be true when all settlements are read: every generation has the state its
    /// last one left, and no settled block is without one.
    async fn end(
        &self,
        connection: &mut SqliteConnection,
        last: Option<&Row>,
    ) -> Result<(), StoreError> {
        let number = uint("a settlement's number", last.map_or(0, |row| row.number))?;
        for Course { facts, state, .. } in self.courses.values() {
            let found = Hash256::of_state(&facts.state);
            if let Some(state) = state.filter(|state| *state != found) {
                let key = format!("generation {}", facts.id);
                let why = format!("its state is {found}, but its last settlement left {state}");
                return Err(StoreError::RecordsDisagree { number, key, why });
            }
        }
        let unsettled: Option<(String, String)> = sqlx::query_as(
            "SELECT id, state FROM block
             WHERE state IN ('settled', 'reversed')
               AND NOT EXISTS (SELECT 1 FROM settlement WHERE block = block.id) LIMIT 1",
        )
        .fetch_optional(&mut *connection)
        .await?;
        if let Some((block, state)) = unsettled {
            let why = format!("it is {state} without a settlement");
            return Err(StoreError::RecordsDisagree { number, key: format!("block {block}"), why });
        }
        let strange: Option<(i64, String)> = sqlx::query_as(
            "SELECT settlement, 'a record' FROM settlement_record
             WHERE settlement NOT IN (SELECT number FROM settlement)
             UNION ALL
             SELECT settlement, 'a transfer' FROM transfer
             WHERE settlement NOT IN (SELECT number FROM settlement)
             UNION ALL
             SELECT settlement, 'a leg' FROM settlement_leg
             WHERE settlement NOT IN (SELECT number FROM settlement) LIMIT 1",
        )
        .fetch_optional(connection)
        .await?;
        let Some((settlement, what)) = strange else { return Ok(()) };
        let why = format!("{what} belongs to it, but there is no such settlement");
        let (number, key) = (uint("a settlement's number", settlement)?, "none".to_owned());
        Err(StoreError::RecordsDisagree { number, key, why })
    }
}

impl Course {
    /// Moves on by a settlement of this generation, if it goes on where the last one ended.
    fn follow(&mut self, row: &Row, header: &Header) -> Found {
        let Self { facts, .. } = self;
        let decider = &header.decider;
        let same = facts.digest == decider.digest.as_bytes()
            && (&facts.name, &facts.version, &facts.config)
                == (&decider.name, &decider.version, &decider.config)
            && facts.grants.split_whitespace().eq(decider.grants.iter().map(String::as_str));
        if !same {
            return wrong(format_args!("generation {} is another than its record says", facts.id));
        }
        if let Some(left) = self.state.filter(|left| *left != header.state_in) {
            return wrong(format_args!(
                "it began with state {}, but its generation had {left}",
                header.state_in
            ));
        }
        self.state = Some(header.state_out);
        if row.block.is_some() {
            return Ok(None);
        }
        if row.from_seq != self.paid_to {
            return wrong(format_args!(
                "its interval begins behind share {}, but the one before it ended at {}",
                row.from_seq, self.paid_to
            ));
        }
        let until = facts.until.unwrap_or(i64::MAX);
        if row.to_seq < row.from_seq || row.to_seq > until {
            return wrong(format_args!(
                "its interval ends at share {}, but must end between {} and {until}",
                row.to_seq, row.from_seq
            ));
        }
        self.paid_to = row.to_seq;
        Ok(None)
    }
}

impl RecordChain {
    fn last(&self) -> u64 {
        let last = |numbers: &[u64]| numbers.last().copied().unwrap_or(0);
        last(&self.recomputable).max(last(&self.by_hash))
    }
}

/// The settlement was booked when it says, and each leg when that says; whether it is reversed
/// is what the last of them did.
async fn compare_times(
    connection: &mut SqliteConnection,
    row: &Row,
    booked: usize,
    legs: &[Leg],
) -> Found {
    let mut times = vec![row.booked_ms; booked];
    for leg in legs {
        times.extend(std::iter::repeat_n(int("time", leg.booked_at_ms)?, booked));
    }
    let found: Vec<(i64,)> =
        sqlx::query_as("SELECT booked_ms FROM transfer WHERE settlement = ?1 ORDER BY number")
            .bind(row.number)
            .fetch_all(connection)
            .await?;
    let mistimed = found.iter().zip(&times).filter(|((found,), time)| found != *time).count();
    if mistimed > 0 {
        return wrong(format_args!("{mistimed} of its transfers were booked at another time"));
    }
    let last = legs.last().filter(|leg| leg.is_reversal());
    let reversed = last.map(|leg| int("time", leg.booked_at_ms)).transpose()?;
    if row.reversed_ms == reversed {
        return Ok(None);
    }
    let told = |at: Option<i64>| at.map_or_else(|| "not".to_owned(), |at| format!("at {at}"));
    wrong(format_args!(
        "it is said to be reversed: {}; by its legs: {}",
        told(row.reversed_ms),
        told(reversed)
    ))
}

/// What the settlement says against its record.
fn compare_row(row: &Row, record: &Record) -> Found {
    let Header { decider, key, .. } = &record.header;
    let header = &record.header;
    let expected = match &row.block {
        Some(block) => format!("block:{block}"),
        None => format!("interval:{}:{}-{}", row.generation, row.from_seq, row.to_seq),
    };
    let notes = record.body.as_ref().map(|body| &body.outcome.notes);
    let notes = serde_json::to_string(&notes).expect("texts are always JSON");
    let compared = [
        ("key", row.key == *key && row.key == expected),
        ("generation", uint32("a generation", row.generation)? == decider.generation),
        ("from_seq", row.from_seq == int("sequence number", header.from_seq)?),
        ("to_seq", row.to_seq == int("sequence number", header.to_seq)?),
        ("digest", row.digest == decider.digest.as_bytes()),
        ("config_hash", row.config_hash == decider.config_hash.as_bytes()),
        ("notes", row.notes == notes),
        ("state_hash", row.state_hash.as_deref() == Some(header.state_out.as_bytes())),
        ("carry_in", row.carry_in == int("carry", header.carry_in)?),
        ("carry_out", row.carry_out == int("carry", header.carry_out)?),
        ("booked_ms", row.booked_ms == int("time", header.decided_at_ms)?),
    ];
    let unequal = compared.iter().find(|(_, equal)| !equal);
    Ok(unequal
        .map(|(column, _)| format!("the settlement says something else than its record: {column}")))
}

/// What the block says against the record of its settlement.
async fn compare_block(connection: &mut SqliteConnection, row: &Row, record: &Record) -> Found {
    let event = record.body.as_ref().map(|body| body.request.event);
    let (block, height, reward, fees, found_at) = match (&row.block, event) {
        (None, Some(Event::Interval { .. })) => return Ok(None),
        (Some(block), Some(Event::Block { height, reward, tx_fees, found_at_ms, .. })) => {
            (block, height, reward, tx_fees, found_at_ms)
        }
        _ => return wrong("its record is about something else than a block or an interval"),
    };
    let found: Option<(i64, Option<i64>, String)> =
        sqlx::query_as("SELECT height, reward, state FROM block WHERE id = ?1")
            .bind(block)
            .fetch_optional(&mut *connection)
            .await?;
    let Some(found) = found else { return wrong("its block is missing") };
    let (same,): (Option<bool>,) = sqlx::query_as(
        "SELECT min(tx_fees, reward) = ?2 AND found_ms = ?3 FROM block WHERE id = ?1",
    )
    .bind(block)
    .bind(int("fees", fees)?)
    .bind(int("time", found_at)?)
    .fetch_one(connection)
    .await?;
    if same == Some(false) {
        return wrong("the fees or the time of its block are others than its record says");
    }
    let state = if row.reversed_ms.is_some() { "reversed" } else { "settled" };
    let expected = (int("height", height)?, Some(int("reward", reward)?), state.to_owned());
    if found == expected {
        return Ok(None);
    }
    wrong(format_args!(
        "height, reward and state of its block are {}, {} and {}, but should be {height}, {reward} \
         and {state}",
        found.0,
        found.1.unwrap_or(0),
        found.2
    ))
}

/// The first place where the books differ from what follows from a record.
fn first_unequal(what: &str, follow: &[Transfer], booked: &[Transfer]) -> Option<String> {
    let told = |transfer: Option<&Transfer>| {
        transfer.map_or_else(
            || "nothing".to_owned(),
            |Transfer { key, debit, credit, amount, reason }| {
                format!("{} from {debit} to {credit} as {reason} ({key})", amount.units())
            },
        )
    };
    let rows = follow.len().max(booked.len());
    let row = (0..rows).find(|&row| follow.get(row) != booked.get(row))?;
    Some(format!(
        "its transfers are not those of its record: {what} {} is {}, but should be {}",
        row + 1,
        told(booked.get(row)),
        told(follow.get(row))
    ))
}

fn wrong(why: impl ToString) -> Found {
    Ok(Some(why.to_string()))
}
