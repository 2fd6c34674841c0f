//! Files that are no components, or not the ones meant.

use std::fs;

use chimera_plugin::{
    Artifact, ArtifactError, Cause, DifficultyStrategy, Digest, Grants, Origin, PayoutScheme,
    PluginError, Registry,
};

use crate::{engines, shipped};

/// Names and types of a payout scheme without a single right type; `{import}` comes first.
const STRANGER: &str = r#"(component {import}
    (core module $m (func (export "f")))
    (core instance $i (instantiate $m))
    (func $f (canon lift (core func $i "f")))
    (instance $plugin (export "describe" (func $f)) (export "validate" (func $f))
        (export "configure" (func $f)) (export "migrate" (func $f)))
    (instance $payout (export "make-plan" (func $f)) (export "settle" (func $f)))
    (export "chimera:pool/plugin@0.1.0" (instance $plugin))
    (export "chimera:pool/payout@0.1.0" (instance $payout)))"#;

/// Loads these bytes from a file called `sample.wasm`.
fn load(bytes: &[u8]) -> Result<PayoutScheme, PluginError> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("sample.wasm"), bytes).unwrap();
    let registry = Registry::new(Some(directory.path())).unwrap();
    PayoutScheme::load(engines(), &registry.find("sample").unwrap(), "", &Grants::none())
}

pub(crate) fn stranger(import: &str) -> Vec<u8> {
    wat::parse_str(STRANGER.replace("{import}", import)).unwrap()
}

