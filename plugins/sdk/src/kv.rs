//! Values the host keeps for an auth policy, with the grant `kv`. They survive restarts and
//! swaps. Natively a [`testing::Host`](crate::testing::Host) keeps them.

use crate::bindings::auth::chimera::pool::kv;

pub use kv::KvError;

/// The value under a key.
///
/// # Errors
/// When the store cannot be asked, or is not granted.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, KvError> {
    #[cfg(target_arch = "wasm32")]
    return kv::get(key);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::kv(|store| store.get(key))
}

/// Keeps a value for so many seconds; 0 keeps it until it is overwritten.
///
/// # Errors
/// When it is too large, the quota is used up, or the store cannot be asked.
pub fn set(key: &str, value: &[u8], ttl_s: u32) -> Result<(), KvError> {
    #[cfg(target_arch = "wasm32")]
    return kv::set(key, value, ttl_s);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::kv(|store| store.set(key, value, ttl_s))
}

/// Adds to a counter and gives what it has become. The time to live counts from the
/// counter's first change: a counter of 60 seconds counts by the minute.
///
/// # Errors
/// When the value is no counter, the quota is used up, or the store cannot be asked.
pub fn add(key: &str, delta: i64, ttl_s: u32) -> Result<i64, KvError> {
    #[cfg(target_arch = "wasm32")]
    return kv::add(key, delta, ttl_s);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::kv(|store| store.add(key, delta, ttl_s))
}

/// Forgets a key.
///
/// # Errors
/// When the store cannot be asked.
pub fn delete(key: &str) -> Result<(), KvError> {
    #[cfg(target_arch = "wasm32")]
    return kv::delete(key);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::kv(|store| store.delete(key))
}
