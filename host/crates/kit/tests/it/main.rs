//! The kit on real components: every shipped one passes its own check, a wrong one of every
//! class fails at the right level, and what was released answers as it always did.
#![allow(clippy::unwrap_used, reason = "a test stops where something is wrong")]

mod conformance;
mod golden;
mod wrong;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chimera_plugin::{Artifact, Engines};

/// Compiling is the slow part, so it is cached.
fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("kit-cache")
}

fn engines() -> &'static Engines {
    static ENGINES: LazyLock<Engines> =
        LazyLock::new(|| Engines::new(Some(&cache())).expect("this machine runs components"));
    &ENGINES
}

fn second() -> &'static Engines {
    static ENGINES: LazyLock<Engines> =
        LazyLock::new(|| Engines::portable(Some(&cache())).expect("this machine runs components"));
    &ENGINES
}

/// A component the build leaves in the target directory, shipped or not.
fn built(name: &str) -> Artifact {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in target/");
    Artifact::from_file(&target.join(format!("components/{name}.wasm"))).unwrap()
}
