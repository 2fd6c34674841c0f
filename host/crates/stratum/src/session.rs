//! One miner's connection as a state machine: lines and the host's answers in, bytes and
//! effects out.
//!
//! ```text
//! subscribe ─ Effect::Subscribe ─ subscribed(seat) ┐ in either order,
//! authorize ─ Effect::Authorize ─ authorized(..)   ┴ then the first job follows at once
//! submit ─ Found, Credit ─ durable(n) ─ true
//! ```
//!
//! Inputs are sorted in four files: what miners ask (`calls`), work and difficulty (`jobs`),
//! what the pool says unasked (`notices`), and here the host's answers.

mod calls;
mod jobs;
mod notices;
pub(crate) mod state;

use std::collections::HashMap;
use std::sync::Arc;

use chimera_pow::Difficulty;
use chimera_work::{JOBS_KEPT_MAX, WorkerId};

use crate::difficulty_choice::DifficultyChoice;
use crate::reply_queue::{Answer, ReplyQueue};
use crate::request_id::RequestId;
use crate::share_rate::ShareRate;
use crate::{
    AuthAnswer, AuthTicket, Counters, DifficultyLimits, Fault, Measure, NotifyLine, Outbox,
    PENDING_REPLIES_MAX, Refusal, Seat, SessionId,
};

/// Avalon cuts names at 63 characters, WhatsMiner at 127; 255 bytes forgive any client and
/// bound what a connection can make the pool keep.
pub const USER_BYTES_MAX: usize = 255;

/// Proxies put a farm behind one connection; 1024 names bound it to a few hundred kB.
pub const WORKERS_MAX: usize = 1024;

/// How often a change of difficulty is told at once, by issuing the job again, until the next
/// job or look of the strategy. Half of the jobs a session can answer: a storm of changes
/// neither floods a miner nor pushes out the work it has in flight.
const REISSUES_MAX: u32 = 8;
const _: () = assert!(2 * REISSUES_MAX as usize <= JOBS_KEPT_MAX);

/// Replies that may wait before somebody is authorised, each up to a kilobyte: they wait for a
/// login or a seat, and nobody needs more.
const PENDING_BEFORE_LOGIN_MAX: usize = 64;

/// What all sessions of a listener have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionConfig {
    /// Header version bits the pool lets miners roll; each template narrows them further.
    pub version_mask: u32,
    /// Bounds of the difficulty and where it begins.
    pub difficulty: DifficultyLimits,
    /// A difficulty on the wire is this many times Bitcoin's for the same work (256 for many
    /// Keccak miners).
    pub multiplier: u32,
}

impl SessionConfig {
    /// What a difficulty is called on the wire.
    pub(crate) fn told(&self, difficulty: Difficulty) -> Difficulty {
        self.scaled(difficulty, f64::from(self.multiplier))
    }

    /// What a difficulty on the wire stands for.
    pub(crate) fn meant(&self, difficulty: Difficulty) -> Difficulty {
        self.scaled(difficulty, 1.0 / f64::from(self.multiplier))
    }

    fn scaled(&self, difficulty: Difficulty, factor: f64) -> Difficulty {
        // A product beyond what a number can say stays as it was.
        Difficulty::new(difficulty.get() * factor).unwrap_or(difficulty)
    }
}

/// One miner's connection.
///
/// Each input leaves its outcome in an [`Outbox`]: perform the effects, then write the
/// bytes. Read no further lines while [`wants_input`](Self::wants_input) is false.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    user_agent: String,
    version: Option<String>,
    /// Answered subscribe, or about to be.
    seat: Option<Seat>,
    seat_asked: bool,
    /// The subscribe reply is written: cpuminer takes the first line after its subscribe
    /// for the answer, so nothing may be said unasked before.
    greeted: bool,
    workers: HashMap<Box<str>, WorkerId>,
    tickets: u32,
    replies: ReplyQueue,
    latest: Option<Arc<NotifyLine>>,
    difficulty: DifficultyChoice,
    /// What the newest job was issued at; `None` before the first job.
    told: Option<Difficulty>,
    /// Changes of difficulty that may still be told at once.
    reissues_left: u32,
    /// The bits this miner may roll in any template that allows them.
    version_mask: u32,
    version_mask_answered: bool,
    version_mask_told: Option<u32>,
    extranonce_subscribed: bool,
    requests: u32,
    /// The open `client.get_version`.
    version_request: Option<u32>,
    rate: ShareRate,
    counters: Counters,
}

impl Session {
    /// A connection that was just accepted. Tell it the current job at once with
    /// [`new_job`](Self::new_job): it keeps it until the miner is ready.
    pub fn new(config: SessionConfig, now_ms: u64) -> Self {
        Self {
            config,
            user_agent: String::new(),
            version: None,
            seat: None,
            seat_asked: false,
            greeted: false,
            workers: HashMap::new(),
            tickets: 0,
            replies: ReplyQueue::default(),
            latest: None,
            difficulty: DifficultyChoice::new(config.difficulty),
            told: None,
            reissues_left: REISSUES_MAX,
            version_mask: 0,
            version_mask_answered: false,
            version_mask_told: None,
            extranonce_subscribed: false,
            requests: 0,
            version_request: None,
            rate: ShareRate::new(now_ms),
            counters: Counters::default(),
        }
    }

