//! One connection's conversation, without the connection: lines and answers in, lines and
//! events out. Pure; time is an argument.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chimera_pow::{Algorithm, Difficulty, PowHash, Target};
use serde_json::{Value, json};

use super::job::{BadMessage, Found, MinerJob, Subscription};
use super::wire::{Call, NotStratum, PoolLine, reply, reply_unknown, request};

/// What we call ourselves to a pool.
pub const USER_AGENT: &str = concat!("chimera/", env!("CARGO_PKG_VERSION"));

const SUBSCRIBE_ID: u64 = 1;
const AUTHORIZE_ID: u64 = 2;
const EXTRANONCE_ID: u64 = 3;
/// cpuminer uses 4 for all; distinct ids match replies whatever their order.
const SUBMIT_ID_FIRST: u64 = 4;
/// A pool that leaves so many shares unanswered is not listening.
pub(super) const UNANSWERED_MAX: usize = 256;
/// Jobs between two clean ones whose late answers are still sent; pools keep fewer.
const LIVE_JOBS_MAX: usize = 32;

/// Who the pool is told we are.
#[derive(Debug, Clone)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) algorithm: Algorithm,
}

/// A share the pool has judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The difficulty it was asked at.
    pub difficulty: Difficulty,
    /// The difficulty its hash proves.
    pub proved: Difficulty,
    /// Its proof of work.
    pub hash: PowHash,
    /// Whether it would also make a block, by the job's own bits.
    pub block: bool,
    /// From sending it to reading the answer.
    pub latency: Duration,
}

/// What the conversation asks its surroundings to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    Send(String),
    Subscribed {
        extranonce1: String,
        resumed: bool,
    },
    Work(Arc<MinerJob>),
    Accepted(Answered),
    Rejected(Answered, String),
    Message(String),
    Ignored(String),
    /// What answers there speaks another protocol.
    NotAPool(String),
    Reconnect {
        host: Option<String>,
        port: Option<u16>,
        wait_s: u64,
    },
    /// The pool will not have us: why.
    SubscribeRefused(String),
    AuthorizeRefused(String),
}

#[derive(Debug)]
struct Pending {
    answered: Answered,
    sent: Instant,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Session {
    login: Login,
    resume: Option<String>,
    session_id: Option<String>,
    /// What the next notify is worked with; `None` before the subscription.
    subscription: Option<Subscription>,
    /// What the next notify is worked at.
    difficulty: Difficulty,
    authorized: bool,
    /// A job that came before the authorisation.
    held: Option<Arc<MinerJob>>,
    /// Jobs of this connection since the last clean one, oldest first.
    live: VecDeque<Arc<MinerJob>>,
    next_id: u64,
    pending: HashMap<u64, Pending>,
}

impl Session {
    /// A connection that was just made. `resume` is the session id of an earlier one.
    pub(super) fn new(login: Login, resume: Option<String>) -> Self {
        Self {
            login,
            resume,
            session_id: None,
            subscription: None,
            difficulty: Difficulty::ONE,
            authorized: false,
            held: None,
            live: VecDeque::new(),
            next_id: SUBMIT_ID_FIRST,
            pending: HashMap::new(),
        }
    }

    /// The first line to send.
    pub(super) fn open(&self) -> String {
        let params = match &self.resume {
            Some(session_id) => json!([USER_AGENT, session_id]),
            None => json!([USER_AGENT]),
        };
        request(SUBSCRIBE_ID, "mining.subscribe", &params)
    }

    /// The session id to resume with after a cut.
    pub(super) fn session_id(&self) -> Option<&str> {
        self.session_id.as_deref()
    }

    /// Whether subscribing and authorising are done.
    pub(super) const fn is_working(&self) -> bool {
        self.authorized
    }

    /// Shares sent and not yet judged.
    pub(super) fn unanswered(&self) -> usize {
        self.pending.len()
    }

