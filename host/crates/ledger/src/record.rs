//! The record of a settlement: what decided, about what, with what outcome, and the record
//! before it. Every record hashes the one before, so that none can be changed or left out
//! without changing all that follow.
//!
//! The hash is BLAKE3 of `chimera record 1`, a zero byte, and the header's fields in the
//! order they stand here, written as in `canonical.rs`.

use serde::{Deserialize, Serialize};

use crate::canonical::Encoder;
use crate::merkle_sum::{TooMuchWork, WorkSum, work_root};
use crate::sums::Sums;
use crate::{
    AccountName, Distribution, Hash256, Imbalance, Limits, Plan, Proposal, Request, SaltedKey,
    Transfer, WindowSize,
};

/// The word in front of every record, for programs that are handed a file.
pub const RECORD_FORMAT: &str = "chimera-settlement-record/1";

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// The scheme was asked.
    Scheme,
    /// Nobody was asked: under an accruing scheme the work of a block is paid already, and
    /// all of it goes to the reserve.
    ReserveRule,
}

/// What decided: a component with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decider {
    /// The component's own name.
    pub name: String,
    /// The component's own version.
    pub version: String,
    /// BLAKE3 of its bytes.
    pub digest: Hash256,
    /// The interface it was asked by, e.g. `chimera:pool@0.1.0`.
    pub wit: String,
    /// Canonical configuration.
    pub config: String,
    /// BLAKE3 of that.
    pub config_hash: Hash256,
    /// What the operator granted it, sorted.
    pub grants: Vec<String>,
    /// The pool's number for this component with this configuration.
    pub generation: u32,
    /// What it said of itself.
    pub plan: Plan,
}

/// The facts of a settlement that are chained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Its place in the order of booking.
    pub number: u64,
    /// Hash of the record before it; zero for the first.
    pub previous: Hash256,
    /// `block:<id>` or `interval:<generation>:<from>-<to>`.
    pub key: String,
    /// What decided.
    pub decider: Decider,
    /// Whether it was asked.
    pub decided_by: DecidedBy,
    /// The most the pool may keep, parts per million.
    pub fee_max_ppm: u32,
    /// The shares it looked at are those after this one,
    pub from_seq: u64,
    /// up to and with this one.
    pub to_seq: u64,
    /// Digest of the request.
    pub request: Hash256,
    /// Hash of the state it was asked with.
    pub state_in: Hash256,
    /// Hash of the state it answered with.
    pub state_out: Hash256,
    /// Rows of the request.
    pub accounts: u64,
    /// Root of the Merkle-sum tree over (salted account key, work).
    pub work: WorkSum,
    /// Digest of the outcome.
    pub outcome: Hash256,
    /// Hash of the amounts, one per row.
    pub amounts: Hash256,
    /// What all accounts get, in base units.
    pub credited: u64,
    /// Accounts that get something.
    pub paid: u64,
    /// What the pool keeps.
    pub pool_fee: u64,
    /// What the settlement before left.
    pub carry_in: u64,
    /// What this one leaves.
    pub carry_out: u64,
    /// What goes to the reserve.
    pub to_reserve: u64,
    /// Hash of the transfers that book it, under salted keys.
    pub transfers: Hash256,
    /// When it was decided, ms since the Unix epoch.
    pub decided_at_ms: u64,
}

/// What a settlement looked at and what came of it, row by row: enough to do it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// The salted key of each row's account.
    pub accounts: Vec<SaltedKey>,
    /// What the scheme was asked.
    pub request: Request,
    /// What it answered.
    pub outcome: Proposal,
    /// What each row gets, in base units.
    pub amounts: Vec<u64>,
}

/// A record that stands alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`RECORD_FORMAT`].
    pub format: String,
    /// What is chained.
    pub header: Header,
    /// Its hash.
    pub hash: Hash256,
    /// The rows; without them the sums can be compared and inclusion proved, no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub enum Decided<'a> {
    /// The scheme was asked, and its answer to this request adds up.
    Scheme(&'a Distribution),
    /// All of the block goes to the reserve.
    ReserveRule,
}

/// What a decider's settlement comes to once it is checked.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'a> {
    /// Its unique key.
    pub key: &'a str,
    /// What decided.
    pub decider: &'a Decider,
    /// Whether it was asked, and what came of it.
    pub decided: Decided<'a>,
    /// What the operator allowed it.
    pub limits: Limits,
    /// The shares it looked at: after the first, up to and with the second.
    pub shares: (u64, u64),
    /// The salted key of each row's account.
    pub accounts: &'a [SaltedKey],
    /// What it was asked.
    pub request: &'a Request,
    /// What it answered.
    pub outcome: &'a Proposal,
    /// What was known before.
    pub premises: Premises,
    /// When, ms since the Unix epoch.
    pub decided_at_ms: u64,
}

/// What of a record is known before anybody has decided, so that it can be made while the
/// scheme is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Premises {
    request: Hash256,
    state_in: Hash256,
    work: WorkSum,
}

impl Premises {
    /// Of a request about the accounts with these keys, one per row.
    ///
    /// # Errors
    /// When the work adds up to more than can be committed to.
    pub fn of(accounts: &[SaltedKey], request: &Request) -> Result<Self, TooMuchWork> {
        let state_in = Hash256::of_state(&request.state);
        let work = work_root(accounts, &request.accounts.work)?;
        Ok(Self { request: request.digest_with(&state_in), state_in, work })
    }
}

