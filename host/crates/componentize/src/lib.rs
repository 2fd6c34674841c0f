//! From a plain `wasm32-unknown-unknown` build to a component: what the build script of the
//! shipped components and `chimera plugin build` both do, so that both make the same bytes.

mod producers;
mod rustc;

pub use producers::{push_custom_section, without_producers};
pub use rustc::Rustc;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::ComponentEncoder;

/// What components are compiled for: no WASI, so nothing is imported that is not in `wit/`.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What many compile for out of habit: its calls are adapted to components.
pub const WASIP1: &str = "wasm32-wasip1";

/// The same, and its linker makes the component itself.
pub const WASIP2: &str = "wasm32-wasip2";

/// Makes a component of a core module that carries its world, as `wit-bindgen` leaves it, and
/// that was compiled for `target`.
///
/// # Errors
/// With the encoder's words, when the module does not implement its world, or carries none.
pub fn component_of(module: &[u8], target: &str) -> Result<Vec<u8>, String> {
    let encoder = ComponentEncoder::default().validate(true).module(module);
    let adapted = encoder.and_then(|encoder| {
        if target != WASIP1 {
            return Ok(encoder);
        }
        let name = WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME;
        encoder.adapter(name, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
    });
    adapted.and_then(|mut encoder| encoder.encode()).map_err(|error| format!("{error:?}"))
}
