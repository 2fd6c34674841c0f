//! The road of a swap: what takes over when, and what miners notice of it (nothing).

use chimera_store::Store;
use serde_json::{Value, json};

use super::{check_ledger, path, steps, wait_for_end, wait_for_step};
use crate::harness::{Miner, TestPool};
use crate::plugins::{built, directory};

/// PPLNS becomes PPS while two miners mine: not one share is lost, what was found before is
/// divided by the old scheme, what comes after is paid by the new one.
#[tokio::test(flavor = "multi_thread")]
async fn pplns_becomes_pps_under_load_and_no_share_is_lost() {
    let pool = TestPool::start(&[]).await;
    let mut alice = Miner::start(pool.stratum, "alice.rig").await;
    let mut bob = Miner::start(pool.stratum, "bob.rig").await;
    let mut mined = 0;
    while pool.get("payouts").await["items"].as_array().is_none_or(Vec::is_empty) {
        alice.mine(5).await;
        bob.mine(5).await;
        mined += 10;
    }
    let mining = tokio::spawn(async move {
        alice.mine(100).await;
        bob.mine(100).await;
        (alice, bob)
    });
    let answer = pool.swap("payout", json!({ "component": "payout-pps", "by": "a test" })).await;
    let (mut alice, mut bob) = mining.await.expect("miners go on");
    mined += 200;
    assert_eq!(answer["outcome"], "active", "{answer:#}");
    let walked = steps(&answer);
    assert_eq!(walked[..5], ["requested", "staged", "prepared", "shadow", "active"]);
    let generation = answer["generation"].as_u64().expect("a generation");
    let plugin = pool.plugin("payout").await;
    assert_eq!(plugin["name"], "payout-pps");
    assert_eq!(plugin["phase"]["name"], "probation", "{plugin:#}");
    // The new scheme pays shares as they come.
    loop {
        alice.mine(3).await;
        bob.mine(3).await;
        mined += 6;
        let payouts = pool.get("payouts?limit=50").await;
        let of_new =
            |payout: &Value| payout["generation"] == generation && payout["block"].is_null();
        if payouts["items"].as_array().expect("a list").iter().any(of_new) {
            break;
        }
    }
    let recorded = pool.shares(&["alice", "bob"], mined).await;
    assert_eq!(recorded, mined, "every share is in the log once");
    check_ledger(&pool.stop().await).await;
}

/// While one swap is tried out a second one for the same slot is refused, another slot is
/// free, and what is tried out can be withdrawn.
#[tokio::test(flavor = "multi_thread")]
async fn one_swap_per_slot_at_a_time() {
    let pool = TestPool::start(&[("SWAP__SHADOW_S", "3600")]).await;
    let harder = json!({ "component": "difficulty-fixed", "config": { "difficulty": "0.000002" } });
    let answer = pool.swap("difficulty", harder.clone()).await;
    assert_eq!(answer["outcome"], "trial", "{answer:#}");
    let why = pool.swap_refused("difficulty", harder.clone()).await;
    assert!(why.contains("a swap of slot difficulty is under way: difficulty-fixed"), "{why}");
    assert!(why.contains("chimera plugin rollback difficulty"), "{why}");
    pool.wait_for("plugins", |all| all["plugins"][2]["next"]["name"] == "trial").await;
    assert_eq!(
        pool.swap("payout", json!({ "component": "payout-prop" })).await["outcome"],
        "active"
    );
    let (status, withdrawn) = pool.post("plugins/difficulty/rollback", json!({})).await;
    assert_eq!(status, 200, "{withdrawn:#}");
    let ended = wait_for_step(&pool, "difficulty", "withdrawn").await;
    assert_eq!(ended["outcome"], "withdrawn");
    let free = |plugins: &Value| plugins["plugins"][2]["next"].is_null();
    pool.wait_for("plugins", free).await;
    let config = pool.plugin("difficulty").await["config"].to_string();
    assert!(config.contains("0.000001"), "nothing has changed: {config}");
    pool.stop().await;
}

