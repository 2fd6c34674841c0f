//! The world `difficulty-strategy`: how hard each session's shares are.

mod agents;
mod decimal;
mod meter;
mod pace;

pub use agents::agent_contains;
pub use decimal::Decimal;
pub use meter::{Aim, METER_WORDS, Meter, aim_problems};
pub use pace::{Bounds, Pace, SHARE, Sums, beyond_luck, beyond_percent};

pub use crate::bindings::difficulty::exports::chimera::pool::difficulty::{Batch, Hello, Verdicts};

use crate::{Component, PluginError};

/// Difficulties in units of 2^-32, one per row.
pub type Difficulties = Vec<u64>;

/// Chooses difficulties for batches of sessions; what it remembers is in the batch.
pub trait DifficultyStrategy: Component {
    /// Words of state per session, 0 to 8.
    fn state_words(config: &Self::Config) -> u32;

    /// The first difficulty of each new session.
    ///
    /// # Errors
    /// A verdict about the batch; the host keeps its own defaults then.
    fn initial(config: &Self::Config, hello: Vec<Hello>) -> Result<Difficulties, PluginError>;

    /// The next difficulty of each session due, 0 to keep.
    ///
    /// # Errors
    /// A verdict about the batch; the host keeps every difficulty then.
    fn retarget(config: &Self::Config, batch: Batch) -> Result<Verdicts, PluginError>;
}

impl Batch {
    /// What happened to a session since it was last looked at.
    #[inline]
    pub fn tick(&self, row: usize) -> Sums {
        Sums { difficulty: self.accepted_difficulty[row], ms: self.window_ms[row].into() }
    }

    /// What the host allows a session.
    #[inline]
    pub fn bounds(&self, row: usize) -> Bounds {
        Bounds { minimum: self.minimum[row], maximum: self.maximum[row] }
    }

    /// Rows of the batch, after checking that all columns agree.
    ///
    /// # Errors
    /// When a column has another length.
    pub fn rows(&self, state_words: u32) -> Result<usize, PluginError> {
        let rows = self.current.len();
        let lengths = [
            self.minimum.len(),
            self.maximum.len(),
            self.accepted.len(),
            self.stale.len(),
            self.rejected.len(),
            self.accepted_difficulty.len(),
            self.window_ms.len(),
            self.connected_ms.len(),
        ];
        if lengths.iter().any(|length| *length != rows)
            || self.state.len() != rows * state_words as usize
        {
            return Err(PluginError::InvalidInput(format!(
                "columns of {rows} rows, {lengths:?} and {} state words",
                self.state.len()
            )));
        }
        Ok(rows)
    }
}

impl Hello {
    /// What the host allows the session.
    pub fn bounds(&self) -> Bounds {
        Bounds { minimum: self.minimum, maximum: self.maximum }
    }
}

#[doc(hidden)]
#[macro_export]
macro_rules! __difficulty_strategy_guest {
    ($component:ty, $exported:ident) => {
        impl $crate::bindings::difficulty::exports::chimera::pool::difficulty::Guest for $exported {
            fn state_words() -> u32 {
                configured(|config| {
                    Ok(<$component as $crate::DifficultyStrategy>::state_words(config))
                })
                .unwrap_or(0)
            }
            fn initial(
                hello: Vec<$crate::Hello>,
            ) -> Result<$crate::Difficulties, $crate::PluginError> {
                configured(|config| {
                    <$component as $crate::DifficultyStrategy>::initial(config, hello)
                })
            }
            fn retarget(batch: $crate::Batch) -> Result<$crate::Verdicts, $crate::PluginError> {
                configured(|config| {
                    <$component as $crate::DifficultyStrategy>::retarget(config, batch)
                })
            }
        }
    };
}
