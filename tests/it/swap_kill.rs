//! `kill -9` at every step of a swap: the pool comes back on one consistent generation, and
//! the sum of work in the log is what was acknowledged.
//!
//! The step at which the pool dies is chosen by a trigger in its ledger that keeps the
//! transaction of that step from ever ending: what is before it is on record, what is behind
//! it has not happened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use chimera_pow::Work;
use chimera_store::{Store, Swap};
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

use crate::harness::{Miner, PATIENCE, TestPool};
use crate::process::Process;
use crate::swap::check_ledger;

/// A slot, what is asked for, the steps that are on record when the pool is killed, and the
/// step that then is under way.
const MOMENTS: [(&str, Ask, &str, &str); 24] = [
    ("payout", Ask::Swap, "", "requested"),
    ("payout", Ask::Swap, "requested", "staged"),
    ("payout", Ask::Swap, "requested staged", "prepared"),
    ("payout", Ask::Swap, "requested staged prepared", "shadow"),
    ("payout", Ask::Swap, "requested staged prepared shadow", "active"),
    ("payout", Ask::Swap, "requested staged prepared shadow active", "drained"),
    ("payout", Ask::Announce, "requested staged prepared shadow", "announced"),
    ("payout", Ask::Nonsense, "requested", "refused"),
    ("payout", Ask::Rollback, "requested", "staged"),
    ("payout", Ask::Rollback, "requested staged", "rolled-back"),
    ("payout", Ask::Rollback, "requested staged", "active"),
    ("auth", Ask::Swap, "requested staged", "prepared"),
    ("auth", Ask::Swap, "requested staged prepared", "shadow"),
    ("auth", Ask::Swap, "requested staged prepared shadow", "shadow-ended"),
    ("auth", Ask::Swap, "requested staged prepared shadow shadow-ended", "canary"),
    ("auth", Ask::Swap, "requested staged prepared shadow shadow-ended canary", "canary-ended"),
    (
        "auth",
        Ask::Swap,
        "requested staged prepared shadow shadow-ended canary canary-ended",
        "active",
    ),
    (
        "auth",
        Ask::Swap,
        "requested staged prepared shadow shadow-ended canary canary-ended active",
        "drained",
    ),
    ("difficulty", Ask::Swap, "requested staged prepared shadow", "shadow-ended"),
    (
        "difficulty",
        Ask::Swap,
        "requested staged prepared shadow shadow-ended canary",
        "canary-ended",
    ),
    (
        "difficulty",
        Ask::Swap,
        "requested staged prepared shadow shadow-ended canary canary-ended",
        "active",
    ),
    (
        "difficulty",
        Ask::Swap,
        "requested staged prepared shadow shadow-ended canary canary-ended active",
        "drained",
    ),
    (
        "difficulty",
        Ask::Swap,
        "requested staged prepared shadow shadow-ended canary canary-ended active drained",
        "proven",
    ),
    ("difficulty", Ask::Rollback, "requested staged", "active"),
];

#[derive(Clone, Copy, PartialEq)]
enum Ask {
    Swap,
    /// A swap with notice.
    Announce,
    /// What is in force is taken back.
    Rollback,
    /// A swap to what is not there.
    Nonsense,
}

impl Ask {
    /// The route and the body; `turn` makes every request one for something new.
    fn request(self, slot: &str, turn: usize) -> (String, Value) {
        let (component, config) = match slot {
            "payout" => ("payout-pplns", json!({ "n_milli": 1_000 + turn })),
            "auth" => ("auth-allowlist", json!({ "accounts": ["alice", format!("turn{turn}")] })),
            _ => ("difficulty-fixed", json!({ "difficulty": format!("0.00000{}", 100 + turn) })),
        };
        match self {
            Self::Rollback => (format!("plugins/{slot}/rollback"), json!({})),
            Self::Nonsense => (format!("plugins/{slot}/swap"), json!({ "component": "nothing" })),
            Self::Swap | Self::Announce => {
                let body = json!({ "component": component, "config": config });
                (format!("plugins/{slot}/swap"), body)
            }
        }
    }
}

