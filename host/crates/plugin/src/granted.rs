//! The imports an auth policy has by grant: its values, its endpoints, its secrets. What is
//! not among its grants is not there, whatever the host has, and nothing is unbounded.

use std::sync::Arc;

use crate::bindings::granted::chimera::pool::{fetch, kv, secrets};
use crate::host_state::HostState;
use crate::waiting::Waiting;
use crate::{FetchCall, FetchError, FetchReply, Grants, KvError, Services};

const KEY_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 64 << 10;
/// One decision asks a few questions; more is a crawler.
const FETCHES_PER_CALL_MAX: u32 = 8;
const PATH_BYTES_MAX: usize = 2 << 10;
const METHOD_BYTES_MAX: usize = 16;
const HEADERS_MAX: usize = 32;
const HEADER_BYTES_MAX: usize = 16 << 10;
const BODY_BYTES_MAX: usize = 256 << 10;

/// What one instance may use of what its host offers.
#[derive(Default)]
pub(crate) struct Granted {
    grants: Arc<Grants>,
    services: Services,
    fetches: u32,
    pub(crate) waiting: Waiting,
}

impl Granted {
    pub(crate) fn new(grants: Arc<Grants>, services: Services) -> Self {
        Self { grants, services, ..Self::default() }
    }

    pub(crate) fn begin_call(&mut self) {
        self.fetches = 0;
        self.waiting = Waiting::default();
    }

    /// Asks the store of values, if it may.
    fn values<T>(
        &mut self,
        key: &str,
        ask: impl FnOnce(&dyn crate::KeyValue) -> Result<T, KvError>,
    ) -> Result<T, KvError> {
        if key.len() > KEY_BYTES_MAX {
            return Err(KvError::TooLarge);
        }
        let values = self.services.kv.as_deref().filter(|_| self.grants.kv);
        let values = values.ok_or(KvError::Unavailable)?;
        if self.waiting.left().is_zero() {
            return Err(KvError::Unavailable);
        }
        self.waiting.during(|| ask(values))
    }

    fn send(&mut self, call: FetchCall) -> Result<FetchReply, FetchError> {
        if !self.grants.endpoints.contains(&call.endpoint) {
            return Err(FetchError::NotGranted);
        }
        let endpoints = self.services.fetch.as_deref().ok_or(FetchError::NotGranted)?;
        if call.path.len() > PATH_BYTES_MAX
            || call.method.len() > METHOD_BYTES_MAX
            || too_large(&call.headers, &call.body)
        {
            return Err(FetchError::TooLarge);
        }
        if self.fetches >= FETCHES_PER_CALL_MAX {
            return Err(FetchError::Busy);
        }
        self.fetches += 1;
        let timeout = self.waiting.left();
        if timeout.is_zero() {
            return Err(FetchError::Timeout);
        }
        let call = FetchCall { timeout, ..call };
        let reply = self.waiting.during(|| endpoints.send(&call))?;
        if too_large(&reply.headers, &reply.body) {
            return Err(FetchError::TooLarge);
        }
        Ok(reply)
    }

    fn secret(&self, name: &str) -> Option<Vec<u8>> {
        let secrets = self.services.secrets.as_deref()?;
        secrets.get(self.grants.secrets.get(name)?)
    }
}

fn too_large(headers: &[(String, String)], body: &[u8]) -> bool {
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    headers.len() > HEADERS_MAX || bytes > HEADER_BYTES_MAX || body.len() > BODY_BYTES_MAX
}

impl kv::Host for HostState {
    fn get(&mut self, key: String) -> Result<Option<Vec<u8>>, kv::KvError> {
        Ok(self.granted().values(&key, |values| values.get(&key))?)
    }

    fn set(&mut self, key: String, value: Vec<u8>, ttl_s: u32) -> Result<(), kv::KvError> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(kv::KvError::TooLarge);
        }
        Ok(self.granted().values(&key, |values| values.set(&key, &value, ttl_s))?)
    }

    fn add(&mut self, key: String, delta: i64, ttl_s: u32) -> Result<i64, kv::KvError> {
        Ok(self.granted().values(&key, |values| values.add(&key, delta, ttl_s))?)
    }

    fn delete(&mut self, key: String) -> Result<(), kv::KvError> {
        Ok(self.granted().values(&key, |values| values.delete(&key))?)
    }
}

impl fetch::Host for HostState {
    fn send(&mut self, call: fetch::Call) -> Result<fetch::Reply, fetch::FetchError> {
        let fetch::Call { endpoint, path, method, headers, body } = call;
        let timeout = self.granted().waiting.left();
        let call = FetchCall { endpoint, path, method, headers, body, timeout };
        let FetchReply { status, headers, body } = self.granted().send(call)?;
        Ok(fetch::Reply { status, headers, body })
    }
}

impl secrets::Host for HostState {
    fn get(&mut self, name: String) -> Option<Vec<u8>> {
        self.granted().secret(&name)
    }
}

impl From<KvError> for kv::KvError {
    fn from(error: KvError) -> Self {
        match error {
            KvError::Quota => Self::Quota,
            KvError::TooLarge => Self::TooLarge,
            KvError::NotANumber => Self::NotANumber,
            KvError::Unavailable => Self::Unavailable,
        }
    }
}

impl From<FetchError> for fetch::FetchError {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::NotGranted => Self::NotGranted,
            FetchError::Timeout => Self::Timeout,
            FetchError::TooLarge => Self::TooLarge,
            FetchError::Busy => Self::Busy,
            FetchError::Failed(why) => Self::Failed(why),
        }
    }
}
