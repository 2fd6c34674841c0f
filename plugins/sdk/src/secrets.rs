//! Values the operator keeps out of configurations, with the grant `secret:NAME`. Natively a
//! [`testing::Host`](crate::testing::Host) has them.

/// A secret by name; `None` if it is not granted or there is none.
pub fn get(name: &str) -> Option<Vec<u8>> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::auth::chimera::pool::secrets::get(name);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::secret(name)
}
