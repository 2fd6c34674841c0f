//! `/api/v1/status`: the pool at a glance, in every state it can be in.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::Live;

pub(crate) async fn status(State(live): State<Live>) -> Json<Value> {
    let snapshot = live.snapshot();
    Json(json!({
        "state": snapshot.lifecycle,
        "since_ms": snapshot.since_ms,
        "cause": snapshot.cause,
        "version": snapshot.version,
        "run": snapshot.run,
        "uptime_ms": snapshot.uptime_ms,
        "now_ms": snapshot.taken_at_ms,
        "coin": snapshot.coin,
        "chain": snapshot.chain,
        "nodes": snapshot.nodes,
        "work": snapshot.miners_work,
        "sessions": snapshot.sessions,
        "addresses": snapshot.addresses,
    }))
}
