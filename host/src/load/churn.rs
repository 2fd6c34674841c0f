//! Trouble made on purpose: connections cut, one after the other or many at once, and readers
//! that never read.

use super::connection::Stage;
use super::event_loop::{Closing, EventLoop};
use super::plan::LoadPlan;

/// Between two writes of a reader that does not read, and how many lines each has.
const SLOW_EVERY_NS: u64 = 10_000_000;
const SLOW_LINES: usize = 64;

/// When what is cut next.
#[derive(Debug)]
pub(super) struct Churn {
    /// Between two cuts of this loop.
    every_ns: Option<u64>,
    cuts: u64,
    next: usize,
    /// How many to cut at once, and when; until it is done.
    cut: Option<(usize, u64)>,
    cut_at_ns: u64,
    /// Cut at once and not yet back.
    away: usize,
    slow_at_ns: u64,
    readers: usize,
}

impl Churn {
    pub(super) fn new(plan: &LoadPlan, first: u32, connections: usize) -> Self {
        let threads = u64::from(plan.threads);
        let own = |all: u32| (first..all).step_by(plan.threads as usize).count();
        let every = |rate: u32| (1_000_000_000 * threads).checked_div(u64::from(rate));
        Self {
            every_ns: every(plan.churn),
            cuts: 0,
            next: 0,
            cut: plan.cut.map(|(all, after)| (own(all), after.as_nanos() as u64)),
            cut_at_ns: 0,
            away: 0,
            slow_at_ns: 0,
            readers: own(plan.connections).min(connections),
        }
    }
}

impl EventLoop {
    /// Cuts and floods what is due.
    pub(super) fn churn(&mut self, now: u64) {
        if now >= self.churn.slow_at_ns && self.churn.readers < self.connections.len() {
            self.churn.slow_at_ns = now + SLOW_EVERY_NS;
            self.flood(now);
        }
        if !self.times.measures(now) {
            return;
        }
        let since = now - self.times.from_ns;
        if let Some(every) = self.churn.every_ns {
            while self.churn.cuts < since / every {
                self.churn.cuts += 1;
                let reset = self.churn.cuts.is_multiple_of(2);
                self.cut_next(reset);
            }
        }
        if let Some((many, after)) = self.churn.cut
            && since >= after
        {
            self.churn.cut = None;
            self.churn.cut_at_ns = now;
            for turn in 0..many {
                if let Some(index) = self.cut_next(turn % 2 == 0) {
                    self.connections[index].cut = true;
                    self.churn.away += 1;
                }
            }
        }
    }

    /// Cuts the next connection in turn that is ready.
    fn cut_next(&mut self, reset: bool) -> Option<usize> {
        let readers = self.churn.readers;
        let next = self.churn.next;
        let index = (0..readers)
            .map(|step| (next + step) % readers)
            .find(|index| self.connections[*index].stage == Stage::Ready)?;
        self.churn.next = index + 1;
        self.close(index, Closing::Cut { reset });
        Some(index)
    }

    /// A connection works again.
    pub(super) fn back(&mut self, index: usize, now: u64) {
        if std::mem::take(&mut self.connections[index].cut) {
            self.churn.away -= 1;
            if self.churn.away == 0 {
                self.tally.back_ns = Some(now - self.churn.cut_at_ns);
            }
        }
    }

    fn flood(&mut self, now: u64) {
        if !self.times.submits(now) {
            return;
        }
        for index in self.churn.readers..self.connections.len() {
            let connection = &mut self.connections[index];
            let full = connection.link.as_ref().is_none_or(super::link::Link::is_full);
            if !connection.is_working() || full {
                continue;
            }
            if connection.silent_ns.is_none() {
                connection.silent_ns = Some(now);
                self.tally.slow.working += 1;
            }
            self.tally.slow.lines += self.unread_submits(index, SLOW_LINES);
            self.send(index);
        }
    }
}
