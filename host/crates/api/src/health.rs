//! `/api/v1/health`: what is wrong, since when, and what to do about it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::{ComponentState, Lifecycle, Live, Snapshot};

/// 200 when miners are served and every part is well, 503 otherwise.
pub(crate) async fn health(State(live): State<Live>) -> (StatusCode, Json<Value>) {
    let snapshot = live.snapshot();
    let overall = overall(&snapshot);
    let code = match overall {
        ComponentState::Healthy => StatusCode::OK,
        ComponentState::Unhealthy | ComponentState::Error => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = json!({
        "status": overall,
        "state": snapshot.lifecycle,
        "cause": cause(&snapshot),
        "components": snapshot.components,
        "policies": snapshot.policies,
    });
    (code, Json(body))
}

/// The worst of all parts; a pool that is not running serves nobody.
pub(crate) fn overall(snapshot: &Snapshot) -> ComponentState {
    let any = |state| snapshot.components.iter().any(|part| part.state == state);
    match snapshot.lifecycle {
        Lifecycle::Error => ComponentState::Error,
        _ if any(ComponentState::Error) => ComponentState::Error,
        Lifecycle::Running if !any(ComponentState::Unhealthy) => ComponentState::Healthy,
        _ => ComponentState::Unhealthy,
    }
}

fn cause(snapshot: &Snapshot) -> Option<String> {
    let sick = |part: &&crate::ComponentHealth| part.state != ComponentState::Healthy;
    let not_running = || match snapshot.lifecycle {
        Lifecycle::Running => None,
        state => Some(format!("the pool is {}", state.name())),
    };
    let named = |part: &crate::ComponentHealth| match &part.cause {
        Some(cause) => format!("{}: {cause}", part.name),
        None => format!("{} is in trouble", part.name),
    };
    let worst = snapshot
        .components
        .iter()
        .filter(sick)
        .max_by_key(|part| part.state == ComponentState::Error);
    snapshot.cause.clone().or_else(|| worst.map(named)).or_else(not_running)
}
