//! The share log: acknowledged once, there for ever, counted once, a moment later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chimera_pow::Work;
use chimera_store::{Booking, Store, StoreError, WORK_MAX};
use chimera_work::WorkerId;

use crate::scene::{Scene, miner, share};

#[tokio::test]
async fn t16_a_repeated_batch_changes_nothing() {
    let mut scene = Scene::new().await;
    let ann = scene.worker("ann").await;
    let batch = [share(ann, 3, 100, 0), share(ann, 4, 100, 60_000)];
    for expected in [Booking::Booked, Booking::AlreadyBooked, Booking::AlreadyBooked] {
        assert_eq!(scene.store.append_shares(1, &batch, 9).await.unwrap(), expected);
        scene.store.count_shares().await.unwrap();
        let stats = scene.store.stats(60_000).await.unwrap();
        assert_eq!((stats.shares, stats.work), (2, Work::from_hashes(7)));
    }
    assert_eq!(scene.store.append_shares(3, &[], 9).await.unwrap(), Booking::AlreadyBooked);
    assert_eq!(scene.store.last_seq().await.unwrap(), 2);
}

#[tokio::test]
async fn a_gap_an_overlap_and_other_shares_are_refused() {
    let mut scene = Scene::new().await;
    let ann = scene.worker("ann").await;
    let batch = [share(ann, 3, 100, 0), share(ann, 4, 100, 0)];
    scene.store.append_shares(1, &batch, 0).await.unwrap();
    let append = async |first, shares: &[_]| {
        scene.store.append_shares(first, shares, 0).await.unwrap_err().to_string()
    };
    assert_eq!(
        append(4, &batch).await,
        "shares from 4 on were to be appended; the log goes on at 3"
    );
    assert_eq!(append(1, &batch[..1]).await, "the log already holds other shares at 1");
    assert_eq!(append(2, &batch).await, "the log already holds other shares at 2");
    assert_eq!(append(0, &batch).await, "the log already holds other shares at 0");
    assert_eq!(scene.store.last_seq().await.unwrap(), 2);
}

#[tokio::test]
async fn shares_no_later_step_could_account_for_are_refused() {
    let mut scene = Scene::new().await;
    let ann = scene.worker("ann").await;
    let top = WORK_MAX.hashes();
    let table = [
        (share(ann, 1, 0, 0), "a share without network work"),
        (
            share(ann, top + 1, 1, 0),
            "work of 79228162514264337593543950337 is above 79228162514264337593543950336",
        ),
        (
            share(ann, 1, top + 1, 0),
            "network work of 79228162514264337593543950337 is above 79228162514264337593543950336",
        ),
        (share(ann, 1, 1, u64::MAX), "time of 18446744073709551615 is above 9223372036854775807"),
        (share(WorkerId(77), 1, 1, 0), "worker 77 is unknown"),
        (share(WorkerId(0), 1, 1, 0), "worker 0 is unknown"),
    ];
    for (bad, why) in table {
        let error = scene.store.append_shares(1, &[share(ann, 1, 1, 0), bad], 0).await.unwrap_err();
        assert_eq!(error.to_string(), why);
        assert!(!error.is_retryable());
        assert_eq!(scene.store.last_seq().await.unwrap(), 0, "all or nothing");
    }
    scene.store.append_shares(1, &[share(ann, top, top, 0)], 0).await.unwrap();
}

#[tokio::test]
async fn totals_slices_and_spans_are_the_sums_of_the_log() {
    let minute = 60_000;
    let mut scene = Scene::new().await;
    let day = 24 * 60 * minute;
    scene.log(&format!("ann 1/9@0, ann 10/9@{}, bob 100/9@{}", day, 2 * day)).await;
    scene.log(&format!("ann 1000/9@{}", 2 * day + 59_999)).await;
    // Work whose halves carry over from one pair of columns to the next.
    let huge = WORK_MAX.hashes() - 1;
    scene.log(&format!("bob {huge}/9@{0}, bob {huge}/9@{0}", 2 * day + minute)).await;
    assert_eq!(scene.store.stats(0).await.unwrap().shares, 0, "nobody waits for totals");
    assert_eq!(scene.store.count_shares().await.unwrap(), 6);

    let now = 2 * day + minute;
    let stats = scene.store.stats(now).await.unwrap();
    assert_eq!((stats.shares, stats.accounts, stats.workers), (6, 2, 2));
    assert_eq!(stats.work.hashes(), 1_111 + 2 * huge);
    assert_eq!(stats.five_minutes.work.hashes(), 1_100 + 2 * huge);
    assert_eq!(stats.five_minutes.since_ms, now - 5 * minute);
    assert_eq!((stats.hour.shares, stats.day.shares), (4, 4));

    let miners = scene.store.miners(now, 1000, None).await.unwrap();
    let line = |miner: &chimera_store::MinerSummary| {
        (miner.account.to_string(), miner.shares, miner.recent.shares, miner.last_share_ms)
    };
    assert_eq!(
        miners.iter().map(line).collect::<Vec<_>>(),
        [("ann".into(), 3, 0, Some(2 * day + 59_999)), ("bob".into(), 3, 2, Some(now))]
    );
    let bob = scene.store.miner(&miner("bob"), now).await.unwrap().unwrap();
    assert_eq!(bob.workers.len(), 1);
    assert_eq!(bob.workers[0].work.hashes(), 100 + 2 * huge);
    assert_eq!(bob.workers[0].recent.work.hashes(), 2 * huge);
    assert_eq!(bob.summary.work, bob.workers[0].work);
    assert_eq!(scene.store.miner(&miner("eve"), now).await.unwrap(), None);
}

