//! Which difficulty a session's next job gets, and who has a say in it: the operator's
//! limits over everything, then the latest of policy, miner's hint and the seat's past.

use chimera_pow::Difficulty;

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
    limits: DifficultyLimits,
    wanted: Difficulty,
    /// What the miner suggested last.
    hint: Option<Difficulty>,
    /// The wanted one came with a resumed seat.
    carried: bool,
}

impl DifficultyChoice {
    pub(crate) fn new(limits: DifficultyLimits) -> Self {
        let mut choice = Self { limits, wanted: limits.initial, hint: None, carried: false };
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

    /// BIP 310's minimum-difficulty: true if it can be kept.
    pub(crate) fn require_min(&mut self, floor: Difficulty) -> bool {
        let keepable = floor <= self.limits.max;
        if keepable {
            self.limits.min = self.limits.min.max(floor);
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

    /// For a job whose block has this difficulty: a share is never harder than the block.
    pub(crate) fn for_job(&self, network: Difficulty) -> Difficulty {
        self.wanted.min(network).for_the_wire()
    }
}
