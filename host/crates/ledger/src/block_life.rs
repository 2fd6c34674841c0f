//! The life of a found block: only a mature one is divided, and only once; what was divided is
//! undone and restored as the chain goes.

use std::fmt;
use std::str::FromStr;

/// Where a found block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockState {
    /// Recorded; no node has answered yet.
    Candidate,
    /// A node has it in its best chain; its reward is ripening.
    Pending,
    /// The reward is ours to divide; the amount is known from the chain.
    Mature,
    /// The reward is divided.
    Settled,
    /// Not in the best chain. It can come back.
    Orphaned,
    /// Every node refused it. One that had it all the same can bring it back.
    Rejected,
    /// Left the best chain after it was divided; every credit is reversed. It can come back,
    /// and then every credit is booked again.
    Reversed,
}

/// Every legal move. Staying where one is is no move and always harmless.
const MOVES: [(BlockState, BlockState); 11] = {
    use BlockState::*;
    [
        (Candidate, Pending),
        (Candidate, Orphaned),
        (Candidate, Rejected),
        (Pending, Mature),
        (Pending, Orphaned),
        (Mature, Settled),
        (Mature, Orphaned),
        (Settled, Reversed),
        (Reversed, Settled),
        (Orphaned, Pending),
        (Rejected, Pending),
    ]
};

/// A move the life of a block does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a block that is {from} cannot become {to}")]
pub struct IllegalMove {
    /// Where it stands.
    pub from: BlockState,
    /// Where it should have gone.
    pub to: BlockState,
}

impl BlockState {
    /// Every state, in the order of a life.
    pub const ALL: [Self; 7] = [
        Self::Candidate,
        Self::Pending,
        Self::Mature,
        Self::Settled,
        Self::Orphaned,
        Self::Rejected,
        Self::Reversed,
    ];

    /// Moves on. `Ok(false)` means it is there already, so replays are harmless.
    ///
    /// # Errors
    /// When the move is not in the table.
    pub fn check_move(self, to: Self) -> Result<bool, IllegalMove> {
        if self == to {
            return Ok(false);
        }
        if MOVES.contains(&(self, to)) { Ok(true) } else { Err(IllegalMove { from: self, to }) }
    }

    /// Whether something is still to be done for it.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Candidate | Self::Pending | Self::Mature)
    }

    /// Whether it ended the round it was found in: the next round starts behind it.
    /// The round of a block that came to nothing goes on.
    pub const fn ends_round(self) -> bool {
        !matches!(self, Self::Orphaned | Self::Rejected | Self::Reversed)
    }

    /// The stable word used in the database and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Pending => "pending",
            Self::Mature => "mature",
            Self::Settled => "settled",
            Self::Orphaned => "orphaned",
            Self::Rejected => "rejected",
            Self::Reversed => "reversed",
        }
    }
}

impl fmt::Display for BlockState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no state of a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown block state \"{0}\"")]
pub struct UnknownBlockState(pub String);

impl FromStr for BlockState {
    type Err = UnknownBlockState;

    fn from_str(name: &str) -> Result<Self, UnknownBlockState> {
        Self::ALL
            .into_iter()
            .find(|state| state.name() == name)
            .ok_or_else(|| UnknownBlockState(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line per state: what it may become, in the order of `ALL`.
    const LIVES: [(BlockState, &str); 7] = [
        (BlockState::Candidate, "pending orphaned rejected"),
        (BlockState::Pending, "mature orphaned"),
        (BlockState::Mature, "settled orphaned"),
        (BlockState::Settled, "reversed"),
        (BlockState::Orphaned, "pending"),
        (BlockState::Rejected, "pending"),
        (BlockState::Reversed, "settled"),
    ];

    #[test]
    fn t16_every_move_is_in_the_table_or_refused() {
        for (from, next) in LIVES {
            let legal: Vec<&str> = BlockState::ALL
                .into_iter()
                .filter(|&to| from.check_move(to) == Ok(true))
                .map(BlockState::name)
                .collect();
            assert_eq!(legal.join(" "), next, "{from}");
            assert_eq!(from.check_move(from), Ok(false), "a replay changes nothing");
        }
    }

    #[test]
    fn money_moves_into_settled_and_out_of_it_and_nowhere_else() {
        use BlockState::{Mature, Reversed, Settled};
        let moves = BlockState::ALL.into_iter().flat_map(|from| {
            let legal = move |to: &BlockState| from.check_move(*to) == Ok(true);
            BlockState::ALL.into_iter().filter(legal).map(move |to| (from, to))
        });
        let is_money = |state| matches!(state, Settled | Reversed);
        let of_money: Vec<_> =
            moves.filter(|(from, to)| is_money(*from) || is_money(*to)).collect();
        assert_eq!(of_money, [(Mature, Settled), (Settled, Reversed), (Reversed, Settled)]);
    }

    #[test]
    fn states_are_read_back() {
        for state in BlockState::ALL {
            assert_eq!(state.name().parse(), Ok(state));
        }
        assert_eq!(
            BlockState::Pending.check_move(BlockState::Settled).unwrap_err().to_string(),
            "a block that is pending cannot become settled"
        );
    }
}
