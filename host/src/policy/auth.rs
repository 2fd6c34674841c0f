//! Auth: who may mine, and for which account. If the component fails nobody new is let in;
//! whoever is connected goes on.

use std::net::SocketAddr;
use std::sync::Arc;

use chimera_plugin::{Attempt, AuthPolicy, Decision, Grant, Protocol};
use chimera_store::Store;
use chimera_stratum::{AuthAnswer, Login};
use tokio::sync::Semaphore;

use super::{Calls, DifficultyDesk};
use crate::clock::now_ms;
use crate::health::Probe;

/// Decisions under way at once; an accept storm waits its turn.
const CALLS_MAX: usize = 8;
const ADVICE: &str = "Nobody new can log in; connected miners go on. Correct or replace the auth \
                      component and restart.";

/// Who is asked about users.
pub(crate) struct AuthDesk {
    policy: Arc<AuthPolicy>,
    store: Arc<Store>,
    probe: Probe,
    turn: Semaphore,
    /// How it went so far.
    pub calls: Calls,
}

impl AuthDesk {
    /// A desk over a loaded component.
    pub(crate) fn new(policy: AuthPolicy, store: Arc<Store>, probe: Probe) -> Self {
        probe.healthy(now_ms());
        Self {
            policy: Arc::new(policy),
            store,
            probe,
            turn: Semaphore::new(CALLS_MAX),
            calls: Calls::default(),
        }
    }

    /// The component.
    pub(crate) fn policy(&self) -> &AuthPolicy {
        &self.policy
    }

    /// Decides about a login; an admitted user gets a worker and a difficulty.
    pub(crate) async fn decide(
        &self,
        login: &Login,
        peer: SocketAddr,
        difficulty: &DifficultyDesk,
    ) -> AuthAnswer {
        let deny = |message: &str| AuthAnswer::Deny { message: message.to_owned() };
        let attempt = Attempt {
            remote_ip: peer.ip(),
            listener: "stratum".to_owned(),
            protocol: Protocol::StratumV1,
            tls: false,
            user: login.user.clone(),
            // Components see passwords only by a grant, which no slot has yet.
            password: None,
            user_agent: login.user_agent.clone(),
            at_ms: now_ms(),
        };
        match self.ask(attempt).await {
            Some(Decision::Allow(grant)) => self.admit(login, grant, difficulty).await,
            Some(Decision::Deny(denial)) => deny(&denial.public_message),
            Some(Decision::NoOpinion) => deny("this user is not known here"),
            None => deny("users cannot be checked at the moment, try again later"),
        }
    }

    async fn admit(&self, login: &Login, grant: Grant, difficulty: &DifficultyDesk) -> AuthAnswer {
        let worker = grant.worker.as_deref().unwrap_or_default();
        match self.store.worker(&grant.account, worker, now_ms()).await {
            Ok(worker) => {
                let difficulty = match grant.start_difficulty {
                    Some(granted) => Some(granted),
                    None => difficulty.start(login).await,
                };
                AuthAnswer::Allow { worker, difficulty }
            }
            Err(error) => {
                tracing::warn!(user = login.user, %error, "an admitted user has no account");
                AuthAnswer::Deny { message: "this account cannot be used".to_owned() }
            }
        }
    }

    async fn ask(&self, attempt: Attempt) -> Option<Decision> {
        let _turn = self.turn.acquire().await.expect("the semaphore is never closed");
        let policy = Arc::clone(&self.policy);
        self.calls.made();
        let outcome = tokio::task::spawn_blocking(move || policy.authorize(&attempt)).await;
        let cause = match outcome {
            Ok(Ok(decision)) => {
                self.probe.healthy(now_ms());
                return Some(decision);
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.calls.failed(&cause);
        self.probe.error(cause, ADVICE, now_ms());
        None
    }
}
