//! Compiled components on disk: found again, and a bad entry is a miss.

use std::fs;
use std::path::{Path, PathBuf};

use chimera_plugin::{AuthPolicy, Digest, EngineError, Engines, PayoutScheme};

use crate::{hostile, shipped};

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

#[test]
fn a_component_is_compiled_once_per_class() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("made/when/needed");
    for _ in 0..2 {
        let engines = Engines::new(Some(&cache)).unwrap();
        PayoutScheme::load(&engines, &hostile(), "").unwrap();
        assert_eq!(entries(&cache).len(), 1);
    }
    let engines = Engines::new(Some(&cache)).unwrap();
    AuthPolicy::load(&engines, &hostile(), "").unwrap();
    let names = entries(&cache);
    assert_eq!(names.len(), 2);
    let digest = hostile().digest().to_string();
    for name in names {
        let name = name.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.starts_with(&digest) && name.ends_with(".cwasm"), "{name}");
    }
}

#[test]
fn a_bad_entry_is_a_miss_and_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let artifact = shipped("payout-solo");
    PayoutScheme::load(&Engines::new(Some(directory.path())).unwrap(), &artifact, "").unwrap();
    let [path] = &entries(directory.path())[..] else { panic!("one entry") };
    let good = fs::read(path).unwrap();

    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    // Intact by its checksum, and still nothing this engine made.
    let forged = [&Digest::of(b"not native code").as_bytes()[..], b"not native code"].concat();
    for bad in [&[][..], &good[..31], &good[..good.len() - 1], &flipped, &forged] {
        fs::write(path, bad).unwrap();
        let engines = Engines::new(Some(directory.path())).unwrap();
        let scheme = PayoutScheme::load(&engines, &artifact, "").unwrap();
        assert_eq!(scheme.info().name, "payout-solo");
        assert_eq!(fs::read(path).unwrap()[..32], good[..32], "{} bytes", bad.len());
        assert_eq!(entries(directory.path()).len(), 1, "nothing is left behind");
    }
}

#[test]
fn a_cache_that_cannot_be_made_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Engines::new(Some(&file.join("cache"))).err().unwrap();
    assert!(matches!(error, EngineError::Cache { .. }), "{error}");
}

#[test]
fn without_a_cache_components_are_compiled_every_time() {
    let engines = Engines::new(None).unwrap();
    assert!(PayoutScheme::load(&engines, &shipped("payout-solo"), "").is_ok());
}
