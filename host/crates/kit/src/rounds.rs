//! Synthetic rounds: who worked when, and what it is settled for. One round can be asked in
//! many guises (renamed, split, scaled), and a fair scheme pays them all alike.

use chimera_ledger::{Accounts, Event, Plan, Request, Slices, WindowSize};

use crate::dice::Dice;

/// The work one block takes (`wit/0.1`: 2^52).
pub(crate) const BLOCK_WORK: u64 = 1 << 52;
/// 2024-01-01, and ten minutes later.
const STARTED_AT_MS: u64 = 1_704_067_200_000;
const ENDED_AT_MS: u64 = STARTED_AT_MS + 600_000;

/// One account's part of a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Miner {
    /// Tie-break key.
    pub(crate) key: u64,
    /// Bucket (0 is the newest) and work done in it, ascending.
    pub(crate) work: Vec<(u16, u64)>,
    /// Its own fee or bonus.
    pub(crate) fee_ppm: i32,
}

/// Whether a block is settled or an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    Block,
    Interval,
}

/// A round.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) occasion: Occasion,
    pub(crate) miners: Vec<Miner>,
    /// Who found the block: an index into `miners`.
    pub(crate) finder: Option<usize>,
    pub(crate) reward: u64,
    pub(crate) fees: u64,
    /// What the window could hold, and for an interval the work of one block.
    pub(crate) capacity: u64,
    pub(crate) state: Vec<u8>,
}

impl Miner {
    pub(crate) fn total(&self) -> u64 {
        self.work.iter().map(|(_, work)| work).sum()
    }
}

impl Round {
    /// So many miners with work of all sizes, in a full window of equal buckets: the last
    /// miner does what is missing.
    pub(crate) fn random(dice: &mut Dice, occasion: Occasion, plan: &Plan, miners: usize) -> Self {
        let miners = if plan.window == WindowSize::None { miners.min(1) } else { miners };
        let buckets = usize::from(plan.buckets.max(1));
        let capacity = capacity(plan);
        let per_bucket = capacity / buckets as u64;
        let mut rows: Vec<Miner> = (0..miners)
            .map(|row| Miner {
                key: (row as u64 + 1) << 20 | dice.below(1 << 20),
                work: Vec::new(),
                fee_ppm: 0,
            })
            .collect();
        if let Some((last, others)) = rows.split_last_mut() {
            let share = per_bucket / (others.len() as u64 + 1);
            // A large round is sparse, as a real one is.
            let sparse = miners * buckets > 10_000;
            let mut left = vec![per_bucket; buckets];
            for (row, miner) in others.iter_mut().enumerate() {
                let all = if sparse { row % buckets..row % buckets + 1 } else { 0..buckets };
                for bucket in all {
                    let most = share >> dice.below(20);
                    let work = dice.below(most) & !1;
                    left[bucket] -= work;
                    miner.work.push((bucket as u16, work));
                }
            }
            last.work = (0..).zip(left).collect();
        }
        Self {
            occasion,
            finder: (!rows.is_empty() && occasion == Occasion::Block).then_some(0),
            miners: rows,
            reward: 312_500_000 + dice.below(1 << 24),
            fees: dice.below(12_500_000),
            capacity,
            state: Vec::new(),
        }
    }

