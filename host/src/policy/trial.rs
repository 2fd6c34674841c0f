//! A component on trial: asked beside the one in force or instead of it, and how it did.

use std::fmt;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::Filled;

/// Differences kept in words; the others are counted.
const EXAMPLES_MAX: usize = 8;
const MILLION: u64 = 1_000_000;

/// How a component on trial is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Beside the one in force; its answers change nothing.
    Shadow,
    /// Instead of the one in force, for this part of all identities, in parts per million.
    /// What it cannot decide, the one in force decides.
    Canary(u32),
}

/// A component on trial. A change of mode is another trial with its own counts.
pub(crate) struct Trial<T> {
    /// The component.
    pub filled: Arc<Filled<T>>,
    /// How it is asked.
    pub mode: Mode,
    tally: Mutex<Report>,
    dropped: AtomicU64,
}

/// How a component on trial did so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Decisions it made: logins, or sessions whose difficulty it chose.
    pub decisions: u64,
    /// Shadow: those that are the same as the one in force made.
    pub agreed: u64,
    /// Shadow: those that are not.
    pub differed: u64,
    /// Decisions it was asked for and could not make.
    pub failed: u64,
    /// Decisions it was not asked for, because it was still busy with earlier ones.
    pub dropped: u64,
    /// Decisions that took a request which a component on trial may not make, so that nothing
    /// could be compared.
    pub skipped: u64,
    /// Time its calls took, us.
    pub time_us: u64,
    /// Shadow: time the same calls took the one in force, us.
    pub active_time_us: u64,
    /// The first differences, for people.
    pub examples: Vec<String>,
    /// Its latest failure.
    pub last_error: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} decisions, {} failed", self.decisions, self.failed)?;
        if self.agreed + self.differed > 0 {
            write!(f, "; {} as the one in force, {} not", self.agreed, self.differed)?;
        }
        for (count, what) in [(self.dropped, "too many at once"), (self.skipped, "need a request")]
        {
            if count > 0 {
                write!(f, "; {count} not asked: {what}")?;
            }
        }
        if let Some(each) = self.time_us.checked_div(self.decisions) {
            write!(f, "; {each} us each")?;
            if self.active_time_us > 0 {
                write!(f, " beside {} us", self.active_time_us / self.decisions)?;
            }
        }
        for example in &self.examples {
            write!(f, "\n  {example}")?;
        }
        Ok(())
    }
}

impl<T> Trial<T> {
    /// A trial that begins now.
    pub(crate) fn new(filled: Arc<Filled<T>>, mode: Mode) -> Self {
        Self { filled, mode, tally: Mutex::default(), dropped: AtomicU64::new(0) }
    }

    /// How it did so far.
    pub(crate) fn report(&self) -> Report {
        Report { dropped: self.dropped.load(Ordering::Relaxed), ..self.tally().clone() }
    }

    /// Whether it decides about an identity instead of the one in force. The same identity
    /// has the same answer for as long as the share of identities stays the same.
    pub(crate) fn decides_for(&self, identity: impl std::hash::Hash) -> bool {
        match self.mode {
            Mode::Shadow => false,
            Mode::Canary(per_million) => hash_of(identity) % MILLION < u64::from(per_million),
        }
    }

    /// It decided instead of the one in force.
    pub(super) fn decided(&self, decisions: u64, took: Duration) {
        let mut tally = self.tally();
        tally.decisions += decisions;
        tally.time_us += micros(took);
    }

    /// It decided beside the one in force; `differences` are told if they are among the first.
    pub(super) fn compared(
        &self,
        decisions: u64,
        differences: impl IntoIterator<Item = String>,
        (took, active_took): (Duration, Duration),
    ) {
        let mut tally = self.tally();
        let before = tally.differed;
        for difference in differences {
            tally.differed += 1;
            if tally.examples.len() < EXAMPLES_MAX {
                tally.examples.push(difference);
            }
        }
        tally.agreed += decisions - (tally.differed - before).min(decisions);
        tally.decisions += decisions;
        tally.time_us += micros(took);
        tally.active_time_us += micros(active_took);
    }

    /// It could not decide.
    pub(super) fn failed(&self, decisions: u64, took: Duration, cause: &str) {
        let mut tally = self.tally();
        tally.failed += decisions;
        tally.time_us += micros(took);
        tally.last_error = Some(cause.to_owned());
    }

    /// It would have needed a request that is not made for a trial.
    pub(super) fn skipped(&self) {
        self.tally().skipped += 1;
    }

    /// It was too busy to be asked.
    pub(super) fn dropped(&self, decisions: u64) {
        self.dropped.fetch_add(decisions, Ordering::Relaxed);
    }

    fn tally(&self) -> MutexGuard<'_, Report> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

/// The same in every process: after a restart the same identities are canaries.
fn hash_of(identity: impl std::hash::Hash) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    identity.hash(&mut hasher);
    // FNV mixes its last bytes too little for a remainder; the finaliser of SplitMix64 does.
    let mut mixed = hasher.finish();
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// FNV-1a, 64 bits.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Calls;
    use chimera_plugin::Grants;

    fn trial(mode: Mode) -> Trial<()> {
        let filled = Filled {
            generation: None,
            component: (),
            origin: "a test".to_owned(),
            grants: Grants::none(),
            calls: Calls::default(),
        };
        Trial::new(Arc::new(filled), mode)
    }

    #[test]
    fn a_canary_decides_for_the_part_of_identities_it_was_given() {
        for (per_million, about) in [(0, 0), (10_000, 100), (250_000, 2_500), (1_000_000, 10_000)] {
            let canary = trial(Mode::Canary(per_million));
            let users = (0..10_000).map(|user| format!("account.{user}"));
            let chosen = users.filter(|user| canary.decides_for(user)).count();
            assert!(chosen.abs_diff(about) <= about / 5, "{per_million}: {chosen}, not {about}");
        }
    }

    #[test]
    fn whom_a_small_canary_decides_for_a_larger_one_does_too() {
        let (small, large) = (trial(Mode::Canary(50_000)), trial(Mode::Canary(200_000)));
        for session in 0..10_000_u64 {
            assert!(!small.decides_for(session) || large.decides_for(session));
            assert!(!trial(Mode::Shadow).decides_for(session));
        }
    }

    #[test]
    fn the_first_differences_are_told_and_all_are_counted() {
        let shadow = trial(Mode::Shadow);
        let times = (Duration::from_micros(7), Duration::from_micros(5));
        shadow.compared(20, (0..12).map(|number| format!("difference {number}")), times);
        shadow.compared(3, [], times);
        shadow.failed(2, Duration::from_micros(1), "it broke");
        shadow.dropped(4);
        shadow.skipped();
        let report = shadow.report();
        assert_eq!((report.decisions, report.agreed, report.differed), (23, 11, 12));
        assert_eq!((report.failed, report.dropped, report.skipped), (2, 4, 1));
        assert_eq!((report.time_us, report.active_time_us), (15, 10));
        let told = report.to_string();
        let (line, examples) = told.split_once('\n').expect("examples follow");
        assert_eq!(
            line,
            "23 decisions, 2 failed; 11 as the one in force, 12 not; 4 not asked: too many at \
             once; 1 not asked: need a request; 0 us each beside 0 us"
        );
        assert_eq!(examples.lines().count(), EXAMPLES_MAX);
        assert_eq!(report.examples.len(), EXAMPLES_MAX);
        assert_eq!(report.examples[0], "difference 0");
        assert_eq!(report.last_error.as_deref(), Some("it broke"));
    }
}
