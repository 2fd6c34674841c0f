//! The JSON-RPC router, as a node's clients see it.

use chimera_api::{BasicAuth, RPC_BODY_BYTES_MAX, RpcAnswer, json_rpc_router};
use serde_json::{Value, json};

use crate::scene::listening;

/// Knows `echo`, answers lists one by one.
fn answer(request: Value) -> Value {
    if let Value::Array(requests) = request {
        return requests.into_iter().map(answer).collect();
    }
    let (result, error) = match request["method"].as_str() {
        Some("echo") => (request["params"].clone(), Value::Null),
        Some("fail") => (Value::Null, json!({ "code": -1, "message": "failed" })),
        Some(_) => (Value::Null, json!({ "code": -32601, "message": "Method not found" })),
        None => (Value::Null, json!({ "code": -32600, "message": "Missing method" })),
    };
    json!({ "result": result, "error": error, "id": request["id"] })
}

async fn node(auth: Option<BasicAuth>) -> String {
    listening(json_rpc_router(auth, |request| -> RpcAnswer {
        Box::pin(async move { answer(request) })
    }))
    .await
}

async fn post(url: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let answer = reqwest::Client::new().post(url).body(body).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test]
async fn http_status_follows_the_error_as_in_bitcoin_core() {
    let url = node(None).await;
    for (request, status, code) in [
        (r#"{"method":"echo","params":[1,"x"],"id":"k"}"#, 200, None),
        (r#"[{"method":"echo","params":[],"id":1}]"#, 200, None),
        (r#"{"method":"gone","id":1}"#, 404, Some(-32601)),
        (r#"{"id":1}"#, 400, Some(-32600)),
        (r#"{"method":"fail","id":1}"#, 500, Some(-1)),
        ("{not json", 500, Some(-32700)),
        ("", 500, Some(-32700)),
    ] {
        let (found, body) = post(&url, request).await;
        assert_eq!(found, status, "{request}");
        assert_eq!(body.get("error").and_then(|error| error["code"].as_i64()), code, "{request}");
    }
    let (_, echoed) = post(&url, r#"{"method":"echo","params":[1,"x"],"id":"k"}"#).await;
    assert_eq!(echoed, json!({ "result": [1, "x"], "error": null, "id": "k" }));
}

#[tokio::test]
async fn without_the_password_nothing_is_asked_of_the_handler() {
    let url = node(Some(BasicAuth::new("user", "secret"))).await;
    let client = reqwest::Client::new();
    let request = || client.post(&url).body(r#"{"method":"echo","params":[],"id":1}"#);
    for (request, status) in [
        (request(), 401),
        (request().basic_auth("user", Some("wrong")), 401),
        (request().basic_auth("user", None::<&str>), 401),
        (request().basic_auth("user", Some("secret")), 200),
    ] {
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401);
    }
}

#[tokio::test]
async fn a_block_of_4_mb_passes_and_more_is_refused() {
    let url = node(None).await;
    let block = format!(r#"{{"method":"echo","params":["{}"],"id":1}}"#, "0".repeat(8 << 20));
    assert_eq!(post(&url, block).await.0, 200);
    let client = reqwest::Client::new();
    let over = client.post(&url).body(vec![b' '; RPC_BODY_BYTES_MAX + 1]).send().await;
    // Refused by status, or cut off while still being sent.
    assert!(over.is_err() || over.is_ok_and(|answer| answer.status().as_u16() == 413));
}

#[tokio::test]
async fn only_post_to_the_root_is_served() {
    let url = node(None).await;
    assert_eq!(reqwest::get(&url).await.expect("an answer").status().as_u16(), 405);
    let other = reqwest::Client::new().post(format!("{url}/other")).send().await;
    assert_eq!(other.expect("an answer").status().as_u16(), 404);
}
