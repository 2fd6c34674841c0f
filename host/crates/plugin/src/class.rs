//! The three kinds of components and what each may use.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A kind of component, with its own engine: limits of time are compiled into code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Payout schemes.
    Payout,
    /// Auth policies.
    Auth,
    /// Difficulty strategies.
    Difficulty,
}

/// How long one call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Budget {
    /// Instructions, nearly: the same limit on every machine.
    Fuel(u64),
    /// Time, in ticks of the class's clock.
    Ticks(u64),
}

/// What one call may hold and answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// All linear memories of a component together.
    pub(crate) memory_bytes: usize,
    /// What one call may hand to the host.
    pub(crate) answer_bytes: usize,
}

/// The epoch engines' clock. The design asks for 1 ms where difficulties are set; budgets
/// there are tens of milliseconds, and a thousand wake-ups a second cost more than they tell.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// A settlement's fixed part: describing, parsing the configuration, starting up.
const FUEL_BASE: u64 = 50_000_000;
/// Per row; the shipped schemes take less than a hundred.
const FUEL_PER_ROW: u64 = 5_000;

/// More rows get no more memory: 1 GiB is the most a settlement may take.
const ROWS_MAX: u64 = (768 << 20) / 512;
/// Python and JavaScript take 20 to 100 times the instructions.
const INTERPRETED: u64 = 100;

impl Class {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Payout, Self::Auth, Self::Difficulty];

    /// The world a component of this class implements.
    pub const fn world(self) -> &'static str {
        match self {
            Self::Payout => "payout-scheme",
            Self::Auth => "auth-policy",
            Self::Difficulty => "difficulty-strategy",
        }
    }

    /// The export that makes it one.
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Payout => "chimera:pool/payout@0.1.0",
            Self::Auth => "chimera:pool/auth@0.1.0",
            Self::Difficulty => "chimera:pool/difficulty@0.1.0",
        }
    }

    /// Fuel stops at the same instruction everywhere; for the others only time matters.
    pub(crate) const fn uses_fuel(self) -> bool {
        matches!(self, Self::Payout)
    }

    /// Where fuel is the limit, time is the last resort: what the host does for a component
    /// (copying what it logs) costs the component next to nothing.
    pub(crate) const LAST_RESORT: Budget = Budget::ticks(Duration::from_secs(60));

    /// What a call about so many rows may take. A settlement of a million accounts fits: each
    /// row comes in with tens of bytes, is copied once or twice, and goes out with a few.
    pub(crate) const fn room(self, rows: u64) -> Room {
        let rows = if rows > ROWS_MAX { ROWS_MAX } else { rows } as usize;
        let (memory_bytes, answer_bytes) = match self {
            Self::Payout => ((256 << 20) + rows * 512, (64 << 20) + rows * 64),
            Self::Auth => (64 << 20, 1 << 20),
            // Nine words for each of 50,000 sessions.
            Self::Difficulty => (16 << 20, 4 << 20),
        };
        Room { memory_bytes, answer_bytes }
    }

    /// What setting up may take: describing, validating, configuring, planning.
    pub(crate) const fn setup_room(self) -> Room {
        Room { answer_bytes: 1 << 20, ..self.room(0) }
    }

    /// The largest component of this class. Interpreters bring their language with them;
    /// where compiled code is expected a large one is a mistake.
    pub(crate) const fn binary_bytes_max(self, interpreted: bool) -> usize {
        match self {
            Self::Difficulty if !interpreted => 2 << 20,
            Self::Payout | Self::Auth | Self::Difficulty => 32 << 20,
        }
    }

    /// For describe, validate, configure and make-plan: once per load, so generous.
    pub(crate) const fn setup_budget(self) -> Budget {
        match self {
            Self::Payout => Budget::Fuel(FUEL_BASE),
            Self::Auth | Self::Difficulty => Budget::ticks(Duration::from_secs(1)),
        }
    }

    /// For one call about so many rows.
    pub(crate) const fn call_budget(self, rows: u64) -> Budget {
        match self {
            Self::Payout => Budget::Fuel(FUEL_BASE + FUEL_PER_ROW.saturating_mul(rows)),
            Self::Auth => Budget::ticks(Duration::from_millis(50)),
            // 10,000 sessions take under a millisecond; the rest is for a busy machine.
            Self::Difficulty => Budget::ticks(Duration::from_millis(100 + rows / 100)),
        }
    }
}

impl Budget {
    /// For a component that interprets a program: the grant `interpreted`.
    pub(crate) const fn interpreted(self) -> Self {
        match self {
            Self::Fuel(fuel) => Self::Fuel(fuel.saturating_mul(INTERPRETED)),
            Self::Ticks(ticks) => Self::Ticks(ticks.saturating_mul(INTERPRETED)),
        }
    }

    /// Rounded up, and one more for the tick that has begun.
    const fn ticks(time: Duration) -> Self {
        Self::Ticks(time.as_millis().div_ceil(TICK.as_millis()) as u64 + 1)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.world())
    }
}
