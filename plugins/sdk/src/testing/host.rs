//! A host in memory, one per thread, so that tests beside each other do not meet.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::store::Store;
use crate::bindings::component::chimera::pool::log::Level;
use crate::fetch::{Call, FetchError, Reply};
use crate::kv::KvError;

thread_local! {
    static HOST: RefCell<Option<Host>> = const { RefCell::new(None) };
}

type Endpoint = Box<dyn FnMut(&Call) -> Result<Reply, FetchError>>;

/// A host that grants nothing until told otherwise.
#[derive(Default)]
pub struct Host {
    kv: Option<Store>,
    endpoints: BTreeMap<String, Endpoint>,
    secrets: BTreeMap<String, Vec<u8>>,
    log: Vec<String>,
}

impl Host {
    /// Nothing is granted.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the grant `kv` and an empty store.
    #[must_use]
    pub fn with_kv(mut self) -> Self {
        self.kv = Some(Store::default());
        self
    }

    /// With the grant `fetch:NAME`, and what the endpoint answers.
    #[must_use]
    pub fn with_endpoint(
        mut self,
        name: &str,
        answer: impl FnMut(&Call) -> Result<Reply, FetchError> + 'static,
    ) -> Self {
        self.endpoints.insert(name.to_owned(), Box::new(answer));
        self
    }

    /// With the grant `secret:NAME`, and the secret.
    #[must_use]
    pub fn with_secret(mut self, name: &str, value: &[u8]) -> Self {
        self.secrets.insert(name.to_owned(), value.to_vec());
        self
    }

    /// Makes it the host of this thread until the answer is dropped.
    #[must_use = "the host is gone when this is dropped"]
    pub fn install(self) -> Installed {
        HOST.with(|host| *host.borrow_mut() = Some(self));
        Installed(())
    }
}

/// The host of this thread.
pub struct Installed(());

impl Installed {
    /// Lets time pass for what the store keeps.
    pub fn pass_s(&self, seconds: u64) {
        HOST.with(|host| {
            if let Some(kv) = host.borrow_mut().as_mut().and_then(|host| host.kv.as_mut()) {
                kv.pass_s(seconds);
            }
        });
    }

    /// What the component logged so far, as `level: message`.
    pub fn log(&self) -> Vec<String> {
        HOST.with(|host| host.borrow().as_ref().map(|host| host.log.clone()).unwrap_or_default())
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        HOST.with(|host| *host.borrow_mut() = None);
    }
}

pub(crate) fn kv<T>(call: impl FnOnce(&mut Store) -> Result<T, KvError>) -> Result<T, KvError> {
    HOST.with(|host| match host.borrow_mut().as_mut().and_then(|host| host.kv.as_mut()) {
        Some(store) => call(store),
        None => Err(KvError::Unavailable),
    })
}

pub(crate) fn send(call: &Call) -> Result<Reply, FetchError> {
    HOST.with(|host| {
        let mut host = host.borrow_mut();
        match host.as_mut().and_then(|host| host.endpoints.get_mut(&call.endpoint)) {
            Some(answer) => answer(call),
            None => Err(FetchError::NotGranted),
        }
    })
}

pub(crate) fn secret(name: &str) -> Option<Vec<u8>> {
    HOST.with(|host| host.borrow().as_ref().and_then(|host| host.secrets.get(name).cloned()))
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    HOST.with(|host| {
        if let Some(host) = host.borrow_mut().as_mut() {
            host.log.push(format!("{level}: {message}"));
        }
    });
}