/// The ledger's file, from the outside.
async fn connect(ledger: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(ledger).busy_timeout(Duration::ZERO);
    SqliteConnection::connect_with(&options).await.expect("the ledger opens")
}

/// From now on the step of that name, in that slot, takes for ever: the new swap's, or, where
/// one is taken back, that one's.
async fn hold_at(ledger: &Path, slot: &str, step: &str) {
    let mut ledger = connect(ledger).await;
    let newest = sqlx::query_scalar("SELECT coalesce(max(id), 0) FROM swap");
    let newest: i64 = newest.fetch_one(&mut ledger).await.expect("readable");
    let before = if step == "rolled-back" { 0 } else { newest };
    let trigger = format!(
        "DROP TRIGGER IF EXISTS held;
         CREATE VIEW IF NOT EXISTS for_ever AS
             WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number)
             SELECT n FROM number;
         CREATE TRIGGER held AFTER INSERT ON swap_step
         WHEN NEW.step = '{step}' AND (SELECT slot FROM swap WHERE id = NEW.swap) = '{slot}'
              AND NEW.swap > {before}
         BEGIN SELECT count(*) FROM for_ever; END"
    );
    ledger.execute(sqlx::AssertSqlSafe(trigger)).await.expect("written");
    ledger.close().await.expect("closed");
}

/// Steps take their time again.
async fn let_go(ledger: &Path) {
    let mut ledger = connect(ledger).await;
    ledger.execute("DROP TRIGGER IF EXISTS held").await.expect("written");
    ledger.close().await.expect("closed");
}

