//! Auth: who may mine, and for which account.
//!
//! Every answer is reused for its time to live. If the component fails, known identities keep
//! their last answer for four times as long, and unknown ones are refused or, if the operator
//! says so, put under an account in quarantine. Whoever is connected goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chimera_plugin::{
    Attempt, AuthPolicy, CallBundle, Decision, Digest, Grant, PluginError, Protocol,
};
use chimera_store::{BanSource, Store};
use chimera_stratum::{AuthAnswer, Login};
use tokio::sync::Semaphore;

use super::account_sessions::{AccountSessions, Place};
use super::answers::{Answers, Identity};
use super::auth_figures::AuthFigures;
use super::auth_shadow::AuthShadow;
use super::breaker::{Breaker, Patience};
use super::flights::{Flight, Flights};
use super::guard::Guard;
use super::{DifficultyDesk, Filled, Mode, Origin, Slot};
use crate::bans::BanList;
use crate::clock::now_ms;
use crate::config::UnknownUsers;
use crate::health::Probe;
use crate::traps::{Traps, redacted};

/// Decisions under way at once; an accept storm waits its turn. Most of their time is spent
/// waiting for an endpoint, where there is one.
const CALLS_MAX: usize = 32;
/// Addresses change hands: no component bans one for longer.
const LONGEST_BAN_S: u32 = 7 * 86_400;
/// What accounts in quarantine begin with.
pub(crate) const QUARANTINE: &str = "quarantine:";
const ADVICE: &str = "Known users keep their last answer; new ones are treated as \
                      auth.unknown_when_down says. The component is tried again by itself; \
                      correct or replace it.";

/// Who is asked about users.
pub(crate) struct AuthDesk {
    /// The component in force, and one on trial.
    pub slot: Slot<AuthPolicy>,
    /// What came of logins.
    pub figures: AuthFigures,
    store: Arc<Store>,
    probe: Probe,
    unknown: UnknownUsers,
    /// Sessions of one account, whatever its grant says; 0 is without limit.
    per_account_max: u32,
    traps: Arc<Traps>,
    turn: Semaphore,
    shadow: AuthShadow,
    guard: Guard<AuthPolicy>,
    answers: Mutex<Answers>,
    bans: Arc<BanList>,
    flights: Flights<Identity>,
    sessions: AccountSessions,
    /// Makes the digests of passwords worthless outside this process.
    salt: [u8; 32],
}

/// What came of a login.
#[derive(Debug)]
pub(crate) struct Admission {
    /// For the session.
    pub answer: AuthAnswer,
    /// The session's place under the account; to be kept as long as the session lives.
    pub place: Option<Place>,
}

impl Admission {
    fn denied(message: impl Into<String>) -> Self {
        Self { answer: AuthAnswer::Deny { message: message.into() }, place: None }
    }

    fn unknown(message: impl Into<String>) -> Self {
        Self { answer: AuthAnswer::Unknown { message: message.into() }, place: None }
    }
}

