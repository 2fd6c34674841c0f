//! Difficulty: sessions hand in how they did, one call answers many of them.
//!
//! If the component fails, every difficulty stays as it is; if it fails again and again, a
//! plain strategy of the pool's own acts until it works. Shares go on being judged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chimera_plugin::{Batch, CallBundle, DifficultyStrategy, Digest, Hello, PluginError, Verdicts};
use chimera_pow::Difficulty;
use chimera_stratum::{DifficultyLimits, Login, Measure};
use chimera_work::WorkerId;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

use super::breaker::{Breaker, Patience};
use super::difficulty_shadow::DifficultyShadow;
use super::guard::Guard;
use super::native_vardiff::{self, Watched};
use super::recent::Recent;
use super::{Filled, Mode, Slot, Trial};
use crate::clock::now_ms;
use crate::gate::{Answer, ReplyTo};
use crate::health::Probe;
use crate::traps::Traps;

/// Rows of one call; the component's time limit grows with them.
const ROWS_MAX: usize = 10_000;
/// Sessions whose ticks fall together are answered together.
const GATHER: Duration = Duration::from_millis(20);
/// Workers whose last difficulty is remembered.
const WORKERS_MAX: usize = 50_000;
const KEPT: &str = "Every session keeps its difficulty. If this goes on, the pool's own vardiff \
                    takes over.";
const NATIVE: &str = "The pool's own vardiff decides (a share every three seconds). The component \
                      is tried again by itself; correct or replace it.";

/// What a strategy wants to see again of a session. Words mean something only to the
/// component that wrote them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    of: Option<Digest>,
    words: Vec<u64>,
    /// What the native strategy saw while it acted.
    native: Watched,
}

impl Memory {
    /// So many words for a component: zeroes if it has not written any.
    fn words_for(&self, component: Digest, count: usize) -> impl Iterator<Item = u64> + '_ {
        let known = self.of == Some(component) && self.words.len() == count;
        (0..count).map(move |word| if known { self.words[word] } else { 0 })
    }
}

/// What a session's difficulty becomes.
#[derive(Debug)]
pub(crate) struct Retarget {
    /// `None` keeps it.
    pub next: Option<Difficulty>,
    /// What is to be handed in at the next evaluation.
    pub memory: Memory,
}

#[derive(Debug)]
struct Ask {
    session: u64,
    row: Measure,
    memory: Memory,
    answer_to: ReplyTo,
}

/// Who is asked about difficulties.
pub(crate) struct DifficultyDesk {
    /// The component in force, and one on trial.
    pub slot: Slot<DifficultyStrategy>,
    probe: Probe,
    asks: mpsc::Sender<Ask>,
    asked: Mutex<mpsc::Receiver<Ask>>,
    sessions: AtomicU64,
    shadow: DifficultyShadow,
    guard: Guard<DifficultyStrategy>,
    traps: Arc<Traps>,
    /// What each worker's session had when it ended.
    previous: std::sync::Mutex<Recent<WorkerId, Difficulty>>,
    native: AtomicU64,
}

impl DifficultyDesk {
    /// A desk over a loaded component.
    pub(crate) fn new(
        strategy: Filled<DifficultyStrategy>,
        traps: Arc<Traps>,
        probe: Probe,
    ) -> Self {
        let (asks, asked) = mpsc::channel(ROWS_MAX);
        probe.healthy(now_ms());
        Self {
            slot: Slot::new(strategy),
            probe,
            asks,
            asked: Mutex::new(asked),
            sessions: AtomicU64::new(0),
            shadow: DifficultyShadow::default(),
            guard: Guard::new(Patience::DIFFICULTY),
            traps,
            previous: std::sync::Mutex::new(Recent::new(WORKERS_MAX)),
            native: AtomicU64::new(0),
        }
    }

    /// A number for a new session.
    pub(crate) fn number(&self) -> u64 {
        self.sessions.fetch_add(1, Ordering::Relaxed)
    }

    /// Hands in how a session did. False if the desk has too much to do: the session asks
    /// again at its next tick.
    pub(crate) fn ask(
        &self,
        session: u64,
        row: Measure,
        memory: Memory,
        answer_to: ReplyTo,
    ) -> bool {
        self.asks.try_send(Ask { session, row, memory, answer_to }).is_ok()
    }

