//! A share: an answer that was checked. Nothing outside this crate can make one.

use std::sync::Arc;

use chimera_pow::{Difficulty, Header, PowHash, Target, Work};

use crate::{JobId, Template};

/// Who found it: the row of an authorised worker in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u32);

/// A difficulty with what follows from it, computed once when a job is issued.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// As told to the miner.
    pub difficulty: Difficulty,
    /// What a hash must meet: the difficulty's target with the share tolerance.
    pub target: Target,
    /// What such a hash is credited: the work of the exact target.
    pub work: Work,
}

impl Level {
    /// The level of a difficulty.
    pub fn of(difficulty: Difficulty) -> Self {
        let target = difficulty.target();
        Self { difficulty, target: target.with_share_tolerance(), work: target.work() }
    }
}

/// Checked work: the hash met the level of the job it answers, once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    pub(crate) worker: WorkerId,
    pub(crate) job: JobId,
    pub(crate) level: Level,
    pub(crate) network_work: Work,
    pub(crate) height: u64,
    pub(crate) hash: PowHash,
}

impl Share {
    /// Who found it.
    pub const fn worker(&self) -> WorkerId {
        self.worker
    }

    /// The job it answers.
    pub const fn job(&self) -> JobId {
        self.job
    }

    /// The difficulty it is credited at.
    pub const fn difficulty(&self) -> Difficulty {
        self.level.difficulty
    }

    /// The work it is credited.
    pub const fn work(&self) -> Work {
        self.level.work
    }

    /// The work a block took when the share was found.
    pub const fn network_work(&self) -> Work {
        self.network_work
    }

    /// Height of the block it could have won.
    pub const fn height(&self) -> u64 {
        self.height
    }

    /// Its proof of work.
    pub const fn hash(&self) -> &PowHash {
        &self.hash
    }
}

/// A header that meets the network target: a possible block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// The template it solves.
    pub template: Arc<Template>,
    /// The solved header.
    pub header: Header,
    /// The commitment with the hole filled: head, extranonce, tail.
    pub commitment: Vec<u8>,
    /// The header's proof of work.
    pub hash: PowHash,
    /// Who found it.
    pub worker: WorkerId,
    /// Whether its job was stale: it is offered to the chain all the same.
    pub stale: bool,
}