    /// Answers [`Effect::Subscribe`](crate::Effect::Subscribe): with the seat asked for, if it is still kept, else
    /// with a new one.
    pub fn subscribed(&mut self, seat: Seat, out: &mut Outbox) {
        self.seat_asked = false;
        if let Some(difficulty) = seat.difficulty {
            self.difficulty.carry(difficulty);
        }
        let seat = self.seat.insert(seat);
        self.replies.seated(|| Answer::Greeting(calls::greeting(seat)));
        self.settle(out);
    }

    /// Answers [`Effect::Subscribe`](crate::Effect::Subscribe) when the nonce space is used up.
    pub fn no_seat(&mut self, out: &mut Outbox) {
        self.seat_asked = false;
        self.replies.seated(|| Answer::Refused(Fault::NoSeat.into()));
        self.settle(out);
    }

    /// Answers [`Effect::Authorize`](crate::Effect::Authorize). An answer nobody waits for is ignored.
    pub fn authorized(&mut self, ticket: AuthTicket, answer: AuthAnswer, out: &mut Outbox) {
        let Some((user, hint)) = self.replies.undecided(ticket) else { return };
        match answer {
            AuthAnswer::Allow { worker, difficulty } => {
                if let (Some(difficulty), None) = (difficulty, self.told) {
                    self.difficulty.start(difficulty, hint);
                }
                self.workers.insert(user, worker);
                self.replies.decide(ticket, Answer::TRUE);
            }
            AuthAnswer::Deny { message } => {
                self.counters.refused(Fault::Unauthorized.into());
                self.replies.decide(ticket, Answer::Denied(message));
            }
            AuthAnswer::Unknown { message } => {
                self.counters.faults += 1;
                self.replies.decide(ticket, Answer::Denied(message));
            }
        }
        self.settle(out);
    }

    /// The oldest `count` credited shares are durable now: they are answered `true`.
    pub fn durable(&mut self, count: u32, out: &mut Outbox) {
        self.counters.accepted += u64::from(self.replies.settle_shares(count, true));
        self.settle(out);
    }

    /// The oldest `count` credited shares could not be stored and never will be.
    pub fn not_durable(&mut self, count: u32, out: &mut Outbox) {
        self.counters.not_stored += u64::from(self.replies.settle_shares(count, false));
        self.settle(out);
    }

    /// The connection is gone: what to keep for a grace time, so that the miner can resume.
    pub fn park(self) -> Option<Seat> {
        self.seat
    }

    /// Nothing has happened for a while: gives back memory that only traffic needs.
    pub fn rest(&mut self) {
        self.replies.rest();
    }

    /// Whether the next line may be handed over: false while too many replies wait, which
    /// lets TCP slow the miner down.
    pub fn wants_input(&self) -> bool {
        let stranger = self.workers.is_empty();
        self.replies.len() < if stranger { PENDING_BEFORE_LOGIN_MAX } else { PENDING_REPLIES_MAX }
    }

    /// Its name, once it has a seat.
    pub fn id(&self) -> Option<SessionId> {
        self.seat.as_ref().map(Seat::id)
    }

    /// Whether it has been sent work.
    pub const fn is_mining(&self) -> bool {
        self.told.is_some()
    }

    /// What its newest job was issued at; `None` before the first.
    pub const fn difficulty(&self) -> Option<Difficulty> {
        self.told
    }

    /// What the miner calls itself: in its answer to `client.get_version`, else in subscribe.
    pub fn user_agent(&self) -> &str {
        self.version.as_deref().unwrap_or(&self.user_agent)
    }

    /// The workers authorised here, in no order.
    pub fn workers(&self) -> impl Iterator<Item = (&str, WorkerId)> {
        self.workers.iter().map(|(user, &worker)| (user.as_ref(), worker))
    }

    /// Replies so far, by outcome.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How it did since [`measured`](Self::measured): a row for the difficulty strategy.
    pub fn measure(&self, now_ms: u64) -> Measure {
        let DifficultyLimits { min, max, .. } = self.difficulty.limits();
        Measure {
            current: self.told.map_or(0, Difficulty::to_units),
            minimum: min.to_units(),
            maximum: max.to_units(),
            ..self.rate.measure(now_ms)
        }
    }

    /// The strategy has looked: a new window begins.
    pub fn measured(&mut self, now_ms: u64) {
        self.rate.restart(now_ms);
        self.reissues_left = REISSUES_MAX;
    }

    /// Counts and answers a refusal; the only place that does.
    fn refuse(&mut self, id: RequestId, refusal: Refusal) {
        self.counters.refused(refusal);
        if let Refusal::Share(reject) = refusal {
            self.rate.refused(reject);
        }
        self.replies.push(id, Answer::Refused(refusal));
    }

    /// After every input: says what can be said now.
    fn settle(&mut self, out: &mut Outbox) {
        let written = self.replies.flush(&mut out.bytes);
        self.greeted |= written.greeting;
        self.version_mask_answered |= written.configured;
        if self.greeted {
            self.update_version_mask(out);
            self.update_work(out);
        }
    }
}
