//! The engines of all classes, and the way from bytes to a compiled component.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use wasmtime::component::Component;

use crate::cache::{self, Cache, deserialize};
use crate::class::Class;
use crate::sandbox::{Sandbox, Target};
use crate::{Artifact, Cause, Digest, PluginError, world};

/// Engines for all three classes. Make one per program and share it.
pub struct Engines {
    payout: Sandbox,
    auth: Sandbox,
    difficulty: Sandbox,
    cache: Option<Cache>,
    /// Compiled code that was handed over, by the digest of what it was made from.
    handed: Vec<(Digest, Vec<u8>)>,
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
        Self::with(Target::Native, cache_dir)
    }

    /// Engines that interpret (Pulley) what the others run as native code: another compiler
    /// and another machine, which must come to the same answers.
    ///
    /// # Errors
    /// As [`Engines::new`].
    pub fn portable(cache_dir: Option<&Path>) -> Result<Self, EngineError> {
        Self::with(Target::Portable, cache_dir)
    }

    fn with(target: Target, cache_dir: Option<&Path>) -> Result<Self, EngineError> {
        let [payout, auth, difficulty] = Class::ALL.map(|class| {
            Sandbox::new(class, target).map_err(|error| EngineError::Runtime {
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
        let handed = Vec::new();
        Ok(Self { payout: payout?, auth: auth?, difficulty: difficulty?, cache, handed })
    }

    /// The same with code that [`Engines::compiled_payout`] made of the component of this
    /// digest. It is run as it is: it must come from this program itself. Code of other
    /// engines is not used.
    #[must_use]
    pub fn with_compiled(mut self, digest: Digest, code: Vec<u8>) -> Self {
        self.handed.push((digest, code));
        self
    }

    /// A payout scheme's code as these engines run it, for a process of this program.
    ///
    /// # Errors
    /// When it does not compile.
    pub fn compiled_payout(&self, artifact: &Artifact) -> Result<Vec<u8>, PluginError> {
        let fail = |cause| PluginError::new(artifact.name(), "load", cause);
        // Payout components may be of any size an interpreter may have.
        let component = self.compile(artifact, &self.payout, true).map_err(fail)?;
        component.serialize().map_err(|error| fail(Cause::Invalid(format!("{error:#}"))))
    }

    /// Deletes compiled code that neither these engines nor `others` beside them would use for
    /// one of these components. Without a cache there is nothing to do.
    ///
    /// # Errors
    /// When the cache cannot be read, or a file of it cannot be deleted.
    pub fn keep_compiled(&self, others: &Self, kept: &[Digest]) -> Result<(), EngineError> {
        let Some(cache) = &self.cache else { return Ok(()) };
        let mut names = HashSet::new();
        for engines in [self, others] {
            for class in Class::ALL {
                let engine = engines.sandbox(class).engine();
                names.extend(kept.iter().map(|digest| cache::name(engine, class, *digest)));
            }
        }
        let path = cache.directory().to_path_buf();
        cache.keep_only(&names).map_err(|source| EngineError::Cache { path, source })
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
    pub(crate) fn compile(
        &self,
        artifact: &Artifact,
        sandbox: &Sandbox,
        interpreted: bool,
    ) -> Result<Component, Cause> {
        let (engine, class) = (sandbox.engine(), sandbox.class());
        let (bytes, limit) = (artifact.bytes().len(), class.binary_bytes_max(interpreted));
        if bytes > limit {
            // Where the grant changes nothing, it is not advised.
            let interpreted = class.binary_bytes_max(true) == limit;
            return Err(Cause::TooLarge { world: class.world(), bytes, limit, interpreted });
        }
        let digest = artifact.digest();
        let mut handed = self.handed.iter().filter(|(of, _)| *of == digest);
        if let Some(component) = handed.find_map(|(_, code)| deserialize(engine, code).ok()) {
            return Ok(component);
        }
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
