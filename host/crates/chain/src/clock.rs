//! Where the time comes from: an argument, so that a simulation can run on its own.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch, whenever asked.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The machine's clock. A machine set before 1970 reads 0.
pub fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}
