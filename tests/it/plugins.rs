//! A bad plugin in a running pool costs a decision, never the pool: miners stay connected,
//! shares go on being recorded, and the trouble is told with its cause.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Miner, TestPool};

/// A plugin directory with the hostile component under a name of each class, and what
/// other files a test adds.
pub(crate) fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    let hostile = built("hostile");
    for name in ["payout-hostile", "auth-hostile", "difficulty-hostile"] {
        std::fs::write(dir.path().join(format!("{name}.wasm")), &hostile).expect("writable");
    }
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).expect("writable");
    }
    dir
}

pub(crate) fn built(name: &str) -> Vec<u8> {
    let target = Path::new(env!("CARGO_BIN_EXE_chimera")).ancestors().nth(2);
    let file = target.expect("the binary is in target/").join(format!("components/{name}.wasm"));
    std::fs::read(&file).expect("the build leaves it there")
}

pub(crate) fn part<'a>(health: &'a Value, name: &str) -> &'a Value {
    let parts = health["components"].as_array().expect("a list");
    parts.iter().find(|part| part["name"] == name).expect("every part is listed")
}

pub(crate) fn misdeed(name: &str) -> String {
    format!("{{ misdeed = \"{name}\" }}")
}

/// Traps, endless loops, memory bombs, wrong lengths, nobody named: the settlement is held
/// and told, nothing is booked, shares go on; with a good scheme a restart pays.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_payout_plugin_holds_its_settlement_and_nothing_else() {
    let plugins = directory(&[]);
    let path = plugins.path().to_str().expect("a plain path");
    for (name, cause) in [
        ("trap", "on fire"),
        ("loop", "fuel"),
        ("grow", "memory"),
        ("short", "weights where"),
        ("nobody", "nobody"),
        ("generous", "in all"),
    ] {
        let pool = TestPool::start(&[
            ("PLUGINS__DIRECTORY", path),
            ("PAYOUT__SCHEME", "payout-hostile"),
            ("PAYOUT__CONFIG", &misdeed(name)),
        ])
        .await;
        let mut miner = Miner::start(pool.stratum, "alice.rig").await;
        let told = loop {
            miner.mine(5).await;
            let health = pool.get("health").await;
            if part(&health, "payout")["state"] == "error" {
                break part(&health, "payout").clone();
            }
        };
        let text = told["cause"].as_str().expect("a cause");
        assert!(text.contains(cause), "{name}: {text}");
        assert!(told["recommendation"].as_str().is_some_and(|hint| hint.contains("held")));
        // Its miners notice nothing.
        miner.mine(5).await;
        let alice = pool.get("miners/alice").await;
        assert_eq!(alice["balance"]["units"], "0", "{name}: nothing is booked");
        pool.stop().await;
    }
}

/// A policy that fails lets nobody new in, and says why; whoever is connected goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_auth_plugin_refuses_and_is_told() {
    let plugins = directory(&[]);
    let path = plugins.path().to_str().expect("a plain path");
    for name in ["trap", "loop", "anonymous"] {
        let pool = TestPool::start(&[
            ("PLUGINS__DIRECTORY", path),
            ("AUTH__POLICY", "auth-hostile"),
            ("AUTH__CONFIG", &misdeed(name)),
        ])
        .await;
        let mut miner = Miner::connect(pool.stratum, "alice.rig").await;
        miner.subscribe(None).await;
        let answer = miner.authorize().await;
        assert_eq!(answer["error"][0], 24, "{name}: {answer}");
        let health =
            pool.wait_for("health", |health| part(health, "auth")["state"] != "healthy").await;
        assert!(part(&health, "auth")["cause"].is_string(), "{health:#}");
        pool.stop().await;
    }
}

/// A strategy that fails leaves every difficulty as it is: shares go on being credited.
#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_difficulty_plugin_changes_nothing() {
    let plugins = directory(&[]);
    let path = plugins.path().to_str().expect("a plain path");
    for name in ["trap", "loop", "forgetful"] {
        let pool = TestPool::start(&[
            ("PLUGINS__DIRECTORY", path),
            ("DIFFICULTY__STRATEGY", "difficulty-hostile"),
            ("DIFFICULTY__CONFIG", &misdeed(name)),
            ("DIFFICULTY__RETARGET_INTERVAL_S", "1"),
        ])
        .await;
        let mut miner = Miner::start(pool.stratum, "alice.rig").await;
        pool.wait_for("health", |health| part(health, "difficulty")["state"] != "healthy").await;
        miner.mine(3).await;
        pool.stop().await;
    }
}

/// The example to copy, put into the plugin directory, pays two very different miners alike.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_from_the_directory_divides_the_blocks() {
    let example = built("payout-equal");
    let plugins = directory(&[("payout-equal.wasm", &example)]);
    let path = plugins.path().to_str().expect("a plain path");
    let changes = [("PLUGINS__DIRECTORY", path), ("PAYOUT__SCHEME", "payout-equal")];
    let pool = TestPool::start(&changes).await;
    let mut alice = Miner::start(pool.stratum, "alice.rig").await;
    let mut bob = Miner::start(pool.stratum, "bob.rig").await;
    let settled = loop {
        alice.mine(9).await;
        bob.mine(1).await;
        let payouts = pool.get("payouts").await;
        let items = payouts["items"].as_array().expect("a list").clone();
        let both = |payout: &&Value| payout["credits"].as_array().is_some_and(|all| all.len() == 2);
        if let Some(payout) = items.iter().find(both) {
            break payout.clone();
        }
    };
    let amounts: Vec<i128> = settled["credits"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|credit| credit["amount"]["units"].as_str().expect("text").parse().expect("digits"))
        .collect();
    assert!((amounts[0] - amounts[1]).abs() <= 1, "{amounts:?}");
    pool.stop().await;
}

/// A component that is none is refused at the start, with what is wrong with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_component_is_refused_at_the_start() {
    let plugins = directory(&[
        ("payout-empty.wasm", b""),
        ("payout-text.wasm", b"not wasm at all"),
        ("payout-core.wasm", b"\0asm\x01\0\0\0"),
        ("payout-truncated.wasm", b"\0asm\x0d\0\x01\0\x01\xff\xff"),
    ]);
    let path = plugins.path().to_str().expect("a plain path");
    for (scheme, expected) in [
        ("payout-empty", "no WebAssembly"),
        ("payout-text", "no WebAssembly"),
        ("payout-core", "core module"),
        ("payout-truncated", ""),
        ("payout-missing", "no component \"payout-missing\""),
        ("auth-open", "payout-scheme"),
    ] {
        let dir = TempDir::new().expect("a temporary directory");
        let changes = [("PLUGINS__DIRECTORY", path), ("PAYOUT__SCHEME", scheme)];
        let config = crate::harness::config(&dir, &changes);
        let refused = chimera::pool::Pool::bind(config).await.err().expect("it does not start");
        let text = format!("{refused:#}");
        assert!(text.contains("slot payout") && text.contains(expected), "{scheme}: {text}");
    }
}
