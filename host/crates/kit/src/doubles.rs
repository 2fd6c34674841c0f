//! What an auth policy is given during an examination: values in memory, an endpoint that
//! answers the same to everybody, and secrets that would be noticed if they got out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chimera_plugin::{
    Fetch, FetchCall, FetchError, FetchReply, KeyValue, KvError, Secrets, Services,
};

/// Part of every secret and password of an examination.
pub(crate) const MARK: &str = "kept-secret-7f3a";

/// How the endpoint behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Answers 200 with a small JSON object.
    Answers,
    /// The same, with its headers in another order.
    AnswersReordered,
    /// Takes too long.
    TimesOut,
    /// Answers 500 with no body.
    Breaks,
}

/// Fresh services.
pub(crate) fn services(endpoint: Endpoint) -> Services {
    Services {
        kv: Some(Arc::new(Values::default())),
        fetch: Some(Arc::new(endpoint)),
        secrets: Some(Arc::new(Named)),
    }
}

#[derive(Default)]
struct Values(Mutex<BTreeMap<String, Vec<u8>>>);

impl Values {
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl KeyValue for Values {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.with(|values| values.get(key).cloned()))
    }

    fn set(&self, key: &str, value: &[u8], _: u32) -> Result<(), KvError> {
        self.with(|values| values.insert(key.to_owned(), value.to_vec()));
        Ok(())
    }

    fn add(&self, key: &str, delta: i64, _: u32) -> Result<i64, KvError> {
        self.with(|values| {
            let value = values.entry(key.to_owned()).or_insert_with(|| vec![0; 8]);
            let now = <[u8; 8]>::try_from(value.as_slice()).map_err(|_| KvError::NotANumber)?;
            let sum = i64::from_le_bytes(now).saturating_add(delta);
            *value = sum.to_le_bytes().to_vec();
            Ok(sum)
        })
    }

    fn delete(&self, key: &str) -> Result<(), KvError> {
        self.with(|values| values.remove(key));
        Ok(())
    }
}

impl Fetch for Endpoint {
    fn send(&self, _: &FetchCall) -> Result<FetchReply, FetchError> {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut headers = vec![
            header("content-type", "application/json"),
            header("cache-control", "no-store"),
            header("x-check", "1"),
        ];
        match self {
            Self::TimesOut => return Err(FetchError::Timeout),
            Self::Breaks => {
                return Ok(FetchReply { status: 500, headers: vec![], body: vec![] });
            }
            Self::AnswersReordered => headers.reverse(),
            Self::Answers => {}
        }
        let body = br#"{"allow":true,"account":"alice","worker":"rig","ttl_s":60}"#.to_vec();
        Ok(FetchReply { status: 200, headers, body })
    }
}

struct Named;

impl Secrets for Named {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        // Long enough for any key, and recognisable.
        Some(format!("{MARK}-{name}-0123456789abcdef0123456789abcdef").into_bytes())
    }
}
