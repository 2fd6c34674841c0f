//! A slot's values in the ledger's database, for components: they block a thread of their
//! own, for a bounded time, and a database that fails is only unavailable.

use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use chimera_plugin::{KeyValue, KvError};
use chimera_store::{KvFailure, KvQuota, Store, StoreError};
use tokio::runtime::Handle;

use super::rehearsal::{self, Overlay, Written};
use crate::clock::now_ms;

/// What a slot may keep: tokens, counters and cached answers for some thousand users.
const QUOTA: KvQuota = KvQuota { keys: 10_000, bytes: 8 << 20 };
/// A write waits behind a group commit of shares; a disk that takes longer is in trouble.
const WAIT_MAX: Duration = Duration::from_millis(1_000);

/// The values of a slot.
pub(super) struct SlotValues {
    slot: &'static str,
    /// The pool closes its store although a component may still be loaded.
    store: Weak<Store>,
    runtime: Handle,
}

impl SlotValues {
    /// The values of a slot. Must be called on the runtime that serves the store.
    pub(super) fn new(slot: &'static str, store: &Arc<Store>) -> Self {
        Self { slot, store: Arc::downgrade(store), runtime: Handle::current() }
    }

    /// Does something with the store, on its runtime; the calling thread waits.
    fn with_store<T: Send + 'static, F: Future<Output = Result<T, KvFailure>> + Send>(
        &self,
        work: impl FnOnce(Arc<Store>) -> F + Send + 'static,
    ) -> Result<T, KvError> {
        let store = self.store.upgrade().ok_or(KvError::Unavailable)?;
        let (tell, told) = mpsc::sync_channel(1);
        self.runtime.spawn(async move {
            // Whoever waited too long is told nothing; what was begun is finished.
            let _ = tell.send(work(store).await);
        });
        let outcome = told.recv_timeout(WAIT_MAX).map_err(|_| KvError::Unavailable)?;
        outcome.map_err(|failure| match failure {
            KvFailure::Quota => KvError::Quota,
            KvFailure::NotANumber => KvError::NotANumber,
            KvFailure::Store(error) => unavailable(&error),
        })
    }

    fn stored(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        let (slot, key) = (self.slot, key.to_owned());
        self.with_store(move |store| async move { Ok(store.kv_get(slot, &key, now_ms()).await?) })
    }

    fn add_laid_over(&self, overlay: &Overlay, key: &str, delta: i64) -> Result<i64, KvError> {
        let (value, counter) = match overlay.written(key) {
            Some(Some(written)) => (Some(written.value), written.counter),
            Some(None) => (None, true),
            // Of what is stored only the digits tell; a trial may take a number for a counter.
            None => (self.stored(key)?, true),
        };
        let number = match value {
            None => 0,
            Some(value) if counter => number(&value).ok_or(KvError::NotANumber)?,
            Some(_) => return Err(KvError::NotANumber),
        };
        let number = number.saturating_add(delta);
        let written = Written { value: number.to_string().into_bytes(), counter: true };
        overlay.write(key, Some(written)).then_some(number).ok_or(KvError::Quota)
    }
}

impl KeyValue for SlotValues {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        if let Some(written) = rehearsal::under_way().and_then(|overlay| overlay.written(key)) {
            return Ok(written.map(|written| written.value));
        }
        self.stored(key)
    }

    fn set(&self, key: &str, value: &[u8], ttl_s: u32) -> Result<(), KvError> {
        if let Some(overlay) = rehearsal::under_way() {
            let written = Written { value: value.to_vec(), counter: false };
            return overlay.write(key, Some(written)).then_some(()).ok_or(KvError::Quota);
        }
        let (slot, key, value) = (self.slot, key.to_owned(), value.to_vec());
        self.with_store(move |store| async move {
            let now = now_ms();
            store.kv_set((slot, &key), &value, expiry(ttl_s, now), QUOTA, now).await
        })
    }

    fn add(&self, key: &str, delta: i64, ttl_s: u32) -> Result<i64, KvError> {
        if let Some(overlay) = rehearsal::under_way() {
            return self.add_laid_over(&overlay, key, delta);
        }
        let (slot, key) = (self.slot, key.to_owned());
        self.with_store(move |store| async move {
            let now = now_ms();
            store.kv_add((slot, &key), delta, expiry(ttl_s, now), QUOTA, now).await
        })
    }

    fn delete(&self, key: &str) -> Result<(), KvError> {
        if let Some(overlay) = rehearsal::under_way() {
            return overlay.write(key, None).then_some(()).ok_or(KvError::Quota);
        }
        let (slot, key) = (self.slot, key.to_owned());
        self.with_store(move |store| async move { Ok(store.kv_delete(slot, &key).await?) })
    }
}

/// When a value ends; 0 seconds never do.
fn expiry(ttl_s: u32, now_ms: u64) -> Option<u64> {
    (ttl_s > 0).then(|| now_ms + u64::from(ttl_s) * 1_000)
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn unavailable(error: &StoreError) -> KvError {
    tracing::warn!(%error, "a component's values are unavailable");
    KvError::Unavailable
}

#[cfg(test)]
mod tests {
    use super::super::{Overlay, rehearse};
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_rehearsal_sees_what_is_stored_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&dir.path().join("pool.sqlite")).await.unwrap());
        let values = Arc::new(SlotValues::new("auth", &store));
        let asked = Arc::clone(&values);
        let work = move || {
            asked.set("name", b"before", 0).unwrap();
            assert_eq!(asked.add("logins", 3, 0), Ok(3));
            let overlay = Arc::new(Overlay::default());
            for round in 1..3 {
                let ((), refused) = rehearse(&overlay, || {
                    assert_eq!(asked.add("logins", 1, 0), Ok(3 + round));
                    assert_eq!(asked.add("name", 1, 0), Err(KvError::NotANumber));
                    asked.set("new", b"x", 0).unwrap();
                    asked.delete("name").unwrap();
                    assert_eq!(asked.get("name"), Ok(None));
                    assert_eq!(asked.get("new").unwrap().unwrap(), b"x");
                    asked.set("name", b"after", 0).unwrap();
                });
                assert!(!refused);
            }
            assert_eq!(asked.get("name").unwrap().unwrap(), b"before");
            assert_eq!(asked.get("logins").unwrap().unwrap(), b"3");
            assert_eq!(asked.get("new"), Ok(None));
        };
        tokio::task::spawn_blocking(work).await.unwrap();
        Arc::into_inner(store).unwrap().close().await;
        let gone = tokio::task::spawn_blocking(move || values.get("name"));
        assert_eq!(gone.await.unwrap(), Err(KvError::Unavailable));
    }
}
