//! Doing a settlement again from its record, and saying where the record is wrong: in
//! itself, or in what the component answers.

use std::fmt;

use crate::columns::keys_of;
use crate::merkle_sum::work_root;
use crate::record::{Body, DecidedBy, RECORD_FORMAT, Record, amounts_hash};
use crate::sums::Sums;
use crate::{Allocation, Hash256, Imbalance, Proposal};

/// One place where a record is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where, for people: a field, or a row and its account.
    pub at: String,
    /// What the record says.
    pub recorded: String,
    /// What comes out.
    pub found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, recorded, found } = self;
        write!(f, "{at}: the record says {recorded}, recomputed {found}")
    }
}

fn compare<T: fmt::Display + PartialEq>(
    at: impl Into<String>,
    recorded: T,
    found: T,
) -> Option<Difference> {
    (recorded != found).then(|| Difference {
        at: at.into(),
        recorded: recorded.to_string(),
        found: found.to_string(),
    })
}

impl Record {
    /// Compares the record with itself: every hash and sum of the header with the rows they
    /// are of, and the amounts with what the answer divides into. Needs no component.
    ///
    /// What is found first stands first: the rows, then the sums, then the hashes.
    pub fn differences(&self) -> Vec<Difference> {
        self.differences_with(true)
    }

    /// The same where the states are no longer kept: their hashes are taken as they are.
    pub fn differences_without_states(&self) -> Vec<Difference> {
        self.differences_with(false)
    }

    fn differences_with(&self, states: bool) -> Vec<Difference> {
        let header = &self.header;
        let mut found = Vec::new();
        found.extend(compare("format", self.format.as_str(), RECORD_FORMAT));
        let config_hash = Hash256::of_config(&header.decider.config);
        found.extend(compare("hash of the configuration", header.decider.config_hash, config_hash));
        if let Some(body) = &self.body {
            self.rows(body, &mut found);
            self.sums(body, states, &mut found);
        }
        found.extend(compare("hash of the header", self.hash, header.hash()));
        found
    }

    fn rows(&self, body: &Body, found: &mut Vec<Difference>) {
        let Body { accounts, request, amounts, .. } = body;
        let rows = request.accounts.rows();
        found.extend(compare("rows", self.header.accounts, accounts.len() as u64));
        found.extend(compare("rows of work", request.accounts.work.len(), rows));
        found.extend(compare("rows of fees", request.accounts.fee_ppm.len(), rows));
        found.extend(compare("rows of keys", rows, accounts.len()));
        found.extend(compare("rows of amounts", amounts.len(), accounts.len()));
        let keys = keys_of(accounts.iter().map(crate::SaltedKey::key));
        let wrong = request.accounts.key.iter().zip(&keys).position(|(key, right)| key != right);
        if let Some(row) = wrong {
            let at = format!("key of row {row}, account {}", accounts[row]);
            found.extend(compare(at, request.accounts.key[row], keys[row]));
        }
    }

    fn sums(&self, body: &Body, states: bool, found: &mut Vec<Difference>) {
        let (header, Body { accounts, request, outcome, .. }) = (&self.header, body);
        match work_root(accounts, &request.accounts.work) {
            Ok(root) => {
                found.extend(compare("total work", header.work.work, root.work));
                found.extend(compare("root over the work", header.work.hash, root.hash));
            }
            Err(error) => found.push(Difference {
                at: "total work".to_owned(),
                recorded: header.work.work.to_string(),
                found: error.to_string(),
            }),
        }
        self.amounts(body, body.sums(header), found);
        if states {
            let state = Hash256::of_state;
            found.extend(compare("state before", header.state_in, state(&request.state)));
            found.extend(compare("state after", header.state_out, state(&outcome.state)));
        }
        let digest = request.digest_with(&header.state_in);
        found.extend(compare("digest of the request", header.request, digest));
        let digest = outcome.digest_with(&header.state_out);
        found.extend(compare("digest of the outcome", header.outcome, digest));
    }

    /// What an outcome divides into, against what the record says everybody got.
    fn amounts(&self, body: &Body, sums: Result<Sums<'_>, Imbalance>, found: &mut Vec<Difference>) {
        let header = &self.header;
        let sums = match sums {
            Ok(sums) => sums,
            Err(error) => {
                let (at, recorded) = ("balance".to_owned(), "a settlement".to_owned());
                return found.push(Difference { at, recorded, found: error.to_string() });
            }
        };
        let unequal = body.amounts.iter().zip(sums.amounts.iter()).position(|(a, b)| a != b);
        if let Some(row) = unequal {
            let at = self.row(body, "amount", row);
            found.extend(compare(at, body.amounts[row], sums.amounts[row]));
        }
        found.extend(compare("credited in all", header.credited, sums.credited()));
        found.extend(compare("accounts paid", header.paid, sums.paid()));
        found.extend(compare("pool fee", header.pool_fee, sums.pool_fee));
        found.extend(compare("carry taken over", header.carry_in, sums.carry_in));
        found.extend(compare("carry left", header.carry_out, sums.carry_out));
        found.extend(compare("reserve", header.to_reserve, sums.to_reserve));
        found.extend(compare("hash of the amounts", header.amounts, amounts_hash(&sums.amounts)));
        let transfers = sums.transfers_hash(&body.accounts);
        found.extend(compare("hash of the transfers", header.transfers, transfers));
    }

    fn row(&self, body: &Body, what: &str, row: usize) -> String {
        match body.accounts.get(row) {
            Some(account) => format!("{what} of row {row}, account {account}"),
            None => format!("{what} of row {row}"),
        }
    }

    /// Compares what the component answers now with what the record says it answered.
    ///
    /// `None` for a record without rows, and where no component was asked.
    pub fn against(&self, answer: &Proposal) -> Option<Vec<Difference>> {
        let body = self.body.as_ref().filter(|_| self.header.decided_by == DecidedBy::Scheme)?;
        let mut found = Vec::new();
        let kind = |outcome: &Proposal| match outcome.allocation {
            Allocation::Weights(_) => "weights",
            Allocation::Amounts(_) => "amounts",
        };
        let entries = |outcome: &Proposal| match &outcome.allocation {
            Allocation::Weights(entries) | Allocation::Amounts(entries) => entries.clone(),
        };
        let recorded = &body.outcome;
        found.extend(compare("allocation", kind(recorded), kind(answer)));
        let (before, now) = (entries(recorded), entries(answer));
        if let Some(row) = before.iter().zip(&now).position(|(a, b)| a != b) {
            let at = self.row(body, kind(recorded), row);
            found.extend(compare(at, before[row], now[row]));
        }
        found.extend(compare("rows answered", before.len(), now.len()));
        if before != now || kind(recorded) != kind(answer) {
            let answered = Body { outcome: answer.clone(), ..body.clone() };
            self.amounts(body, answered.sums(&self.header), &mut found);
        }
        found.extend(compare("fee answered", recorded.pool_fee, answer.pool_fee));
        found.extend(compare("carry answered", recorded.carry, answer.carry));
        let notes = |outcome: &Proposal| outcome.notes.join("; ");
        found.extend(compare("notes", notes(recorded), notes(answer)));
        let state = |outcome: &Proposal| Hash256::of_state(&outcome.state);
        found.extend(compare("state answered", state(recorded), state(answer)));
        if found.is_empty() {
            found.extend(compare("digest of the outcome", self.header.outcome, answer.digest()));
        }
        Some(found)
    }
}
