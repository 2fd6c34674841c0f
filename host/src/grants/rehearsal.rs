//! Calls that must change nothing: what a component on trial writes is laid over the slot's
//! values for that trial alone, and only endpoints that are read-only are asked.
//!
//! Components call their host on the thread that called them, so the thread knows whether the
//! call is a rehearsal; whoever loads a component need not.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keys laid over; the quota of a slot.
const KEYS_MAX: usize = 10_000;
const BYTES_MAX: usize = 8 << 20;

thread_local! {
    static OVERLAY: RefCell<Option<Arc<Overlay>>> = const { RefCell::new(None) };
    static REFUSED: Cell<bool> = const { Cell::new(false) };
}

/// What a component on trial has written; `None` is a key it deleted.
#[derive(Debug, Default)]
pub(crate) struct Overlay(Mutex<HashMap<String, Option<Written>>>);

/// A value of a trial. It does not expire: trials are short.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) value: Vec<u8>,
    pub(super) counter: bool,
}

/// Makes a call as a rehearsal. Says beside its answer whether it wanted a request that a
/// rehearsal does not make: then the answer says nothing about the component.
pub(crate) fn rehearse<T>(overlay: &Arc<Overlay>, call: impl FnOnce() -> T) -> (T, bool) {
    /// Also a panic ends the rehearsal: the thread is used again.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            OVERLAY.with(|current| *current.borrow_mut() = None);
        }
    }
    let before = REFUSED.replace(false);
    OVERLAY.with(|current| *current.borrow_mut() = Some(Arc::clone(overlay)));
    let end = End;
    let answer = call();
    drop(end);
    (answer, REFUSED.replace(before))
}

/// The overlay of the rehearsal this thread is in.
pub(super) fn under_way() -> Option<Arc<Overlay>> {
    OVERLAY.with(|current| current.borrow().clone())
}

/// This rehearsal did not make a request.
pub(super) fn refused() {
    REFUSED.set(true);
}

impl Overlay {
    /// What was written to a key in this trial: nothing yet, deleted, or a value.
    pub(super) fn written(&self, key: &str) -> Option<Option<Written>> {
        self.values().get(key).cloned()
    }

    /// Writes; false when there is too much.
    pub(super) fn write(&self, key: &str, written: Option<Written>) -> bool {
        let mut values = self.values();
        if values.len() >= KEYS_MAX && !values.contains_key(key) {
            return false;
        }
        let size = |written: &Option<Written>| written.as_ref().map_or(0, |it| it.value.len());
        let kept: usize = values.values().map(size).sum();
        if kept + size(&written) > BYTES_MAX {
            return false;
        }
        values.insert(key.to_owned(), written);
        true
    }

    fn values(&self) -> MutexGuard<'_, HashMap<String, Option<Written>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