    /// Whether the component in force is called.
    pub(crate) fn breaker(&self) -> Breaker {
        self.guard.breaker(&self.slot)
    }

    /// Sessions the native strategy decided about, since the start.
    pub(crate) fn native_decisions(&self) -> u64 {
        self.native.load(Ordering::Relaxed)
    }

    /// A worker's session ended at a difficulty, in units of 2^-32: its next one is told.
    pub(crate) fn ended(&self, worker: WorkerId, units: u64) {
        if let Some(difficulty) = Difficulty::from_units(units) {
            self.previous().put(worker, difficulty);
        }
    }

    fn previous(&self) -> MutexGuard<'_, Recent<WorkerId, Difficulty>> {
        self.previous.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a miner starts at; `None` leaves it to the pool's default.
    pub(crate) async fn start(
        &self,
        session: u64,
        worker: WorkerId,
        login: &Login,
        limits: DifficultyLimits,
    ) -> Option<Difficulty> {
        let hello = Hello {
            user_agent: login.user_agent.clone(),
            hint: login.hint,
            previous: self.previous().get(&worker).copied(),
            minimum: limits.min,
            maximum: limits.max,
        };
        let question = Question::Initial(vec![hello.clone()]);
        if let Some(trial) = self.slot.trial().filter(|trial| trial.decides_for(session))
            && let Some(Reply::Initial(first)) = self.try_out(&trial, 1, question.clone()).await
        {
            return first.first().copied();
        }
        match self.call(&self.slot.active(), question).await {
            Some(Reply::Initial(first)) => first.first().copied(),
            // What the miner asks for, else what it had.
            _ => hello.hint.or(hello.previous),
        }
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

    async fn answer(&self, mut asks: Vec<Ask>) {
        let trial = self.slot.trial();
        if let Some(trial) = &trial {
            let (canaries, others): (Vec<_>, Vec<_>) =
                asks.into_iter().partition(|ask| trial.decides_for(ask.session));
            asks = others;
            asks.extend(self.answer_canaries(trial, canaries).await);
        }
        if asks.is_empty() {
            return;
        }
        let filled = self.slot.active();
        let rows: Vec<_> = asks.iter().map(|ask| (ask.session, ask.row)).collect();
        let began = Instant::now();
        let question = Question::Retarget(Box::new(batch_of(&asks, &filled.component)));
        let Some(Reply::Retarget(verdicts)) = self.call(&filled, question).await else {
            self.do_without(asks);
            return;
        };
        if let Some(trial) = &trial
            && trial.mode == Mode::Shadow
        {
            self.shadow.compare(trial, rows, verdicts.next.clone(), began.elapsed());
        }
        deliver(asks, &verdicts, &filled.component);
    }

    /// Answers without the component: everything stays, or the native strategy decides.
    fn do_without(&self, asks: Vec<Ask>) {
        let tripped = self.breaker().is_tripped();
        for mut ask in asks {
            let next = if tripped {
                self.native.fetch_add(1, Ordering::Relaxed);
                native_vardiff::retarget(&mut ask.memory.native, &ask.row)
            } else {
                None
            };
            let next = next.and_then(Difficulty::from_units);
            let retarget = Retarget { next, memory: ask.memory };
            ask.answer_to.send(Answer::Retarget(retarget));
        }
    }

    /// Answers those the component on trial decides about; gives back those it could not.
    async fn answer_canaries(
        &self,
        trial: &Arc<Trial<DifficultyStrategy>>,
        asks: Vec<Ask>,
    ) -> Vec<Ask> {
        if asks.is_empty() {
            return asks;
        }
        let question = Question::Retarget(Box::new(batch_of(&asks, &trial.filled.component)));
        match self.try_out(trial, asks.len() as u64, question).await {
            Some(Reply::Retarget(verdicts)) => {
                deliver(asks, &verdicts, &trial.filled.component);
                Vec::new()
            }
            _ => asks,
        }
    }

    /// Calls the component on trial instead of the one in force.
    async fn try_out(
        &self,
        trial: &Arc<Trial<DifficultyStrategy>>,
        decisions: u64,
        question: Question,
    ) -> Option<Reply> {
        let began = Instant::now();
        match self.ask_component(&trial.filled, question).await {
            Ok(reply) => {
                trial.decided(decisions, began.elapsed());
                Some(reply)
            }
            Err(cause) => {
                trial.failed(decisions, began.elapsed(), &cause);
                None
            }
        }
    }

    /// Calls the component in force, unless it has failed too often just now.
    async fn call(
        &self,
        filled: &Arc<Filled<DifficultyStrategy>>,
        question: Question,
    ) -> Option<Reply> {
        if !self.guard.may_call(filled, now_ms()) {
            return None;
        }
        match self.ask_component(filled, question).await {
            Ok(reply) => {
                self.guard.succeeded(filled);
                self.probe.healthy(now_ms());
                Some(reply)
            }
            Err(cause) => {
                let now = now_ms();
                match self.guard.failed(filled, now) {
                    Some(breaker) if breaker.needs_somebody() => {
                        self.probe.error(cause, NATIVE, now);
                    }
                    Some(breaker) if breaker.is_tripped() => {
                        self.probe.unhealthy(cause, NATIVE, now);
                    }
                    Some(_) => self.probe.unhealthy(cause, KEPT, now),
                    // Another one is in force meanwhile.
                    None => {}
                }
                None
            }
        }
    }

    /// Calls a component away from the executor. A failed call is kept for its author.
    async fn ask_component(
        &self,
        filled: &Arc<Filled<DifficultyStrategy>>,
        question: Question,
    ) -> Result<Reply, String> {
        let (asked, traps) = (Arc::clone(filled), Arc::clone(&self.traps));
        filled.calls.made();
        let reply =
            tokio::task::spawn_blocking(move || question.put(&asked.component, &traps)).await;
        let reply = match reply {
            Ok(reply) => reply.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        reply.inspect_err(|cause| filled.calls.failed(cause))
    }
}

/// What a strategy is asked.
#[derive(Debug, Clone)]
enum Question {
    Initial(Vec<Hello>),
    Retarget(Box<Batch>),
}

/// What it answers to each.
#[derive(Debug)]
enum Reply {
    Initial(Vec<Difficulty>),
    Retarget(Verdicts),
}

impl Question {
    fn put(self, strategy: &DifficultyStrategy, traps: &Traps) -> Result<Reply, PluginError> {
        let keep = |bundle: &dyn Fn() -> CallBundle| {
            traps.keep("difficulty", now_ms(), None, bundle);
        };
        match self {
            Self::Initial(hello) => {
                let answer = strategy.initial(&hello);
                if answer.is_err() {
                    keep(&|| CallBundle::initial(strategy, &hello, &answer));
                }
                answer.map(Reply::Initial)
            }
            Self::Retarget(batch) => {
                let answer = strategy.retarget(Batch::clone(&batch));
                if answer.is_err() {
                    keep(&|| CallBundle::retarget(strategy, &batch, &answer));
                }
                answer.map(Reply::Retarget)
            }
        }
    }
}

/// Hands out what a component decided.
fn deliver(asks: Vec<Ask>, verdicts: &Verdicts, strategy: &DifficultyStrategy) {
    let words = strategy.state_words();
    for (row, ask) in asks.into_iter().enumerate() {
        let retarget = Retarget {
            next: verdicts.next[row].and_then(Difficulty::from_units),
            memory: Memory {
                of: Some(strategy.digest()),
                words: verdicts.state[row * words..(row + 1) * words].to_vec(),
                native: Watched::default(),
            },
        };
        ask.answer_to.send(Answer::Retarget(retarget));
    }
}

fn batch_of(asks: &[Ask], strategy: &DifficultyStrategy) -> Batch {
    let (component, words) = (strategy.digest(), strategy.state_words());
    let state = asks.iter().flat_map(|ask| ask.memory.words_for(component, words)).collect();
    Batch { state, ..columns(asks.iter().map(|ask| &ask.row)) }
}

/// Rows as columns, without the strategy's words.
pub(super) fn columns<'a>(rows: impl Iterator<Item = &'a Measure> + Clone) -> Batch {
    let column = |of: fn(&Measure) -> u64| rows.clone().map(of).collect();
    let count = |of: fn(&Measure) -> u32| rows.clone().map(of).collect();
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
        state: Vec::new(),
    }
}
