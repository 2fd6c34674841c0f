//! What a start goes on with, and the watched directory.

use std::time::Duration;

use serde_json::{Value, json};

use super::{check_ledger, newest, path, wait_for_step};
use crate::harness::{Miner, TestPool};
use crate::plugins::{built, directory, part};

/// A swap made while the pool ran stays over a restart; settings that changed since win.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_with_what_was_swapped_unless_the_settings_changed() {
    let pool = TestPool::start(&[]).await;
    let swapped = pool.swap("payout", json!({ "component": "payout-pps" })).await;
    let pool = TestPool::start_in(pool.stop().await, &[]).await;
    let plugin = pool.plugin("payout").await;
    assert_eq!(
        (&plugin["name"], &plugin["generation"]),
        (&json!("payout-pps"), &swapped["generation"])
    );
    let pool = TestPool::start_in(pool.stop().await, &[("PAYOUT__SCHEME", "payout-prop")]).await;
    assert_eq!(pool.plugin("payout").await["name"], "payout-prop");
    let swap = newest(&pool, "payout").await;
    assert_eq!((&swap["by"], &swap["outcome"]), (&json!("configuration"), &json!("active")));
    let pool = TestPool::start_in(pool.stop().await, &[("PAYOUT__SCHEME", "payout-prop")]).await;
    assert_eq!(newest(&pool, "payout").await["swap"], swap["swap"], "nothing new to swap");
    check_ledger(&pool.stop().await).await;
}

/// What the settings name cannot be loaded: the pool starts on what was good, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_falls_back_on_the_last_known_good() {
    let plugins = directory(&[("payout-text.wasm", b"not wasm at all")]);
    let there = ("PLUGINS__DIRECTORY", path(&plugins));
    let pool = TestPool::start(&[there]).await;
    let dir = pool.stop().await;
    let mut dir = Some(dir);
    for scheme in ["payout-text", "payout-none", "auth-open"] {
        let changes = [there, ("PAYOUT__SCHEME", scheme)];
        let pool = TestPool::start_in(dir.take().expect("given back"), &changes).await;
        assert_eq!(pool.plugin("payout").await["name"], "payout-pplns");
        let health = pool.wait_for("health", |health| health["status"] == "healthy").await;
        let told = part(&health, "plugins")["cause"].as_str().expect("a warning").to_owned();
        assert!(told.contains("what the settings name was refused"), "{told}");
        let mut miner = Miner::start(pool.stratum, "alice.rig").await;
        miner.mine(3).await;
        dir = Some(pool.stop().await);
    }
    check_ledger(&dir.expect("given back")).await;
}

/// The file of a component in force is replaced: it is taken when it is whole, a bad one is
/// refused once and what is in force stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_in_the_watched_directory_is_a_swap() {
    let equal = built("payout-equal");
    let plugins = directory(&[("payout-mine.wasm", &equal)]);
    let changes = [
        ("PLUGINS__DIRECTORY", path(&plugins)),
        ("PAYOUT__SCHEME", "payout-mine"),
        ("SWAP__WATCH", "true"),
    ];
    let pool = TestPool::start(&changes).await;
    let first = pool.plugin("payout").await;
    let file = plugins.path().join("payout-mine.wasm");
    let mut half = built("hostile");
    half.truncate(half.len() / 2);
    std::fs::write(&file, &half).expect("writable");
    let refused = wait_for_step(&pool, "payout", "refused").await;
    assert_eq!(refused["by"], "directory", "{refused:#}");
    assert_eq!(pool.plugin("payout").await["digest"], first["digest"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(newest(&pool, "payout").await["swap"], refused["swap"], "refused once, not again");
    std::fs::write(&file, built("hostile")).expect("writable");
    let changed = |plugins: &Value| plugins["plugins"][0]["digest"] != first["digest"];
    pool.wait_for("plugins", changed).await;
    assert_eq!(newest(&pool, "payout").await["by"], "directory");
    check_ledger(&pool.stop().await).await;
}

/// What an operator took back is not taken again because its file still lies there; another
/// build of it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_taken_back_stays_away_over_a_restart() {
    let equal = built("payout-equal");
    let plugins = directory(&[("payout-mine.wasm", &equal)]);
    let changes = [
        ("PLUGINS__DIRECTORY", path(&plugins)),
        ("PAYOUT__SCHEME", "payout-mine"),
        ("SWAP__WATCH", "true"),
    ];
    let pool = TestPool::start(&changes).await;
    let first = pool.plugin("payout").await["digest"].clone();
    let file = plugins.path().join("payout-mine.wasm");
    std::fs::write(&file, built("hostile")).expect("writable");
    wait_for_step(&pool, "payout", "active").await;
    pool.wait_for("plugins", |all| all["plugins"][0]["digest"] != first).await;
    assert_eq!(pool.post("plugins/payout/rollback", json!({})).await.0, 200);
    let pool = TestPool::start_in(pool.stop().await, &changes).await;
    let before = newest(&pool, "payout").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(newest(&pool, "payout").await["swap"], before["swap"], "nothing was asked for");
    assert_eq!(pool.plugin("payout").await["digest"], first);
    std::fs::write(&file, built("payout-solo")).expect("writable");
    pool.wait_for("plugins", |all| all["plugins"][0]["name"] == "payout-solo").await;
    check_ledger(&pool.stop().await).await;
}