/// A trial that goes well ends in force.
#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_goes_well_takes_over() {
    let changes =
        [("SWAP__SHADOW_S", "1"), ("SWAP__CANARY_S", "1"), ("SWAP__CANARY_PPM", "500000")];
    let pool = TestPool::start(&changes).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let harder = json!({ "component": "difficulty-fixed", "config": { "difficulty": "0.000002" } });
    let answer = pool.swap("difficulty", harder).await;
    assert_eq!(answer["outcome"], "trial");
    miner.mine(20).await;
    let swap = wait_for_end(&pool, &answer["swap"]).await;
    let walked = steps(&swap);
    let expected = [
        "requested",
        "staged",
        "prepared",
        "shadow",
        "shadow-ended",
        "canary",
        "canary-ended",
        "active",
    ];
    assert_eq!(walked[..8], expected);
    let told = swap["steps"][4]["detail"].as_str().expect("what the shadow found");
    assert!(told.contains(" decisions, 0 failed"), "{told}");
    miner.mine(3).await;
    pool.stop().await;
}

/// The scheme is exchanged again and again while blocks are found and settled.
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_during_a_settlement_is_safe() {
    let pool = TestPool::start(&[]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let mining = tokio::spawn(async move {
        miner.mine(1_500).await;
    });
    let mut swaps = 0;
    while !mining.is_finished() || swaps < 30 {
        let component = ["payout-pplns", "payout-pps", "payout-prop"][swaps % 3];
        let answer = pool.post("plugins/payout/swap", json!({ "component": component })).await.1;
        let in_force = answer["message"].as_str().is_some_and(|why| why.contains("already"));
        assert!(answer["outcome"] == "active" || in_force, "{answer:#}");
        swaps += 1;
    }
    mining.await.expect("the miner goes on");
    let settled = |stats: &Value| stats["items"].as_array().is_some_and(|all| all.len() >= 3);
    pool.wait_for("payouts", settled).await;
    assert_eq!(pool.shares(&["alice"], 1_500).await, 1_500);
    check_ledger(&pool.stop().await).await;
}

/// A file that changes while it is taken: what is in force is what was read, whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_while_loading_is_taken_as_it_was_read() {
    let plugins = directory(&[]);
    let (good, other) = (built("payout-equal"), built("hostile"));
    let file = plugins.path().join("payout-mine.wasm");
    std::fs::write(&file, &good).expect("writable");
    let pool = TestPool::start(&[("PLUGINS__DIRECTORY", path(&plugins))]).await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let (stop, file, beside) = (stop.clone(), file.clone(), file.with_extension("tmp"));
        std::thread::spawn(move || {
            let contents = [&good[..], &other[..], b"\0asm", &good[..good.len() / 2]];
            for content in contents.iter().cycle() {
                std::fs::write(&beside, content).expect("writable");
                std::fs::rename(&beside, &file).expect("renamed");
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
            }
        })
    };
    let mut taken = 0;
    for round in 0..60 {
        let component = if round % 2 == 0 { "payout-mine" } else { "payout-prop" };
        let answer = pool.post("plugins/payout/swap", json!({ "component": component })).await.1;
        match answer["outcome"].as_str() {
            Some("active") => taken += 1,
            _ => {
                assert!(answer["message"].as_str().is_some_and(|why| why.len() > 10), "{answer:#}")
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().expect("the writer ends");
    assert!(taken > 0, "some were whole");
    let dir = pool.stop().await;
    let store = Store::open(&dir.path().join("pool.sqlite")).await.expect("opens");
    for generation in store.generations("payout").await.expect("readable") {
        let digest = generation.facts.digest;
        let bytes = store.component_bytes(&digest).await.expect("readable").expect("kept");
        assert_eq!(*chimera_plugin::Digest::of(&bytes).as_bytes(), digest);
    }
    store.close().await;
    check_ledger(&dir).await;
}

/// PPS+: work is paid as it comes, a block's fees are divided; then another scheme takes over
/// under load, and it comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_hybrid_pays_work_and_divides_fees() {
    let pool = TestPool::start(&[("PAYOUT__SCHEME", "payout-pps-plus")]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let mut mined = 0;
    let both = |payouts: &Value, generation: &Value| {
        // A pool that only just starts shows none yet.
        let all = payouts["items"].as_array().into_iter().flatten();
        let of_it = all.filter(|payout| payout["generation"] == *generation);
        let (blocks, intervals): (Vec<_>, Vec<_>) =
            of_it.partition(|payout| payout["block"].is_string());
        !blocks.is_empty() && !intervals.is_empty()
    };
    for next in ["payout-pplns", "payout-pps-plus"] {
        let generation = pool.plugin("payout").await["generation"].clone();
        let hybrid = pool.plugin("payout").await["name"] == "payout-pps-plus";
        while hybrid && !both(&pool.get("payouts?limit=50").await, &generation) {
            miner.mine(5).await;
            mined += 5;
        }
        let answer = pool.swap("payout", json!({ "component": next })).await;
        assert_eq!(answer["outcome"], "active", "{answer:#}");
    }
    let generation = pool.plugin("payout").await["generation"].clone();
    while !both(&pool.get("payouts?limit=50").await, &generation) {
        miner.mine(5).await;
        mined += 5;
    }
    let (status, _) = pool.post("plugins/payout/rollback", json!({})).await;
    assert_eq!(status, 200);
    miner.mine(5).await;
    assert_eq!(pool.shares(&["alice"], mined + 5).await, mined + 5);
    check_ledger(&pool.stop().await).await;
}

/// Another configuration of the same component is another generation; if that fails, only the
/// configuration is quarantined.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_alone_takes_the_same_road() {
    let plugins = directory(&[]);
    let pool = TestPool::start(&[("PLUGINS__DIRECTORY", path(&plugins))]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let kind = json!({ "component": "payout-hostile", "config": { "misdeed": "none" } });
    let first = pool.swap("payout", kind).await;
    let digest = pool.plugin("payout").await["digest"].clone();
    let worse = json!({ "component": digest, "config": { "misdeed": "later" } });
    let second = pool.swap("payout", worse).await;
    assert_eq!(second["generation"].as_u64(), first["generation"].as_u64().map(|id| id + 1));
    while pool.plugin("payout").await["generation"] == second["generation"] {
        miner.mine(10).await;
    }
    let history = pool.get("plugins/history").await;
    let hash = &history["quarantined"][0]["config_hash"];
    assert!(hash.is_string(), "under this configuration only: {history:#}");
    let dir = pool.stop().await;
    let store = Store::open(&dir.path().join("pool.sqlite")).await.expect("the ledger opens");
    let back = store.generation_current("payout").await.expect("readable").expect("in force");
    assert!(back.facts.config.contains("none"), "{}", back.facts.config);
    store.close().await;
    check_ledger(&dir).await;
}

/// With notice a payout scheme is announced, is seen to be, takes effect later, also over a
/// restart, and can be withdrawn.
#[tokio::test(flavor = "multi_thread")]
async fn a_payout_scheme_with_notice_takes_effect_when_it_was_announced_for() {
    let pool = TestPool::start(&[("SWAP__NOTICE_S", "3600")]).await;
    let answer = pool.swap("payout", json!({ "component": "payout-pps" })).await;
    assert_eq!(answer["outcome"], "announced", "{answer:#}");
    let pool = TestPool::start_in(pool.stop().await, &[("SWAP__NOTICE_S", "3600")]).await;
    let plugin = pool.plugin("payout").await;
    assert_eq!(
        (&plugin["name"], &plugin["next"]["name"]),
        (&json!("payout-pplns"), &json!("announced"))
    );
    let why = pool.swap_refused("payout", json!({ "component": "payout-prop" })).await;
    assert!(why.contains("is in step announced"), "{why}");
    assert_eq!(pool.post("plugins/payout/rollback", json!({})).await.0, 200);
    assert_eq!(wait_for_step(&pool, "payout", "withdrawn").await["outcome"], "withdrawn");
    // Settings that changed are announced as well.
    let changes = [("SWAP__NOTICE_S", "2"), ("PAYOUT__SCHEME", "payout-pps")];
    let pool = TestPool::start_in(pool.stop().await, &changes).await;
    let by_settings = |history: &Value| history["items"][0]["by"] == "configuration";
    let route = "plugins/history?slot=payout&limit=1";
    let announced = pool.wait_for(route, by_settings).await["items"][0].clone();
    let changed = |plugins: &Value| plugins["plugins"][0]["name"] == "payout-pps";
    pool.wait_for("plugins", changed).await;
    let active = wait_for_end(&pool, &announced["swap"]).await;
    let at = active["steps"].as_array().expect("a list").iter();
    let at = at.filter(|step| step["step"] == "active").find_map(|step| step["at_ms"].as_u64());
    assert!(at >= active["due_ms"].as_u64(), "{active:#}");
    check_ledger(&pool.stop().await).await;
}