/// Waits until somebody holds the ledger for longer than any transaction takes.
async fn wait_until_held(ledger: &Path) {
    let mut ledger = connect(ledger).await;
    let (mut busy, deadline) = (0, tokio::time::Instant::now() + PATIENCE);
    let mut version = 0;
    while busy < 25 {
        assert!(tokio::time::Instant::now() < deadline, "the step is not reached");
        let free = ledger.execute("BEGIN IMMEDIATE; ROLLBACK").await.is_ok();
        // Changes with every commit of another: it is one transaction that holds it.
        let now: i64 =
            sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut ledger).await.expect("read");
        busy = if free || now != version { 0 } else { busy + 1 };
        version = now;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a miner knows of its work when the connection breaks.
struct Mined {
    acknowledged: Work,
    /// Sent last and not answered.
    open: Work,
}

/// Mines one share after the other until the connection breaks.
async fn mine_to_the_end(mut miner: Miner) -> Mined {
    let mut mined = Mined { acknowledged: Work::ZERO, open: Work::ZERO };
    for id in 100.. {
        miner.catch_up().await;
        let (job, found) = miner.find_share();
        mined.open = job.target().work();
        let line = miner.submit_line(id, &job, &found);
        miner.send(&line).await;
        loop {
            let Some(line) = miner.line().await else { return mined };
            if line["id"] == id && line.get("method").is_none() {
                if line["result"] == true {
                    mined.acknowledged += mined.open;
                }
                mined.open = Work::ZERO;
                break;
            }
        }
    }
    mined
}

/// The work in the log.
async fn logged(store: &Store) -> Work {
    store.count_shares().await.expect("writable");
    store.stats(0).await.expect("readable").work
}

async fn newest(store: &Store, slot: &str) -> Option<Swap> {
    store.swaps(Some(slot), 1, None).await.expect("readable").pop()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_at_every_step_of_a_swap_leaves_one_consistent_generation() {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let ledger: PathBuf = dir.path().join("pool.sqlite");
    let swap = [("SWAP__SHADOW_S", "1"), ("SWAP__CANARY_S", "1"), ("SWAP__PROBATION_S", "1")];
    let notice = [&swap[..], &[("SWAP__NOTICE_S", "3600")]].concat();
    // One generation more in each slot, so that there is something to take back.
    let pool = TestPool::start_in(dir, &[]).await;
    for slot in ["payout", "auth", "difficulty"] {
        let (_, body) = Ask::Swap.request(slot, 99);
        pool.swap(slot, body).await;
    }
    let dir = pool.stop().await;
    for (turn, (slot, ask, on_record, step)) in MOMENTS.into_iter().enumerate() {
        let what = format!("{slot}, {step} behind {on_record}");
        let store = Store::open(&ledger).await.expect("the ledger opens");
        let before = (logged(&store).await, newest(&store, slot).await.map(|swap| swap.id));
        let in_force = store.generation_current(slot).await.expect("readable").expect("one is");
        store.close().await;
        hold_at(&ledger, slot, step).await;
        let changes = if ask == Ask::Announce { &notice[..] } else { &swap };
        let pool = Process::start(dir.path(), changes);
        let miner = Miner::start(pool.stratum, "alice.rig").await;
        let mining = tokio::spawn(mine_to_the_end(miner));
        let token = std::fs::read_to_string(dir.path().join("admin.token")).expect("a token");
        let (route, body) = ask.request(slot, turn);
        let request = reqwest::Client::new()
            .post(format!("{}/api/v1/{route}", pool.api))
            .bearer_auth(token.trim())
            .json(&body);
        // It may be answered (what goes on behind), or the pool is gone first.
        let asking = tokio::spawn(request.send());
        wait_until_held(&ledger).await;
        pool.signal("-KILL");
        let mined = tokio::time::timeout(PATIENCE, mining).await.expect("it ends").expect("well");
        let _ = asking.await.expect("no panic");
        drop(pool);

        let store = Store::open(&ledger).await.expect("the ledger opens");
        let log = logged(&store).await;
        let least = before.0 + mined.acknowledged;
        assert!([least, least + mined.open].contains(&log), "{what}: {log:?}, not {least:?}");
        let swap = newest(&store, slot).await.filter(|swap| Some(swap.id) != before.1);
        let steps: Vec<&str> =
            swap.iter().flat_map(|swap| &swap.steps).map(|step| step.step.as_str()).collect();
        assert_eq!(steps.join(" "), on_record, "{what}");
        let now = store.generation_current(slot).await.expect("readable").expect("one is");
        let active = on_record.contains("active");
        assert_eq!(now.id != in_force.id, active, "{what}: generation {}", now.id.0);
        let outcome = swap.and_then(|swap| swap.outcome);
        assert_eq!(outcome.as_deref(), active.then_some("active"), "{what}");
        store.close().await;
        let_go(&ledger).await;
    }
    // Every road but the last is behind a start; this one is behind the last.
    let pool = TestPool::start_in(dir, &swap).await;
    let history = pool.get("plugins/history?limit=100").await;
    for swap in history["items"].as_array().expect("a list") {
        assert!(!swap["outcome"].is_null(), "what was interrupted has ended: {swap:#}");
    }
    for slot in ["payout", "auth", "difficulty"] {
        let (_, body) = Ask::Swap.request(slot, 98);
        pool.swap(slot, body).await;
    }
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    miner.mine(5).await;
    check_ledger(&pool.stop().await).await;
}

/// The sum of the work itself, not only the count: one share of every difficulty there was.
#[tokio::test(flavor = "multi_thread")]
async fn the_work_in_the_log_is_the_work_acknowledged() {
    let pool = TestPool::start(&[("DIFFICULTY__RETARGET_INTERVAL_S", "1")]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let (mut acknowledged, mut shares) = (Work::ZERO, 0);
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
                shares += 1;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    assert_eq!(pool.shares(&["alice"], shares).await, shares);
    let recorded = pool.get("miners/alice").await["work"].to_string();
    assert_eq!(recorded.trim_matches('"'), acknowledged.hashes().to_string());
    check_ledger(&pool.stop().await).await;
}
