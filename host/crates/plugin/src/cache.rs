//! Compiled components on disk, so that a restart takes milliseconds.
//!
//! An entry is named by what it was made from and by whom: the component's digest, the class
//! (its engine's settings) and the engine's version and flags. It is written beside and
//! renamed, never overwritten in place; a bad entry is a miss. Entries are native code: the
//! directory must be writable by the pool only. The checksum is against accidents.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
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

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
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

    /// Deletes all entries but these, and what writers that died left beside. Whoever wants one
    /// at the same moment reads it whole or compiles again.
    pub(crate) fn keep_only(&self, names: &HashSet<String>) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let unused = match path.extension().and_then(OsStr::to_str) {
                Some("cwasm") => name.to_str().is_none_or(|name| !names.contains(name)),
                Some("tmp") => is_left_behind(&entry),
                _ => false,
            };
            if !unused {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => debug!(path = %path.display(), "compiled component deleted"),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn path(&self, engine: &Engine, class: Class, digest: Digest) -> PathBuf {
        self.directory.join(name(engine, class, digest))
    }
}

/// Nobody writes an entry for so long.
const WRITE_MAX: Duration = Duration::from_secs(3_600);

fn is_left_behind(entry: &fs::DirEntry) -> bool {
    let age = entry.metadata().and_then(|data| data.modified()).map(|at| at.elapsed());
    age.is_ok_and(|age| age.is_ok_and(|age| age > WRITE_MAX))
}

/// What an engine's entry for a component is called.
pub(crate) fn name(engine: &Engine, class: Class, digest: Digest) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let engine = hasher.finish();
    format!("{digest}-{class}-{engine:016x}.cwasm")
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Defect: code of refused components, and of older versions, was never deleted.
    #[test]
    fn only_what_is_used_is_kept() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path();
        for name in ["a.cwasm", "b.cwasm", "1-0.tmp", "2-0.tmp", "README"] {
            fs::write(path.join(name), name).unwrap();
        }
        let old = std::time::SystemTime::now() - 2 * WRITE_MAX;
        fs::File::options()
            .write(true)
            .open(path.join("1-0.tmp"))
            .unwrap()
            .set_modified(old)
            .unwrap();
        let cache = Cache::open(path).unwrap();
        for _ in 0..2 {
            cache.keep_only(&["a.cwasm".to_owned(), "missing.cwasm".to_owned()].into()).unwrap();
            let left = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
            let mut left: Vec<_> = left.collect();
            left.sort();
            assert_eq!(left, ["2-0.tmp", "README", "a.cwasm"]);
        }
    }
}
