//! A session as data, so that another process can go on with it: the miner notices nothing.

use std::sync::Arc;

use chimera_pow::Difficulty;
use chimera_work::{
    BookState, Extranonce1, ExtranonceLease, IssuedState, Job, JobBook, JobId, NonceLayout,
    WorkerId,
};
use serde::{Deserialize, Serialize};

use super::{Session, SessionConfig};
use crate::difficulty_choice::ChoiceState;
use crate::share_rate::{RateState, ShareRate};
use crate::{Counters, NotifyLine, Seat, SessionId};

/// A number that must come back bit by bit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Exact(u64);

impl From<Difficulty> for Exact {
    fn from(difficulty: Difficulty) -> Self {
        Self(difficulty.get().to_bits())
    }
}

impl Exact {
    pub(crate) fn difficulty(self) -> Option<Difficulty> {
        Difficulty::new(f64::from_bits(self.0)).ok()
    }
}

/// Jobs by their place in a list that all sessions of a pool share.
pub trait Jobs {
    /// The place of a job, which is added if it is new.
    fn place(&mut self, job: &Arc<Job>) -> u32;
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct IssuedRow {
    job: u32,
    difficulty: Exact,
    lowered: Option<Exact>,
    stale: bool,
}

/// A seat as data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeatState {
    id: u64,
    extranonce1: [u8; 4],
    issued: Vec<IssuedRow>,
    /// Sixteen bytes of hex each.
    seen: String,
    difficulty: Option<Exact>,
    shared: Option<u32>,
    reissues: u32,
}

impl SeatState {
    /// The part of the nonce space that must be leased again for it.
    pub const fn extranonce1(&self) -> Extranonce1 {
        Extranonce1(self.extranonce1)
    }
}

/// A session as data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionState {
    user_agent: String,
    version: Option<String>,
    seat: Option<SeatState>,
    greeted: bool,
    workers: Vec<(String, u32)>,
    tickets: u32,
    difficulty: ChoiceState,
    told: Option<Exact>,
    reissues_left: u32,
    version_mask: u32,
    version_mask_answered: bool,
    version_mask_told: Option<u32>,
    extranonce_subscribed: bool,
    requests: u32,
    version_request: Option<u32>,
    rate: RateState,
    counters: Counters,
}

impl SessionState {
    /// Its seat, if it has one.
    pub const fn seat(&self) -> Option<&SeatState> {
        self.seat.as_ref()
    }
}

impl Seat {
    /// The seat as data.
    pub fn state(&self, jobs: &mut impl Jobs) -> SeatState {
        let BookState { extranonce1, issued, seen } = self.book.state();
        let issued = issued.into_iter().map(|issued| IssuedRow {
            job: jobs.place(&issued.job),
            difficulty: issued.difficulty.into(),
            lowered: issued.lowered.map(Exact::from),
            stale: issued.stale,
        });
        let seen: Vec<u8> = seen.into_iter().flat_map(u64::to_be_bytes).collect();
        SeatState {
            id: self.id.0,
            extranonce1: extranonce1.0,
            issued: issued.collect(),
            seen: hex::encode(seen),
            difficulty: self.difficulty.map(Exact::from),
            shared: self.shared.map(|job| job.0),
            reissues: self.reissues,
        }
    }

    /// Goes on with a seat of another process. `None` if the data is none of a seat.
    pub fn restore(
        state: SeatState,
        lease: ExtranonceLease,
        layout: NonceLayout,
        jobs: &[Arc<Job>],
    ) -> Option<Self> {
        let issued: Option<Vec<IssuedState>> = state
            .issued
            .into_iter()
            .map(|row| {
                Some(IssuedState {
                    job: Arc::clone(jobs.get(row.job as usize)?),
                    difficulty: row.difficulty.difficulty()?,
                    lowered: row
                        .lowered
                        .map_or(Some(None), |lowered| lowered.difficulty().map(Some))?,
                    stale: row.stale,
                })
            })
            .collect();
        let seen = hex::decode(state.seen).ok()?;
        let (keys, rest) = seen.as_chunks::<8>();
        let seen = keys.iter().map(|key| u64::from_be_bytes(*key)).collect();
        let book = BookState { extranonce1: lease.extranonce1(), issued: issued?, seen };
        rest.is_empty().then(|| Self {
            id: SessionId(state.id),
            book: JobBook::restore(lease, layout, book),
            difficulty: state.difficulty.and_then(Exact::difficulty),
            shared: state.shared.map(JobId),
            reissues: state.reissues,
        })
    }
}

impl Session {
    /// The session as data; `None` while replies wait for something only this process can
    /// give.
    pub fn state(&self, now_ms: u64, jobs: &mut impl Jobs) -> Option<SessionState> {
        let waits = self.replies.len() > 0 || self.seat_asked;
        (!waits).then(|| SessionState {
            user_agent: self.user_agent.clone(),
            version: self.version.clone(),
            seat: self.seat.as_ref().map(|seat| seat.state(jobs)),
            greeted: self.greeted,
            workers: self.workers().map(|(user, worker)| (user.to_owned(), worker.0)).collect(),
            tickets: self.tickets,
            difficulty: self.difficulty.state(),
            told: self.told.map(Exact::from),
            reissues_left: self.reissues_left,
            version_mask: self.version_mask,
            version_mask_answered: self.version_mask_answered,
            version_mask_told: self.version_mask_told,
            extranonce_subscribed: self.extranonce_subscribed,
            requests: self.requests,
            version_request: self.version_request,
            rate: self.rate.state(now_ms),
            counters: self.counters,
        })
    }

    /// Goes on with a session of another process, over its seat. `latest` is the job its
    /// miner was sent last, or a newer one.
    pub fn restore(
        config: SessionConfig,
        state: SessionState,
        seat: Option<Seat>,
        latest: Option<Arc<NotifyLine>>,
        now_ms: u64,
    ) -> Self {
        let mut session = Self::new(config, now_ms);
        session.user_agent = state.user_agent;
        session.version = state.version;
        session.seat = seat;
        session.greeted = state.greeted;
        session.workers = state
            .workers
            .into_iter()
            .map(|(user, worker)| (user.into(), WorkerId(worker)))
            .collect();
        session.tickets = state.tickets;
        session.latest = latest;
        session.difficulty.restore(state.difficulty);
        session.told = state.told.and_then(Exact::difficulty);
        session.reissues_left = state.reissues_left;
        session.version_mask = state.version_mask & config.version_mask;
        session.version_mask_answered = state.version_mask_answered;
        session.version_mask_told = state.version_mask_told;
        session.extranonce_subscribed = state.extranonce_subscribed;
        session.requests = state.requests;
        session.version_request = state.version_request;
        session.rate = ShareRate::restore(state.rate, now_ms);
        session.counters = state.counters;
        session
    }
}