    /// The line that offers an answer; `None` when its job is void, or of an earlier
    /// connection: the pool would only refuse it.
    pub(super) fn submit(
        &mut self,
        job: &Arc<MinerJob>,
        found: &Found,
        now: Instant,
    ) -> Option<String> {
        if !self.live.iter().any(|live| Arc::ptr_eq(live, job)) {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        let answered = Answered {
            difficulty: job.difficulty(),
            proved: Target::from_le_bytes(found.hash.0).difficulty(),
            hash: found.hash,
            block: job.is_block(&found.hash),
            latency: Duration::ZERO,
        };
        self.pending.insert(id, Pending { answered, sent: now });
        Some(request(id, "mining.submit", &job.submit_params(&self.login.user, found)))
    }

    /// Takes one line of the pool.
    pub(super) fn line(&mut self, line: &str, now: Instant) -> Vec<Effect> {
        match PoolLine::parse(line) {
            Err(NotStratum(found)) if self.subscription.is_none() => vec![Effect::NotAPool(found)],
            Err(not_stratum) => vec![Effect::Ignored(not_stratum.to_string())],
            Ok(PoolLine::Reply { id, outcome }) => self.replied(id, outcome, now),
            Ok(PoolLine::Call { id, call }) => self.called(&id, call),
        }
    }

    fn replied(&mut self, id: u64, outcome: Result<Value, String>, now: Instant) -> Vec<Effect> {
        match (id, outcome) {
            (SUBSCRIBE_ID, outcome) if self.subscription.is_none() => self.subscribed(outcome),
            (AUTHORIZE_ID, Ok(_)) if !self.authorized => {
                self.authorized = true;
                let ask = request(EXTRANONCE_ID, "mining.extranonce.subscribe", &json!([]));
                let work = self.held.take().map(Effect::Work);
                [Effect::Send(ask)].into_iter().chain(work).collect()
            }
            (AUTHORIZE_ID, Err(reason)) => vec![Effect::AuthorizeRefused(reason)],
            // Old pools refuse it; then the extranonce simply never changes.
            (SUBSCRIBE_ID | AUTHORIZE_ID | EXTRANONCE_ID, _) => vec![],
            (id, outcome) => match self.pending.remove(&id) {
                None => vec![Effect::Ignored(format!("a reply to request {id}, never sent"))],
                Some(Pending { mut answered, sent }) => {
                    answered.latency = now.saturating_duration_since(sent);
                    vec![match outcome {
                        Ok(_) => Effect::Accepted(answered),
                        Err(reason) => Effect::Rejected(answered, reason),
                    }]
                }
            },
        }
    }

    fn subscribed(&mut self, outcome: Result<Value, String>) -> Vec<Effect> {
        let result = match outcome {
            // The session to resume is gone: subscribe once more as a stranger.
            Err(_) if self.resume.take().is_some() => return vec![Effect::Send(self.open())],
            Err(reason) => return vec![Effect::SubscribeRefused(reason)],
            Ok(result) => result,
        };
        let subscription = match Subscription::from_values(&result[1], &result[2]) {
            Ok(subscription) => subscription,
            Err(bad) => return vec![Effect::SubscribeRefused(format!("its answer: {bad}"))],
        };
        self.session_id = session_id(&result[0]).map(str::to_owned);
        let resumed = self.resume.is_some() && self.resume == self.session_id;
        let extranonce1 = hex::encode(&subscription.extranonce1);
        self.subscription = Some(subscription);
        let login = json!([self.login.user, self.login.password]);
        vec![
            Effect::Subscribed { extranonce1, resumed },
            Effect::Send(request(AUTHORIZE_ID, "mining.authorize", &login)),
        ]
    }

    fn called(&mut self, id: &Value, call: Call) -> Vec<Effect> {
        let outcome = match call {
            Call::Notify(params) => return self.notified(&params),
            Call::SetDifficulty(Some(difficulty)) => {
                self.difficulty = difficulty;
                return vec![];
            }
            Call::SetDifficulty(None) => Err("a difficulty that is no positive number".to_owned()),
            Call::SetExtranonce(params) => self.extranonce_set(&params).map_err(|e| e.to_string()),
            Call::Reconnect { host, port, wait_s } => {
                return vec![Effect::Reconnect { host, port, wait_s }];
            }
            Call::ShowMessage(text) => Ok(Some(Effect::Message(text))),
            Call::GetVersion => Ok(reply(id, &json!(USER_AGENT)).map(Effect::Send)),
            Call::Ping => Ok(reply(id, &json!("pong")).map(Effect::Send)),
            Call::Other(method) => match reply_unknown(id, &method) {
                Some(line) => Ok(Some(Effect::Send(line))),
                None => Err(format!("unknown method {method}")),
            },
        };
        match outcome {
            Ok(effect) => effect.into_iter().collect(),
            Err(why) => vec![Effect::Ignored(why)],
        }
    }

    /// Takes effect with the next notify: the job being worked on has its own copy.
    fn extranonce_set(&mut self, params: &[Value]) -> Result<Option<Effect>, BadMessage> {
        let Some(subscription) = &mut self.subscription else {
            return Ok(Some(Effect::Ignored("an extranonce before the subscription".to_owned())));
        };
        let extranonce1 = params.first().unwrap_or(&Value::Null);
        // Some pools leave the size out when it stays.
        let kept = json!(subscription.extranonce2_bytes);
        *subscription = Subscription::from_values(extranonce1, params.get(1).unwrap_or(&kept))?;
        Ok(None)
    }

    fn notified(&mut self, params: &[Value]) -> Vec<Effect> {
        let Some(subscription) = &self.subscription else {
            return vec![Effect::Ignored("a job before the subscription".to_owned())];
        };
        let algorithm = self.login.algorithm;
        let job = match MinerJob::from_notify(params, subscription, self.difficulty, algorithm) {
            Ok(job) => Arc::new(job),
            Err(bad) => return vec![Effect::Ignored(format!("a job: {bad}"))],
        };
        if job.clean() {
            self.live.clear();
        } else if self.live.len() == LIVE_JOBS_MAX {
            self.live.pop_front();
        }
        self.live.push_back(Arc::clone(&job));
        if self.authorized {
            return vec![Effect::Work(job)];
        }
        self.held = Some(job);
        vec![]
    }
}

/// The id beside "mining.notify", in the list of pairs or in a single flat pair.
fn session_id(subscriptions: &Value) -> Option<&str> {
    let of_pair = |pair: &Value| pair.get(0)?.as_str()?.eq("mining.notify").then_some(());
    let mut pairs = subscriptions.as_array()?.iter();
    let pair = pairs
        .find(|pair| of_pair(pair).is_some())
        .or_else(|| of_pair(subscriptions).map(|()| subscriptions))?;
    pair.get(1)?.as_str().filter(|id| !id.is_empty())
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
