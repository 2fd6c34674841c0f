//! An auth policy on trial beside the one in force: it is asked about the same attempts, and
//! what it answers is only compared.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use chimera_plugin::{Attempt, AuthPolicy, Decision};
use tokio::sync::Semaphore;

use super::Trial;
use crate::grants::{Overlay, rehearse};

/// Attempts compared at once; more are only counted.
const CALLS_MAX: usize = 2;

/// Compares at leisure: what comes while it is busy is not waited for.
pub(super) struct AuthShadow {
    turn: Arc<Semaphore>,
    /// What the policy on trial has written.
    overlay: Mutex<(Weak<Trial<AuthPolicy>>, Arc<Overlay>)>,
}

impl Default for AuthShadow {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(CALLS_MAX)), overlay: Mutex::default() }
    }
}

impl AuthShadow {
    /// Asks the policy on trial about an attempt the one in force has decided. Returns at once.
    pub(super) fn compare(
        &self,
        trial: &Arc<Trial<AuthPolicy>>,
        attempt: Attempt,
        decided: Decision,
        active_took: Duration,
    ) {
        let Ok(turn) = Arc::clone(&self.turn).try_acquire_owned() else {
            trial.dropped(1);
            return;
        };
        let overlay = self.overlay(trial);
        let trial = Arc::clone(trial);
        tokio::task::spawn_blocking(move || {
            trial.filled.calls.made();
            let began = Instant::now();
            let (answer, refused) =
                rehearse(&overlay, || trial.filled.component.authorize(&attempt));
            match answer {
                _ if refused => trial.skipped(),
                Ok(tried) => {
                    let difference = difference(&attempt.user, &decided, &tried);
                    trial.compared(1, difference, (began.elapsed(), active_took));
                }
                Err(error) => {
                    trial.filled.calls.failed(&error.to_string());
                    trial.failed(1, began.elapsed(), &error.to_string());
                }
            }
            drop(turn);
        });
    }

    /// A trial's own overlay: a new trial begins with what is stored.
    fn overlay(&self, trial: &Arc<Trial<AuthPolicy>>) -> Arc<Overlay> {
        let mut overlay = self.overlay.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::ptr::eq(overlay.0.as_ptr(), Arc::as_ptr(trial)) {
            *overlay = (Arc::downgrade(trial), Arc::default());
        }
        Arc::clone(&overlay.1)
    }
}

/// How two decisions about a user differ in what the miner gets, in words.
fn difference(user: &str, active: &Decision, tried: &Decision) -> Option<String> {
    let (in_force, on_trial) = (outcome(active), outcome(tried));
    (in_force != on_trial)
        .then(|| format!("user {user:?}: {in_force} in force, {on_trial} on trial"))
}

fn outcome(decision: &Decision) -> String {
    match decision {
        Decision::Allow(grant) => {
            let worker = grant.worker.as_deref().unwrap_or_default();
            let mut words = format!("allowed as {:?} worker {worker:?}", grant.account);
            if let Some(sessions) = grant.max_sessions {
                words += &format!(" with at most {sessions} sessions");
            }
            if let Some(start) = grant.start_difficulty {
                words += &format!(" from difficulty {start}");
            }
            words
        }
        Decision::Deny(denial) if denial.ban_s > 0 => format!("banned for {} s", denial.ban_s),
        Decision::Deny(_) => "denied".to_owned(),
        Decision::NoOpinion => "no opinion".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chimera_plugin::{Denial, Grant};

    #[test]
    fn two_decisions_differ_by_what_the_miner_gets() {
        let grant = Grant {
            account: "alice".to_owned(),
            worker: Some("rig1".to_owned()),
            ttl_s: 60,
            start_difficulty: None,
            max_sessions: None,
            tags: Vec::new(),
        };
        let denial = |ttl_s, ban_s| {
            Decision::Deny(Denial { public_message: format!("no {ttl_s}"), ttl_s, ban_s })
        };
        let allow = Decision::Allow(grant.clone());
        let longer = Decision::Allow(Grant { ttl_s: 3_600, ..grant.clone() });
        let other = Decision::Allow(Grant { account: "bob".to_owned(), ..grant });
        for (active, tried, same) in [
            (&allow, &longer, true),
            (&denial(1, 0), &denial(2, 0), true),
            (&allow, &other, false),
            (&allow, &denial(0, 0), false),
            (&denial(0, 0), &denial(0, 60), false),
            (&denial(0, 0), &Decision::NoOpinion, false),
        ] {
            assert_eq!(difference("u", active, tried).is_none(), same, "{active:?} {tried:?}");
        }
        assert_eq!(
            difference("alice.rig1", &allow, &denial(0, 0)).unwrap(),
            "user \"alice.rig1\": allowed as \"alice\" worker \"rig1\" in force, denied on trial"
        );
    }
}