#[tokio::test]
async fn a_start_counts_what_a_crash_left() {
    let mut scene = Scene::new().await;
    scene.log("ann 3/9 | ann 4/9").await;
    assert_eq!(scene.store.count_shares().await.unwrap(), 2);
    scene.log("ann 5/9, bob 6/9").await;
    let scene = scene.crash().await;
    assert_eq!(scene.store.stats(0).await.unwrap().shares, 2);
    scene.store.begin_run().await.unwrap();
    assert_eq!(scene.store.stats(0).await.unwrap().work.hashes(), 18);
    assert_eq!(scene.store.count_shares().await.unwrap(), 0);
}

#[tokio::test]
async fn shares_of_very_many_workers_are_counted_in_parts() {
    let scene = Scene::new().await;
    let mut workers = Vec::new();
    for rig in 0..1_300 {
        workers.push(scene.store.worker("ann", &rig.to_string(), 0).await.unwrap());
    }
    // Every worker twice in a batch, in two minutes, and once more in the next.
    let shares: Vec<_> = (0..2)
        .flat_map(|minute| workers.iter().map(move |&worker| share(worker, 3, 9, minute * 60_000)))
        .collect();
    scene.store.append_shares(1, &shares, 0).await.unwrap();
    scene.store.append_shares(2_601, &shares[..1_300], 0).await.unwrap();
    assert_eq!(scene.store.count_shares().await.unwrap(), 3_900);
    let stats = scene.store.stats(0).await.unwrap();
    assert_eq!((stats.shares, stats.work.hashes(), stats.day.shares), (3_900, 11_700, 3_900));
    let ann = scene.store.miner(&miner("ann"), 60_000).await.unwrap().unwrap();
    assert!(ann.workers.iter().all(|rig| (rig.shares, rig.recent.shares) == (3, 1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_count_ends_although_shares_go_on() {
    let mut scene = Scene::new().await;
    let ann = scene.worker("ann").await;
    let store = Arc::new(scene.store);
    let enough = Arc::new(AtomicBool::new(false));
    let appending = tokio::spawn({
        let (store, enough) = (Arc::clone(&store), Arc::clone(&enough));
        async move {
            let mut seq = 0;
            while !enough.load(Ordering::Relaxed) {
                seq += 1;
                store.append_shares(seq, &[share(ann, 1, 9, 0)], 0).await.unwrap();
            }
        }
    });
    while store.count_shares().await.unwrap() == 0 {}
    store.checkpoint().await.unwrap();
    enough.store(true, Ordering::Relaxed);
    appending.await.unwrap();
    store.count_shares().await.unwrap();
    let last = store.last_seq().await.unwrap();
    assert_eq!(store.stats(0).await.unwrap().shares, last);
}

#[tokio::test]
async fn t21_an_empty_pool_has_finite_numbers() {
    let scene = Scene::new().await;
    let stats = scene.store.stats(0).await.unwrap();
    assert_eq!((stats.shares, stats.work, stats.accounts), (0, Work::ZERO, 0));
    assert_eq!(stats.blocks.values().sum::<u64>(), 0);
    assert!(scene.store.miners(0, 1000, None).await.unwrap().is_empty());
    assert_eq!(scene.store.last_seq().await.unwrap(), 0);
}

#[tokio::test]
async fn every_run_has_another_number() {
    let mut scene = Scene::new().await;
    for run in 1..=4 {
        assert_eq!(scene.store.begin_run().await.unwrap(), run);
        scene = scene.crash().await;
    }
}

#[tokio::test]
async fn two_pools_cannot_share_a_database() {
    let scene = Scene::new().await;
    let path = scene.directory.path().join("pool.db");
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    scene.store.close().await;
    Store::open(&path).await.unwrap();
}

#[tokio::test]
async fn a_missing_directory_is_an_error_not_a_panic() {
    let scene = Scene::new().await;
    let path = scene.directory.path().join("nowhere/pool.db");
    assert!(matches!(Store::open(&path).await, Err(StoreError::LockFile { .. })));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let scene = Scene::new().await;
    let path = scene.directory.path().join("other.db");
    std::fs::write(&path, vec![b'x'; 8_192]).unwrap();
    let error = Store::open(&path).await.unwrap_err();
    assert!(matches!(error, StoreError::Database { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), vec![b'x'; 8_192], "and left alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t23_many_tasks_at_once_lose_nothing() {
    let scene = Scene::new().await;
    let store = Arc::new(scene.store);
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..64_u64 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            // 64 connections of 8 miners arrive together.
            let worker = store.worker(&format!("miner {}", task % 8), "rig", 0).await.unwrap();
            // One recorder numbers shares in the pool; here each task takes its turn.
            loop {
                let next = store.last_seq().await.unwrap() + 1;
                match store.append_shares(next, &[share(worker, 1 << (task % 8), 9, task)], 0).await
                {
                    Ok(Booking::Booked) => break,
                    Ok(Booking::AlreadyBooked) => panic!("every share has its own time"),
                    Err(StoreError::SequenceConflict { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            store.count_shares().await.unwrap();
            store.work_between(0, 64).await.unwrap();
            worker
        });
    }
    let ids: std::collections::BTreeSet<_> = tasks.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 8);
    store.count_shares().await.unwrap();
    let stats = store.stats(0).await.unwrap();
    assert_eq!((stats.shares, stats.work.hashes()), (64, 8 * 255));
}
