//! What the event loops and the one who steers them know of each other.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::LoadError;

/// Steering, by times: a loop compares them with its own clock, so nobody has to be told.
#[derive(Debug)]
pub(super) struct Shared {
    epoch: Instant,
    submit_from_ns: AtomicU64,
    from_ns: AtomicU64,
    to_ns: AtomicU64,
    /// Ends everything at once.
    pub(super) abort: AtomicBool,
    /// Connections that were subscribed, authorised, and held a job at least once.
    pub(super) subscribed: AtomicU32,
    pub(super) authorized: AtomicU32,
    pub(super) holding: AtomicU32,
    /// Connections that will not be tried again.
    pub(super) given_up: AtomicU32,
    /// Attempts that failed.
    pub(super) failures: AtomicU32,
    /// Blocks that came to all connections, counted by every loop.
    pub(super) waves: AtomicU32,
    trouble: Mutex<Option<LoadError>>,
}

/// The times of a run, as far as they are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) submit_from_ns: u64,
    pub(super) from_ns: u64,
    pub(super) to_ns: u64,
}

impl Times {
    #[inline]
    pub(super) const fn submits(&self, now_ns: u64) -> bool {
        now_ns >= self.submit_from_ns && now_ns < self.to_ns
    }

    #[inline]
    pub(super) const fn measures(&self, now_ns: u64) -> bool {
        now_ns >= self.from_ns && now_ns < self.to_ns
    }
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            epoch: Instant::now(),
            submit_from_ns: AtomicU64::new(u64::MAX),
            from_ns: AtomicU64::new(u64::MAX),
            to_ns: AtomicU64::new(u64::MAX),
            abort: AtomicBool::new(false),
            subscribed: AtomicU32::new(0),
            authorized: AtomicU32::new(0),
            holding: AtomicU32::new(0),
            given_up: AtomicU32::new(0),
            failures: AtomicU32::new(0),
            waves: AtomicU32::new(0),
            trouble: Mutex::new(None),
        }
    }

    /// Nanoseconds since the run began.
    #[inline]
    pub(super) fn now_ns(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    pub(super) fn times(&self) -> Times {
        let at = |time: &AtomicU64| time.load(Ordering::Relaxed);
        Times {
            submit_from_ns: at(&self.submit_from_ns),
            from_ns: at(&self.from_ns),
            to_ns: at(&self.to_ns),
        }
    }

    /// Says when it is measured.
    pub(super) fn schedule(&self, warmup: Duration, seconds: Duration) -> Times {
        let now = self.now_ns();
        let from = now + warmup.as_nanos() as u64;
        self.from_ns.store(from, Ordering::Relaxed);
        self.to_ns.store(from.saturating_add(seconds.as_nanos() as u64), Ordering::Relaxed);
        self.submit_from_ns.store(now, Ordering::Relaxed);
        self.times()
    }

    /// Ends it now, unless it ended before.
    pub(super) fn end(&self) {
        self.to_ns.fetch_min(self.now_ns(), Ordering::Relaxed);
    }

    /// Notes the first thing that went wrong.
    pub(super) fn note(&self, trouble: LoadError) {
        let mut first = self.trouble.lock().unwrap_or_else(|broken| broken.into_inner());
        first.get_or_insert(trouble);
    }

    pub(super) fn take_trouble(&self) -> Option<LoadError> {
        self.trouble.lock().unwrap_or_else(|broken| broken.into_inner()).take()
    }
}
