//! Components through the real sandbox: the shipped ones do their arithmetic, the hostile
//! one does its worst, and files that are no components are told apart.
#![allow(clippy::unwrap_used, reason = "a test stops where something is wrong")]

mod artifacts;
mod auth;
mod benches;
mod bundle;
mod cache;
mod difficulty;
mod every_export;
mod grants;
mod hostile;
mod interpreter;
mod payout;
mod payout_tables;
mod shipped;
mod wasi;

use std::path::Path;
use std::sync::LazyLock;

use chimera_plugin::{Artifact, Engines, Registry};

/// One set of engines for all tests; compiling is the slow part, so it is cached.
fn engines() -> &'static Engines {
    static ENGINES: LazyLock<Engines> = LazyLock::new(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("plugin-cache");
        Engines::new(Some(&cache)).expect("this machine runs components")
    });
    &ENGINES
}

fn shipped(name: &str) -> Artifact {
    Registry::new(None).unwrap().find(name).unwrap()
}

/// The component of `tests/hostile`, built by this crate's build script.
fn hostile() -> Artifact {
    Artifact::from_file(Path::new(env!("CHIMERA_HOSTILE_COMPONENT"))).unwrap()
}
