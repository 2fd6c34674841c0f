//! Swapping a slot of a running pool: what takes over when, what is refused and why, and what
//! comes back by itself.

use std::time::Duration;

use chimera_ledger::SchemeKind;
use chimera_store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Miner, TestPool};
use crate::plugins::{built, directory, misdeed, part};

fn steps(answer: &Value) -> Vec<&str> {
    let steps = answer["steps"].as_array().expect("a list").iter();
    steps.map(|step| step["step"].as_str().expect("text")).collect()
}

fn path(dir: &TempDir) -> &str {
    dir.path().to_str().expect("a plain path")
}

/// The newest swap of a slot.
async fn newest(pool: &TestPool, slot: &str) -> Value {
    let history = pool.get(&format!("plugins/history?slot={slot}&limit=1")).await;
    history["items"][0].clone()
}

/// Waits until a swap has ended; the swap.
async fn wait_for_end(pool: &TestPool, swap: &Value) -> Value {
    let route = "plugins/history?limit=100";
    let found = |history: &Value| {
        let all = history["items"].as_array().expect("a list");
        all.iter().find(|one| one["swap"] == *swap && !one["outcome"].is_null()).cloned()
    };
    let history = pool.wait_for(route, |history| found(history).is_some()).await;
    found(&history).expect("it was there")
}

/// Waits until a swap of a slot has a step; the newest such swap.
async fn wait_for_step(pool: &TestPool, slot: &str, step: &str) -> Value {
    let route = format!("plugins/history?slot={slot}&limit=100");
    let has = |swap: &&Value| steps(swap).contains(&step);
    let found =
        |history: &Value| history["items"].as_array().expect("a list").iter().find(has).cloned();
    let history = pool.wait_for(&route, |history| found(history).is_some()).await;
    found(&history).expect("it was there")
}

/// What must hold of every ledger, however often its slots were swapped: a block belongs to
/// the generation in force at its place, is settled once, and every generation has its swap.
pub(crate) async fn check_ledger(dir: &TempDir) {
    let store = Store::open(&dir.path().join("pool.sqlite")).await.expect("the ledger opens");
    store.verify_books().await.expect("the books balance");
    let generations = store.generations("payout").await.expect("readable");
    for block in store.blocks(10_000, None).await.expect("readable") {
        let place = generations.iter().position(|one| one.id == block.generation);
        let place = place.expect("a block's generation is on record");
        let from = generations[place].facts.from_seq;
        let until = generations.get(place + 1).map_or(u64::MAX, |next| next.facts.from_seq);
        let first = place == 0 && block.seq == from;
        // What was found under a scheme that pays share by share goes to the reserve, also
        // where another has to pay what that one had not.
        let accrued = generations[place].facts.kind != Some(SchemeKind::Distribute);
        let taken_over =
            place > 0 && generations[place - 1].life.rolled_back.is_some() && block.seq <= from;
        assert!(
            first || taken_over || (from < block.seq && (accrued || block.seq <= until)),
            "block at {} is generation {}'s, which has ({from}, {until}]",
            block.seq,
            block.generation.0
        );
    }
    for slot in ["payout", "auth", "difficulty"] {
        let generations = store.generations(slot).await.expect("readable");
        for pair in generations.windows(2) {
            assert!(pair[0].facts.from_seq <= pair[1].facts.from_seq, "{slot}: places ascend");
            assert!(pair[0].life.ended_at_ms.is_some(), "{slot}: one generation at a time");
        }
        assert!(generations.last().is_some_and(|last| last.life.ended_at_ms.is_none()));
        for generation in &generations {
            assert!(store.swap_of(generation.id).await.expect("readable").is_some());
        }
    }
    for swap in store.swaps(None, 10_000, None).await.expect("readable") {
        let active = swap.outcome.as_deref() == Some("active");
        assert_eq!(active, swap.generation.is_some(), "swap {}", swap.id.0);
    }
    store.close().await;
}

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
    let recorded = pool.get("miners/alice").await["shares"].as_u64().unwrap_or(0)
        + pool.get("miners/bob").await["shares"].as_u64().unwrap_or(0);
    assert_eq!(recorded, mined, "every share is in the log once");
    check_ledger(&pool.stop().await).await;
}

