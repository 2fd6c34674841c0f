//! How each part of the pool is doing, told by the part itself from what it just saw.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chimera_api::{ComponentHealth, ComponentState};

/// A cause is read by people; what follows this is a dump.
const CAUSE_BYTES_MAX: usize = 4 * 1024;

type Reports = Arc<Mutex<BTreeMap<&'static str, ComponentHealth>>>;

/// All parts of one pool.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Reports);

impl Health {
    /// Enters a part. Until it says otherwise it is unhealthy: nothing is assumed.
    pub(crate) fn part(&self, name: &'static str, now_ms: u64) -> Probe {
        let probe = Probe { name, all: Arc::clone(&self.0) };
        probe.say(ComponentState::Unhealthy, Some("has not started yet".into()), None, now_ms);
        probe
    }

    /// What every part last said, by name.
    pub(crate) fn reports(&self) -> Vec<ComponentHealth> {
        lock(&self.0).values().cloned().collect()
    }
}

/// A part's voice.
#[derive(Debug, Clone)]
pub(crate) struct Probe {
    name: &'static str,
    all: Reports,
}

impl Probe {
    /// It works.
    pub(crate) fn healthy(&self, now_ms: u64) {
        self.say(ComponentState::Healthy, None, None, now_ms);
    }

    /// It works, and somebody should have a look.
    pub(crate) fn warning(&self, cause: impl ToString, advice: &str, now_ms: u64) {
        self.say(ComponentState::Healthy, Some(cause.to_string()), Some(advice), now_ms);
    }

    /// It does not work now and keeps trying.
    pub(crate) fn unhealthy(&self, cause: impl ToString, advice: &str, now_ms: u64) {
        self.say(ComponentState::Unhealthy, Some(cause.to_string()), Some(advice), now_ms);
    }

    /// It needs somebody to act.
    pub(crate) fn error(&self, cause: impl ToString, advice: &str, now_ms: u64) {
        self.say(ComponentState::Error, Some(cause.to_string()), Some(advice), now_ms);
    }

    fn say(&self, state: ComponentState, cause: Option<String>, advice: Option<&str>, now_ms: u64) {
        let mut all = lock(&self.all);
        let before = all.get(self.name);
        let same = before.is_some_and(|report| report.state == state);
        let as_before = before.is_some_and(|report| report.cause == cause);
        if same && as_before && state == ComponentState::Healthy {
            // By far the most frequent word, and nothing new in it.
            return;
        }
        let since_ms = before.filter(|_| same).map_or(now_ms, |report| report.since_ms);
        if !same && before.is_some() {
            match &cause {
                None => tracing::info!(part = self.name, "healthy"),
                Some(cause) => {
                    let state = format_args!("{state:?}");
                    tracing::warn!(part = self.name, cause, advice, %state, "in trouble");
                }
            }
        }
        let cause = cause.map(|mut cause| {
            cause.truncate(cause.floor_char_boundary(CAUSE_BYTES_MAX));
            cause
        });
        let (name, recommendation) = (self.name.to_owned(), advice.map(str::to_owned));
        all.insert(self.name, ComponentHealth { name, state, cause, since_ms, recommendation });
    }
}

fn lock(reports: &Reports) -> MutexGuard<'_, BTreeMap<&'static str, ComponentHealth>> {
    reports.lock().unwrap_or_else(PoisonError::into_inner)
}
