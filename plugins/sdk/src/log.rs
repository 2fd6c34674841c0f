//! Messages for the operator's log. Write only; natively they go nowhere.

use crate::bindings::component::chimera::pool::log::Level;

/// For developers.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// For the curious.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// For the operator, when there is time.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// For the operator, now. The host shows the last one beside a trap.
pub fn error(message: &str) {
    write(Level::Error, message);
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, message: &str) {
    crate::bindings::component::chimera::pool::log::write(level, message);
}

#[cfg(not(target_arch = "wasm32"))]
fn write(_: Level, _: &str) {}
