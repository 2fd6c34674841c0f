//! Difficulty strategies: one long-lived instance, called with all sessions due at once.
//! What it remembers of a session is in the batch, so the instance can be replaced any time.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use chimera_pow::Difficulty;
use serde::{Deserialize, Serialize};

use crate::bindings::difficulty::exports::chimera::pool::difficulty as wit;
use crate::class::{Budget, Class};
use crate::component::{Configured, Live};
use crate::{
    Artifact, Cause, Digest, Engines, Grants, Info, PluginError, Services, interface, units,
};

/// `wit/0.1/difficulty.wit`.
const STATE_WORDS_MAX: u32 = 8;
/// What an instance leaks is given back after so many calls: hours. Not all at once.
const CALLS: u32 = 100_000;

/// A loaded difficulty strategy with its configuration.
pub struct DifficultyStrategy {
    strategy: Configured,
    difficulty: wit::GuestIndices,
    state_words: usize,
    /// Boxed: it is taken out for every call.
    running: Mutex<Option<Box<Running>>>,
}

struct Running {
    live: Live,
    guest: wit::Guest,
    calls_left: u32,
}

/// A new session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// What the miner calls itself.
    pub user_agent: String,
    /// The difficulty it asked for.
    #[serde(with = "units")]
    pub hint: Option<Difficulty>,
    /// What the same worker had when it was last seen.
    #[serde(with = "units")]
    pub previous: Option<Difficulty>,
    /// The lowest it may get.
    #[serde(with = "units::given")]
    pub minimum: Difficulty,
    /// The highest it may get.
    #[serde(with = "units::given")]
    pub maximum: Difficulty,
}

/// Sessions due for evaluation, in columns of one row each. Difficulties are in units of
/// 2^-32 ([`Difficulty::to_units`]).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// The difficulty each has.
    pub current: Vec<u64>,
    /// The lowest it may get.
    pub minimum: Vec<u64>,
    /// The highest it may get.
    pub maximum: Vec<u64>,
    /// Shares accepted in the window.
    pub accepted: Vec<u32>,
    /// Shares that came too late.
    pub stale: Vec<u32>,
    /// Shares refused for another reason.
    pub rejected: Vec<u32>,
    /// Sum of the difficulties of the accepted shares.
    pub accepted_difficulty: Vec<u64>,
    /// Since the session was last evaluated, ms.
    pub window_ms: Vec<u32>,
    /// Since the session began, ms.
    pub connected_ms: Vec<u32>,
    /// [`DifficultyStrategy::state_words`] words per row; zeroes for a new session.
    pub state: Vec<u64>,
}

/// What shall become of the sessions of a batch, row by row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdicts {
    /// The next difficulty, within the row's bounds, in units of 2^-32; `None` to keep.
    pub next: Vec<Option<u64>>,
    /// The batch's state column for the next evaluation.
    pub state: Vec<u64>,
}

impl DifficultyStrategy {
    /// Loads a component as a difficulty strategy. `config` is JSON; empty text means all
    /// defaults.
    ///
    /// # Errors
    /// When it is no difficulty strategy, when it refuses the configuration, or when it
    /// misbehaves while it describes, validates, configures or says how much it remembers.
    pub fn load(
        engines: &Engines,
        artifact: &Artifact,
        config: &str,
        grants: &Grants,
    ) -> Result<Self, PluginError> {
        let (sandbox, services) = (engines.sandbox(Class::Difficulty), Services::none());
        let strategy = Configured::load(engines, sandbox, artifact, config, grants, services)?;
        let difficulty = wit::GuestIndices::new(strategy.pre())
            .map_err(|error| format!("{error:#}"))
            .map_err(|why| strategy.fail("load", interface::explain(artifact.bytes(), why)))?;
        let mut running = Box::new(Running::start(&strategy, &difficulty)?);
        let state_words = running.state_words()?;
        if state_words > STATE_WORDS_MAX {
            let cause = format!("{state_words} words of state; {STATE_WORDS_MAX} are allowed");
            return Err(strategy.fail("state-words", Cause::BadAnswer(cause)));
        }
        let running = Mutex::new(Some(running));
        Ok(Self { strategy, difficulty, state_words: state_words as usize, running })
    }

    /// What the component says of itself.
    pub const fn info(&self) -> &Info {
        self.strategy.info()
    }

    /// The configuration with all defaults filled in.
    pub fn canonical_config(&self) -> &str {
        self.strategy.canonical()
    }

    /// The component's digest.
    pub const fn digest(&self) -> Digest {
        self.strategy.digest()
    }

    /// What it was granted.
    pub fn grants(&self) -> &Grants {
        self.strategy.grants()
    }

    pub(crate) fn subject(&self) -> (&str, Digest, &str, &Grants) {
        self.strategy.subject()
    }

    /// Words of state per session.
    pub const fn state_words(&self) -> usize {
        self.state_words
    }

    /// Makes the cheapest call there is: an instance runs and answers.
    ///
    /// # Errors
    /// When it is stopped, or has another mind than at first.
    pub fn probe(&self) -> Result<(), PluginError> {
        let words = self.call(0, |running, _| running.state_words())?;
        self.check_length("state-words", "words of state", self.state_words, words as usize)
    }

