//! Difficulty: sessions hand in how they did, one call answers many of them.
//!
//! If the component fails, every difficulty stays as it is: shares go on being judged.

use std::sync::Arc;
use std::time::Duration;

use chimera_plugin::{Batch, DifficultyStrategy, Hello, PluginError};
use chimera_pow::Difficulty;
use chimera_stratum::{DifficultyLimits, Login, Measure};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::Calls;
use crate::clock::now_ms;
use crate::connection::Answer;
use crate::health::Probe;

/// Rows of one call; the component's time limit grows with them.
const ROWS_MAX: usize = 10_000;
/// Sessions whose ticks fall together are answered together.
const GATHER: Duration = Duration::from_millis(20);
const ADVICE: &str = "Every session keeps its difficulty. Correct or replace the difficulty \
                      component and restart.";

/// What a session's difficulty becomes.
#[derive(Debug)]
pub(crate) struct Retarget {
    /// `None` keeps it.
    pub next: Option<Difficulty>,
    /// Words the component wants to see again.
    pub state: Vec<u64>,
}

#[derive(Debug)]
struct Ask {
    row: Measure,
    state: Vec<u64>,
    answer_to: mpsc::Sender<Answer>,
}

/// Who is asked about difficulties.
pub(crate) struct DifficultyDesk {
    strategy: Arc<DifficultyStrategy>,
    limits: DifficultyLimits,
    probe: Probe,
    asks: mpsc::Sender<Ask>,
    asked: Mutex<mpsc::Receiver<Ask>>,
    /// How it went so far.
    pub calls: Calls,
}

impl DifficultyDesk {
    /// A desk over a loaded component.
    pub(crate) fn new(
        strategy: DifficultyStrategy,
        limits: DifficultyLimits,
        probe: Probe,
    ) -> Self {
        let (asks, asked) = mpsc::channel(ROWS_MAX);
        probe.healthy(now_ms());
        Self {
            strategy: Arc::new(strategy),
            limits,
            probe,
            asks,
            asked: Mutex::new(asked),
            calls: Calls::default(),
        }
    }

    /// The component.
    pub(crate) fn strategy(&self) -> &DifficultyStrategy {
        &self.strategy
    }

    /// Hands in how a session did. False if the desk has too much to do: the session asks
    /// again at its next tick.
    pub(crate) fn ask(
        &self,
        row: Measure,
        state: Vec<u64>,
        answer_to: mpsc::Sender<Answer>,
    ) -> bool {
        self.asks.try_send(Ask { row, state, answer_to }).is_ok()
    }

    /// What a miner starts at; `None` leaves it to the pool's default.
    pub(crate) async fn start(&self, login: &Login) -> Option<Difficulty> {
        let hello = Hello {
            user_agent: login.user_agent.clone(),
            hint: login.hint,
            minimum: self.limits.min,
            maximum: self.limits.max,
        };
        let first = self.call(move |strategy| strategy.initial(&[hello])).await?;
        first.first().copied()
    }

    /// Answers sessions until stopped.
    pub(crate) async fn run(&self, stopping: CancellationToken) {
        let mut asked = self.asked.lock().await;
        loop {
            let Some(Some(first)) = stopping.run_until_cancelled(asked.recv()).await else {
                return;
            };
            tokio::time::sleep(GATHER).await;
            let mut asks = vec![first];
            while asks.len() < ROWS_MAX
                && let Ok(ask) = asked.try_recv()
            {
                asks.push(ask);
            }
            self.answer(asks).await;
        }
    }

    async fn answer(&self, asks: Vec<Ask>) {
        let words = self.strategy.state_words();
        let batch = batch_of(&asks, words);
        let verdicts = self.call(move |strategy| strategy.retarget(batch)).await;
        for (row, ask) in asks.into_iter().enumerate() {
            let retarget = match &verdicts {
                Some(verdicts) => Retarget {
                    next: verdicts.next[row].and_then(Difficulty::from_units),
                    state: verdicts.state[row * words..(row + 1) * words].to_vec(),
                },
                None => Retarget { next: None, state: ask.state },
            };
            // A session that ended meanwhile needs no answer; one that does not take its
            // answers must not hold up the others.
            let _ = ask.answer_to.try_send(Answer::Retarget(retarget));
        }
    }

    /// Calls the component away from the executor.
    async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&DifficultyStrategy) -> Result<T, PluginError> + Send + 'static,
    ) -> Option<T> {
        let strategy = Arc::clone(&self.strategy);
        self.calls.made();
        let outcome = tokio::task::spawn_blocking(move || call(&strategy)).await;
        match outcome {
            Ok(Ok(answer)) => {
                self.probe.healthy(now_ms());
                Some(answer)
            }
            Ok(Err(error)) => self.failed(&error),
            Err(error) => self.failed(&error),
        }
    }

    fn failed<T>(&self, error: &dyn std::error::Error) -> Option<T> {
        self.calls.failed(&error.to_string());
        self.probe.error(error, ADVICE, now_ms());
        None
    }
}

fn batch_of(asks: &[Ask], words: usize) -> Batch {
    let column = |of: fn(&Measure) -> u64| asks.iter().map(|ask| of(&ask.row)).collect();
    let count = |of: fn(&Measure) -> u32| asks.iter().map(|ask| of(&ask.row)).collect();
    let mut state = Vec::with_capacity(asks.len() * words);
    for ask in asks {
        // New sessions have no words yet.
        state.extend((0..words).map(|word| ask.state.get(word).copied().unwrap_or(0)));
    }
    Batch {
        current: column(|row| row.current),
        minimum: column(|row| row.minimum),
        maximum: column(|row| row.maximum),
        accepted: count(|row| row.accepted),
        stale: count(|row| row.stale),
        rejected: count(|row| row.rejected),
        accepted_difficulty: column(|row| row.accepted_difficulty),
        window_ms: count(|row| row.window_ms),
        connected_ms: count(|row| row.connected_ms),
        state,
    }
}
