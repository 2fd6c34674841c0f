//! JSON-RPC over HTTP as Bitcoin-like nodes serve it: what makes the embedded chain a
//! stand-alone node.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

use crate::BasicAuth;

/// Bitcoin Core takes bodies of 32 MiB; a block of 4 MB in hex is 8 MB.
pub const RPC_BODY_BYTES_MAX: usize = 8 * 1024 * 1024 + 64 * 1024;

/// An answer on its way.
pub type RpcAnswer = Pin<Box<dyn Future<Output = Value> + Send>>;

#[derive(Clone)]
struct Node {
    auth: Option<BasicAuth>,
    handler: Arc<dyn Fn(Value) -> RpcAnswer + Send + Sync>,
}

/// A router that hands each body posted to `/` to `handler` and returns what it answers.
///
/// `handler` gets whole requests (an object, or a list of them) and gives whole answers.
/// The HTTP status follows the answer's `error` as in Bitcoin Core: 200, 404 for an
/// unknown method, 400 for an invalid request, 500 for any other error. With `auth`,
/// callers without it get 401.
pub fn json_rpc_router<H>(auth: Option<BasicAuth>, handler: H) -> Router
where
    H: Fn(Value) -> RpcAnswer + Send + Sync + 'static,
{
    Router::new()
        .route("/", post(call))
        .layer(DefaultBodyLimit::max(RPC_BODY_BYTES_MAX))
        .with_state(Node { auth, handler: Arc::new(handler) })
}

async fn call(State(node): State<Node>, headers: HeaderMap, body: Bytes) -> Response {
    if node.auth.as_ref().is_some_and(|auth| !auth.admits(&headers)) {
        let ask = [(WWW_AUTHENTICATE, "Basic realm=\"jsonrpc\"")];
        return (StatusCode::UNAUTHORIZED, ask).into_response();
    }
    // Whatever the content type says: command-line clients send text/plain.
    let answer = match serde_json::from_slice(&body) {
        Ok(request) => (node.handler)(request).await,
        Err(_) => {
            let error = json!({ "code": -32700, "message": "Parse error" });
            json!({ "result": null, "error": error, "id": null })
        }
    };
    let json = [(CONTENT_TYPE, "application/json")];
    (status_of(&answer), json, answer.to_string()).into_response()
}

fn status_of(answer: &Value) -> StatusCode {
    match answer.get("error") {
        None | Some(Value::Null) => StatusCode::OK,
        Some(error) => match error.get("code").and_then(Value::as_i64) {
            Some(-32601) => StatusCode::NOT_FOUND,
            Some(-32600) => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        },
    }
}
