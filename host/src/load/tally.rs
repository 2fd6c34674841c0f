//! What one event loop counted; loops add up.

use std::collections::BTreeMap;

use super::histogram::Histogram;
use super::scan::Verdict;
use super::waves::Waves;
use crate::miner::shown;

/// Answers to submits.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) accepted: u64,
    /// Accepted although they were bad on purpose.
    pub(super) bad_accepted: u64,
    /// By code, with the first text that came with it.
    pub(super) by_code: BTreeMap<i64, (u64, String)>,
    /// Those without a code.
    pub(super) by_reason: BTreeMap<String, u64>,
}

impl Answers {
    pub(super) fn reject(&mut self, code: Option<i64>, reason: &[u8]) {
        let text = || shown(&String::from_utf8_lossy(reason));
        match code {
            Some(code) => self.by_code.entry(code).or_insert_with(|| (0, text())).0 += 1,
            None => *self.by_reason.entry(text()).or_default() += 1,
        }
    }

    pub(super) fn rejected(&self) -> u64 {
        self.by_code.values().map(|(count, _)| count).sum::<u64>()
            + self.by_reason.values().sum::<u64>()
    }

    fn merge(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.bad_accepted += other.bad_accepted;
        for (code, (count, text)) in other.by_code {
            self.by_code.entry(code).or_insert((0, text)).0 += count;
        }
        for (reason, count) in other.by_reason {
            *self.by_reason.entry(reason).or_default() += count;
        }
    }
}

/// When the last connection had come so far, from the beginning; and how many did.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Step {
    pub(super) last_ns: u64,
    pub(super) count: u64,
}

impl Step {
    pub(super) fn note(&mut self, at_ns: u64) {
        self.last_ns = self.last_ns.max(at_ns);
        self.count += 1;
    }

    fn merge(&mut self, other: Self) {
        self.last_ns = self.last_ns.max(other.last_ns);
        self.count += other.count;
    }
}

/// How the connections came about, each counted at its first time.
#[derive(Debug, Default, Clone)]
pub(super) struct Opening {
    pub(super) first_connect_ns: Option<u64>,
    pub(super) connected: Step,
    pub(super) subscribed: Step,
    pub(super) authorized: Step,
    pub(super) job: Step,
    /// From each connection's connect() to its first job, reopened ones included.
    pub(super) to_job: Histogram,
}

/// Connections that never read.
#[derive(Debug, Default, Clone)]
pub(super) struct SlowReaders {
    /// That submitted.
    pub(super) working: u64,
    pub(super) lines: u64,
    /// When the pool dropped one, since it stopped reading.
    pub(super) dropped_after: Histogram,
}

/// Everything counted.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// While it was measured.
    pub(super) window: Answers,
    /// From the first submit to the last answer.
    pub(super) total: Answers,
    pub(super) times: Histogram,
    /// Those near a new block.
    pub(super) near: Histogram,
    pub(super) opening: Opening,
    pub(super) waves: Waves,
    pub(super) slow: SlowReaders,
    pub(super) submits: u64,
    pub(super) bad_sent: u64,
    /// Submits on connections the pool closed or that broke.
    pub(super) unanswered_lost: u64,
    /// Submits on connections we cut, or left as we were asked to.
    pub(super) unanswered_cut: u64,
    /// Submits still open at the end.
    pub(super) unanswered_end: u64,
    pub(super) lost: u64,
    pub(super) cut: u64,
    pub(super) reopened: u64,
    /// `client.reconnect`, obeyed.
    pub(super) reconnects: u64,
    pub(super) difficulty_changes: u64,
    pub(super) jobs: u64,
    /// From the cut of many to the last of them working again.
    pub(super) back_ns: Option<u64>,
    pub(super) errors: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn error(&mut self, kind: &str) {
        match self.errors.get_mut(kind) {
            Some(count) => *count += 1,
            None => {
                self.errors.insert(kind.to_owned(), 1);
            }
        }
    }

    /// Counts the answer to a submit.
    #[inline]
    pub(super) fn answer(&mut self, verdict: Verdict<'_>, bad: bool, in_window: bool) {
        for answers in [Some(&mut self.total), in_window.then_some(&mut self.window)] {
            let Some(answers) = answers else { continue };
            match verdict {
                Verdict::Accepted => {
                    answers.accepted += 1;
                    answers.bad_accepted += u64::from(bad);
                }
                Verdict::Rejected { code, reason } => answers.reject(code, reason),
            }
        }
    }

    pub(super) fn unanswered(&self) -> u64 {
        self.unanswered_lost + self.unanswered_cut + self.unanswered_end
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.window.merge(other.window);
        self.total.merge(other.total);
        self.times.merge(&other.times);
        self.near.merge(&other.near);
        let (mine, theirs) = (&mut self.opening, other.opening);
        let begun = [mine.first_connect_ns, theirs.first_connect_ns];
        mine.first_connect_ns = begun.into_iter().flatten().min();
        mine.connected.merge(theirs.connected);
        mine.subscribed.merge(theirs.subscribed);
        mine.authorized.merge(theirs.authorized);
        mine.job.merge(theirs.job);
        mine.to_job.merge(&theirs.to_job);
        self.waves.merge(other.waves);
        self.slow.working += other.slow.working;
        self.slow.lines += other.slow.lines;
        self.slow.dropped_after.merge(&other.slow.dropped_after);
        self.submits += other.submits;
        self.bad_sent += other.bad_sent;
        self.unanswered_lost += other.unanswered_lost;
        self.unanswered_cut += other.unanswered_cut;
        self.unanswered_end += other.unanswered_end;
        self.lost += other.lost;
        self.cut += other.cut;
        self.reopened += other.reopened;
        self.reconnects += other.reconnects;
        self.difficulty_changes += other.difficulty_changes;
        self.jobs += other.jobs;
        self.back_ns = self.back_ns.max(other.back_ns);
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
    }
}
