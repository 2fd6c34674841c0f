//! A difficulty strategy on trial beside the one in force: it sees the same batches, and what
//! it answers is only compared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use chimera_plugin::{Batch, DifficultyStrategy};
use chimera_pow::Difficulty;
use chimera_stratum::Measure;
use tokio::sync::Semaphore;

use super::Trial;
use super::difficulty::columns;

/// Sessions whose words are kept for the strategy on trial; more begin anew with zeroes.
const SESSIONS_MAX: usize = 20_000;
/// Difficulties this close, in parts of the smaller one, are called the same: rounding.
const SAME_WITHIN: u64 = 100;

/// Compares at leisure: one batch at a time, and none is waited for.
pub(super) struct DifficultyShadow {
    turn: Arc<Semaphore>,
    memory: Arc<Mutex<Memory>>,
}

/// What the strategy on trial wants to see again, by session. Its own: the sessions carry the
/// words of the one in force.
#[derive(Default)]
struct Memory {
    of: Weak<Trial<DifficultyStrategy>>,
    words: HashMap<u64, Vec<u64>>,
}

impl Default for DifficultyShadow {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), memory: Arc::default() }
    }
}

impl DifficultyShadow {
    /// Asks the strategy on trial about a batch the one in force has answered. Returns at
    /// once; a batch that comes while another is compared is only counted.
    pub(super) fn compare(
        &self,
        trial: &Arc<Trial<DifficultyStrategy>>,
        rows: Vec<(u64, Measure)>,
        answered: Vec<Option<u64>>,
        active_took: Duration,
    ) {
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else {
            trial.dropped(rows.len() as u64);
            return;
        };
        let (trial, memory) = (Arc::clone(trial), Arc::clone(&self.memory));
        tokio::task::spawn_blocking(move || {
            memory.lock().unwrap_or_else(PoisonError::into_inner).compare(
                &trial,
                &rows,
                &answered,
                active_took,
            );
            drop(turn);
        });
    }
}

impl Memory {
    fn compare(
        &mut self,
        trial: &Arc<Trial<DifficultyStrategy>>,
        rows: &[(u64, Measure)],
        answered: &[Option<u64>],
        active_took: Duration,
    ) {
        if !std::ptr::eq(self.of.as_ptr(), Arc::as_ptr(trial)) {
            *self = Self { of: Arc::downgrade(trial), words: HashMap::new() };
        }
        let strategy = &trial.filled.component;
        let words = strategy.state_words();
        let batch = Batch {
            state: rows.iter().flat_map(|(session, _)| self.words_of(*session, words)).collect(),
            ..columns(rows.iter().map(|(_, row)| row))
        };
        trial.filled.calls.made();
        let began = Instant::now();
        match strategy.retarget(batch) {
            Ok(verdicts) => {
                let differences = rows
                    .iter()
                    .zip(answered.iter().zip(&verdicts.next))
                    .filter_map(|((_, row), (active, tried))| difference(row, *active, *tried));
                trial.compared(rows.len() as u64, differences, (began.elapsed(), active_took));
                let states = verdicts.state.chunks_exact(words.max(1));
                for ((session, _), state) in rows.iter().zip(states) {
                    if self.words.len() < SESSIONS_MAX || self.words.contains_key(session) {
                        self.words.insert(*session, state.to_vec());
                    }
                }
            }
            Err(error) => {
                trial.filled.calls.failed(&error.to_string());
                trial.failed(rows.len() as u64, began.elapsed(), &error.to_string());
            }
        }
    }

    fn words_of(&self, session: u64, count: usize) -> Vec<u64> {
        self.words.get(&session).cloned().unwrap_or_else(|| vec![0; count])
    }
}

/// How two answers about a session differ, in words.
fn difference(row: &Measure, active: Option<u64>, tried: Option<u64>) -> Option<String> {
    let become_of = |next: Option<u64>| next.unwrap_or(row.current);
    let (in_force, on_trial) = (become_of(active), become_of(tried));
    if in_force.abs_diff(on_trial) <= in_force.min(on_trial) / SAME_WITHIN {
        return None;
    }
    let shown = |units: u64| {
        Difficulty::from_units(units).map_or_else(|| "0".to_owned(), |value| value.to_string())
    };
    Some(format!(
        "a session at difficulty {} with {} shares in {} s: {} in force, {} on trial",
        shown(row.current),
        row.accepted,
        row.window_ms / 1000,
        shown(in_force),
        shown(on_trial),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_answers_differ_by_what_the_session_would_have() {
        const ONE: u64 = 1 << 32;
        let row = Measure { current: ONE, accepted: 7, window_ms: 5_000, ..Measure::default() };
        for (active, tried, same) in [
            (None, None, true),
            (None, Some(ONE), true),
            (Some(2 * ONE), Some(2 * ONE + ONE / 100), true),
            (Some(2 * ONE), None, false),
            (Some(2 * ONE), Some(3 * ONE), false),
        ] {
            assert_eq!(difference(&row, active, tried).is_none(), same, "{active:?} {tried:?}");
        }
        assert_eq!(
            difference(&row, Some(2 * ONE), None).unwrap(),
            "a session at difficulty 1 with 7 shares in 5 s: 2 in force, 1 on trial"
        );
    }
}