/// Every refusal says what is wrong, and nothing has changed.
#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_can_be_read() {
    let plugins = directory(&[
        ("payout-text.wasm", b"not wasm at all"),
        ("payout-core.wasm", b"\0asm\x01\0\0\0"),
    ]);
    let endpoints = "{ users = { url = \"https://h.example/\" } }";
    let changes = [("PLUGINS__DIRECTORY", path(&plugins)), ("AUTH__ENDPOINTS", endpoints)];
    let pool = TestPool::start(&changes).await;
    let before = pool.get("plugins").await;
    for (slot, body, expected) in [
        ("payout", json!({ "component": "payout-none" }), "no component \"payout-none\""),
        ("payout", json!({ "component": "../evil" }), "is no component name"),
        ("payout", json!({ "component": "auth-open" }), "payout-scheme"),
        ("payout", json!({ "component": "payout-text" }), "no WebAssembly"),
        ("payout", json!({ "component": "payout-core" }), "`chimera plugin build`"),
        ("payout", json!({ "component": "0".repeat(64) }), "is kept here"),
        ("payout", json!({ "component": "payout-pps", "digest": "0".repeat(64) }), "is pinned"),
        ("payout", json!({ "component": "payout-pps", "digest": "abc" }), "is no digest"),
        ("payout", json!({ "component": "payout-pplns" }), "in force already: generation 1"),
        ("payout", json!({ "component": "payout-pplns", "config": { "n": 3 } }), "/n"),
        ("auth", json!({ "component": "auth-open", "grants": ["network"] }), "is no grant"),
        (
            "auth",
            json!({ "component": "auth-webhook", "grants": ["fetch:user"] }),
            "fetch:user cannot be granted: there is no endpoint of that name; there are: users",
        ),
        (
            "auth",
            json!({ "component": "auth-jwt", "grants": ["secret:jwt"] }),
            "secret:jwt cannot be granted: there is no secret of that name; there are: none",
        ),
        ("storage", json!({ "component": "auth-open" }), "payout, auth, difficulty"),
        (
            "payout",
            json!({ "component": "payout-hostile", "config": { "misdeed": "trap" } }),
            "asked to settle a block for 3 accounts",
        ),
        (
            "auth",
            json!({ "component": "auth-hostile", "config": { "misdeed": "loop" } }),
            "asked about \"alice.rig\"",
        ),
        (
            "difficulty",
            json!({ "component": "difficulty-hostile", "config": { "misdeed": "forgetful" } }),
            "asked about 3 sessions",
        ),
    ] {
        let why = pool.swap_refused(slot, body.clone()).await;
        assert!(why.contains(expected), "{slot} {body}: {why}");
    }
    let after = pool.get("plugins").await;
    for slot in 0..3 {
        for key in ["name", "digest", "generation", "config"] {
            assert_eq!(before["plugins"][slot][key], after["plugins"][slot][key]);
        }
    }
    let refused = newest(&pool, "payout").await;
    assert_eq!(refused["outcome"], "refused", "refusals are on record: {refused:#}");
    pool.stop().await;
}

/// The cases a component carries are asked before it takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_component_is_held_to_the_cases_it_carries() {
    let case = include_str!("../../examples/payout-equal/vectors/three-of-four-worked.json");
    let wrong = case.replace("[1, 1, 0, 1]", "[1, 1, 1, 1]");
    assert_ne!(wrong, case);
    let carrying = |case: &str| {
        let mut component = built("payout-equal");
        let cases = format!("{{\"three.json\":{case}}}");
        chimera_componentize::push_custom_section(
            &mut component,
            "chimera:vectors",
            cases.as_bytes(),
        );
        component
    };
    let (right, wrong) = (carrying(case), carrying(&wrong));
    let plugins = directory(&[("payout-right.wasm", &right), ("payout-wrong.wasm", &wrong)]);
    let pool = TestPool::start(&[("PLUGINS__DIRECTORY", path(&plugins))]).await;
    let why = pool.swap_refused("payout", json!({ "component": "payout-wrong" })).await;
    assert!(why.contains("its own case three.json ends with "), "{why}");
    let answer = pool.swap("payout", json!({ "component": "payout-right" })).await;
    let told = answer["steps"][2]["detail"].as_str().expect("what was asked");
    assert!(told.ends_with("; its own cases hold: 1"), "{told}");
    pool.stop().await;
}

