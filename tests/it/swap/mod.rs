//! Swapping a slot of a running pool: what takes over when, what is refused and why, and what
//! comes back by itself.

mod refusals;
mod road;
mod starts;
mod taken_back;

use chimera_ledger::SchemeKind;
use chimera_store::Store;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::TestPool;

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
