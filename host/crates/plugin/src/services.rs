//! What the host does for an auth policy that was granted it. Implemented by the host; a
//! component only ever sees names.

use std::sync::Arc;
use std::time::Duration;

/// A slot's values, kept by the host with a quota; they survive restarts and swaps.
pub trait KeyValue: Send + Sync {
    /// The value under a key.
    ///
    /// # Errors
    /// See [`KvError`].
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError>;

    /// Keeps a value for so many seconds; 0 keeps it until it is overwritten.
    ///
    /// # Errors
    /// See [`KvError`].
    fn set(&self, key: &str, value: &[u8], ttl_s: u32) -> Result<(), KvError>;

    /// Adds to a counter and gives what it has become; its time to live counts from its
    /// first change.
    ///
    /// # Errors
    /// See [`KvError`].
    fn add(&self, key: &str, delta: i64, ttl_s: u32) -> Result<i64, KvError>;

    /// Forgets a key.
    ///
    /// # Errors
    /// See [`KvError`].
    fn delete(&self, key: &str) -> Result<(), KvError>;
}

/// Why a value is not kept or given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// Too many keys or bytes.
    #[error("the slot's quota is used up")]
    Quota,
    /// This key or value is too large.
    #[error("the key or value is too large")]
    TooLarge,
    /// The value is not one that [`KeyValue::add`] made.
    #[error("the value is no counter")]
    NotANumber,
    /// The store cannot be used now, or it is not granted.
    #[error("the key-value store is unavailable")]
    Unavailable,
}

/// A request to an endpoint the operator named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchCall {
    /// Its name.
    pub endpoint: String,
    /// Path behind the endpoint's own; may carry a query.
    pub path: String,
    /// E.g. `GET`.
    pub method: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// How long the reply may take: what is left of two seconds for all waits of one decision.
    pub timeout: Duration,
}

/// What the endpoint said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchReply {
    /// The HTTP status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body, complete.
    pub body: Vec<u8>,
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The endpoint is not granted, or there is none of that name.
    #[error("the endpoint is not granted")]
    NotGranted,
    /// It did not answer in time.
    #[error("the endpoint did not answer in time")]
    Timeout,
    /// The request or the reply is too large.
    #[error("the request or the reply is too large")]
    TooLarge,
    /// Too many requests are under way.
    #[error("too many requests are under way")]
    Busy,
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Makes requests. Blocks the calling thread, which is never one of the executor's.
pub trait Fetch: Send + Sync {
    /// Sends one request, and gives up after [`FetchCall::timeout`].
    ///
    /// # Errors
    /// See [`FetchError`].
    fn send(&self, call: &FetchCall) -> Result<FetchReply, FetchError>;
}

/// Values the operator keeps out of configurations.
pub trait Secrets: Send + Sync {
    /// A secret by name.
    fn get(&self, name: &str) -> Option<Vec<u8>>;
}

/// What a component's host has to offer. Grants decide what of it a component may use.
#[derive(Clone, Default)]
pub struct Services {
    /// For the grant `kv`.
    pub kv: Option<Arc<dyn KeyValue>>,
    /// For grants `fetch:NAME`.
    pub fetch: Option<Arc<dyn Fetch>>,
    /// For grants `secret:NAME`.
    pub secrets: Option<Arc<dyn Secrets>>,
}

impl Services {
    /// Nothing is on offer.
    pub fn none() -> Self {
        Self::default()
    }
}
