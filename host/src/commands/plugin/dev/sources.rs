//! The files a plugin is made from, and whether one of them changed. Looking at a few dozen
//! times of change costs less than any way of being told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

/// What building leaves behind.
const NO_SOURCES: [&str; 5] = ["target", ".build", ".git", "__pycache__", "node_modules"];

/// The state of a directory when it was last looked at.
#[derive(Debug)]
pub(super) struct Sources {
    directory: PathBuf,
    seen: BTreeMap<PathBuf, (SystemTime, u64)>,
}

impl Sources {
    /// As they are now.
    pub(super) fn of(directory: &Path) -> Self {
        let directory = directory.to_path_buf();
        let seen = look(&directory);
        Self { directory, seen }
    }

    /// Whether something changed since the last time this was asked.
    pub(super) fn changed(&mut self) -> bool {
        let now = look(&self.directory);
        let changed = now != self.seen;
        self.seen = now;
        changed
    }
}

fn look(directory: &Path) -> BTreeMap<PathBuf, (SystemTime, u64)> {
    let mut seen = BTreeMap::new();
    // What cannot be read now is not there; the build will say more.
    let _ = collect(directory, &mut seen);
    seen
}

fn collect(directory: &Path, seen: &mut BTreeMap<PathBuf, (SystemTime, u64)>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        // Components, what editors write beside, and the lock file, which building writes.
        let of_tools = name.ends_with(".wasm") || name.ends_with('~') || name.ends_with(".tmp");
        if of_tools || name == "Cargo.lock" || NO_SOURCES.contains(&&*name) {
            continue;
        }
        let meta = entry.metadata()?;
        if meta.is_dir() {
            collect(&path, seen)?;
        } else {
            seen.insert(path, (meta.modified()?, meta.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_count_and_what_building_leaves_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("src")).unwrap();
        fs::create_dir_all(at("target/release")).unwrap();
        let mut sources = Sources::of(dir.path());
        for (name, counts) in [
            ("src/lib.rs", true),
            ("target/release/x", false),
            ("payout-mine.wasm", false),
            ("schema.json", true),
            ("src/.lib.rs.tmp", false),
            ("Cargo.lock", false),
        ] {
            fs::write(at(name), "1").unwrap();
            assert_eq!(sources.changed(), counts, "{name}");
        }
        fs::remove_file(at("schema.json")).unwrap();
        assert!(sources.changed());
        assert!(!sources.changed());
    }
}
