//! When a settlement that failed is tried again: soon at first, then less and less often, so
//! that a broken scheme costs neither the machine nor the settlements of others.

use std::collections::HashMap;

/// The pause after the first failure; each further one doubles it.
const PAUSE_MS: u64 = 2_000;
/// The longest pause: what mends itself is noticed within five minutes.
const PAUSE_MS_MAX: u64 = 300_000;

/// Settlements that failed, by their key.
#[derive(Debug, Default)]
pub(crate) struct Retries(HashMap<String, Failed>);

#[derive(Debug)]
struct Failed {
    times: u32,
    next_ms: u64,
    error: String,
    /// The generation in force then: another one is a reason to try at once.
    in_force: u32,
}

impl Retries {
    /// Whether a settlement may be tried now; if not, why it failed last.
    ///
    /// # Errors
    /// The last error, as long as its pause is not over.
    pub(crate) fn due(&self, key: &str, in_force: u32, now_ms: u64) -> Result<(), String> {
        match self.0.get(key) {
            Some(failed) if failed.in_force == in_force && now_ms < failed.next_ms => {
                Err(failed.error.clone())
            }
            _ => Ok(()),
        }
    }

    /// It failed again.
    pub(crate) fn failed(&mut self, key: &str, in_force: u32, now_ms: u64, error: String) {
        let before = self.0.get(key).filter(|failed| failed.in_force == in_force);
        let times = before.map_or(0, |failed| failed.times) + 1;
        let pause = PAUSE_MS.saturating_mul(1 << (times - 1).min(16)).min(PAUSE_MS_MAX);
        let next_ms = now_ms.saturating_add(pause);
        self.0.insert(key.to_owned(), Failed { times, next_ms, error, in_force });
    }

    /// It is done, or needs no more.
    pub(crate) fn done(&mut self, key: &str) {
        self.0.remove(key);
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
            now_ms += pause_ms;
        }
        retries.failed("block:a", 7, now_ms, "again".to_owned());
        retries.done("block:a");
        assert_eq!(retries.due("block:a", 7, now_ms), Ok(()));
    }
}
