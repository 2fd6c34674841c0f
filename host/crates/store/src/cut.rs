//! Cutting a window out of the share log: which share counts how much, and in which
//! bucket of age. Pure; the walk over the log feeds it share by share, newest first.

use std::collections::{BTreeMap, HashMap};

use chimera_work::WorkerId;

use crate::score::{Extent, score};

/// Work of one worker in one bucket at one network work: what is rounded to score once.
pub(crate) type Groups = BTreeMap<(u16, u128), HashMap<WorkerId, u128>>;

/// A window being filled.
///
/// Work is measured in expected blocks of its own time. Shares of one network work add up
/// exactly; where the network work changes inside the window, what the others took is
/// rounded to 2^-52 of a block. The share that crosses the end of the window (or of a
/// bucket) counts with the part inside, in whole hashes.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Where each bucket ends, counted from the newest share.
    ends: Vec<Extent>,
    bucket: usize,
    network_work: u128,
    /// Work taken at this network work, and how much may be by the end of the bucket.
    taken: u128,
    taken_max: u128,
    /// Score of what was taken at every other network work.
    elsewhere: u128,
    /// Work taken, by network work.
    totals: BTreeMap<u128, u128>,
    current: HashMap<WorkerId, u128>,
    groups: Groups,
}

impl Cut {
    /// An empty window whose buckets end where told, in ascending order.
    pub(crate) fn new(ends: Vec<Extent>) -> Self {
        Self {
            ends,
            bucket: 0,
            network_work: 0,
            taken: 0,
            taken_max: 0,
            elsewhere: 0,
            totals: BTreeMap::new(),
            current: HashMap::new(),
            groups: Groups::new(),
        }
    }

    /// Takes a share, or the part of it that fits. `false` once nothing more fits.
    pub(crate) fn take(&mut self, worker: WorkerId, work: u128, network_work: u128) -> bool {
        if network_work != self.network_work {
            self.turn_to(network_work);
        }
        let mut left = work;
        loop {
            let part = left.min(self.taken_max.saturating_sub(self.taken));
            if part > 0 {
                self.taken += part;
                *self.current.entry(worker).or_default() += part;
                left -= part;
            }
            if left == 0 && self.taken < self.taken_max {
                return true;
            }
            if self.bucket + 1 == self.ends.len() {
                return false;
            }
            self.store_current();
            self.bucket += 1;
            self.measure_bucket();
            if left == 0 {
                return true;
            }
        }
    }

    /// Whether the whole share fits.
    pub(crate) fn fits(&mut self, work: u128, network_work: u128) -> bool {
        if network_work != self.network_work {
            self.turn_to(network_work);
        }
        work <= self.taken_max.saturating_sub(self.taken)
    }

    /// The work in the window, grouped.
    pub(crate) fn finish(mut self) -> Groups {
        self.store_current();
        self.groups
    }

    /// Shares of another network work come next.
    fn turn_to(&mut self, network_work: u128) {
        self.store_current();
        if self.network_work > 0 {
            self.totals.insert(self.network_work, self.taken);
            self.elsewhere += score(self.taken, self.network_work);
        }
        self.taken = self.totals.get(&network_work).copied().unwrap_or(0);
        self.elsewhere -= score(self.taken, network_work);
        self.network_work = network_work;
        self.measure_bucket();
    }

    fn measure_bucket(&mut self) {
        self.taken_max = self.ends[self.bucket].room(self.elsewhere, self.network_work);
    }

    fn store_current(&mut self) {
        if self.current.is_empty() {
            return;
        }
        let bucket = u16::try_from(self.bucket).expect("a plan has at most 1024 buckets");
        let group = self.groups.entry((bucket, self.network_work)).or_default();
        for (worker, work) in self.current.drain() {
            *group.entry(worker).or_default() += work;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: WorkerId = WorkerId(1);
    const BOB: WorkerId = WorkerId(2);

    fn blocks(numerator: u128, denominator: u128) -> Extent {
        Extent { numerator, denominator }
    }

    /// "bucket network-work worker work", in order.
    fn text(groups: &Groups) -> Vec<String> {
        let mut lines: Vec<String> = groups
            .iter()
            .flat_map(|((bucket, network_work), group)| {
                group.iter().map(move |(worker, work)| {
                    format!("{bucket} {network_work} {} {work}", worker.0)
                })
            })
            .collect();
        lines.sort();
        lines
    }

    #[test]
    fn the_share_that_crosses_the_end_counts_with_the_part_inside() {
        let mut cut = Cut::new(vec![blocks(2, 1)]);
        assert!(cut.take(ANN, 15, 10));
        assert!(!cut.take(BOB, 15, 10));
        assert_eq!(text(&cut.finish()), ["0 10 1 15", "0 10 2 5"]);
    }

    #[test]
    fn every_share_is_weighed_at_the_network_work_of_its_time() {
        // One block: half of it at 10, then a quarter at 100, then the rest at 10 again.
        let mut cut = Cut::new(vec![blocks(1, 1)]);
        assert!(cut.take(ANN, 5, 10));
        assert!(cut.take(ANN, 25, 100));
        assert!(cut.take(BOB, 1, 10));
        assert!(!cut.take(BOB, 9, 10));
        assert_eq!(text(&cut.finish()), ["0 10 1 5", "0 10 2 2", "0 100 1 25"]);
    }

    #[test]
    fn buckets_hold_equal_work_and_split_the_share_on_their_border() {
        let mut cut = Cut::new((1..=4).map(|end| blocks(end, 2)).collect());
        assert!(cut.take(ANN, 7, 10));
        assert!(!cut.take(BOB, 13, 10));
        let expected = ["0 10 1 5", "1 10 1 2", "1 10 2 3", "2 10 2 5", "3 10 2 5"];
        assert_eq!(text(&cut.finish()), expected);
    }
}
