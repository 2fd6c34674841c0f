//! All three slots swapped in a tight loop under several miners: no share is lost or counted
//! twice, nobody is disconnected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::harness::{Miner, TestPool};
use crate::swap::check_ledger;

const MINERS: usize = 4;
const SOAK: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn swapping_everything_all_the_time_costs_no_share_and_no_connection() {
    let changes =
        [("DIFFICULTY__RETARGET_INTERVAL_S", "1"), ("SWAP__PROBATION_CALLS", "1000000000")];
    let pool = TestPool::start(&changes).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut mining = Vec::new();
    for number in 0..MINERS {
        let (stop, stratum) = (Arc::clone(&stop), pool.stratum);
        mining.push(tokio::spawn(async move {
            let mut miner = Miner::start(stratum, &format!("miner{number}.rig")).await;
            let mut accepted = 0;
            while !stop.load(Ordering::Relaxed) {
                // Panics if the pool closes the connection.
                accepted += u64::from(miner.mine_share().await["result"] == true);
            }
            accepted
        }));
    }
    let (schemes, difficulties) = (["payout-pps", "payout-pplns"], ["0.0000012", "0.000001"]);
    let begun = tokio::time::Instant::now();
    let mut swaps = 0;
    while begun.elapsed() < SOAK {
        let turn = swaps / 3 % 2;
        let (slot, body) = match swaps % 3 {
            0 => ("payout", json!({ "component": schemes[turn] })),
            1 => (
                "difficulty",
                json!({
                    "component": "difficulty-fixed",
                    "config": { "difficulty": difficulties[turn] },
                }),
            ),
            _ => ("auth", json!({ "component": "auth-open", "config": {}, "grants": [] })),
        };
        let (status, answer) = pool.post(&format!("plugins/{slot}/swap"), body).await;
        let in_force = answer["message"].as_str().is_some_and(|why| why.contains("already"));
        assert!(status == 200 || in_force, "{slot}: {answer:#}");
        swaps += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let mut accepted = 0;
    for miner in mining {
        accepted += miner.await.expect("no miner was disconnected");
    }
    let stats = pool.wait_for("status", |status| status["sessions"]["connected"] == 0).await;
    assert_eq!(stats["state"], "running");
    let accounts: Vec<String> = (0..MINERS).map(|number| format!("miner{number}")).collect();
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    let recorded = pool.shares(&accounts, accepted).await;
    assert_eq!(recorded, accepted, "after {swaps} swaps");
    check_ledger(&pool.stop().await).await;
}