#[test]
fn what_is_no_component_is_named_for_what_it_is() {
    let good = shipped("payout-pplns").bytes().to_vec();
    let mut corrupt = good.clone();
    for byte in &mut corrupt[good.len() / 2..][..64] {
        *byte ^= 0xff;
    }
    let core = wat::parse_str("(module)").unwrap();
    let sockets = stranger(r#"(import "wasi:sockets/tcp@0.2.3" (instance))"#);
    let newer = stranger(r#"(import "wasi:cli/environment@0.3.0" (instance))"#);
    for (bytes, message) in [
        (&b""[..], "no WebAssembly: it begins with nothing: it is empty"),
        (b"#!/bin/sh\n", "no WebAssembly: it begins with \"#!/bin/s\""),
        (b"\0asm", "truncated: 4 bytes where 8 are announced"),
        (&core, "a core module, not a component"),
        (&good[..good.len() - 1], "truncated: "),
        (&good[..good.len() / 2], "truncated: "),
        (&corrupt, "no valid component"),
        (&stranger(""), "built against another version of chimera:pool"),
        (&sockets, "imports wasi:sockets/tcp@0.2.3, which a payout-scheme is not given; of wasi"),
        (&newer, "imports wasi:cli/environment@0.3.0, which a payout-scheme is not given"),
        (&wat::parse_str("(component)").unwrap(), "it exports nothing"),
    ] {
        let error = load(bytes).err().unwrap();
        assert_eq!((error.plugin.as_str(), error.call), ("sample", "load"));
        assert!(error.to_string().contains(message), "{message}: {error}");
    }
}

#[test]
fn every_prefix_of_a_component_is_refused_and_nothing_panics() {
    let good = shipped("payout-solo").bytes().to_vec();
    for length in (0..good.len()).step_by(good.len() / 200) {
        assert!(load(&good[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn a_directory_overrides_the_shipped_component_of_the_same_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("payout-pplns.wasm");
    fs::write(&path, shipped("payout-prop").bytes()).unwrap();
    fs::write(directory.path().join("payout-own.wasm"), shipped("payout-solo").bytes()).unwrap();
    fs::write(directory.path().join("notes.txt"), "not a component").unwrap();
    let registry = Registry::new(Some(directory.path())).unwrap();

    let overridden = registry.find("payout-pplns").unwrap();
    assert_eq!(overridden.origin(), &Origin::File(path));
    assert_eq!(overridden.digest(), shipped("payout-prop").digest());
    assert_eq!(registry.find("payout-pps").unwrap().origin(), &Origin::Shipped);
    let without = Registry::new(None).unwrap().names().unwrap().len();
    assert_eq!(registry.names().unwrap().len(), without + 1);
    let scheme =
        PayoutScheme::load(engines(), &registry.find("payout-own").unwrap(), "", &Grants::none())
            .unwrap();
    assert_eq!(scheme.info().name, "payout-solo");
}

#[test]
fn a_missing_component_is_told_with_those_there_are() {
    let registry = Registry::new(None).unwrap();
    let error = registry.find("payout-ppnls").unwrap_err().to_string();
    assert!(error.contains("\"payout-ppnls\""), "{error}");
    assert!(error.contains("payout-pplns, payout-pps"), "{error}");
    for name in ["", "../payout-pplns", "payout.pplns", "PAYOUT", "a/b"] {
        assert!(matches!(registry.find(name), Err(ArtifactError::BadName(_))), "{name}");
    }
    let nowhere = tempfile::tempdir().unwrap().path().join("gone");
    assert!(matches!(Registry::new(Some(&nowhere)), Err(ArtifactError::Unreadable { .. })));
    let file = nowhere.join("x.wasm");
    assert!(matches!(Artifact::from_file(&file), Err(ArtifactError::Unreadable { .. })));
}

#[test]
fn a_pinned_component_is_the_pinned_one_or_none() {
    let registry = Registry::new(None).unwrap();
    let digest = shipped("payout-pplns").digest();
    assert!(registry.find_pinned("payout-pplns", digest).is_ok());
    let other = Digest::of(b"another");
    let error = registry.find_pinned("payout-pplns", other).unwrap_err().to_string();
    assert!(error.contains(&digest.to_string()) && error.contains(&other.to_string()), "{error}");
    assert!(error.starts_with("payout-pplns (shipped)"), "{error}");
}

#[test]
fn a_digest_is_64_hexadecimal_digits() {
    let digest = Digest::of(b"");
    // The BLAKE3 test vector for no input.
    let text = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    assert_eq!(digest.to_string(), text);
    assert_eq!(text.parse::<Digest>().unwrap(), digest);
    for bad in ["", "af13", &text.replace('a', "g"), &format!("{text}00")] {
        assert!(bad.parse::<Digest>().is_err(), "{bad}");
    }
}

#[test]
fn a_cause_can_be_matched() {
    assert!(matches!(load(b"").err().unwrap().cause, Cause::NotWasm(_)));
}

#[test]
fn a_file_that_is_replaced_while_it_is_loaded_is_the_one_or_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sample.wasm");
    let (solo, prop) = (shipped("payout-solo"), shipped("payout-prop"));
    fs::write(&path, solo.bytes()).unwrap();

    // What was read is what is loaded and recorded.
    let read = Artifact::from_file(&path).unwrap();
    fs::write(&path, prop.bytes()).unwrap();
    assert_eq!((read.digest(), read.bytes()), (solo.digest(), solo.bytes()));
    let scheme = PayoutScheme::load(engines(), &read, "", &Grants::none()).unwrap();
    assert_eq!((scheme.info().name.as_str(), scheme.digest()), ("payout-solo", solo.digest()));

    // Overwritten in place all the time: whatever is read has one digest, and only the two
    // whole files are components.
    let loading = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while loading.load(std::sync::atomic::Ordering::Relaxed) {
                for component in [&solo, &prop] {
                    fs::write(&path, component.bytes()).unwrap();
                }
            }
        });
        for _ in 0..200 {
            let read = Artifact::from_file(&path).unwrap();
            assert_eq!(read.digest(), Digest::of(read.bytes()));
            let whole = [&solo, &prop].into_iter().find(|whole| whole.digest() == read.digest());
            match (PayoutScheme::load(engines(), &read, "", &Grants::none()), whole) {
                (Ok(scheme), Some(whole)) => assert_eq!(scheme.info().name, whole.name()),
                (Ok(_), None) => panic!("half of a component was loaded"),
                (Err(_), whole) => assert!(whole.is_none()),
            }
        }
        loading.store(false, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_component_has_a_largest_size_for_its_class() {
    // A custom section makes any component as large as wanted.
    let padded = |component: &Artifact, bytes: usize| {
        let length = (bytes as u32).to_le_bytes();
        let mut large = component.bytes().to_vec();
        // An id, five bytes of length, an empty name.
        large.push(0);
        let bits = u32::from_le_bytes(length);
        large.extend((0..5).map(|index| {
            let seven = (bits >> (7 * index) & 0x7f) as u8;
            if index < 4 { seven | 0x80 } else { seven }
        }));
        large.resize(large.len() + bytes, 0);
        Artifact::kept(component.name(), large)
    };
    let large = padded(&shipped("difficulty-fixed"), 2 << 20);
    let load = |grants: &[&str]| {
        let grants = Grants::parse(grants).unwrap();
        DifficultyStrategy::load(engines(), &large, "", &grants).map(|_| ())
    };
    let error = load(&[]).unwrap_err().to_string();
    assert!(
        error.contains("a difficulty-strategy has at most 2097152, unless it is granted"),
        "{error}"
    );
    load(&["interpreted"]).unwrap();
    let large = padded(&shipped("payout-solo"), 2 << 20);
    PayoutScheme::load(engines(), &large, "", &Grants::none()).unwrap();
    let large = padded(&shipped("payout-solo"), 32 << 20);
    let error = PayoutScheme::load(engines(), &large, "", &Grants::none()).err().unwrap();
    assert!(error.to_string().ends_with("a payout-scheme has at most 33554432"), "{error}");
}