impl AuthDesk {
    /// A desk over a loaded component.
    pub(crate) fn new(
        policy: Filled<AuthPolicy>,
        store: Arc<Store>,
        unknown: UnknownUsers,
        per_account_max: u32,
        bans: Arc<BanList>,
        traps: Arc<Traps>,
        probe: Probe,
    ) -> Self {
        probe.healthy(now_ms());
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).expect("the operating system has a random source");
        Self {
            slot: Slot::new(policy),
            figures: AuthFigures::default(),
            store,
            probe,
            unknown,
            per_account_max,
            traps,
            turn: Semaphore::new(CALLS_MAX),
            shadow: AuthShadow::default(),
            guard: Guard::new(Patience::AUTH),
            answers: Mutex::default(),
            bans,
            flights: Flights::default(),
            sessions: AccountSessions::default(),
            salt,
        }
    }

    /// Whether the component in force is called.
    pub(crate) fn breaker(&self) -> Breaker {
        self.guard.breaker(&self.slot)
    }

    /// The place a session had under an account in another process.
    pub(crate) fn place_again(&self, account: &str, session: u64) -> Option<Place> {
        self.sessions.take(account, session, None)
    }

    /// Decides about a login of a session; an admitted user gets a worker and a difficulty.
    pub(crate) async fn decide(
        &self,
        login: &Login,
        origin: &Origin,
        session: u64,
        difficulty: &DifficultyDesk,
    ) -> Admission {
        // Whoever is connected may have been banned since.
        if let Some(why) = self.bans.refusal(origin.peer.ip()) {
            self.figures.banned.add();
            return Admission::denied(why);
        }
        match self.answer(login, origin).await {
            Some(Decision::Allow(grant)) => {
                self.admit(login, grant, origin, session, difficulty).await
            }
            Some(Decision::Deny(denial)) => Admission::denied(denial.public_message),
            Some(Decision::NoOpinion) => Admission::denied("this user is not known here"),
            None if self.unknown == UnknownUsers::Quarantine => {
                self.figures.quarantined.add();
                self.admit(login, quarantined(&login.user), origin, session, difficulty).await
            }
            None => {
                self.figures.unknown_refused.add();
                Admission::unknown("users cannot be checked at the moment, try again later")
            }
        }
    }

    async fn admit(
        &self,
        login: &Login,
        grant: Grant,
        origin: &Origin,
        session: u64,
        difficulty: &DifficultyDesk,
    ) -> Admission {
        let pools = (self.per_account_max > 0).then_some(self.per_account_max);
        let most = grant.max_sessions.into_iter().chain(pools).min();
        let Some(place) = self.sessions.take(&grant.account, session, most) else {
            self.figures.crowded.add();
            let most = most.unwrap_or_default();
            let why = format!("this account has all the sessions it may have ({most})");
            return Admission::denied(why);
        };
        let worker = grant.worker.as_deref().unwrap_or_default();
        match self.store.worker(&grant.account, worker, now_ms()).await {
            Ok(worker) => {
                let difficulty = match grant.start_difficulty {
                    Some(granted) => Some(granted),
                    None => difficulty.start(session, worker, login, origin.limits).await,
                };
                Admission { answer: AuthAnswer::Allow { worker, difficulty }, place: Some(place) }
            }
            Err(error) => {
                tracing::warn!(user = login.user, %error, "an admitted user has no account");
                Admission::unknown("this account cannot be used")
            }
        }
    }

    /// The answer about a user: kept, given now, or the last one there was; `None` if there is
    /// none of these.
    async fn answer(&self, login: &Login, origin: &Origin) -> Option<Decision> {
        let trial = self.slot.trial();
        let active = self.slot.active();
        let canary = trial.as_ref().filter(|trial| trial.decides_for(&login.user));
        let first = canary.map_or(&active, |trial| &trial.filled);
        // An answer that may depend on a password is kept for that password only.
        let sees_password = active.grants.credential || first.grants.credential;
        let identity = self.identity(login, origin, sees_password);
        let fresh = || {
            let kept = lock(&self.answers).fresh(&identity, &Arc::downgrade(first), now_ms());
            kept.inspect(|_| self.figures.reused.add())
        };
        if let Some(kept) = fresh() {
            return Some(kept);
        }
        let _lead = match self.flights.join(&identity) {
            Flight::Lead(lead) => Some(lead),
            Flight::Follow(mut over) => {
                let _ = over.changed().await;
                None
            }
        };
        if let Some(kept) = fresh() {
            return Some(kept);
        }
        let _turn = self.turn.acquire().await.expect("the semaphore is never closed");
        let attempt = attempt(login, origin);
        if let Some(trial) = canary {
            let (outcome, took) = self.call(&trial.filled, &attempt).await;
            match outcome {
                Ok(decision) => {
                    trial.decided(1, took);
                    return Some(self.keep(identity, &trial.filled, decision));
                }
                Err(cause) => trial.failed(1, took, &cause),
            }
        }
        if self.guard.may_call(&active, now_ms()) {
            let (outcome, took) = self.call(&active, &attempt).await;
            match outcome {
                Ok(decision) => {
                    self.guard.succeeded(&active);
                    self.probe.healthy(now_ms());
                    if let Some(trial) = &trial
                        && trial.mode == Mode::Shadow
                    {
                        self.shadow.compare(trial, attempt, decision.clone(), took);
                    }
                    return Some(self.keep(identity, &active, decision));
                }
                Err(cause) => self.tell(&active, &cause),
            }
        }
        let last = lock(&self.answers).stale(&identity, now_ms());
        last.inspect(|_| self.figures.stale.add())
    }

    fn identity(&self, login: &Login, origin: &Origin, sees_password: bool) -> Identity {
        let salted = || [&self.salt, login.password.as_bytes()].concat();
        Identity {
            user: login.user.clone(),
            address: origin.peer.ip().to_canonical(),
            listener: Arc::clone(&origin.listener),
            tls: origin.tls,
            user_agent: login.user_agent.clone(),
            password: sees_password.then(|| Digest::of(&salted())),
        }
    }

    /// Keeps an answer, and the ban it may carry.
    fn keep(
        &self,
        identity: Identity,
        by: &Arc<Filled<AuthPolicy>>,
        decision: Decision,
    ) -> Decision {
        let now = now_ms();
        if let Decision::Deny(denial) = &decision
            && denial.ban_s > 0
        {
            let seconds = denial.ban_s.min(LONGEST_BAN_S).into();
            self.bans.ban(identity.address, seconds, &denial.public_message, BanSource::Auth);
        }
        lock(&self.answers).keep(identity, &decision, Arc::downgrade(by), now);
        decision
    }

    fn tell(&self, active: &Arc<Filled<AuthPolicy>>, cause: &str) {
        let now = now_ms();
        match self.guard.failed(active, now) {
            Some(breaker) if breaker.needs_somebody() => self.probe.error(cause, ADVICE, now),
            Some(_) => self.probe.unhealthy(cause, ADVICE, now),
            // Another one is in force meanwhile.
            None => {}
        }
    }

    /// Calls a policy away from the executor, and says how long it took. A failed call is
    /// kept for its author.
    async fn call(
        &self,
        filled: &Arc<Filled<AuthPolicy>>,
        attempt: &Attempt,
    ) -> (Result<Decision, String>, Duration) {
        let (asked, traps) = (Arc::clone(filled), Arc::clone(&self.traps));
        let attempt = Attempt {
            password: attempt.password.clone().filter(|_| filled.grants.credential),
            ..attempt.clone()
        };
        let password = attempt.password.clone();
        filled.calls.made();
        let began = Instant::now();
        let outcome = tokio::task::spawn_blocking(move || {
            let answer = asked.component.authorize(&attempt);
            if answer.is_err() {
                let bundle = || CallBundle::authorize(&asked.component, &attempt, &answer);
                traps.keep("auth", now_ms(), attempt.password.as_deref(), bundle);
            }
            answer
        });
        let outcome = match outcome.await {
            // What a component says in a crash is shown to everybody.
            Ok(outcome) => outcome
                .map_err(|error: PluginError| redacted(error.to_string(), password.as_deref())),
            Err(error) => Err(error.to_string()),
        };
        if let Err(cause) = &outcome {
            filled.calls.failed(cause);
        }
        (outcome, began.elapsed())
    }
}

