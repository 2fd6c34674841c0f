//! A key-value store in memory, with a clock that tests turn.

use std::collections::BTreeMap;

use crate::kv::KvError;

/// Values and counters with their end.
#[derive(Default)]
pub(crate) struct Store {
    values: BTreeMap<String, Kept>,
    now_s: u64,
}

struct Kept {
    value: Value,
    /// Never, if absent.
    until_s: Option<u64>,
}

enum Value {
    Bytes(Vec<u8>),
    Counter(i64),
}

impl Store {
    pub(crate) fn pass_s(&mut self, seconds: u64) {
        self.now_s += seconds;
        let now_s = self.now_s;
        self.values.retain(|_, kept| kept.until_s.is_none_or(|until| until > now_s));
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        Ok(self.values.get(key).map(|kept| match &kept.value {
            Value::Bytes(bytes) => bytes.clone(),
            Value::Counter(count) => count.to_le_bytes().to_vec(),
        }))
    }

    pub(crate) fn set(&mut self, key: &str, value: &[u8], ttl_s: u32) -> Result<(), KvError> {
        let kept = Kept { value: Value::Bytes(value.to_vec()), until_s: self.until(ttl_s) };
        self.values.insert(key.to_owned(), kept);
        Ok(())
    }

    pub(crate) fn add(&mut self, key: &str, delta: i64, ttl_s: u32) -> Result<i64, KvError> {
        let fresh = Kept { value: Value::Counter(0), until_s: self.until(ttl_s) };
        match &mut self.values.entry(key.to_owned()).or_insert(fresh).value {
            Value::Counter(count) => {
                *count = count.saturating_add(delta);
                Ok(*count)
            }
            Value::Bytes(_) => Err(KvError::NotANumber),
        }
    }

    pub(crate) fn delete(&mut self, key: &str) -> Result<(), KvError> {
        self.values.remove(key);
        Ok(())
    }

    fn until(&self, ttl_s: u32) -> Option<u64> {
        (ttl_s > 0).then(|| self.now_s + u64::from(ttl_s))
    }
}
