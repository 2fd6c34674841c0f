//! The jobs of one session. A job keeps the difficulty it was issued with, so a retarget
//! never re-prices work in flight.

use std::collections::VecDeque;
use std::sync::Arc;

use chimera_pow::{Difficulty, PowHash, Work};

use crate::judge::{Judgement, Submission, judge_header};
use crate::seen::{Novelty, Seen};
use crate::{
    Extranonce1, ExtranonceLease, Job, JobId, Level, NonceLayout, Reject, Share, Solution,
};

/// Jobs a session can still answer, live and stale together. At one job per 10 s this is
/// over two minutes of a round; older ones are gone for the miner as well.
pub const JOBS_KEPT_MAX: usize = 16;

#[derive(Debug)]
struct Issued {
    job: Arc<Job>,
    level: Level,
    /// A lower difficulty the session was told later: firmware that applies it at once
    /// is credited at that, lower, level.
    lowered: Option<Level>,
    /// What a block of this job's template takes, credited shares are measured by.
    network_work: Work,
    stale: bool,
}

/// What one session was given and what it has answered.
#[derive(Debug)]
pub struct JobBook {
    lease: ExtranonceLease,
    layout: NonceLayout,
    issued: VecDeque<Issued>,
    seen: Seen,
}

impl JobBook {
    /// An empty book over a leased part of the nonce space.
    pub fn new(lease: ExtranonceLease, layout: NonceLayout) -> Self {
        Self { lease, layout, issued: VecDeque::new(), seen: Seen::default() }
    }

    /// The session's part of the nonce space.
    pub const fn extranonce1(&self) -> Extranonce1 {
        self.lease.extranonce1()
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
        let level = Level::of(difficulty);
        let new_round =
            self.current().is_some_and(|last| last.template().previous != job.template().previous);
        if new_round {
            self.issued.iter_mut().for_each(|issued| issued.stale = true);
            // A stale job earns nothing, so what it earned need not be remembered.
            self.seen.forget();
        } else {
            for issued in &mut self.issued {
                let lowest = issued.lowered.map_or(issued.level.work, |lower| lower.work);
                if level.work < lowest {
                    issued.lowered = Some(level);
                }
            }
        }
        if self.issued.len() == JOBS_KEPT_MAX {
            self.issued.pop_front();
        }
        let network_work = job.template().target.work();
        self.issued.push_back(Issued { job, level, lowered: None, network_work, stale: false });
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
        let header =
            match judge_header(job, extranonce1, extranonce2_bytes, version_mask, submission) {
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
        let verdict = match issued.level_met(&hash) {
            _ if issued.stale => Err(Reject::Stale),
            None => Err(Reject::LowDifficulty),
            Some(level) => match self.seen.remember(&hash) {
                Novelty::Known => Err(Reject::Duplicate),
                Novelty::Full => Err(Reject::TooManyShares),
                Novelty::New => Ok(Share {
                    worker: submission.worker,
                    job: submission.job,
                    level,
                    network_work: issued.network_work,
                    height: template.height,
                    hash,
                }),
            },
        };
        if solved && verdict.is_err() {
            // So that a candidate that earns nothing is offered once, not once per copy.
            self.seen.remember(&hash);
        }
        Judgement { verdict, solution }
    }
}

impl Issued {
    /// The level a hash proves: the job's own, else a lower one told since.
    fn level_met(&self, hash: &PowHash) -> Option<Level> {
        let levels = [Some(self.level), self.lowered];
        levels.into_iter().flatten().find(|level| level.target.is_met_by(hash))
    }
}

/// Newest first: nearly every submission answers the newest job.
fn find(issued: &VecDeque<Issued>, id: JobId) -> Option<&Issued> {
    issued.iter().rev().find(|issued| issued.job.id() == id)
}