fn attempt(login: &Login, origin: &Origin) -> Attempt {
    Attempt {
        remote_ip: origin.peer.ip(),
        listener: origin.listener.as_ref().to_owned(),
        protocol: Protocol::StratumV1,
        tls: origin.tls,
        user: login.user.clone(),
        // Taken away again from components that are not granted to see it.
        password: Some(login.password.clone()),
        user_agent: login.user_agent.clone(),
        at_ms: now_ms(),
    }
}

/// Work of users nobody could check is kept apart: `quarantine:` and the account they named.
fn quarantined(user: &str) -> Grant {
    let (account, worker) = match user.split_once('.') {
        Some((account, worker)) => (account, Some(worker.to_owned())),
        None => (user, None),
    };
    Grant {
        account: format!("{QUARANTINE}{account}"),
        worker,
        ttl_s: 0,
        start_difficulty: None,
        max_sessions: None,
        tags: Vec::new(),
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chimera_ledger::AccountName;

    #[test]
    fn accounts_in_quarantine_are_accounts_of_their_own() {
        for (user, account, worker) in [
            ("alice", "quarantine:alice", None),
            ("alice.rig1", "quarantine:alice", Some("rig1")),
            ("alice.rig.1", "quarantine:alice", Some("rig.1")),
            (".rig1", "quarantine:", Some("rig1")),
        ] {
            let grant = quarantined(user);
            assert_eq!((grant.account.as_str(), grant.worker.as_deref()), (account, worker));
            assert!(AccountName::new(grant.account).is_ok());
        }
    }
}
