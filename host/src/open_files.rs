//! The limit of open files, raised by whoever needs many.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the limit to `needed` if the system lets; how many there may be, if that is less.
///
/// # Errors
/// The number that is allowed.
pub(crate) fn allow(needed: u64) -> Result<(), u64> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let before = limit.current;
        limit.current = limit.maximum.map_or(Some(needed), |maximum| Some(maximum.min(needed)));
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit.current = before;
        }
    }
    let allowed = limit.current.unwrap_or(u64::MAX);
    if allowed >= needed { Ok(()) } else { Err(allowed) }
}
