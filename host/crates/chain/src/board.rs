//! What is known of each node, and from which one work comes: pure decisions.
//!
//! The source is the answering node that knows the longest chain; of several the first in the
//! operator's order. A node that is behind or hangs is passed over until it has caught up, and
//! whichever node tells first of a longer chain is followed at once.

/// A node is passed over when a question has gone unanswered for this long, in milliseconds.
const PATIENCE_MS: u64 = 2_000;

/// Work of a node that is lost stays for this long, in milliseconds, while the others are behind
/// it: they have the block in a moment, or it never was the network's.
const BEHIND_MS: u64 = 60_000;

/// A block a node has at the end of its chain. The hash is in header order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeTip {
    pub(crate) hash: [u8; 32],
    pub(crate) height: u64,
}

/// Whether a node can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeState {
    /// Nothing was heard of it yet.
    Unasked,
    /// Its last answer was good.
    Answering,
    /// Its last answer was an error, or none came.
    Failing {
        /// The error, for people.
        cause: String,
        /// Failures in a row.
        failures: u32,
    },
}

impl NodeState {
    /// The word used in answers and metric labels.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unasked => "unasked",
            Self::Answering => "answering",
            Self::Failing { .. } => "failing",
        }
    }
}

/// Whether a node's announcements of blocks (ZMQ `hashblock`) come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announcements {
    /// None are asked for.
    Off,
    /// Not connected now.
    Away,
    /// Connected.
    Connected,
    /// Connected, but a new block was found out by asking.
    Silent,
}

impl Announcements {
    /// The word used in answers and metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Away => "away",
            Self::Connected => "connected",
            Self::Silent => "silent",
        }
    }
}

/// A node as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Its address.
    pub name: String,
    /// Whether it can be used.
    pub state: NodeState,
    /// Since when, seconds since the Unix epoch.
    pub since: u64,
    /// Whether work comes from it.
    pub source: bool,
    /// Height of its last block, if it told.
    pub height: Option<u64>,
    /// ZMQ.
    pub announcements: Announcements,
}

#[derive(Debug, Clone)]
struct Seen {
    name: String,
    state: NodeState,
    since: u64,
    tip: Option<NodeTip>,
    /// When the oldest unanswered question was asked.
    asked_ms: Option<u64>,
    announcements: Announcements,
}

/// All nodes, and the round work is for.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    nodes: Vec<Seen>,
    source: usize,
    round: Option<NodeTip>,
    /// The node the round came from.
    brought_by: usize,
    /// When that node stopped being the source.
    lost_ms: Option<u64>,
}

/// What a change of the board means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moved {
    /// The node work comes from now.
    pub(crate) source: usize,
    /// Whether it is another one than before.
    pub(crate) is_other: bool,
}

impl Board {
    pub(crate) fn new(names: impl IntoIterator<Item = String>, now: u64) -> Self {
        let seen = |name| Seen {
            name,
            state: NodeState::Unasked,
            since: now,
            tip: None,
            asked_ms: None,
            announcements: Announcements::Off,
        };
        Self {
            nodes: names.into_iter().map(seen).collect(),
            source: 0,
            round: None,
            brought_by: 0,
            lost_ms: None,
        }
    }

    /// A question goes out. `ms` is any clock that does not jump.
    pub(crate) fn asks(&mut self, node: usize, ms: u64) {
        self.nodes[node].asked_ms.get_or_insert(ms);
    }

    /// A good answer came. Returns whether the node had failed before it.
    pub(crate) fn answered(&mut self, node: usize, tip: NodeTip, now: u64) -> bool {
        let seen = &mut self.nodes[node];
        seen.asked_ms = None;
        seen.tip = Some(tip);
        let was_away = seen.state != NodeState::Answering;
        if was_away {
            (seen.state, seen.since) = (NodeState::Answering, now);
        }
        was_away
    }

