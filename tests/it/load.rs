//! The load generator at a real pool: what it counts is what the pool has on record.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chimera::load::{LoadPlan, LoadReport, Shares, run};
use chimera_pow::Algorithm;

use crate::harness::TestPool;

/// Some hashes a share.
const EASY: [(&str, &str); 2] = [
    ("STRATUM__DIFFICULTY_MIN", "1e-9"),
    ("DIFFICULTY__CONFIG", "{ difficulty = \"0.00000001\" }"),
];

async fn load(plan: LoadPlan) -> LoadReport {
    let stop = Arc::new(AtomicBool::new(false));
    let run = tokio::task::spawn_blocking(move || run(&plan, &stop));
    run.await.expect("it does not panic").expect("a measurement")
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_is_what_the_pool_has_on_record() {
    let pool = TestPool::start(&EASY).await;
    let report = load(LoadPlan {
        connections: 20,
        in_flight: 4,
        seconds: Duration::from_secs(2),
        user: "load{n}.x".to_owned(),
        shares: Shares::Mined(Algorithm::Blake2s),
        ..LoadPlan::new(pool.stratum)
    })
    .await;
    let json = report.to_json();
    assert_eq!(report.held(), (20, 20), "{json:#}");
    assert!(report.accepted() > 100, "{json:#}");
    assert_eq!(report.unanswered(), 0, "{json:#}");
    assert_eq!(
        json["total"]["rejected_by_code"].as_object().map(|codes| {
            // A new block may overtake a share; nothing else is wrong with them.
            codes.keys().all(|code| code == "21")
        }),
        Some(true),
        "{json:#}"
    );
    let accounts: Vec<String> = (0..20).map(|number| format!("load{number}")).collect();
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    let recorded = pool.shares(&accounts, report.accepted()).await;
    assert_eq!(recorded, report.accepted(), "{json:#}");
    pool.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_ones_are_rejected_for_what_they_are() {
    let pool = TestPool::start(&EASY).await;
    let report = load(LoadPlan {
        connections: 4,
        in_flight: 2,
        seconds: Duration::from_secs(1),
        user: "load{n}.x".to_owned(),
        shares: Shares::Mined(Algorithm::Blake2s),
        bad_ppm: 300_000,
        ..LoadPlan::new(pool.stratum)
    })
    .await;
    let json = report.to_json();
    let total = &json["total"];
    for code in ["21", "22", "23"] {
        assert!(total["rejected_by_code"][code].as_u64() > Some(0), "{code}: {json:#}");
    }
    assert_eq!(total["bad_accepted"], 0, "{json:#}");
    assert!(report.accepted() > 0, "{json:#}");
    pool.stop().await;
}