    /// The first difficulties of new sessions, each within its bounds.
    ///
    /// # Errors
    /// When the strategy declines, is stopped, or answers in the wrong shape.
    pub fn initial(&self, hello: &[Hello]) -> Result<Vec<Difficulty>, PluginError> {
        let question: Vec<wit::Hello> = hello.iter().map(question).collect();
        let answer = self.call(hello.len(), |running, budget| {
            let guest = &running.guest;
            running.live.set_moment(0, &hello);
            running.live.call("initial", budget, |store| guest.call_initial(store, &question))
        })?;
        let first = answer.map_err(|verdict| self.strategy.fail("initial", verdict.into()))?;
        self.check_length("initial", "difficulties", hello.len(), first.len())?;
        let bounded = first.into_iter().zip(hello).map(|(units, hello)| {
            Difficulty::from_units(units)
                .unwrap_or(hello.minimum)
                .clamp(hello.minimum, hello.maximum)
        });
        Ok(bounded.collect())
    }

    /// The next difficulties of sessions that are due.
    ///
    /// # Errors
    /// When the batch is uneven, or the strategy declines, is stopped, or answers in the
    /// wrong shape; then every session keeps what it has.
    pub fn retarget(&self, batch: Batch) -> Result<Verdicts, PluginError> {
        let rows = batch.current.len();
        self.check_batch(&batch)?;
        let bounds: Vec<(u64, u64)> =
            batch.minimum.iter().copied().zip(batch.maximum.iter().copied()).collect();
        let seed = self.strategy.shimmed().then(|| batch.clone());
        let question = wit::Batch::from(batch);
        let answer = self.call(rows, |running, budget| {
            let guest = &running.guest;
            running.live.set_moment(0, &seed);
            running.live.call("retarget", budget, |store| guest.call_retarget(store, &question))
        })?;
        let answer = answer.map_err(|verdict| self.strategy.fail("retarget", verdict.into()))?;
        self.check_length("retarget", "difficulties", rows, answer.next.len())?;
        let words = rows * self.state_words;
        self.check_length("retarget", "words of state", words, answer.state.len())?;
        let next = answer.next.into_iter().zip(bounds).map(|(next, (minimum, maximum))| {
            (next > 0).then(|| next.min(maximum).max(minimum).max(1))
        });
        Ok(Verdicts { next: next.collect(), state: answer.state })
    }

    /// Calls the running instance, or a new one; it stays only if the call went well.
    fn call<T>(
        &self,
        rows: usize,
        call: impl FnOnce(&mut Running, Budget) -> Result<T, PluginError>,
    ) -> Result<T, PluginError> {
        // A poisoned lock is a caller's panic; the instance was taken out before.
        let mut slot = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running = match slot.take() {
            Some(running) if running.calls_left > 0 => running,
            _ => Box::new(Running::start(&self.strategy, &self.difficulty)?),
        };
        running.calls_left -= 1;
        let answer = call(&mut running, Class::Difficulty.call_budget(rows as u64))?;
        *slot = Some(running);
        Ok(answer)
    }

    fn check_batch(&self, batch: &Batch) -> Result<(), PluginError> {
        let rows = batch.current.len();
        for (what, expected, found) in [
            ("minimum", rows, batch.minimum.len()),
            ("maximum", rows, batch.maximum.len()),
            ("accepted", rows, batch.accepted.len()),
            ("stale", rows, batch.stale.len()),
            ("rejected", rows, batch.rejected.len()),
            ("accepted_difficulty", rows, batch.accepted_difficulty.len()),
            ("window_ms", rows, batch.window_ms.len()),
            ("connected_ms", rows, batch.connected_ms.len()),
            ("state", rows * self.state_words, batch.state.len()),
        ] {
            if found != expected {
                let cause = Cause::UnevenBatch { what, expected, found };
                return Err(self.strategy.fail("retarget", cause));
            }
        }
        Ok(())
    }

    fn check_length(
        &self,
        function: &'static str,
        what: &'static str,
        expected: usize,
        found: usize,
    ) -> Result<(), PluginError> {
        if found == expected {
            return Ok(());
        }
        Err(self.strategy.fail(function, Cause::WrongLength { what, expected, found }))
    }
}

impl Running {
    fn start(strategy: &Configured, difficulty: &wit::GuestIndices) -> Result<Self, PluginError> {
        let mut live = strategy.start()?;
        live.make_room(0);
        let guest = difficulty
            .load(&mut live.store, &live.instance)
            .map_err(|error| strategy.fail("load", Cause::WrongTypes(format!("{error:#}"))))?;
        // Any source of differences will do; this one is at hand.
        let spread = RandomState::new().hash_one(0) % u64::from(CALLS / 5);
        Ok(Self { live, guest, calls_left: CALLS - CALLS / 10 + spread as u32 })
    }

    fn state_words(&mut self) -> Result<u32, PluginError> {
        let guest = &self.guest;
        let budget = Class::Difficulty.setup_budget();
        self.live.call("state-words", budget, |store| guest.call_state_words(store))
    }
}

fn question(hello: &Hello) -> wit::Hello {
    wit::Hello {
        user_agent: hello.user_agent.clone(),
        hint: hello.hint.map(Difficulty::to_units),
        previous: hello.previous.map(Difficulty::to_units),
        minimum: hello.minimum.to_units(),
        maximum: hello.maximum.to_units(),
    }
}

impl From<Batch> for wit::Batch {
    fn from(batch: Batch) -> Self {
        Self {
            current: batch.current,
            minimum: batch.minimum,
            maximum: batch.maximum,
            accepted: batch.accepted,
            stale: batch.stale,
            rejected: batch.rejected,
            accepted_difficulty: batch.accepted_difficulty,
            window_ms: batch.window_ms,
            connected_ms: batch.connected_ms,
            state: batch.state,
        }
    }
}
