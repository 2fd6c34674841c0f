//! Messages for the operator's log. Write only; natively a
//! [`testing::Host`](crate::testing::Host) hears them, if there is one.

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

fn write(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    crate::bindings::component::chimera::pool::log::write(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::log(level, message);
}
