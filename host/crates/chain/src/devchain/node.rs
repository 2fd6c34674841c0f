//! The embedded chain as a node: JSON-RPC as Bitcoin Core answers it, long polls included.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::DevChain;
use crate::clock::Clock;
use crate::rpc::RpcFault;

/// A long poll is answered after this even if nothing happened (Core looks for new
/// transactions after a minute).
const LONG_POLL_WAIT: Duration = Duration::from_secs(60);

/// Requests in one batch; a pool sends none.
const BATCH_MAX: usize = 100;

/// These sync to disk or hash, so they run where waiting harms nobody.
const SLOW: [&str; 3] = ["submitblock", "invalidateblock", "generatetoaddress"];

/// A chain and the clock it goes by.
#[derive(Clone)]
pub struct DevNode {
    chain: Arc<DevChain>,
    clock: Clock,
}

impl std::fmt::Debug for DevNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevNode").field("chain", &self.chain).finish_non_exhaustive()
    }
}

impl DevNode {
    /// A node of this chain.
    pub const fn new(chain: Arc<DevChain>, clock: Clock) -> Self {
        Self { chain, clock }
    }

    /// Its chain.
    pub const fn chain(&self) -> &Arc<DevChain> {
        &self.chain
    }

    /// Answers one call. A `getblocktemplate` with the current `longpollid` waits for the next
    /// tip, at most a minute.
    ///
    /// # Errors
    /// Those of [`DevChain::rpc`].
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcFault> {
        if method == "getblocktemplate"
            && let Some(seen) = params.pointer("/0/longpollid").and_then(Value::as_str)
        {
            self.tip_other_than(seen).await;
        }
        if !SLOW.contains(&method) {
            return self.chain.rpc(method, &params, (self.clock)());
        }
        let (node, method) = (self.clone(), method.to_owned());
        let answer =
            tokio::task::spawn_blocking(move || node.chain.rpc(&method, &params, (node.clock)()));
        answer.await.unwrap_or_else(|_| {
            Err(RpcFault { code: -32603, message: "the node is shutting down".to_owned() })
        })
    }

    /// Answers a JSON-RPC body, single or batch: what stands between an HTTP server and the
    /// chain. Version 1.0 and 2.0 are answered alike, with `result`, `error` and `id`.
    pub async fn serve(&self, request: Value) -> Value {
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
        let (result, error) = match self.call(&method, params).await {
            Ok(result) => (result, Value::Null),
            Err(RpcFault { code, message }) => {
                (Value::Null, json!({ "code": code, "message": message }))
            }
        };
        json!({ "result": result, "error": error, "id": id })
    }

    async fn tip_other_than(&self, seen: &str) {
        let mut tip = self.chain.tip();
        let changed = tip.wait_for(|tip| tip.hash.to_string() != seen);
        // Whether it changed or the wait is over: the caller gets what there is.
        drop(tokio::time::timeout(LONG_POLL_WAIT, changed).await);
    }
}

fn invalid_request(message: &str) -> Value {
    json!({ "result": null, "error": { "code": -32600, "message": message }, "id": null })
}
