//! What a miner has done so far: the numbers behind the status line and the final report.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use chimera_pow::{Difficulty, Work};

use super::client::Event;
use super::session::Answered;

/// Different reasons kept apart; a pool that invents more gets them added up as "other".
const REASONS_MAX: usize = 32;
/// The hashrate shown is the mean of this long.
const RATE_WINDOW: Duration = Duration::from_secs(10);

/// What one run of the miner came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MinerReport {
    /// Hashes tried.
    pub hashes: u64,
    /// From the start of the run.
    pub elapsed: Duration,
    /// Shares the pool accepted.
    pub accepted: u64,
    /// Expected hashes the accepted shares stand for.
    pub accepted_work: Work,
    /// Shares the pool refused.
    pub rejected: u64,
    /// The refused ones by the pool's reason.
    pub rejections: BTreeMap<String, u64>,
    /// Shares lost with a connection, or not answered when the run ended.
    pub unanswered: u64,
    /// Accepted shares that also met the network target of their job.
    pub blocks: u64,
    /// The highest difficulty an accepted share proved.
    pub best: Option<Difficulty>,
    /// The difficulty of the newest job.
    pub difficulty: Option<Difficulty>,
    /// Jobs received.
    pub jobs: u64,
    /// Connections that came as far as a subscription.
    pub connections: u64,
    /// From the start of the run to the first job.
    pub first_job: Option<Duration>,
}

impl MinerReport {
    /// Hashes per second over the whole run; 0 for a run that took no time.
    pub fn hashes_per_s(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.hashes as f64 / seconds } else { 0.0 }
    }

    pub(super) fn note(&mut self, event: &Event) {
        match event {
            Event::Subscribed { .. } => self.connections += 1,
            Event::Job(job) => {
                self.jobs += 1;
                self.difficulty = Some(job.difficulty());
                self.first_job = self.first_job.or(Some(self.elapsed));
            }
            Event::Accepted(share) => self.accepted(share),
            Event::Rejected(_, reason) => {
                self.rejected += 1;
                let known = self.rejections.contains_key(reason);
                let room = known || self.rejections.len() < REASONS_MAX;
                let reason = if room { reason.as_str() } else { "other" };
                *self.rejections.entry(reason.to_owned()).or_default() += 1;
            }
            Event::Disconnected { unanswered, .. } => self.unanswered += unanswered,
            Event::Connecting(_) | Event::Message(_) | Event::Ignored(_) => {}
        }
    }

    fn accepted(&mut self, share: &Answered) {
        self.accepted += 1;
        self.accepted_work += share.difficulty.target().work();
        self.blocks += u64::from(share.block);
        self.best = Some(self.best.map_or(share.proved, |best| best.max(share.proved)));
    }
}

/// Measures the hashrate of the last seconds.
#[derive(Debug, Default)]
pub(super) struct RateMeter(VecDeque<(Instant, u64)>);

impl RateMeter {
    /// Notes a counter; the rate since the oldest note inside the window, finite.
    pub(super) fn rate(&mut self, now: Instant, hashes: u64) -> f64 {
        self.0.push_back((now, hashes));
        // One note at the window's edge stays, so that the window is always full.
        while self.0.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= RATE_WINDOW) {
            self.0.pop_front();
        }
        let Some((since, before)) = self.0.front() else { return 0.0 };
        let seconds = now.duration_since(*since).as_secs_f64();
        if seconds > 0.0 { hashes.saturating_sub(*before) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use chimera_pow::PowHash;

    use super::*;

    #[test]
    fn t21_an_empty_run_has_finite_rates() {
        assert_eq!(MinerReport::default().hashes_per_s().to_bits(), 0);
        let mut meter = RateMeter::default();
        let now = Instant::now();
        assert_eq!(meter.rate(now, 0).to_bits(), 0);
        assert_eq!(meter.rate(now, 7).to_bits(), 0);
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut meter = RateMeter::default();
        let rates = (0..60_u64).map(|second| {
            let hashes = if second < 30 { second * 1000 } else { 30_000 + (second - 30) * 5000 };
            meter.rate(start + Duration::from_secs(second), hashes)
        });
        let rates: Vec<f64> = rates.collect();
        assert!((rates[20] - 1000.0).abs() < 1e-9, "{}", rates[20]);
        assert!((rates[59] - 5000.0).abs() < 1e-9, "{}", rates[59]);
    }

    #[test]
    fn answers_are_counted_by_what_the_pool_said() {
        let difficulty = |value| Difficulty::new(value).expect("a positive number");
        let share = |proved, block| Answered {
            difficulty: difficulty(0.5),
            proved: difficulty(proved),
            hash: PowHash([0; 32]),
            block,
            latency: Duration::ZERO,
        };
        let mut report = MinerReport::default();
        report.note(&Event::Accepted(share(0.7, false)));
        report.note(&Event::Accepted(share(0.6, true)));
        for number in 0..100 {
            report.note(&Event::Rejected(share(0.9, false), format!("reason {}", number % 50)));
        }
        assert_eq!((report.accepted, report.rejected, report.blocks), (2, 100, 1));
        assert_eq!(report.best, Some(difficulty(0.7)));
        let work = difficulty(0.5).target().work();
        assert_eq!(report.accepted_work, work + work);
        assert_eq!(report.rejections.len(), REASONS_MAX + 1);
        assert_eq!(report.rejections.values().sum::<u64>(), 100);
    }
}
