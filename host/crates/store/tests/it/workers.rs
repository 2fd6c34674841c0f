//! Who shares belong to: a name has one id for ever, and a storm of new names is one
//! transaction, not a thousand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chimera_store::StoreError;
use tokio::task::JoinSet;

use crate::scene::{Scene, share};

#[tokio::test]
async fn a_worker_keeps_its_id_across_restarts() {
    let mut scene = Scene::new().await;
    let ann = scene.worker("ann").await;
    let other = scene.store.worker("ann", "", 0).await.unwrap();
    let quoted = scene.store.worker("a\"nn'; --", "rig", 0).await.unwrap();
    assert!(ann != other && other != quoted);
    let mut scene = scene.crash().await;
    assert_eq!(scene.worker("ann").await, ann);
    let names: Vec<_> = scene.store.workers().await.unwrap();
    assert_eq!(names.len(), 3);
    assert_eq!(
        (names[1].id, names[1].account.as_str(), names[1].name.as_str()),
        (other, "ann", "")
    );
    for (account, worker) in [("", "rig"), ("a\nb", "rig"), ("ann", "r\0g")] {
        assert!(scene.store.worker(account, worker, 0).await.is_err());
    }
    assert!(scene.store.worker("ann", &"x".repeat(129), 0).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn very_many_at_once_get_one_id_a_name() {
    let scene = Scene::new().await;
    let store = Arc::new(scene.store);
    let mut tasks = JoinSet::new();
    for caller in 0..3_000_u32 {
        let store = Arc::clone(&store);
        // Some names come often, at the same moment; every tenth is none.
        let (account, rig) = (format!("miner {}", caller % 700), format!("rig {}", caller % 2));
        let account = if caller % 10 == 9 { "b\nd".to_owned() } else { account };
        tasks.spawn(async move {
            let outcome = store.worker(&account, &rig, u64::from(caller)).await;
            ((account, rig), outcome)
        });
    }
    let mut ids = BTreeMap::new();
    let mut refused = 0;
    for (name, outcome) in tasks.join_all().await {
        match outcome {
            Ok(id) => assert_eq!(*ids.entry(name).or_insert(id), id),
            Err(StoreError::BadAccountName(_)) => refused += 1,
            Err(other) => panic!("{name:?}: {other}"),
        }
    }
    assert_eq!(refused, 300);
    let workers = store.workers().await.unwrap();
    assert_eq!(ids.values().collect::<BTreeSet<_>>().len(), workers.len());
    for worker in &workers {
        assert_eq!(ids[&(worker.account.to_string(), worker.name.clone())], worker.id);
    }
    // Ids have no gaps: whoever is on record may hand in shares, and nobody else.
    let last = workers.last().unwrap().id;
    assert_eq!(last.0 as usize, workers.len());
    store.append_shares(1, &[share(last, 1, 9, 0)], 0).await.unwrap();
    let stranger = share(chimera_work::WorkerId(last.0 + 1), 1, 9, 0);
    let error = store.append_shares(2, &[stranger], 0).await.unwrap_err();
    assert!(matches!(error, StoreError::UnknownWorker(_)), "{error}");
}

#[tokio::test]
async fn one_bad_name_fails_alone() {
    let scene = Scene::new().await;
    let (long, long_rig) = ("x".repeat(10_000), "x".repeat(129));
    let (good, none, control, too_long, bad_rig, also_good) = tokio::join!(
        scene.store.worker("ann", "rig", 0),
        scene.store.worker("", "rig", 0),
        scene.store.worker("a\nb", "rig", 0),
        scene.store.worker(&long, "rig", 0),
        scene.store.worker("ann", &long_rig, 0),
        scene.store.worker("bob \"'\\", "жук", 0),
    );
    assert!(good.is_ok() && also_good.is_ok());
    for refused in [none, control, too_long] {
        assert!(matches!(refused, Err(StoreError::BadAccountName(_))), "{refused:?}");
    }
    assert!(matches!(bad_rig, Err(StoreError::BadWorkerName { bytes: 129, .. })));
    assert_eq!(scene.store.workers().await.unwrap()[1].name, "жук");
}