impl Decision<'_> {
    /// The record's header, not yet in its place: number and previous hash are zero until
    /// the books give it one ([`Header::chained`]).
    ///
    /// # Errors
    /// When the rule of the reserve is claimed where it does not hold.
    pub fn header(&self) -> Result<Header, Imbalance> {
        let Self { request, outcome, accounts, decider, premises, .. } = self;
        let (decided_by, sums) = match self.decided {
            Decided::Scheme(distribution) => (DecidedBy::Scheme, distribution.sums()),
            Decided::ReserveRule => (DecidedBy::ReserveRule, Sums::by_the_rule(decider, request)?),
        };
        let state_out = Hash256::of_state(&outcome.state);
        Ok(Header {
            number: 0,
            previous: Hash256::ZERO,
            key: self.key.to_owned(),
            decider: (*decider).clone(),
            decided_by,
            fee_max_ppm: self.limits.fee_max_ppm,
            from_seq: self.shares.0,
            to_seq: self.shares.1,
            request: premises.request,
            state_in: premises.state_in,
            state_out,
            accounts: accounts.len() as u64,
            work: premises.work,
            outcome: outcome.digest_with(&state_out),
            amounts: amounts_hash(&sums.amounts),
            credited: sums.credited(),
            paid: sums.paid(),
            pool_fee: sums.pool_fee,
            carry_in: sums.carry_in,
            carry_out: sums.carry_out,
            to_reserve: sums.to_reserve,
            transfers: sums.transfers_hash(accounts),
            decided_at_ms: self.decided_at_ms,
        })
    }
}

impl Header {
    /// The same in its place of the chain.
    #[must_use]
    pub fn chained(mut self, number: u64, previous: Hash256) -> Self {
        (self.number, self.previous) = (number, previous);
        self
    }

    /// What the next record names it by.
    pub fn hash(&self) -> Hash256 {
        let mut out = Encoder::with_capacity(1024);
        out.u64(self.number);
        out.hash(&self.previous);
        out.text(&self.key);
        self.decider.write(&mut out);
        out.u8(self.decided_by as u8);
        out.u32(self.fee_max_ppm);
        out.u64(self.from_seq);
        out.u64(self.to_seq);
        out.hash(&self.request);
        out.hash(&self.state_in);
        out.hash(&self.state_out);
        out.u64(self.accounts);
        out.hash(&self.work.hash);
        out.u64(self.work.work);
        out.hash(&self.outcome);
        out.hash(&self.amounts);
        out.u64(self.credited);
        out.u64(self.paid);
        out.u64(self.pool_fee);
        out.u64(self.carry_in);
        out.u64(self.carry_out);
        out.u64(self.to_reserve);
        out.hash(&self.transfers);
        out.u64(self.decided_at_ms);
        Hash256::of("chimera record 1", &[&out.0])
    }
}

impl Decider {
    fn write(&self, out: &mut Encoder) {
        out.text(&self.name);
        out.text(&self.version);
        out.hash(&self.digest);
        out.text(&self.wit);
        out.text(&self.config);
        out.hash(&self.config_hash);
        out.list(&self.grants, |out, grant| out.text(grant));
        out.u32(self.generation);
        out.u8(self.plan.kind as u8);
        let (window, size) = match self.plan.window {
            WindowSize::None => (0, 0),
            WindowSize::NetworkWorkMilli(milli) => (1, milli),
            WindowSize::DurationMs(ms) => (2, ms),
            WindowSize::SinceLastBlock => (3, 0),
        };
        out.u8(window);
        out.u64(size);
        out.u16(self.plan.buckets);
        out.u64(self.plan.carry_max);
    }
}

impl Body {
    /// The same with the amounts its outcome divides into, which follow from the rest; none
    /// where it does not balance.
    #[must_use]
    pub fn with_amounts(mut self, header: &Header) -> Self {
        let sums = self.sums(header);
        self.amounts = sums.map(|sums| sums.amounts.into_owned()).unwrap_or_default();
        self
    }

    /// The transfers that book it, with the names of its rows; none where it does not balance
    /// or has other rows.
    pub fn transfers(&self, header: &Header, names: &[AccountName]) -> Option<Vec<Transfer>> {
        self.sums(header).ok()?.transfers(&header.key, names).ok()
    }

    pub(crate) fn sums(&self, header: &Header) -> Result<Sums<'static>, Imbalance> {
        let limits = Limits { fee_max_ppm: header.fee_max_ppm };
        Sums::of(header.decided_by, &header.decider, &limits, &self.request, &self.outcome)
    }
}

impl Record {
    /// A record of these parts.
    pub fn new(header: Header, body: Option<Body>) -> Self {
        Self { format: RECORD_FORMAT.to_owned(), hash: header.hash(), header, body }
    }
}

/// BLAKE3 of `chimera amounts 1`, a zero byte, and the amounts as a list.
pub(crate) fn amounts_hash(amounts: &[u64]) -> Hash256 {
    let mut out = Encoder::with_capacity(8 + 8 * amounts.len());
    out.list(amounts, |out, amount| out.u64(*amount));
    Hash256::of("chimera amounts 1", &[&out.0])
}
