//! The engines of all classes, and the way from bytes to a compiled component.

use std::io;
use std::path::{Path, PathBuf};

use wasmtime::component::Component;

use crate::cache::Cache;
use crate::class::Class;
use crate::sandbox::Sandbox;
use crate::{Artifact, Cause, world};

/// Engines for all three classes. Make one per program and share it.
pub struct Engines {
    payout: Sandbox,
    auth: Sandbox,
    difficulty: Sandbox,
    cache: Option<Cache>,
}

/// The sandbox cannot be set up on this machine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The runtime refused.
    #[error("no sandbox for a {class}: {message}")]
    Runtime {
        /// The world whose engine it was.
        class: &'static str,
        /// What the runtime said.
        message: String,
    },
    /// The cache of compiled components cannot be made.
    #[error("cache of compiled components, {}: {source}", path.display())]
    Cache {
        /// Its directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Engines {
    /// Sets up the engines. Compiled components are kept in `cache_dir`, which is created;
    /// it holds native code, so nobody else may be able to write to it.
    ///
    /// # Errors
    /// When this machine cannot run them or the directory cannot be created.
    pub fn new(cache_dir: Option<&Path>) -> Result<Self, EngineError> {
        let [payout, auth, difficulty] = Class::ALL.map(|class| {
            Sandbox::new(class).map_err(|error| EngineError::Runtime {
                class: class.world(),
                message: format!("{error:#}"),
            })
        });
        let cache = cache_dir
            .map(|path| {
                Cache::open(path)
                    .map_err(|source| EngineError::Cache { path: path.to_path_buf(), source })
            })
            .transpose()?;
        Ok(Self { payout: payout?, auth: auth?, difficulty: difficulty?, cache })
    }

    pub(crate) const fn sandbox(&self, class: Class) -> &Sandbox {
        match class {
            Class::Payout => &self.payout,
            Class::Auth => &self.auth,
            Class::Difficulty => &self.difficulty,
        }
    }

    /// The component, from the cache or compiled now. Only what compiled is kept, so what is
    /// in the cache needs no second look at its bytes.
    pub(crate) fn compile(&self, artifact: &Artifact, class: Class) -> Result<Component, Cause> {
        let engine = self.sandbox(class).engine();
        let digest = artifact.digest();
        let cached = self.cache.as_ref().and_then(|cache| cache.get(engine, class, digest));
        if let Some(component) = cached {
            return Ok(component);
        }
        world::check_bytes(artifact.bytes())?;
        let component = Component::from_binary(engine, artifact.bytes())
            .map_err(|error| Cause::Invalid(format!("{error:#}")))?;
        if let Some(cache) = &self.cache {
            cache.put(engine, class, digest, &component);
        }
        Ok(component)
    }
}
