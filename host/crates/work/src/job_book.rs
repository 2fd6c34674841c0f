//! The jobs of one session. A job keeps the difficulty it was issued with, so a retarget
//! never re-prices work in flight.

use std::collections::VecDeque;
use std::sync::Arc;

use chimera_pow::{Difficulty, PowHash};

use crate::judge::{Judgement, Submission, header_over, merkle_root};
use crate::seen::{Novelty, Seen};
use crate::{
    Extranonce1, Extranonce2, ExtranonceLease, Job, JobId, Level, NonceLayout, Reject, Share,
    Solution,
};

/// Jobs a session can still answer, live and stale together. At one job per 10 s this is
/// over two minutes of a round; older ones are gone for the miner as well.
pub const JOBS_KEPT_MAX: usize = 16;

#[derive(Debug)]
struct Issued {
    job: Arc<Job>,
    /// Shared by all jobs issued at it.
    level: Arc<Level>,
    /// A lower difficulty the session was told later: firmware that applies it at once is not
    /// refused.
    lowered: Option<Arc<Level>>,
    stale: bool,
}

/// The merkle root of the last submission: miners look through many nonces under one
/// extranonce, and deep trees cost most of a verdict.
#[derive(Debug)]
struct LastRoot {
    job: JobId,
    extranonce2: Extranonce2,
    root: [u8; 32],
}

/// What one session was given and what it has answered.
#[derive(Debug)]
pub struct JobBook {
    lease: ExtranonceLease,
    layout: NonceLayout,
    issued: VecDeque<Issued>,
    last_root: Option<LastRoot>,
    seen: Seen,
}

impl JobBook {
    /// An empty book over a leased part of the nonce space.
    pub fn new(lease: ExtranonceLease, layout: NonceLayout) -> Self {
        Self { lease, layout, issued: VecDeque::new(), last_root: None, seen: Seen::default() }
    }

    /// The session's part of the nonce space.
    pub const fn extranonce1(&self) -> Extranonce1 {
        self.lease.extranonce1()
    }

    /// What the book was over.
    pub fn into_lease(self) -> ExtranonceLease {
        self.lease
    }

    /// Sizes of the nonce space.
    pub const fn layout(&self) -> NonceLayout {
        self.layout
    }

    /// The round is over while nobody is there to be sent its successor: nothing issued so
    /// far can earn any more, so what it earned need not be remembered.
    pub fn end_round(&mut self) {
        self.issued.iter_mut().for_each(|issued| issued.stale = true);
        self.seen = Seen::default();
    }

    /// Whether the round has ended without a successor.
    pub fn is_over(&self) -> bool {
        self.issued.back().is_some_and(|issued| issued.stale)
    }

    /// Whether this round has seen nearly as many shares as the book can hold. Another part
    /// of the nonce space, with a new book, has room again.
    pub fn is_crowded(&self) -> bool {
        self.seen.is_crowded()
    }

    /// The newest job.
    pub fn current(&self) -> Option<&Arc<Job>> {
        self.issued.back().map(|issued| &issued.job)
    }

    /// Notes that the session is being sent a job at a difficulty. A job of a new round
    /// makes all earlier ones stale.
    pub fn issue(&mut self, job: Arc<Job>, difficulty: Difficulty) {
        let level = match self.issued.back() {
            Some(last) if last.level.difficulty == difficulty => Arc::clone(&last.level),
            _ => Arc::new(Level::of(difficulty)),
        };
        let new_round =
            self.current().is_some_and(|last| last.template().previous != job.template().previous);
        if new_round {
            self.issued.iter_mut().for_each(|issued| issued.stale = true);
            // A stale job earns nothing, so what it earned need not be remembered.
            self.seen.forget();
        } else {
            for issued in &mut self.issued {
                let lowest = issued.lowered.as_ref().unwrap_or(&issued.level);
                if level.work < lowest.work {
                    issued.lowered = Some(Arc::clone(&level));
                }
            }
        }
        if self.issued.len() == JOBS_KEPT_MAX {
            self.issued.pop_front();
        }
        self.issued.push_back(Issued { job, level, lowered: None, stale: false });
    }

