//! The embedded chain as a node: JSON-RPC as Bitcoin Core answers it, long polls included.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::DevChain;
use super::action::Action;
use super::faults::{Fault, Faults};
use crate::clock::Clock;
use crate::rpc::RpcFault;

/// A long poll is answered after this even if nothing happened (Core looks for new
/// transactions after a minute).
const LONG_POLL_WAIT: Duration = Duration::from_secs(60);

/// Requests in one batch; a pool sends none.
const BATCH_MAX: usize = 100;

/// These sync to disk or hash, so they run where waiting harms nobody.
const SLOW: [&str; 6] = [
    "submitblock",
    "invalidateblock",
    "reconsiderblock",
    "preciousblock",
    "generatetoaddress",
    "simulate",
];

/// How often a long poll of a stale node looks whether it is well again.
const STALE_LOOK: Duration = Duration::from_millis(50);

/// How a block hash begins a `longpollid`.
const HASH_CHARS: usize = 64;

/// A chain and the clock it goes by.
#[derive(Clone)]
pub struct DevNode {
    chain: Arc<DevChain>,
    clock: Clock,
    /// Seconds its clock is wrong by.
    offset: Arc<AtomicI64>,
    faults: Arc<Faults>,
    started: Instant,
}

impl std::fmt::Debug for DevNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevNode").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl DevNode {
    /// A node of this chain.
    pub fn new(chain: Arc<DevChain>, clock: Clock) -> Self {
        let (offset, faults) = Default::default();
        Self { chain, clock, offset, faults, started: Instant::now() }
    }

    /// Its chain.
    pub const fn chain(&self) -> &Arc<DevChain> {
        &self.chain
    }

    /// What it fails in; set with [`DevNode::simulate`].
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(super) fn offset(&self) -> &AtomicI64 {
        &self.offset
    }

    /// What its clock says.
    pub(super) fn now(&self) -> u64 {
        (self.clock)().saturating_add_signed(self.offset.load(Ordering::Relaxed))
    }

    /// Answers one call. A `getblocktemplate` with the current `longpollid` waits for the next
    /// tip, at most a minute. Beyond [`DevChain::rpc`] it knows `uptime` and `simulate`, whose
    /// one argument is an [`Action`] as an object.
    ///
    /// # Errors
    /// Those of [`DevChain::rpc`], and those it is made to answer.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFault> {
        if let Some(fault) = self.faults.take(&[method]) {
            suffer(fault).await?;
        }
        self.answer(method, params).await
    }

    async fn answer(&self, method: &str, params: Value) -> Result<Value, RpcFault> {
        if method == "getblocktemplate" {
            if let Some(seen) = params.pointer("/0/longpollid").and_then(Value::as_str) {
                self.work_other_than(seen).await;
            }
            if let Some(stale) = self.faults.take_stale() {
                return Ok(stale);
            }
        }
        if !SLOW.contains(&method) {
            return self.answer_now(method, &params);
        }
        let (node, method) = (self.clone(), method.to_owned());
        let answer = tokio::task::spawn_blocking(move || node.answer_now(&method, &params));
        answer.await.unwrap_or_else(|_| {
            Err(RpcFault { code: -32603, message: "the node is shutting down".to_owned() })
        })
    }

    fn answer_now(&self, method: &str, params: &Value) -> Result<Value, RpcFault> {
        match method {
            "uptime" => Ok(self.started.elapsed().as_secs().into()),
            "simulate" => self.simulate(Action::parse(params.get(0).unwrap_or(&Value::Null))?),
            _ => self.chain.rpc(method, params, self.now()),
        }
    }

    /// Answers a JSON-RPC body, single or batch: what stands between an HTTP server and the
    /// chain. Version 1.0 and 2.0 are answered alike, with `result`, `error` and `id`.
    pub async fn serve(&self, request: Value) -> Value {
        if let Some(fault) = self.faults.take(&methods_of(&request))
            && let Err(error) = suffer(fault).await
        {
            return failure(&request, &error);
        }
        self.serve_unharmed(request).await
    }

    /// The same by a server that sees to the faults itself.
    pub(super) async fn serve_unharmed(&self, request: Value) -> Value {
        match request {
            Value::Array(batch) if batch.is_empty() || batch.len() > BATCH_MAX => {
                invalid_request(&format!("a batch has 1 to {BATCH_MAX} requests"))
            }
            Value::Array(batch) => {
                let mut answers = Vec::with_capacity(batch.len());
                for request in batch {
                    answers.push(self.serve_one(request).await);
                }
                Value::Array(answers)
            }
            single => self.serve_one(single).await,
        }
    }

    async fn serve_one(&self, mut request: Value) -> Value {
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let Some(method) = request.get("method").and_then(Value::as_str).map(str::to_owned) else {
            return invalid_request("a request is an object with a method");
        };
        let params = request.get_mut("params").map_or(Value::Null, Value::take);
        let (result, error) = match self.answer(&method, params).await {
            Ok(result) => (result, Value::Null),
            Err(RpcFault { code, message }) => {
                (Value::Null, json!({ "code": code, "message": message }))
            }
        };
        json!({ "result": result, "error": error, "id": id })
    }

    /// Waits until there may be a template with another `longpollid`.
    async fn work_other_than(&self, seen: &str) {
        let hash = seen.get(..HASH_CHARS).unwrap_or(seen);
        let stale = self.faults.stale().filter(|template| template["longpollid"] == seen);
        if stale.is_some() {
            let recovery = async {
                while self.faults.stale().is_some() {
                    tokio::time::sleep(STALE_LOOK).await;
                }
            };
            drop(tokio::time::timeout(LONG_POLL_WAIT, recovery).await);
            return;
        }
        let mut tip = self.chain.tip();
        let changed = tip.wait_for(|tip| tip.hash.to_string() != hash);
        // Whether it changed or the wait is over: the caller gets what there is.
        drop(tokio::time::timeout(LONG_POLL_WAIT, changed).await);
    }
}

/// What a fault does to a call that needs no connection.
async fn suffer(fault: Fault) -> Result<(), RpcFault> {
    let error = |code, message: &str| Err(RpcFault { code, message: message.to_owned() });
    match fault {
        Fault::Slow { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            Ok(())
        }
        Fault::Hang => std::future::pending().await,
        Fault::WarmUp => error(WARM_UP.0, WARM_UP.1),
        Fault::Error { code, message } => error(code, &message),
        Fault::Stale | Fault::ZmqSilent => Ok(()),
        Fault::Status(_) | Fault::HalfReply | Fault::HalfJson | Fault::Closed => {
            error(-32603, "the connection broke")
        }
    }
}

/// Core's error while it starts.
pub(super) const WARM_UP: (i32, &str) = (-28, "Loading block index...");

/// The methods a body calls.
pub(super) fn methods_of(request: &Value) -> Vec<&str> {
    match request {
        Value::Array(batch) => batch.iter().filter_map(|one| one.get("method")?.as_str()).collect(),
        single => single.get("method").and_then(Value::as_str).into_iter().collect(),
    }
}

/// The answer to a body that fails as a whole.
pub(super) fn failure(request: &Value, error: &RpcFault) -> Value {
    let id = request.get("id").cloned().unwrap_or(Value::Null);
    json!({ "result": null, "error": { "code": error.code, "message": error.message }, "id": id })
}

fn invalid_request(message: &str) -> Value {
    json!({ "result": null, "error": { "code": -32600, "message": message }, "id": null })
}
