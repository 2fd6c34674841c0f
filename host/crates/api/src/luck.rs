//! Luck: exact work that blocks took, divided for people only.

use chimera_pow::Work;
use chimera_store::{Round, Rounds};
use serde::Serialize;

use crate::Chain;

/// Blocks luck is shown over: their number, and their name in answers and labels.
const WINDOWS: [(usize, &str); 2] = [(10, "last_10"), (100, "last_100")];

/// Blocks that are to be asked for.
pub(crate) const BLOCKS: u32 = 100;

/// Luck over the latest blocks there are.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Luck {
    /// How many there are, at most as many as asked for.
    pub blocks: usize,
    /// Work they were expected to take over work they took: above 1 is lucky. None without
    /// blocks, or if no work is on record for them.
    pub ratio: Option<f64>,
}

/// Work over what a block is expected to take: 1 as expected, below is lucky.
pub(crate) fn effort(work: Work, network_work: Work) -> Option<f64> {
    ratio(work, network_work)
}

/// The effort of the round under way, at the network's difficulty now.
pub(crate) fn current_effort(rounds: &Rounds, chain: Option<&Chain>) -> Option<f64> {
    effort(rounds.current?, chain?.work)
}

/// Luck over each window, with the window's name.
pub(crate) fn windows(rounds: &Rounds) -> impl Iterator<Item = (&'static str, Luck)> {
    WINDOWS.into_iter().map(|(blocks, name)| {
        let ended = &rounds.ended[..rounds.ended.len().min(blocks)];
        let sum = |part: fn(&Round) -> Work| ended.iter().map(part).sum();
        let ratio = ratio(sum(|round| round.network_work), sum(|round| round.work));
        (name, Luck { blocks: ended.len(), ratio })
    })
}

fn ratio(part: Work, whole: Work) -> Option<f64> {
    (whole > Work::ZERO).then(|| part.hashes() as f64 / whole.hashes() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn work(hashes: u128) -> Work {
        Work::from_hashes(hashes)
    }

    /// Work of a round, of the network, and the effort by hand.
    #[test]
    fn t21_effort_is_work_over_expected_work_and_never_infinite() {
        for (done, network_work, expected) in [
            (work(0), work(256), Some(0.0)),
            (work(64), work(256), Some(0.25)),
            (work(256), work(256), Some(1.0)),
            (work(640), work(256), Some(2.5)),
            (work(640), work(0), None),
            (work(u128::MAX), work(1), Some(u128::MAX as f64)),
        ] {
            assert_eq!(effort(done, network_work), expected);
        }
    }

    /// Rounds as (work, network work), newest first, and the luck of the last ten by hand.
    #[test]
    fn luck_is_expected_work_over_actual_work_of_the_last_blocks() {
        let easy = vec![(50, 100); 9];
        let hard = [(950, 100), (1, 1_000_000)];
        for (rounds, blocks, ratio) in [
            (vec![], 0, None),
            (vec![(0, 100)], 1, None),
            (vec![(50, 100)], 1, Some(2.0)),
            // The difficulty rose: each block counts with what it was.
            (vec![(400, 300), (100, 100)], 2, Some(0.8)),
            // 1000 expected, 450 + 950 done; the eleventh is not one of ten.
            ([&easy[..], &hard[..]].concat(), 10, Some(1000.0 / 1400.0)),
        ] {
            let ended = rounds
                .iter()
                .map(|&(done, network)| Round { work: work(done), network_work: work(network) })
                .collect();
            let found = windows(&Rounds { current: None, ended }).next();
            assert_eq!(found, Some(("last_10", Luck { blocks, ratio })), "{rounds:?}");
        }
    }
}
