//! JSON-RPC over HTTP as Bitcoin Core and its descendants speak it.

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::rpc::{RpcError, RpcFault};

/// A node on the same machine or network accepts at once or not at all.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Core closes a connection that was idle for 30 s; the pool lets go of it first, so that no
/// question is sent into a connection that is just being closed.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// How much of an answer that is no JSON-RPC is shown.
const EXCERPT_CHARS: usize = 80;

/// How the pool proves to the node who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum NodeAuth {
    /// Not at all.
    None,
    /// `rpcuser` and `rpcpassword`, or an `rpcauth` line.
    Password {
        /// The name.
        user: String,
        /// The secret; never printed.
        password: String,
    },
    /// The file `.cookie` in the node's directory. It is read for every call, because the
    /// node writes a new one at each start.
    Cookie(PathBuf),
}

impl fmt::Debug for NodeAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Password { user, .. } => write!(f, "Password({user}, ..)"),
            Self::Cookie(path) => write!(f, "Cookie({})", path.display()),
        }
    }
}

/// An address no node can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{url}\" is no node address: {cause}; right would be http://127.0.0.1:8332")]
pub struct BadUrl {
    url: String,
    cause: String,
}

/// A node reached over HTTP.
#[derive(Debug, Clone)]
pub struct HttpRpc {
    client: Client,
    url: Url,
    auth: NodeAuth,
}

#[derive(Deserialize)]
struct Answer {
    /// `null` is a result, nothing at all is none: else any web server would "accept" blocks.
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    code: i32,
    #[serde(default)]
    message: String,
}

fn present<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(field).map(Some)
}

impl HttpRpc {
    /// A node at an `http` address. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address is not of that form, or has the credentials inside: they would end
    /// up in logs.
    pub fn new(url: &str, auth: NodeAuth) -> Result<Self, BadUrl> {
        let bad = |url: &str, cause: String| BadUrl { url: url.to_owned(), cause };
        let parsed = Url::parse(url).map_err(|error| bad(url, error.to_string()))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(bad("…@…", "user and password are given apart from it".to_owned()));
        }
        if parsed.scheme() != "http" {
            return Err(bad(url, "nodes speak http".to_owned()));
        }
        let client = Client::builder()
            .connect_timeout(CONNECT_WAIT)
            .pool_idle_timeout(IDLE_MAX)
            // The node is the operator's own; a proxy meant for the web must not see it.
            .no_proxy()
            .build()
            .map_err(|error| bad(url, error.to_string()))?;
        Ok(Self { client, url: parsed, auth })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) async fn call(
        &self,
        wait: Duration,
        method: &str,
        params: Value,
    ) -> Result<Value, RpcError> {
        let body = json!({ "jsonrpc": "1.0", "id": "chimera", "method": method, "params": params });
        let request = self.client.post(self.url.clone()).timeout(wait).json(&body);
        let request = match self.credentials()? {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        let failed = |error| self.failure(&error, wait, method);
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            return Err(RpcError::Unauthorized { node: self.url().to_owned() });
        }
        let bytes = response.bytes().await.map_err(failed)?;
        // Core answers errors with status 500 or 404 and a proper body; a full work queue
        // with 503 and a line of text.
        match serde_json::from_slice(&bytes) {
            Ok(Answer { error: Some(Fault { code, message }), .. }) => {
                Err(RpcFault { code, message }.into())
            }
            Ok(Answer { result: Some(result), .. }) => Ok(result),
            _ => Err(RpcError::Garbled {
                node: self.url().to_owned(),
                method: method.to_owned(),
                status: status.as_u16(),
                excerpt: String::from_utf8_lossy(&bytes).chars().take(EXCERPT_CHARS).collect(),
            }),
        }
    }

    fn credentials(&self) -> Result<Option<(String, String)>, RpcError> {
        match &self.auth {
            NodeAuth::None => Ok(None),
            NodeAuth::Password { user, password } => Ok(Some((user.clone(), password.clone()))),
            NodeAuth::Cookie(path) => {
                let cause = |cause: String| RpcError::Cookie { path: path.clone(), cause };
                let text =
                    std::fs::read_to_string(path).map_err(|error| cause(error.to_string()))?;
                let (user, password) = text
                    .trim()
                    .split_once(':')
                    .ok_or_else(|| cause("it is not of the form user:password".to_owned()))?;
                Ok(Some((user.to_owned(), password.to_owned())))
            }
        }
    }

    fn failure(&self, error: &reqwest::Error, wait: Duration, method: &str) -> RpcError {
        let node = self.url().to_owned();
        if error.is_timeout() && !error.is_connect() {
            return RpcError::Timeout { node, method: method.to_owned(), seconds: wait.as_secs() };
        }
        // The innermost source is what the system said; the outer ones repeat the address.
        let mut cause = error.source();
        while let Some(inner) = cause.and_then(|outer| outer.source()) {
            cause = Some(inner);
        }
        RpcError::Transport {
            node,
            cause: cause.map_or_else(|| error.to_string(), ToString::to_string),
        }
    }
}