    /// The columns a scheme is asked with, and for each miner its row.
    pub(crate) fn request(&self, plan: &Plan) -> (Request, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.miners.len()).collect();
        order.sort_by_key(|&miner| self.miners[miner].key);
        let mut rows = vec![0; order.len()];
        for (row, &miner) in order.iter().enumerate() {
            rows[miner] = row;
        }
        let column = |value: &dyn Fn(&Miner) -> u64| -> Vec<u64> {
            order.iter().map(|&miner| value(&self.miners[miner])).collect()
        };
        let accounts = Accounts {
            key: column(&|miner| miner.key),
            work: column(&Miner::total),
            fee_ppm: order.iter().map(|&miner| self.miners[miner].fee_ppm).collect(),
        };
        let slices = if plan.buckets > 1 { self.slices(&order) } else { Slices::default() };
        let event = match self.occasion {
            Occasion::Block => Event::Block {
                height: 840_000,
                reward: self.reward,
                tx_fees: self.fees.min(self.reward),
                window_work: self.capacity,
                found_at_ms: ENDED_AT_MS,
                finder: self.finder.map(|miner| rows[miner] as u32),
            },
            Occasion::Interval => Event::Interval {
                started_at_ms: STARTED_AT_MS,
                ended_at_ms: ENDED_AT_MS,
                network_work: self.capacity,
                expected_reward: self.reward,
                expected_fees: self.fees.min(self.reward),
            },
        };
        (Request { event, accounts, slices, carry: 0, state: self.state.clone() }, rows)
    }

    fn slices(&self, order: &[usize]) -> Slices {
        let mut slices = Slices::default();
        let mut entries: Vec<(u16, u32, u64)> = Vec::new();
        for (row, &miner) in order.iter().enumerate() {
            let work = self.miners[miner].work.iter().filter(|(_, work)| *work > 0);
            entries.extend(work.map(|&(bucket, work)| (bucket, row as u32, work)));
        }
        entries.sort_unstable();
        for (bucket, row, work) in entries {
            slices.account.push(row);
            slices.bucket.push(bucket);
            slices.work.push(work);
        }
        slices
    }

    /// The same round under other keys.
    pub(crate) fn relabelled(&self, dice: &mut Dice) -> Self {
        let mut keys: Vec<u64> = self.miners.iter().map(|miner| miner.key).collect();
        for index in (1..keys.len()).rev() {
            keys.swap(index, dice.below(index as u64 + 1) as usize);
        }
        let mut round = self.clone();
        for (miner, key) in round.miners.iter_mut().zip(keys) {
            miner.key = key;
        }
        round
    }

    /// The same round, one miner under two names: the new one is the last.
    pub(crate) fn split(&self, miner: usize) -> Self {
        let mut round = self.clone();
        let mut twin = round.miners[miner].clone();
        twin.key += 1 << 62;
        for ((_, mine), (_, other)) in round.miners[miner].work.iter_mut().zip(&mut twin.work) {
            *other = *mine / 2;
            *mine -= *other;
        }
        round.miners.push(twin);
        round
    }

    /// The same round with half the work; all works of [`Self::random`] are even.
    pub(crate) fn halved(&self) -> Self {
        let mut round = self.clone();
        for (_, work) in round.miners.iter_mut().flat_map(|miner| &mut miner.work) {
            *work /= 2;
        }
        round.capacity /= 2;
        round
    }
}

impl Round {
    /// One miner does as another; the last one does the difference.
    pub(crate) fn equalled(&self, one: usize, other: usize) -> Self {
        let mut round = self.clone();
        let before =
            std::mem::replace(&mut round.miners[other].work, self.miners[one].work.clone());
        let last = round.miners.len() - 1;
        for (bucket, mine) in &mut round.miners[last].work {
            let had = |work: &[(u16, u64)]| -> u64 {
                work.iter().filter(|(other, _)| other == bucket).map(|(_, work)| work).sum()
            };
            *mine = (*mine + had(&before)).saturating_sub(had(&self.miners[one].work));
        }
        round
    }

    /// One miner does `more` in the newest bucket, the last one less.
    pub(crate) fn shifted(&self, miner: usize, more: u64) -> Self {
        let mut round = self.clone();
        let last = round.miners.len() - 1;
        let Some((_, left)) = round.miners[last].work.first_mut() else { return round };
        let more = more.min(*left);
        *left -= more;
        match round.miners[miner].work.iter_mut().find(|(bucket, _)| *bucket == 0) {
            Some((_, work)) => *work += more,
            None => round.miners[miner].work.insert(0, (0, more)),
        }
        round
    }
}

/// What the window of a plan holds when it is full.
fn capacity(plan: &Plan) -> u64 {
    let work = match plan.window {
        WindowSize::NetworkWorkMilli(milli) => {
            u64::try_from(u128::from(BLOCK_WORK) * u128::from(milli) / 1000).unwrap_or(u64::MAX)
        }
        WindowSize::None | WindowSize::DurationMs(_) | WindowSize::SinceLastBlock => BLOCK_WORK,
    };
    // Twice a power of two per bucket, so that work can be halved exactly.
    let buckets = u64::from(plan.buckets.max(1));
    let per_bucket = (work.min(1 << 62) / buckets) & !3;
    per_bucket.max(4) * buckets
}
