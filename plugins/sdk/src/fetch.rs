//! Requests an auth policy has the host make, with the grant `fetch:NAME`. The component
//! knows an endpoint's name, never its address or what authenticates it. Natively a
//! [`testing::Host`](crate::testing::Host) answers.

use crate::bindings::auth::chimera::pool::fetch;

pub use fetch::{Call, FetchError, Reply};

/// Sends one request and waits for the reply.
///
/// # Errors
/// When the endpoint is not granted, or there is no reply.
pub fn send(call: &Call) -> Result<Reply, FetchError> {
    #[cfg(target_arch = "wasm32")]
    return fetch::send(call);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::send(call)
}

/// A call that posts JSON.
pub fn post_json(endpoint: &str, path: &str, body: &serde_json::Value) -> Call {
    let header = |name: &str| (name.to_owned(), "application/json".to_owned());
    Call {
        endpoint: endpoint.to_owned(),
        path: path.to_owned(),
        method: "POST".to_owned(),
        headers: vec![header("content-type"), header("accept")],
        body: body.to_string().into_bytes(),
    }
}
