//! Compiled components on disk: found again, and a bad entry is a miss.

use std::fs;
use std::path::{Path, PathBuf};

use chimera_plugin::{AuthPolicy, Digest, EngineError, Engines, Grants, PayoutScheme, Services};

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
        PayoutScheme::load(&engines, &hostile(), "", &Grants::none()).unwrap();
        assert_eq!(entries(&cache).len(), 1);
    }
    let engines = Engines::new(Some(&cache)).unwrap();
    AuthPolicy::load(&engines, &hostile(), "", &Grants::none(), Services::none()).unwrap();
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
    PayoutScheme::load(
        &Engines::new(Some(directory.path())).unwrap(),
        &artifact,
        "",
        &Grants::none(),
    )
    .unwrap();
    let [path] = &entries(directory.path())[..] else { panic!("one entry") };
    let good = fs::read(path).unwrap();

    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    // Intact by its checksum, and still nothing this engine made.
    let forged = [&Digest::of(b"not native code").as_bytes()[..], b"not native code"].concat();
    for bad in [&[][..], &good[..31], &good[..good.len() - 1], &flipped, &forged] {
        fs::write(path, bad).unwrap();
        let engines = Engines::new(Some(directory.path())).unwrap();
        let scheme = PayoutScheme::load(&engines, &artifact, "", &Grants::none()).unwrap();
        assert_eq!(scheme.info().name, "payout-solo");
        assert_eq!(fs::read(path).unwrap()[..32], good[..32], "{} bytes", bad.len());
        assert_eq!(entries(directory.path()).len(), 1, "nothing is left behind");
    }
}

#[test]
fn an_entry_of_another_engine_or_another_version_of_it_is_a_miss() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path();
    let none = Grants::none();
    let load = || {
        let engines = Engines::new(Some(cache)).unwrap();
        PayoutScheme::load(&engines, &hostile(), "", &none).unwrap();
        AuthPolicy::load(&engines, &hostile(), "", &none, Services::none()).unwrap();
        let portable = Engines::portable(Some(cache)).unwrap();
        PayoutScheme::load(&portable, &hostile(), "", &none).unwrap();
    };
    load();
    let paths = entries(cache);
    let good: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(paths.len(), 3, "one per engine");

    // Each engine finds another's work under its own name, checksum and all.
    for (path, other) in paths.iter().zip([&good[1], &good[2], &good[0]]) {
        fs::write(path, other).unwrap();
    }
    load();
    assert!(
        paths.iter().zip(&good).all(|(path, good)| fs::read(path).unwrap()[..32] == good[..32])
    );

    // The same engine, as an earlier version of it would have written. The runtime begins its
    // own description with a format, its major version (length and text) and the machine's
    // name (length and text).
    for (path, good) in paths.iter().zip(&good) {
        let mut older = good[32..].to_vec();
        let described = |bytes: &[u8]| {
            bytes.starts_with(b"\0\x0248") && bytes[5..13].iter().all(u8::is_ascii_graphic)
        };
        let at = older.windows(13).position(described).expect("the version is in it");
        older[at + 3] = b'7';
        fs::write(path, [Digest::of(&older).as_bytes(), &older[..]].concat()).unwrap();
    }
    load();
    assert!(
        paths.iter().zip(&good).all(|(path, good)| fs::read(path).unwrap()[..32] == good[..32])
    );
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
    assert!(PayoutScheme::load(&engines, &shipped("payout-solo"), "", &Grants::none()).is_ok());
}
