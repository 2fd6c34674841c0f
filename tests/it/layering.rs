//! The arrows of the design, and who may name what: read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Every arrow between our crates: who may depend on whom directly. Pure crates never
/// wait, crates that wait never know each other, the host introduces them.
const ARROWS: [(&str, &[&str]); 13] = [
    ("chimera-pow", &[]),
    ("chimera-work", &["chimera-pow"]),
    ("chimera-ledger", &["chimera-pow"]),
    ("chimera-stratum", &["chimera-pow", "chimera-work"]),
    ("chimera-componentize", &[]),
    ("chimera-plugin", &["chimera-pow", "chimera-ledger", "chimera-componentize"]),
    ("chimera-kit", &["chimera-pow", "chimera-ledger", "chimera-componentize", "chimera-plugin"]),
    ("chimera-chain", &["chimera-pow", "chimera-work", "chimera-ledger"]),
    ("chimera-store", &["chimera-pow", "chimera-work", "chimera-ledger"]),
    ("chimera-api", &["chimera-pow", "chimera-ledger", "chimera-store"]),
    (
        "chimera",
        &[
            "chimera-pow",
            "chimera-work",
            "chimera-ledger",
            "chimera-stratum",
            "chimera-plugin",
            "chimera-kit",
            "chimera-chain",
            "chimera-store",
            "chimera-api",
        ],
    ),
    ("chimera-plugin-sdk", &[]),
    ("payout-*, auth-*, difficulty-*", &["chimera-plugin-sdk"]),
];

/// Heavy or side-effecting packages, and the only crates that may name them.
const HOMES: [(&str, &[&str]); 10] = [
    ("wasmtime", &["chimera-plugin"]),
    ("sqlx", &["chimera-store"]),
    ("axum", &["chimera-api"]),
    ("tokio", &["chimera-chain", "chimera-store", "chimera-api", "chimera"]),
    ("reqwest", &["chimera-chain", "chimera"]),
    ("anyhow", &["chimera"]),
    ("mio", &["chimera"]),
    ("rustls", &["chimera"]),
    ("bitcoin", &["chimera-chain"]),
    ("zeromq", &["chimera-chain"]),
];

/// Normal and build dependencies of each workspace member, by name.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs this test, so it runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let text = |value: &Value| value.as_str().expect("cargo metadata names things").to_owned();
    let packages = metadata["packages"].as_array().expect("a workspace has packages");
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("maybe empty");
            let normal = dependencies
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .map(|dependency| text(&dependency["name"]))
                .collect();
            (text(&package["name"]), normal)
        })
        .collect()
}

fn allowed(package: &str) -> &'static [&'static str] {
    let component = ["payout-", "auth-", "difficulty-", "hostile"];
    let row = if component.iter().any(|prefix| package.starts_with(prefix)) {
        "payout-*, auth-*, difficulty-*"
    } else {
        package
    };
    ARROWS
        .iter()
        .find(|(name, _)| *name == row)
        .unwrap_or_else(|| panic!("{package} is not in the design: add its arrows to the table"))
        .1
}

#[test]
fn no_arrow_is_drawn_that_the_design_does_not_draw() {
    for (package, dependencies) in dependencies() {
        let allowed = allowed(&package);
        for dependency in dependencies.iter().filter(|name| name.starts_with("chimera")) {
            let drawn = allowed.contains(&dependency.as_str());
            assert!(drawn, "{package} -> {dependency} is no arrow of the design");
        }
    }
}

#[test]
fn heavy_packages_stay_at_home() {
    for (package, dependencies) in dependencies() {
        for (heavy, homes) in HOMES {
            let at_home = homes.contains(&package.as_str());
            let names_it = dependencies.contains(heavy);
            assert!(!names_it || at_home, "{package} names {heavy}; only {homes:?} may");
        }
    }
}

/// DESIGN: the top level is given by the project's owner; tool files may stand beside.
#[test]
fn the_top_level_is_as_prescribed() {
    let tools = [
        "Cargo.lock",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "clippy.toml",
        "deny.toml",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "target",
    ];
    let prescribed =
        ["Cargo.toml", "host", "plugins", "wit", "examples", "tests", "config", "README.md"];
    let top = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).expect("our checkout");
    for entry in top {
        let name = entry.expect("readable").file_name().into_string().expect("plain names");
        let known = name.starts_with('.')
            || prescribed.contains(&name.as_str())
            || tools.contains(&name.as_str())
            || name == "data";
        assert!(known, "{name} has no place at the top level");
    }
}
