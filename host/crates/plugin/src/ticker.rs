//! The clock of an epoch engine: without it a component could run for ever.

use std::{io, thread};

use wasmtime::Engine;

use crate::class::TICK;

/// Starts a thread that advances the engine's epoch until the engine is gone.
pub(crate) fn start(engine: &Engine) -> io::Result<()> {
    let engine = engine.weak();
    let tick = move || {
        loop {
            thread::sleep(TICK);
            match engine.upgrade() {
                Some(engine) => engine.increment_epoch(),
                None => return,
            }
        }
    };
    thread::Builder::new().name("plugin-clock".to_owned()).spawn(tick).map(drop)
}
