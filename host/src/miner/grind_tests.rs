//! The nonce space is walked once, in order, by however many workers.

use std::collections::BTreeSet;

use chimera_pow::{Algorithm, Difficulty, Target};
use serde_json::json;

use super::*;
use crate::miner::job::tests::{difficulty, known_job, subscription};

fn small_job(extranonce2_bytes: u8, at: Difficulty) -> Arc<MinerJob> {
    let zeros = "0".repeat(64);
    let params = json!(["1", zeros, "01", "02", [], "20000000", "207fffff", "6b00b23c", true]);
    let params = params.as_array().expect("a list");
    let subscription = subscription("0a0b0c0d", extranonce2_bytes);
    Arc::new(
        MinerJob::from_notify(params, &subscription, at, Algorithm::Blake2s).expect("a notify"),
    )
}

/// About one hash in 256.
fn easy() -> Difficulty {
    difficulty(256.0 / 4_294_901_760.0)
}

#[test]
fn workers_share_the_extranonce2_space_without_overlap_or_gap() {
    for workers in [1_usize, 3, 7, 255, 256, 300] {
        let mut walked = BTreeSet::new();
        for worker in 0..workers {
            let mut cursor = Cursor::new(77, worker, workers);
            cursor.turn_to(small_job(1, Difficulty::ONE));
            while cursor.step(1).0 == 1 {
                let job = cursor.job.clone().expect("a job was given");
                assert!(walked.insert(cursor.extranonce2(&job)), "walked twice");
                cursor.nonce = NONCES;
            }
        }
        assert_eq!(walked, (0..256).collect(), "{workers} workers");
    }
}

#[test]
fn the_same_seed_finds_the_same_shares_in_the_same_order() {
    let walk = |seed| {
        let mut cursor = Cursor::new(seed, 0, 1);
        cursor.turn_to(small_job(8, easy()));
        let batches = std::iter::repeat_with(|| cursor.step(64).1).take(200);
        batches.flatten().map(|(_, found)| found).collect::<Vec<_>>()
    };
    assert!(walk(1).len() > 10);
    assert_eq!(walk(1), walk(1));
    assert_ne!(walk(1), walk(2));
}

#[test]
fn a_cursor_finds_what_a_scan_finds_and_nothing_twice() {
    let job = small_job(4, easy());
    let mut cursor = Cursor::new(0, 0, 1);
    cursor.turn_to(Arc::clone(&job));
    let mut hashes = 0;
    let mut found = vec![];
    while hashes < 4000 {
        let (tried, answer) = cursor.step(4000 - hashes);
        hashes += tried;
        found.extend(answer.map(|(_, found)| found));
    }
    let mut scanned = vec![];
    let mut from = 0;
    while let Some(share) = scan(&job, 0, from..4000) {
        from = u64::from(share.nonce) + 1;
        scanned.push(share);
    }
    assert!(!scanned.is_empty());
    assert_eq!(found, scanned);
    assert!(scanned.iter().all(|share| job.target().is_met_by(&share.hash)));
}

#[test]
fn the_same_work_under_another_id_is_continued_not_repeated() {
    let mut cursor = Cursor::new(0, 0, 1);
    cursor.turn_to(Arc::new(known_job("0a0b0c0d", 1.0)));
    assert_eq!(cursor.step(100).0, 100);
    cursor.turn_to(Arc::new(known_job("0a0b0c0d", 2.0)));
    assert_eq!(cursor.nonce, 100);
    cursor.turn_to(Arc::new(known_job("0a0b0c0e", 2.0)));
    assert_eq!(cursor.nonce, 0);
}

#[test]
fn a_scan_ends_at_the_last_nonce() {
    let job = small_job(4, Target::from_be_bytes([0; 32]).difficulty());
    assert_eq!(scan(&job, 0, NONCES - 10..u64::MAX), None);
    let mut header = job.header(0);
    assert_eq!(scan_header(&job, 0, &mut header, NONCES - 10..u64::MAX).0, 10);
    assert_eq!(scan_header(&job, 0, &mut header, NONCES + 5..u64::MAX).0, 0);
}

#[test]
fn a_throttled_worker_rests_for_what_it_is_ahead() {
    let now = Instant::now();
    let mut pace = Pace::new(Some(1000), now);
    assert_eq!(pace.batch(), 50);
    assert_eq!(pace.rest(50, now), Duration::from_millis(50));
    assert_eq!(pace.rest(50, now + Duration::from_millis(60)), Duration::from_millis(40));
    // An hour without jobs earns no burst.
    let later = now + Duration::from_secs(3600);
    assert_eq!(pace.rest(50, later), Duration::ZERO);
    assert_eq!(pace.rest(50, later), Duration::from_millis(50));
    assert_eq!(Pace::new(None, now).rest(1 << 40, now), Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_engines_find_shares_turn_to_new_jobs_and_end_when_dropped() {
    for engine in [Engine::Threads(2), Engine::Task] {
        let (sender, mut found) = mpsc::channel(8);
        let grinder = Grinder::start(engine, 5, None, &sender).expect("threads start");
        drop(sender);
        let first = small_job(4, easy());
        grinder.work(Arc::clone(&first));
        let (job, share) = found.recv().await.expect("a share");
        assert!(job.target().is_met_by(&share.hash));
        let second = small_job(8, easy());
        grinder.work(Arc::clone(&second));
        // What was found before the change is in the channel still.
        while !Arc::ptr_eq(&found.recv().await.expect("a share").0, &second) {}
        assert!(grinder.hashes() > 0);
        drop(grinder);
        while found.recv().await.is_some() {}
    }
}