/// Who may not change anything is told so.
#[tokio::test(flavor = "multi_thread")]
async fn changes_need_the_token_and_no_browser() {
    use std::os::unix::fs::PermissionsExt as _;
    let pool = TestPool::start(&[]).await;
    let file = pool.dir.path().join("admin.token");
    let mode = std::fs::metadata(&file).expect("made at the start").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let token = std::fs::read_to_string(&file).expect("readable by its owner");
    let url = format!("{}/api/v1/plugins/payout/swap", pool.api);
    let ask = |token: Option<&str>, origin: Option<&str>, body: &str| {
        let mut request = reqwest::Client::new().post(&url).body(body.to_owned());
        if let Some(token) = token {
            request = request.bearer_auth(token.trim());
        }
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        request.send()
    };
    let body = r#"{ "component": "payout-none" }"#;
    let wrong = "0".repeat(64);
    for (shown, origin, body, expected) in [
        (None, None, body, 401),
        (Some(wrong.as_str()), None, body, 401),
        (Some(&token[..10]), None, body, 401),
        (Some(token.as_str()), Some("http://127.0.0.1:8080"), body, 403),
        (Some(token.as_str()), None, "{", 400),
        (Some(token.as_str()), None, r#"{ "component": "x", "colour": 1 }"#, 400),
        (Some(token.as_str()), None, body, 409),
    ] {
        let answer = ask(shown, origin, body).await.expect("an answer");
        assert_eq!(answer.status().as_u16(), expected, "{shown:?} {origin:?} {body}");
    }
    pool.stop().await;
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
    let shares = pool.get("miners/alice").await["shares"].as_u64();
    assert_eq!(shares, Some(1_500));
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
    assert_eq!(pool.get("miners/alice").await["shares"], mined + 5);
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

/// Secrets in a configuration are known by the mark in the component's schema: they are in no
/// answer of the API, and the rest of it is.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_schema_marks_as_secret_is_shown_nowhere() {
    let plugins = directory(&[]);
    let pool = TestPool::start(&[("PLUGINS__DIRECTORY", path(&plugins))]).await;
    let config = json!({ "accounts": ["alice"], "passwords": { "alice": "hunter2" } });
    let grants = json!(["credential"]);
    let body = json!({ "component": "auth-allowlist", "config": config, "grants": grants });
    let answer = pool.swap("auth", body).await;
    let plugin = pool.plugin("auth").await;
    assert_eq!(plugin["config"]["accounts"], json!(["alice"]), "{plugin:#}");
    assert_eq!(plugin["config"]["passwords"], "(hidden)");
    let swap = newest(&pool, "auth").await;
    assert_eq!(swap["config"], plugin["config"], "{swap:#}");
    assert!(swap["config_hash"].is_null(), "passwords can be tried against it: {swap:#}");
    // A component without a schema: nothing of its configuration is shown, in whatever slot.
    let body = json!({ "component": "payout-hostile", "config": { "misdeed": "none" } });
    let unknown = pool.swap("payout", body).await;
    assert!(pool.plugin("payout").await["config"].is_null());
    assert!(newest(&pool, "payout").await["config"].is_null());
    // Refused before a schema is known: what was asked for may be anything.
    let body = json!({ "component": "auth-none", "config": { "password": "hunter2" } });
    pool.swap_refused("auth", body).await;
    assert!(newest(&pool, "auth").await["config"].is_null());
    pool.swap("payout", json!({ "component": "payout-pps", "config": { "fee_ppm": 7 } })).await;
    let open = newest(&pool, "payout").await;
    assert_eq!((&open["config"]["fee_ppm"], open["config_hash"].is_string()), (&json!(7), true));
    let history = pool.get("plugins/history?limit=100").await;
    for answer in [answer, unknown, history, pool.get("plugins").await, pool.get("health").await] {
        assert!(!answer.to_string().contains("hunter2"), "{answer:#}");
    }
    pool.stop().await;
}

/// An upgrade that asks for more says so before any of it runs, through the API and on the
/// command line; granted, it is asked the host's questions before it takes over, and leaves
/// nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_asks_for_more_grants_says_so_before_it_runs() {
    let named = built("auth-named");
    let plugins = directory(&[("auth-door.wasm", &named)]);
    let changes = [
        ("PLUGINS__DIRECTORY", path(&plugins)),
        ("AUTH__POLICY", "auth-door"),
        ("AUTH__ENDPOINTS", "{ door = { url = \"https://h.example/\" } }"),
        ("AUTH__SECRETS", "{ key = { env = \"PATH\" } }"),
    ];
    let pool = TestPool::start(&changes).await;
    let before = pool.plugin("auth").await;
    std::fs::write(plugins.path().join("auth-door.wasm"), built("hostile-auth")).expect("written");
    let why = pool.swap_refused("auth", json!({ "component": "auth-door" })).await;
    for expected in [
        // Refused while loading: `describe`, the first call, was not made.
        "auth-door: load: asks for chimera:pool/kv@0.1.0",
        "which is not granted",
        "auth.grants = [\"kv\", \"fetch:NAME\", \"secret:NAME\"]",
        "--grant kv --grant fetch:NAME --grant secret:NAME",
    ] {
        assert!(why.contains(expected), "{expected}: {why}");
    }
    let refused = newest(&pool, "auth").await;
    assert_eq!(steps(&refused), ["requested", "refused"], "{refused:#}");
    let (code, text) = plugin_swap(&pool, &["--grant", "kv"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("asks for") && text.contains("--grant fetch:NAME"), "{text}");
    assert_eq!(pool.plugin("auth").await["digest"], before["digest"], "nothing has changed");

    let all = ["--grant", "kv", "--grant", "fetch:door", "--grant", "secret:key"];
    let (code, text) = plugin_swap(&pool, &all).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("2 logins are decided"), "{text}");
    let granted = json!(["fetch:door", "kv", "secret:key"]);
    let taken = |all: &Value| all["plugins"][1]["grants"] == granted;
    let after = pool.wait_for("plugins", taken).await;
    assert_ne!(after["plugins"][1]["digest"], before["digest"]);
    pool.stop().await;
}