    /// A bad answer came, or none. Returns the failures in a row.
    pub(crate) fn failed(&mut self, node: usize, cause: String, now: u64) -> u32 {
        let seen = &mut self.nodes[node];
        (seen.asked_ms, seen.tip) = (None, None);
        let failures = match &seen.state {
            NodeState::Failing { failures, .. } => failures.saturating_add(1),
            NodeState::Unasked | NodeState::Answering => {
                seen.since = now;
                1
            }
        };
        seen.state = NodeState::Failing { cause, failures };
        failures
    }

    /// Returns what it was before.
    pub(crate) fn announces(&mut self, node: usize, now: Announcements) -> Announcements {
        std::mem::replace(&mut self.nodes[node].announcements, now)
    }

    pub(crate) fn announcements(&self, node: usize) -> Announcements {
        self.nodes[node].announcements
    }

    /// Chooses the source anew.
    pub(crate) fn choose(&mut self, ms: u64) -> Moved {
        let before = self.source;
        let usable = |seen: &Seen| {
            let late = seen.asked_ms.is_some_and(|asked| ms.saturating_sub(asked) > PATIENCE_MS);
            seen.state == NodeState::Answering && !late
        };
        let longest = self.nodes.iter().filter(|seen| usable(seen)).map(Seen::height).max();
        if let Some(longest) = longest {
            let best = |seen: &Seen| usable(seen) && seen.height() == longest;
            self.source = self.nodes.iter().position(best).unwrap_or(before);
        }
        self.lost_ms = match self.source == self.brought_by {
            true => None,
            false => Some(self.lost_ms.unwrap_or(ms)),
        };
        Moved { source: self.source, is_other: self.source != before }
    }

    pub(crate) const fn source(&self) -> usize {
        self.source
    }

    pub(crate) const fn round(&self) -> Option<NodeTip> {
        self.round
    }

    /// Whether a template of that node, to be built on `tip`, is the work there should be.
    pub(crate) fn takes(&self, node: usize, tip: NodeTip, ms: u64) -> bool {
        let given_up = || self.lost_ms.is_some_and(|lost| ms.saturating_sub(lost) > BEHIND_MS);
        match self.round {
            None => true,
            // The source is believed about its own chain, also when it got shorter.
            Some(round) if node == self.source => {
                node == self.brought_by || tip.height >= round.height || given_up()
            }
            Some(round) => tip.height > round.height,
        }
    }

    /// It is the round from now on, and the node the source.
    pub(crate) fn take(&mut self, node: usize, tip: NodeTip) {
        (self.round, self.source) = (Some(tip), node);
        // Else a node that is behind, and before it in the order, would be chosen again.
        self.nodes[node].tip = Some(tip);
        (self.brought_by, self.lost_ms) = (node, None);
    }

    /// Whether any node can be asked for work.
    pub(crate) fn any_answers(&self) -> bool {
        self.nodes.iter().any(|seen| seen.state == NodeState::Answering)
    }

    /// Whether that node's last answer was good.
    pub(crate) fn answers(&self, node: usize) -> bool {
        self.nodes[node].state == NodeState::Answering
    }

    /// What is wrong with each, for people.
    pub(crate) fn causes(&self) -> String {
        let causes = self.nodes.iter().filter_map(|seen| match &seen.state {
            NodeState::Failing { cause, .. } => Some(cause.as_str()),
            NodeState::Unasked | NodeState::Answering => None,
        });
        causes.collect::<Vec<_>>().join("; ")
    }

    /// Indices of all nodes, in the order in which they should be asked.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        let rank = |&node: &usize| (node != self.source, !self.answers(node), node);
        order.sort_by_key(rank);
        order
    }

    pub(crate) fn views(&self) -> Vec<NodeView> {
        let views = self.nodes.iter().enumerate().map(|(at, seen)| NodeView {
            name: seen.name.clone(),
            state: seen.state.clone(),
            since: seen.since,
            source: at == self.source && seen.state == NodeState::Answering,
            height: seen.tip.map(|tip| tip.height),
            announcements: seen.announcements,
        });
        views.collect()
    }
}