    /// Judges a submission: header, one hash, target of *that* job, then novelty.
    ///
    /// The seen-set comes last: otherwise cheap junk could fill it. Allocates only for a
    /// block (and when a session outgrows its seen-set).
    pub fn judge(&mut self, submission: &Submission, version_mask: u32) -> Judgement {
        let refuse = |reject| Judgement { verdict: Err(reject), solution: None };
        let Some(issued) = find(&self.issued, submission.job) else {
            return refuse(Reject::UnknownJob);
        };
        let extranonce1 = self.lease.extranonce1();
        let extranonce2_bytes = self.layout.extranonce2_bytes();
        let job = &issued.job;
        let root = || {
            let (id, extranonce2) = (submission.job, submission.extranonce2);
            match &self.last_root {
                Some(last) if (last.job, last.extranonce2) == (id, extranonce2) => last.root,
                _ => {
                    let root = merkle_root(job, extranonce1, &extranonce2);
                    self.last_root = Some(LastRoot { job: id, extranonce2, root });
                    root
                }
            }
        };
        let header = match header_over(root, job, extranonce2_bytes, version_mask, submission) {
            Ok(header) => header,
            Err(reject) => return refuse(reject),
        };
        let template = job.template();
        let hash = template.algorithm.hash(&header);
        let solved = template.target.is_met_by(&hash) && !self.seen.contains(&hash);
        let solution = solved.then(|| {
            let Submission { worker, extranonce2, .. } = submission;
            let tail = &template.commitment.tail;
            let commitment = [job.head(), &extranonce1.0, extranonce2.as_bytes(), tail].concat();
            let template = Arc::clone(template);
            let (worker, stale) = (*worker, issued.stale);
            Box::new(Solution { template, header, commitment, hash, worker, stale })
        });
        let verdict = if issued.stale {
            Err(Reject::Stale)
        } else if !issued.is_met_by(&hash) {
            Err(Reject::LowDifficulty)
        } else {
            match self.seen.remember(&hash) {
                Novelty::Known => Err(Reject::Duplicate),
                Novelty::Full => Err(Reject::TooManyShares),
                Novelty::New => Ok(issued.level.target.is_met_by(&hash).then(|| Share {
                    worker: submission.worker,
                    job: submission.job,
                    level: *issued.level,
                    network_work: job.network_work(),
                    height: template.height,
                    hash,
                })),
            }
        };
        if solved && verdict.is_err() {
            // So that a candidate that earns nothing is offered once, not once per copy.
            self.seen.remember_block(&hash);
        }
        Judgement { verdict, solution }
    }
}

/// What a book holds, so that another process can go on with it.
#[derive(Debug, Clone)]
pub struct BookState {
    /// The session's part of the nonce space.
    pub extranonce1: Extranonce1,
    /// Every job it can still answer, oldest first.
    pub issued: Vec<IssuedState>,
    /// Keys of the hashes it has taken in this round.
    pub seen: Vec<u64>,
}

/// A job as it was issued to one session.
#[derive(Debug, Clone)]
pub struct IssuedState {
    /// The job.
    pub job: Arc<Job>,
    /// What it was issued at.
    pub difficulty: Difficulty,
    /// A lower one the session was told later.
    pub lowered: Option<Difficulty>,
    /// Whether its round is over.
    pub stale: bool,
}

impl JobBook {
    /// Everything that another process needs to judge what this one would have judged.
    pub fn state(&self) -> BookState {
        let issued = self.issued.iter().map(|issued| IssuedState {
            job: Arc::clone(&issued.job),
            difficulty: issued.level.difficulty,
            lowered: issued.lowered.as_ref().map(|level| level.difficulty),
            stale: issued.stale,
        });
        BookState {
            extranonce1: self.extranonce1(),
            issued: issued.collect(),
            seen: self.seen.keys().collect(),
        }
    }

    /// Goes on with the book of another process, over the same part of the nonce space.
    pub fn restore(lease: ExtranonceLease, layout: NonceLayout, state: BookState) -> Self {
        let mut book = Self::new(lease, layout);
        let mut levels: Vec<Arc<Level>> = Vec::new();
        let mut level = |difficulty: Difficulty| {
            let known = levels.iter().find(|level| level.difficulty == difficulty).cloned();
            known.unwrap_or_else(|| {
                let level = Arc::new(Level::of(difficulty));
                levels.push(Arc::clone(&level));
                level
            })
        };
        for IssuedState { job, difficulty, lowered, stale } in state.issued {
            let (own, lowered) = (level(difficulty), lowered.map(&mut level));
            book.issued.push_back(Issued { job, level: own, lowered, stale });
        }
        state.seen.into_iter().for_each(|key| book.seen.restore(key));
        book
    }
}

impl Issued {
    /// Whether a hash meets the job's own level, or a lower one told since.
    fn is_met_by(&self, hash: &PowHash) -> bool {
        let mut levels = [Some(&*self.level), self.lowered.as_deref()].into_iter().flatten();
        levels.any(|level| level.target.is_met_by(hash))
    }
}

/// Newest first: nearly every submission answers the newest job.
fn find(issued: &VecDeque<Issued>, id: JobId) -> Option<&Issued> {
    issued.iter().rev().find(|issued| issued.job.id() == id)
}