/// A policy with grants was not asked anything before it took over. It is now, and one that fails
/// is refused; but not for what it does without an endpoint that is asked in force only.
#[tokio::test(flavor = "multi_thread")]
async fn a_policy_with_grants_is_asked_before_it_takes_over() {
    let plugins = directory(&[("auth-asking.wasm", &built("hostile-auth"))]);
    for read_only in [false, true] {
        // Nobody answers there.
        let endpoints = format!(
            "{{ door = {{ url = \"http://127.0.0.1:1/\", allow_private = true, \
             read_only = {read_only} }} }}"
        );
        let changes = [
            ("PLUGINS__DIRECTORY", path(&plugins)),
            ("AUTH__ENDPOINTS", &endpoints),
            ("AUTH__SECRETS", "{ key = { env = \"PATH\" } }"),
        ];
        let pool = TestPool::start(&changes).await;
        let door = json!({
            "component": "auth-asking", "config": { "door": true },
            "grants": ["kv", "fetch:door", "secret:key"],
        });
        if read_only {
            let why = pool.swap_refused("auth", door).await;
            assert!(why.contains("asked about \"alice.rig\""), "{why}");
            assert!(why.contains("nobody answers at the door"), "{why}");
        } else {
            let answer = pool.swap("auth", door).await;
            let prepared = &answer["steps"][2];
            let told = prepared["detail"].as_str().expect("a detail");
            assert!(prepared["step"] == "prepared" && told.contains("0 logins"), "{answer:#}");
            assert!(told.contains("2 need an endpoint") && told.contains("read_only"), "{told}");
        }
        let trap = json!({
            "component": "auth-hostile", "config": { "misdeed": "trap" }, "grants": ["kv"],
        });
        let why = pool.swap_refused("auth", trap).await;
        assert!(why.contains("asked about \"alice.rig\""), "{why}");
        pool.stop().await;
    }
}

/// `chimera plugin swap auth auth-door` with these options; exit code and what it says.
async fn plugin_swap(pool: &TestPool, options: &[&str]) -> (Option<i32>, String) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_chimera"))
        .args(["plugin", "swap", "auth", "auth-door", "--api", &pool.api])
        .arg("--data-dir")
        .arg(pool.dir.path())
        .args(options)
        .output()
        .await
        .expect("the binary starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}
