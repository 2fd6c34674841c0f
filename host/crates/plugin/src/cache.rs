//! Compiled components on disk, so that a restart takes milliseconds.
//!
//! An entry is named by what it was made from and by whom: the component's digest, the class
//! (its engine's settings) and the engine's version and flags. It is written beside and
//! renamed, never overwritten in place; a bad entry is a miss. Entries are native code: the
//! directory must be writable by the pool only. The checksum is against accidents.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, io, process};

use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::Digest;
use crate::class::Class;

const CHECKSUM_BYTES: usize = 32;

/// Compiled components of earlier runs.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    directory: PathBuf,
}

impl Cache {
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        // What lies here is run as native code: nobody else may put something here.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        Ok(Self { directory: directory.to_path_buf() })
    }

    /// The component, if it was compiled before by this very engine and is intact.
    pub(crate) fn get(&self, engine: &Engine, class: Class, digest: Digest) -> Option<Component> {
        let path = self.path(engine, class, digest);
        let entry = match fs::read(&path) {
            Ok(entry) => entry,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    warn!(path = %path.display(), %error, "compiled component unreadable");
                }
                return None;
            }
        };
        let compiled = intact(&entry);
        if compiled.is_none() {
            warn!(path = %path.display(), "compiled component damaged; compiling again");
        }
        // The runtime checks its own version and flags again, and refuses what is not its own.
        match deserialize(engine, compiled?) {
            Ok(component) => Some(component),
            Err(error) => {
                warn!(path = %path.display(), %error, "compiled component refused");
                None
            }
        }
    }

    /// Keeps a compiled component. Failing costs only time at the next start.
    pub(crate) fn put(&self, engine: &Engine, class: Class, digest: Digest, component: &Component) {
        let path = self.path(engine, class, digest);
        let written = component
            .serialize()
            .map_err(|error| io::Error::other(error.to_string()))
            .and_then(|compiled| self.write(&path, &compiled));
        match written {
            Ok(()) => debug!(path = %path.display(), "compiled component kept"),
            Err(error) => warn!(path = %path.display(), %error, "compiled component not kept"),
        }
    }

    fn write(&self, path: &Path, compiled: &[u8]) -> io::Result<()> {
        static WRITES: AtomicU64 = AtomicU64::new(0);
        let write = WRITES.fetch_add(1, Ordering::Relaxed);
        let beside = self.directory.join(format!("{}-{write}.tmp", process::id()));
        let mut file = fs::File::create(&beside)?;
        file.write_all(Digest::of(compiled).as_bytes())?;
        file.write_all(compiled)?;
        // Without this a power cut could leave a name with no content: a miss, but a noisy one.
        file.sync_all()?;
        fs::rename(&beside, path)
    }

    fn path(&self, engine: &Engine, class: Class, digest: Digest) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = hasher.finish();
        self.directory.join(format!("{digest}-{class}-{engine:016x}.cwasm"))
    }
}

/// The part after the checksum, if they agree.
fn intact(entry: &[u8]) -> Option<&[u8]> {
    let (checksum, compiled) = entry.split_first_chunk::<CHECKSUM_BYTES>()?;
    (Digest::of(compiled).as_bytes() == checksum).then_some(compiled)
}

#[expect(unsafe_code, reason = "native code cannot be validated, only recognised")]
pub(crate) fn deserialize(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what `serialize` gave this program (checksum), in a directory
    // nobody else may write to (documented for operators), for an engine like this one (name);
    // or what the process that started this one was given by it (documented for callers).
    unsafe { Component::deserialize(engine, compiled) }
}
