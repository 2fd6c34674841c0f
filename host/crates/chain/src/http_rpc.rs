//! JSON-RPC over HTTP as Bitcoin Core and its descendants speak it.

use std::error::Error as _;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, Client, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::rpc::{RpcError, RpcFault};

/// A node on the same machine or network accepts at once or not at all.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Core closes a connection that was idle for 30 s; the pool lets go of it first, so that no
/// question is sent into a connection that is just being closed.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// A template of 4 million weight units is 8 MB of hex, and what is told beside; a block with
/// all that is told of it twice that.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

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
    /// Scheme, host and port: hosted nodes have their keys in the path.
    shown: String,
    auth: NodeAuth,
}

#[derive(Deserialize)]
struct Answer<'a> {
    /// `null` is a result, nothing at all is none: else any web server would "accept" blocks.
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    code: i32,
    #[serde(default)]
    message: String,
}

fn present<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(field).map(Some)
}

impl HttpRpc {
    /// A node at an `http` or `https` address. Nothing is sent yet. Over https its certificate
    /// must be signed by an authority this machine trusts, or by `authority` (PEM).
    ///
    /// # Errors
    /// When the address is not of that form, or has the credentials inside: they would end
    /// up in logs; when the authority is no certificate.
    pub fn new(url: &str, auth: NodeAuth, authority: Option<&[u8]>) -> Result<Self, BadUrl> {
        let bad = |url: &str, cause: String| {
            let url = if url.contains('@') { "…@…" } else { url };
            BadUrl { url: url.to_owned(), cause }
        };
        let parsed = Url::parse(url).map_err(|error| bad(url, error.to_string()))?;
        if !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(bad("…@…", "user and password are given apart from it".to_owned()));
        }
        if !["http", "https"].contains(&parsed.scheme()) {
            return Err(bad(url, "nodes speak http or https".to_owned()));
        }
        let mut client = Client::builder();
        if let Some(authority) = authority {
            let certificate = Certificate::from_pem(authority)
                .map_err(|error| bad(url, format!("its ca_file: {}", innermost(&error))))?;
            // What holds no certificate at all is taken without a word.
            if !String::from_utf8_lossy(authority).contains("BEGIN CERTIFICATE") {
                return Err(bad(url, "its ca_file holds no certificate (PEM)".to_owned()));
            }
            client = client.add_root_certificate(certificate);
        }
        let client = client
            .connect_timeout(CONNECT_WAIT)
            .pool_idle_timeout(IDLE_MAX)
            // The node is the operator's own; a proxy meant for the web must not see it.
            .no_proxy()
            .build()
            .map_err(|error| bad(url, error.to_string()))?;
        let shown = parsed.origin().ascii_serialization();
        Ok(Self { client, url: parsed, shown, auth })
    }

    /// Its address, without what may be a key.
    pub fn url(&self) -> &str {
        &self.shown
    }

    pub(crate) async fn call(
        &self,
        wait: Duration,
        method: &str,
        params: Value,
    ) -> Result<Value, RpcError> {
        let text = self.call_text(wait, method, params).await?;
        serde_json::from_str(text.get()).map_err(|_| RpcError::Garbled {
            node: self.url().to_owned(),
            method: method.to_owned(),
            status: StatusCode::OK.as_u16(),
            excerpt: text.get().chars().take(EXCERPT_CHARS).collect(),
        })
    }

    /// The result as it was written: a template of 4 MB is read once, into what it means.
    pub(crate) async fn call_text(
        &self,
        wait: Duration,
        method: &str,
        params: Value,
    ) -> Result<Box<RawValue>, RpcError> {
        let body = json!({ "jsonrpc": "1.0", "id": "chimera", "method": method, "params": params });
        let request = self.client.post(self.url.clone()).timeout(wait).json(&body);
        let request = match self.credentials()? {
            Some((user, password)) => request.basic_auth(user, Some(password)),
            None => request,
        };
        let failed = |error| self.failure(&error, wait, method);
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(RpcError::Unauthorized { node: self.url().to_owned() });
        }
        if status == StatusCode::FORBIDDEN {
            let (node, method) = (self.url().to_owned(), method.to_owned());
            return Err(RpcError::Forbidden { node, method });
        }
        let bytes = self.body(response, wait, method).await?;
        // Core answers errors with status 500 or 404 and a proper body; a full work queue
        // with 503 and a line of text.
        match serde_json::from_slice(&bytes) {
            Ok(Answer { error: Some(Fault { code, message }), .. }) => {
                Err(RpcFault { code, message }.into())
            }
            Ok(Answer { result: Some(result), .. }) => Ok(result.to_owned()),
            _ => Err(RpcError::Garbled {
                node: self.url().to_owned(),
                method: method.to_owned(),
                status: status.as_u16(),
                excerpt: String::from_utf8_lossy(&bytes).chars().take(EXCERPT_CHARS).collect(),
            }),
        }
    }

    /// The whole answer, if it is not longer than any node's.
    async fn body(
        &self,
        mut response: Response,
        wait: Duration,
        method: &str,
    ) -> Result<Vec<u8>, RpcError> {
        let failed = |error| self.failure(&error, wait, method);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                let (node, status) = (self.url().to_owned(), response.status().as_u16());
                let excerpt = format!("more than {ANSWER_BYTES_MAX} bytes");
                return Err(RpcError::Garbled { node, method: method.to_owned(), status, excerpt });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
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
        RpcError::Transport { node, cause: innermost(error) }
    }
}

/// What the system said; the outer causes repeat the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(|outer| outer.source()) {
        cause = Some(inner);
    }
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}
