//! Settlements that failed, each behind a circuit breaker of its own: tried again soon at
//! first, then less and less often, so that a broken scheme costs neither the machine nor the
//! settlements of others.

use std::collections::{HashMap, HashSet};

use crate::policy::breaker::{Breaker, Patience};

/// Settlements that failed, by their key.
#[derive(Debug, Default)]
pub(crate) struct Retries(HashMap<String, Failed>);

#[derive(Debug)]
struct Failed {
    breaker: Breaker,
    error: String,
    /// The generation in force then: another one is a reason to try at once.
    in_force: u32,
}

impl Retries {
    /// Whether a settlement may be tried now; if not, why it failed last.
    ///
    /// # Errors
    /// The last error, as long as its pause is not over.
    pub(crate) fn due(&mut self, key: &str, in_force: u32, now_ms: u64) -> Result<(), String> {
        let Some(failed) = self.0.get_mut(key).filter(|failed| failed.in_force == in_force) else {
            return Ok(());
        };
        if failed.breaker.may_call(now_ms) { Ok(()) } else { Err(failed.error.clone()) }
    }

    /// It failed again.
    pub(crate) fn failed(&mut self, key: &str, in_force: u32, now_ms: u64, error: String) {
        let before = self.0.remove(key).filter(|failed| failed.in_force == in_force);
        let mut breaker = before.map_or(Breaker::new(Patience::PAYOUT), |failed| failed.breaker);
        breaker.failed(now_ms);
        self.0.insert(key.to_owned(), Failed { breaker, error, in_force });
    }

    /// It is done, or needs no more.
    pub(crate) fn done(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Forgets settlements that there is nothing left of: those whose key begins so and is not
    /// among `open`.
    pub(crate) fn only(&mut self, prefix: &str, open: &HashSet<String>) {
        self.0.retain(|key, _| !key.starts_with(prefix) || open.contains(key));
    }

    /// What the breakers of the slot come to in one word: `open` while any settlement is held.
    pub(crate) fn state(&self) -> &'static str {
        if self.0.is_empty() { "closed" } else { "open" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_cap_and_end_with_a_swap() {
        let mut retries = Retries::default();
        let mut now_ms = 1_000_000;
        for pause_ms in [2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000] {
            assert_eq!(retries.due("block:a", 7, now_ms), Ok(()));
            retries.failed("block:a", 7, now_ms, format!("after {pause_ms}"));
            let last = now_ms + pause_ms - 1;
            assert_eq!(retries.due("block:a", 7, last), Err(format!("after {pause_ms}")));
            assert_eq!(retries.due("block:b", 7, last), Ok(()), "another settlement");
            assert_eq!(retries.due("block:a", 8, last), Ok(()), "another scheme is in force");
            assert_eq!(retries.state(), "open");
            now_ms += pause_ms;
        }
        retries.failed("block:a", 7, now_ms, "again".to_owned());
        retries.done("block:a");
        assert_eq!(retries.due("block:a", 7, now_ms), Ok(()));
        assert_eq!(retries.state(), "closed");
        // What another scheme has taken over is not asked for again.
        retries.failed("interval:1", 7, now_ms, "for good".to_owned());
        retries.failed("block:b", 7, now_ms, "too".to_owned());
        retries.only("interval:", &HashSet::new());
        assert_eq!(retries.state(), "open", "blocks are another matter");
        retries.only("block:", &HashSet::from(["block:b".to_owned()]));
        assert_eq!(retries.state(), "open");
        retries.only("block:", &HashSet::new());
        assert_eq!(retries.state(), "closed");
    }
}
