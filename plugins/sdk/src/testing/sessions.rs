//! Sessions of simulated miners under a strategy, tick by tick.

use std::marker::PhantomData;

use super::miner::Miner;
use crate::{Batch, DifficultyStrategy, Hello, Verdicts};

/// Lowest and highest difficulty of simulated sessions: 2^-20 and 2^30.
const BOUNDS: (u64, u64) = (1 << 12, 1 << 62);

/// A new session of some software, that asks for nothing and was never seen, with any
/// difficulty allowed.
pub fn hello(user_agent: &str) -> Hello {
    Hello {
        user_agent: user_agent.to_owned(),
        hint: None,
        previous: None,
        minimum: 1,
        maximum: u64::MAX,
    }
}

/// Sessions, one miner each.
#[derive(Debug)]
pub struct Sessions<S> {
    /// Who mines.
    pub miners: Vec<Miner>,
    /// At which difficulty, in units of 2^-32; 1 to begin with.
    pub difficulty: Vec<u64>,
    /// What the strategy remembers.
    pub state: Vec<u64>,
    /// How many difficulties the last tick changed.
    pub changes: usize,
    window_ms: u32,
    elapsed_ms: u32,
    strategy: PhantomData<S>,
}

impl<S: DifficultyStrategy> Sessions<S> {
    /// New sessions with ticks of this length.
    pub fn new(miners: Vec<Miner>, window_ms: u32) -> Self {
        let difficulty = vec![1 << 32; miners.len()];
        let strategy = PhantomData;
        Self { miners, difficulty, state: vec![], changes: 0, window_ms, elapsed_ms: 0, strategy }
    }

    /// One tick: everybody mines, then the strategy decides.
    ///
    /// # Panics
    /// When the strategy declines.
    pub fn tick(&mut self, config: &S::Config) {
        let batch = self.batch(S::state_words(config) as usize);
        self.obey(S::retarget(config, batch).expect("the strategy decides"));
    }

    /// Takes over what a strategy decided about [`Sessions::batch`].
    pub fn obey(&mut self, verdicts: Verdicts) {
        self.state = verdicts.state;
        self.changes = 0;
        for (difficulty, next) in self.difficulty.iter_mut().zip(verdicts.next) {
            if next != 0 {
                *difficulty = next.clamp(BOUNDS.0, BOUNDS.1);
                self.changes += 1;
            }
        }
    }

    /// Everybody mines for one tick.
    pub fn batch(&mut self, state_words: usize) -> Batch {
        self.elapsed_ms = self.elapsed_ms.saturating_add(self.window_ms);
        let rows = self.miners.len();
        self.state.resize(rows * state_words, 0);
        let mined = self.miners.iter_mut().zip(&self.difficulty);
        let ticks: Vec<_> = mined.map(|(miner, now)| miner.mine(*now, self.window_ms)).collect();
        Batch {
            current: self.difficulty.clone(),
            minimum: vec![BOUNDS.0; rows],
            maximum: vec![BOUNDS.1; rows],
            accepted: ticks.iter().map(|tick| tick.accepted).collect(),
            stale: vec![0; rows],
            rejected: vec![0; rows],
            accepted_difficulty: ticks.iter().map(|tick| tick.accepted_difficulty).collect(),
            window_ms: vec![self.window_ms; rows],
            connected_ms: vec![self.elapsed_ms; rows],
            state: self.state.clone(),
        }
    }

    /// Shares per minute each miner is expected to find at its difficulty now.
    pub fn shares_per_minute(&self) -> impl Iterator<Item = f64> {
        self.miners.iter().zip(&self.difficulty).map(|(miner, now)| miner.shares_per_minute(*now))
    }
}
