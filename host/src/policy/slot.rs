//! A slot that is asked while its component is exchanged: what is in force, and what is on
//! trial beside it.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use chimera_plugin::Grants;
use chimera_store::GenerationId;

use super::{Calls, Trial};

/// A component with its place in the records, and how it did.
pub(crate) struct Filled<T> {
    /// Its generation; `None` before it is on record (a trial).
    pub generation: Option<GenerationId>,
    /// The loaded component.
    pub component: T,
    /// Where it came from, for people.
    pub origin: String,
    /// What it may use.
    pub grants: Grants,
    /// How it did.
    pub calls: Calls,
}

/// What answers now.
pub(crate) struct Slot<T> {
    active: ArcSwap<Filled<T>>,
    trial: ArcSwapOption<Trial<T>>,
}

impl<T> Slot<T> {
    /// A slot with its first component.
    pub(crate) fn new(first: Filled<T>) -> Self {
        Self { active: ArcSwap::from_pointee(first), trial: ArcSwapOption::empty() }
    }

    /// The component in force.
    pub(crate) fn active(&self) -> Arc<Filled<T>> {
        self.active.load_full()
    }

    /// Puts another in force at once; calls under way end with the one they began with. Gives
    /// back what was in force.
    pub(crate) fn activate(&self, next: Arc<Filled<T>>) -> Arc<Filled<T>> {
        self.active.swap(next)
    }

    /// The component on trial.
    pub(crate) fn trial(&self) -> Option<Arc<Trial<T>>> {
        self.trial.load_full()
    }

    /// Begins a trial, changes its mode, or ends it.
    pub(crate) fn try_out(&self, trial: Option<Arc<Trial<T>>>) {
        self.trial.store(trial);
    }
}
