//! `/api/v1/plugins`: what decides here, and how it is doing.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::Live;

pub(crate) async fn list(State(live): State<Live>) -> Json<Value> {
    Json(json!({ "plugins": live.snapshot().plugins }))
}
