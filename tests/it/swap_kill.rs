//! `kill -9` at every step of a swap: the pool comes back on one consistent generation, and
//! the sum of work in the log is what was acknowledged.

use std::collections::BTreeSet;
use std::time::Duration;

use chimera_pow::Work;
use chimera_store::Store;
use serde_json::{Value, json};

use crate::harness::{Miner, PATIENCE, TestPool};
use crate::process::Process;
use crate::swap::check_ledger;

/// Kills; each at another moment of the swaps under way.
const ROUNDS: u64 = 12;

/// What two components of each slot take turns with, so that every request is a swap.
const TURNS: [(&str, [&str; 2]); 3] = [
    ("payout", [r#"{"component":"payout-pps"}"#, r#"{"component":"payout-pplns"}"#]),
    (
        "difficulty",
        [
            r#"{"component":"difficulty-fixed","config":{"difficulty":"0.0000011"}}"#,
            r#"{"component":"difficulty-fixed","config":{"difficulty":"0.000001"}}"#,
        ],
    ),
    (
        "auth",
        [
            r#"{"component":"auth-allowlist","config":{"accounts":["alice"]}}"#,
            r#"{"component":"auth-open"}"#,
        ],
    ),
];

/// Swaps all slots in turn until the pool is gone.
async fn swap_until_killed(api: String, token: String) {
    let client = reqwest::Client::new();
    for turn in 0_usize.. {
        for (slot, bodies) in TURNS {
            let body: Value = serde_json::from_str(bodies[turn % 2]).expect("JSON");
            let url = format!("{api}/api/v1/plugins/{slot}/swap");
            if client.post(&url).bearer_auth(token.trim()).json(&body).send().await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_in_the_middle_of_a_swap_leaves_one_consistent_generation() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let (mut acknowledged, mut sent) = (0, 0);
    for round in 0..ROUNDS {
        let pool = Process::start(dir.path(), &[]);
        let token = std::fs::read_to_string(dir.path().join("admin.token")).expect("a token");
        let mut miner = Miner::start(pool.stratum, "alice.rig").await;
        miner.mine(2).await;
        (acknowledged, sent) = (acknowledged + 2, sent + 2);
        let swapping = tokio::spawn(swap_until_killed(pool.api.clone(), token));
        let kill_at = tokio::time::Instant::now() + Duration::from_millis(15 + 37 * round);
        while tokio::time::Instant::now() < kill_at {
            let (job, found) = miner.find_share();
            let line = miner.submit_line(100 + sent, &job, &found);
            miner.send(&line).await;
            sent += 1;
            miner.catch_up().await;
        }
        pool.signal("-KILL");
        // What was answered before it died is acknowledged, read or not.
        while let Some(line) = miner.line().await {
            acknowledged += u64::from(line["id"].as_u64() >= Some(100) && line["result"] == true);
        }
        tokio::time::timeout(PATIENCE, swapping).await.expect("it notices").expect("no panic");
    }
    let pool = TestPool::start_in(dir, &[]).await;
    let history = pool.get("plugins/history?limit=100").await;
    for swap in history["items"].as_array().expect("a list") {
        assert!(!swap["outcome"].is_null(), "what was interrupted has ended: {swap:#}");
    }
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    miner.mine(5).await;
    (acknowledged, sent) = (acknowledged + 5, sent + 5);
    let shares = pool.get("miners/alice").await["shares"].as_u64().expect("a number");
    assert!(shares >= acknowledged, "{acknowledged} were acknowledged, {shares} are recorded");
    assert!(shares <= sent, "{sent} were sent, {shares} are recorded: some twice");
    for slot in ["payout", "auth", "difficulty"] {
        assert!(pool.plugin(slot).await["generation"].as_u64() > Some(0));
    }
    let dir = pool.stop().await;
    check_ledger(&dir).await;
    let store = Store::open(&dir.path().join("pool.sqlite")).await.expect("the ledger opens");
    let last_seq = store.last_seq().await.expect("readable");
    assert_eq!(last_seq, shares, "every share is in the log once");
    let mut ends = BTreeSet::new();
    for swap in store.swaps(None, 10_000, None).await.expect("readable") {
        let before = swap.steps.iter().rev().find(|step| step.step != "abandoned");
        let abandoned = swap.outcome.as_deref() == Some("abandoned");
        ends.extend(before.filter(|_| abandoned).map(|step| step.step.clone()));
    }
    assert!(!ends.is_empty(), "some swaps were under way when the pool was killed");
    store.close().await;
}

/// The sum of the work itself, not only the count: one share of every difficulty there was.
#[tokio::test(flavor = "multi_thread")]
async fn the_work_in_the_log_is_the_work_acknowledged() {
    let pool = TestPool::start(&[("DIFFICULTY__RETARGET_INTERVAL_S", "1")]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let mut acknowledged = Work::ZERO;
    for turn in 0..6 {
        let difficulty = ["0.000002", "0.000001"][turn % 2];
        let body =
            json!({ "component": "difficulty-fixed", "config": { "difficulty": difficulty } });
        pool.swap("difficulty", body).await;
        for _ in 0..40 {
            miner.catch_up().await;
            // The job in hand keeps the difficulty it was issued with.
            let (job, found) = miner.find_share();
            let work = job.target().work();
            let params = job.submit_params(&miner.user, &found);
            if miner.call(4, "mining.submit", params).await["result"] == true {
                acknowledged += work;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let recorded = pool.get("miners/alice").await["work"].to_string();
    assert_eq!(recorded.trim_matches('"'), acknowledged.hashes().to_string());
    check_ledger(&pool.stop().await).await;
}
