//! Which difficulty a session's next job gets, and who has a say in it: the operator's
//! limits over everything, then the latest of policy, miner's hint and the seat's past.

use chimera_pow::Difficulty;
use serde::{Deserialize, Serialize};

use crate::session::state::Exact;

/// The operator's limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DifficultyLimits {
    /// What a session begins with when nobody says otherwise.
    pub initial: Difficulty,
    /// The least any session is given, unless a block takes less.
    pub min: Difficulty,
    /// The most.
    pub max: Difficulty,
}

#[derive(Debug)]
pub(crate) struct DifficultyChoice {
    /// The operator's, and what the miner required within them.
    limits: DifficultyLimits,
    operators_min: Difficulty,
    wanted: Difficulty,
    /// What the miner suggested last.
    hint: Option<Difficulty>,
    /// The wanted one came with a resumed seat.
    carried: bool,
}

/// What was decided about a session's difficulty, as data.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct ChoiceState {
    required: Option<Exact>,
    wanted: Exact,
    hint: Option<Exact>,
    carried: bool,
}

impl DifficultyChoice {
    pub(crate) fn new(limits: DifficultyLimits) -> Self {
        let (wanted, operators_min) = (limits.initial, limits.min);
        let mut choice = Self { limits, operators_min, wanted, hint: None, carried: false };
        choice.want(limits.initial);
        choice
    }

    /// Policy or strategy decided.
    pub(crate) fn want(&mut self, difficulty: Difficulty) {
        let DifficultyLimits { min, max, .. } = self.limits;
        self.wanted = difficulty.clamp(min, max).for_the_wire();
    }

    /// The miner asks; granted within the limits.
    pub(crate) fn suggest(&mut self, difficulty: Difficulty) {
        self.want(difficulty);
        self.hint = Some(self.wanted);
    }

    /// Policy's start for a new session; a seat's past and a hint that policy had not seen
    /// (sent behind the authorize) are better informed.
    pub(crate) fn start(&mut self, difficulty: Difficulty, hint_seen: Option<Difficulty>) {
        if !self.carried && self.hint == hint_seen {
            self.want(difficulty);
        }
    }

    /// The seat had reached a difficulty before; a hint given since is newer.
    pub(crate) fn carry(&mut self, difficulty: Difficulty) {
        self.carried = true;
        if self.hint.is_none() {
            self.want(difficulty);
        }
    }

    /// BIP 310's minimum-difficulty, the latest instead of earlier ones: true if it can be kept.
    pub(crate) fn require_min(&mut self, floor: Difficulty) -> bool {
        let keepable = floor <= self.limits.max;
        if keepable {
            self.limits.min = self.operators_min.max(floor);
            self.want(self.wanted);
        }
        keepable
    }

    pub(crate) const fn wanted(&self) -> Difficulty {
        self.wanted
    }

    pub(crate) const fn hint(&self) -> Option<Difficulty> {
        self.hint
    }

    pub(crate) const fn limits(&self) -> DifficultyLimits {
        self.limits
    }

    /// What was decided, apart from the operator's limits.
    pub(crate) fn state(&self) -> ChoiceState {
        ChoiceState {
            required: (self.limits.min > self.operators_min).then(|| self.limits.min.into()),
            wanted: self.wanted.into(),
            hint: self.hint.map(Exact::from),
            carried: self.carried,
        }
    }

    /// Goes on with what was decided in another process, within this one's limits.
    pub(crate) fn restore(&mut self, state: ChoiceState) {
        if let Some(floor) = state.required.and_then(Exact::difficulty) {
            self.require_min(floor);
        }
        if let Some(wanted) = state.wanted.difficulty() {
            self.want(wanted);
        }
        self.hint = state.hint.and_then(Exact::difficulty);
        self.carried = state.carried;
    }

    /// For a job whose block has this difficulty: a share is never harder than the block.
    pub(crate) fn for_job(&self, network: Difficulty) -> Difficulty {
        self.wanted.min(network).for_the_wire()
    }
}
