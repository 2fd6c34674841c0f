//! Time a component spends waiting for its host is not its own: it is given back to its
//! budget, up to a limit that keeps one decision from taking for ever.

use std::time::{Duration, Instant};

use crate::class::TICK;

/// All waits of one call together: a miner that logs in waits no longer.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(2);

/// The waits of the call that is running.
#[derive(Default)]
pub(crate) struct Waiting {
    spent: Duration,
    /// Waited, and not yet given back.
    owed: Duration,
}

impl Waiting {
    /// What may still be waited in this call.
    pub(crate) fn left(&self) -> Duration {
        WAIT_MAX.saturating_sub(self.spent)
    }

    /// Does something the component waits for.
    pub(crate) fn during<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let left = self.left();
        let start = Instant::now();
        let answer = wait();
        let took = start.elapsed();
        self.spent += took;
        self.owed += took.min(left);
        answer
    }

    /// Whole ticks to give back.
    pub(crate) fn take_ticks(&mut self) -> u64 {
        let ticks = self.owed.as_nanos() / TICK.as_nanos();
        self.owed -= TICK * ticks as u32;
        ticks as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_is_given_back_in_ticks_and_only_within_the_limit() {
        let mut waiting = Waiting { spent: WAIT_MAX - TICK * 3, owed: TICK * 2 + TICK / 2 };
        assert_eq!(waiting.take_ticks(), 2);
        assert_eq!(waiting.take_ticks(), 0);
        waiting.during(|| std::thread::sleep(TICK * 5));
        assert_eq!(waiting.left(), Duration::ZERO);
        // Half a tick of old, and what was left.
        assert_eq!(waiting.take_ticks(), 3);
        waiting.during(|| std::thread::sleep(TICK * 2));
        assert_eq!(waiting.take_ticks(), 0);
    }
}
