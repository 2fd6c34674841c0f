//! The pool's life: exactly one state, observable, legal moves only.

use chimera_api::Lifecycle;
use tokio::sync::watch;

use crate::clock::now_ms;

/// Whether a pool may go from one state to another.
pub const fn may_become(from: Lifecycle, to: Lifecycle) -> bool {
    use Lifecycle::{Error, Running, Starting, Stopped, Stopping};
    matches!(
        (from, to),
        (Stopped | Error, Starting)
            | (Starting, Running)
            | (Starting | Running, Stopping | Error)
            | (Stopping, Stopped | Error)
            | (Error, Stopped)
    )
}

/// A state, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The state.
    pub state: Lifecycle,
    /// Since when, ms since the Unix epoch.
    pub since_ms: u64,
}

/// The one place that knows the state; everybody else watches.
#[derive(Debug)]
pub struct LifecycleCell(watch::Sender<Moment>);

impl Default for LifecycleCell {
    fn default() -> Self {
        Self(watch::Sender::new(Moment { state: Lifecycle::Stopped, since_ms: now_ms() }))
    }
}

impl LifecycleCell {
    /// Moves on; says whether the move was legal. An illegal one changes nothing.
    pub fn advance(&self, next: Lifecycle) -> bool {
        let moved = self.0.send_if_modified(|moment| {
            let legal = may_become(moment.state, next);
            if legal {
                *moment = Moment { state: next, since_ms: now_ms() };
            }
            legal
        });
        if moved {
            tracing::info!(state = next.name(), "pool state");
        }
        moved
    }

    /// Follows the state.
    pub fn watch(&self) -> watch::Receiver<Moment> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use chimera_api::Lifecycle;

    use super::{LifecycleCell, may_become};

    #[test]
    fn a_pool_lives_in_order() {
        let cell = LifecycleCell::default();
        assert!(!cell.advance(Lifecycle::Running), "nothing runs that has not started");
        for next in [Lifecycle::Starting, Lifecycle::Running, Lifecycle::Stopping] {
            assert!(cell.advance(next));
        }
        assert!(!cell.advance(Lifecycle::Running), "what drains does not come back");
        assert!(cell.advance(Lifecycle::Stopped));
        assert!(cell.advance(Lifecycle::Starting), "T19: a stopped pool starts again");
        assert!(cell.advance(Lifecycle::Error));
        assert_eq!(cell.watch().borrow().state, Lifecycle::Error);
    }

    #[test]
    fn no_state_becomes_itself() {
        assert!(Lifecycle::ALL.iter().all(|state| !may_become(*state, *state)));
    }
}
