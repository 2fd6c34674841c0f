//! One way to ask a node, whether it is a process across the network or the chain inside
//! this one.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::devchain::DevNode;
use crate::http_rpc::HttpRpc;

/// A node answers from memory; a block template of 4 MB takes a second.
const CALL_WAIT: Duration = Duration::from_secs(15);

/// Core's RPC_IN_WARMUP: the node is starting.
const CODE_IN_WARMUP: i32 = -28;

/// A node, however it is reached.
#[derive(Debug, Clone)]
pub enum Rpc {
    /// Across the network.
    Http(HttpRpc),
    /// In this process.
    Embedded(DevNode),
}

/// An error a node answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct RpcFault {
    /// Bitcoin Core's number (its `rpc/protocol.h`) or JSON-RPC's.
    pub code: i32,
    /// For people.
    pub message: String,
}

/// Why a question has no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpcError {
    /// The node answered with an error.
    #[error("the node answered: {0}")]
    Node(#[from] RpcFault),
    /// The node does not accept the user and password, or the cookie.
    #[error("node {node} refused the credentials; check rpc user and password, or the cookie file")]
    Unauthorized {
        /// Its address.
        node: String,
    },
    /// The node lets this user ask other things, not this.
    #[error("node {node} does not let the pool's user call {method}; see its rpcwhitelist")]
    Forbidden {
        /// Its address.
        node: String,
        /// What was asked.
        method: String,
    },
    /// Nobody answers there.
    #[error("node {node} cannot be reached: {cause}")]
    Transport {
        /// Its address.
        node: String,
        /// What the system said.
        cause: String,
    },
    /// The answer did not come in time; whether the node acted is unknown.
    #[error("node {node} did not answer {method} within {seconds} s")]
    Timeout {
        /// Its address.
        node: String,
        /// What was asked.
        method: String,
        /// How long the pool waited.
        seconds: u64,
    },
    /// Something answers, but not a node.
    #[error("node {node} answered {method} with HTTP {status} and no JSON-RPC: \"{excerpt}\"")]
    Garbled {
        /// Its address.
        node: String,
        /// What was asked.
        method: String,
        /// The HTTP status.
        status: u16,
        /// How the answer begins.
        excerpt: String,
    },
    /// A node answers, but not what Bitcoin Core would.
    #[error("node {node} answered {method} without {missing}")]
    Unexpected {
        /// Its address.
        node: String,
        /// What was asked.
        method: String,
        /// What should have been there.
        missing: &'static str,
    },
    /// The cookie file, which the node writes at its start, cannot be read.
    #[error("the node's cookie file {} cannot be read: {cause}; is the node running?", path.display())]
    Cookie {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
}

impl RpcError {
    /// Whether the same question may well succeed later, unchanged.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Node(_) => self.is_warm_up(),
            _ => true,
        }
    }

    /// Whether the node is there and still starting.
    pub const fn is_warm_up(&self) -> bool {
        matches!(self, Self::Node(fault) if fault.code == CODE_IN_WARMUP)
    }
}

impl Rpc {
    /// Asks a node. `params` is an array.
    ///
    /// # Errors
    /// When the node cannot be reached, does not answer in 15 s, or answers with an error.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.call_within(CALL_WAIT, method, params).await
    }

    /// The same with another wait, for calls that are meant to take long.
    ///
    /// # Errors
    /// As for [`Rpc::call`].
    pub async fn call_within(
        &self,
        wait: Duration,
        method: &str,
        params: Value,
    ) -> Result<Value, RpcError> {
        match self {
            Self::Http(http) => http.call(wait, method, params).await,
            Self::Embedded(node) => Ok(node.call(method, params).await?),
        }
    }

    /// The same, with the result as it was written.
    pub(crate) async fn call_text(
        &self,
        wait: Duration,
        method: &str,
        params: Value,
    ) -> Result<Box<RawValue>, RpcError> {
        match self {
            Self::Http(http) => http.call_text(wait, method, params).await,
            Self::Embedded(node) => {
                let answer = node.call(method, params).await?;
                Ok(to_raw_value(&answer).expect("a value is always JSON"))
            }
        }
    }

    pub(crate) fn unexpected(&self, method: &str, missing: &'static str) -> RpcError {
        RpcError::Unexpected { node: self.name().to_owned(), method: method.to_owned(), missing }
    }

    /// What it is called in logs and errors.
    pub fn name(&self) -> &str {
        match self {
            Self::Http(http) => http.url(),
            Self::Embedded(_) => "embedded",
        }
    }
}
