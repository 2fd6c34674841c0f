//! What fails in force, and what comes back.

use serde_json::{Value, json};

use super::{check_ledger, path, wait_for_step};
use crate::harness::{Miner, TestPool};
use crate::plugins::{directory, misdeed, part};

/// A scheme that behaves when it is asked to and traps when it counts: the one before comes
/// back and settles what was held, the component is quarantined until it is lifted.
#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_that_traps_in_force_is_rolled_back_and_quarantined() {
    let plugins = directory(&[]);
    let pool = TestPool::start(&[("PLUGINS__DIRECTORY", path(&plugins))]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let hostile = json!({ "component": "payout-hostile", "config": { "misdeed": "later" } });
    let answer = pool.swap("payout", hostile.clone()).await;
    let failed = answer["generation"].as_u64().expect("a generation");
    while pool.plugin("payout").await["generation"] == failed {
        miner.mine(10).await;
    }
    assert_eq!(pool.plugin("payout").await["name"], "payout-pplns");
    let swap = wait_for_step(&pool, "payout", "rolled-back").await;
    assert_eq!(swap["generation"], failed);
    let health = pool.get("health").await;
    let told = part(&health, "plugins");
    assert_eq!(told["state"], "healthy", "a warning is no alarm: {told}");
    assert!(told["cause"].as_str().is_some_and(|cause| cause.contains("quarantined")), "{told}");
    // What it held is settled by the one that came back.
    let settled = |payouts: &Value| payouts["items"].as_array().is_some_and(|all| !all.is_empty());
    loop {
        miner.mine(10).await;
        if settled(&pool.get("payouts").await) {
            break;
        }
    }
    for payout in pool.get("payouts").await["items"].as_array().expect("a list") {
        assert_ne!(payout["generation"], failed, "it settled nothing");
    }
    let why = pool.swap_refused("payout", hostile.clone()).await;
    assert!(why.contains("is quarantined: ") && why.contains("chimera plugin lift"), "{why}");
    let digest = swap["digest"].as_str().expect("a digest");
    let route = format!("plugins/quarantine/{digest}/lift");
    assert_eq!(pool.post(&route, json!({})).await, (200, json!({ "lifted": true })));
    assert_eq!(pool.post(&route, json!({})).await, (200, json!({ "lifted": false })));
    // With blocks settled since, it is caught before it may decide.
    let why = pool.swap_refused("payout", hostile).await;
    assert!(why.contains("again: ") && why.contains("now that it counts"), "{why}");
    check_ledger(&pool.stop().await).await;
}

/// The same for the policies miners meet: connected ones go on all the time.
#[tokio::test(flavor = "multi_thread")]
async fn policies_that_trap_in_force_are_rolled_back() {
    let plugins = directory(&[]);
    for (slot, before) in [("auth", "auth-open"), ("difficulty", "difficulty-fixed")] {
        let changes =
            [("PLUGINS__DIRECTORY", path(&plugins)), ("DIFFICULTY__RETARGET_INTERVAL_S", "1")];
        let pool = TestPool::start(&changes).await;
        let mut miner = Miner::start(pool.stratum, "alice.rig").await;
        let component = format!("{slot}-hostile");
        let body = json!({ "component": component, "config": { "misdeed": "later" } });
        let failed = pool.swap(slot, body).await["generation"].clone();
        let mut others = Vec::new();
        while pool.plugin(slot).await["generation"] == failed {
            miner.mine(3).await;
            let mut other = Miner::connect(pool.stratum, "bob.rig").await;
            other.subscribe(None).await;
            other.authorize().await;
            others.push(other);
        }
        assert_eq!(pool.plugin(slot).await["name"], before);
        wait_for_step(&pool, slot, "rolled-back").await;
        miner.mine(3).await;
        check_ledger(&pool.stop().await).await;
    }
}

/// A scheme that owes miners for their work and breaks for good: with the operator's consent
/// the one that replaces it pays all of it, from the first share on.
#[tokio::test(flavor = "multi_thread")]
async fn work_a_broken_scheme_owes_is_paid_by_its_successor() {
    let plugins = directory(&[]);
    let misdeed = misdeed("owing");
    let changes = [
        ("PLUGINS__DIRECTORY", path(&plugins)),
        ("PAYOUT__SCHEME", "payout-hostile"),
        ("PAYOUT__CONFIG", &misdeed),
        ("PAYOUT__TAKE_OVER", "true"),
    ];
    let pool = TestPool::start(&changes).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    miner.mine(20).await;
    let held = |health: &Value| part(health, "payout")["state"] == "error";
    pool.wait_for("health", held).await;
    let metrics = reqwest::get(format!("{}/metrics", pool.api)).await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains("chimera_plugin_breaker_closed{slot=\"payout\"} 0"), "{metrics}");
    let answer = pool.swap("payout", json!({ "component": "payout-pps" })).await;
    assert_eq!(answer["outcome"], "active", "{answer:#}");
    let active = answer["steps"].as_array().expect("a list").iter();
    let active = active.filter(|step| step["step"] == "active").map(|step| &step["detail"]);
    let told: Vec<&str> = active.filter_map(Value::as_str).collect();
    assert!(told[0].contains("from share 0 on: pays the work its predecessor could not"));
    let paid = |payouts: &Value| {
        let all = payouts["items"].as_array().expect("a list").iter();
        let mut of_new = all.filter(|one| one["generation"] == answer["generation"]);
        of_new.any(|payout| payout["from_seq"] == 0)
    };
    pool.wait_for("payouts?limit=50", paid).await;
    let well = |health: &Value| {
        part(health, "payout")["state"] == "healthy"
            && health["policies"]["breakers"]["payout"] == "closed"
    };
    pool.wait_for("health", well).await;
    check_ledger(&pool.stop().await).await;
}

/// Back by hand: what was before, at once.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_takes_a_swap_back() {
    let pool = TestPool::start(&[]).await;
    let (status, answer) = pool.post("plugins/payout/rollback", json!({})).await;
    assert_eq!(status, 409, "{answer:#}");
    assert!(answer["message"].as_str().is_some_and(|why| why.contains("nothing good")));
    pool.swap("payout", json!({ "component": "payout-pps" })).await;
    let (status, answer) = pool.post("plugins/payout/rollback", json!({ "by": "night" })).await;
    assert_eq!((status, &answer["outcome"]), (200, &json!("active")), "{answer:#}");
    let back = |all: &Value| {
        let plugin = &all["plugins"][0];
        plugin["name"] == "payout-pplns" && plugin["phase"]["name"] == "active"
    };
    pool.wait_for("plugins", back).await;
    let why = pool.swap("payout", json!({ "component": "payout-pps" })).await;
    assert_eq!(why["outcome"], "active", "taken back by hand is not quarantined");
    check_ledger(&pool.stop().await).await;
}