impl Seen {
    /// Unknown is less than any.
    fn height(&self) -> Option<u64> {
        self.tip.map(|tip| tip.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tip(height: u64) -> NodeTip {
        NodeTip { hash: [height as u8; 32], height }
    }

    fn board(heights: &[Option<u64>]) -> Board {
        let names = (0..heights.len()).map(|node| format!("node {node}"));
        let mut board = Board::new(names, 0);
        for (node, height) in heights.iter().enumerate() {
            match height {
                Some(height) => drop(board.answered(node, tip(*height), 0)),
                None => drop(board.failed(node, "away".to_owned(), 0)),
            }
        }
        board
    }

    #[test]
    fn work_comes_from_the_first_of_those_with_the_longest_chain() {
        let rows: [(&[Option<u64>], usize); 7] = [
            (&[Some(5), Some(5)], 0),
            (&[Some(5), Some(6)], 1),
            (&[Some(5), Some(6), Some(6)], 1),
            (&[None, Some(3)], 1),
            (&[None, None, Some(0)], 2),
            (&[Some(7), None, Some(6)], 0),
            // Nobody: whoever it was.
            (&[None, None], 0),
        ];
        for (heights, source) in rows {
            assert_eq!(board(heights).choose(0).source, source, "{heights:?}");
        }
    }

    #[test]
    fn a_node_that_hangs_is_passed_over_and_comes_back() {
        let mut board = board(&[Some(5), Some(5)]);
        board.asks(0, 1_000);
        board.asks(0, 2_500);
        assert_eq!(board.choose(3_000), Moved { source: 0, is_other: false });
        assert_eq!(board.choose(3_001), Moved { source: 1, is_other: true });
        board.answered(0, tip(5), 4);
        assert_eq!(board.choose(3_002), Moved { source: 0, is_other: true });
    }

    #[test]
    fn a_node_that_was_passed_over_cannot_take_the_round_back_to_an_old_block() {
        let mut board = board(&[Some(5), Some(5)]);
        assert!(board.takes(0, tip(5), 0), "the first round");
        board.take(0, tip(5));
        assert!(board.takes(1, tip(6), 0), "the other node is ahead");
        board.take(1, tip(6));
        assert_eq!(board.source(), 1);
        assert!(!board.takes(0, tip(5), 0), "this one is behind");
        assert!(!board.takes(0, NodeTip { hash: [99; 32], height: 6 }, 0), "or on a side branch");
        assert!(board.takes(1, tip(5), 0), "the source's own chain may get shorter");
    }

    /// Found by reading: the node that had the last block hung, and all went
    /// back to work on the block before because the next node had not got the last one yet.
    #[test]
    fn a_node_that_steps_in_takes_the_round_back_only_if_it_does_not_catch_up() {
        let mut board = board(&[Some(6), Some(5)]);
        board.take(0, tip(6));
        board.failed(0, "away".to_owned(), 0);
        assert_eq!(board.choose(1_000).source, 1);
        assert!(!board.takes(1, tip(5), 1_000), "it will have the block in a moment");
        assert!(board.takes(1, tip(6), 1_000), "its own block of that height");
        assert!(!board.takes(1, tip(5), 1_000 + BEHIND_MS));
        assert!(board.takes(1, tip(5), 1_001 + BEHIND_MS), "it never was the network's");
    }

    #[test]
    fn causes_are_told_of_every_node_that_fails() {
        let mut board = board(&[None, Some(1), None]);
        assert_eq!(board.failed(2, "hangs".to_owned(), 9), 2);
        assert_eq!(board.causes(), "away; hangs");
        let view = &board.views()[2];
        assert_eq!((view.since, view.height, view.source), (0, None, false));
    }
}
