//! Generations that take over while shares arrive, blocks ripen and settlements are made.

use chimera_ledger::{BlockState, SchemeKind};
use chimera_store::{
    GenerationId, NewSwap, Quarantined, Rollback, StoreError, TakenOver, Takeover,
};

use crate::scene::{DIGEST, Scene, candidate, interval, scheme, settlement, transfers};

/// A takeover by a scheme of a kind.
fn takeover(kind: SchemeKind, previous: Option<GenerationId>) -> Takeover {
    Takeover {
        generation: scheme(kind, 999),
        grants: vec!["kv".into()],
        by: "a test".into(),
        settings: [3; 32],
        previous,
        inherits: None,
        rollback: None,
        pays_held: false,
        swap: None,
        detail: String::new(),
    }
}

fn quarantined() -> Quarantined {
    Quarantined {
        digest: DIGEST,
        config: None,
        name: "payout-test".into(),
        why: "it trapped".into(),
        since_ms: 5,
    }
}

impl Scene {
    async fn took_over(&self, kind: SchemeKind, previous: Option<GenerationId>) -> TakenOver {
        self.store.take_over(&takeover(kind, previous), 7).await.unwrap()
    }

    async fn rolled_back(&self, kind: SchemeKind, failed: GenerationId) -> TakenOver {
        let rollback =
            Rollback { why: "it failed".to_owned(), undone: true, quarantine: Some(quarantined()) };
        let takeover = Takeover { rollback: Some(rollback), ..takeover(kind, Some(failed)) };
        self.store.take_over(&takeover, 8).await.unwrap()
    }

    async fn found_at(&mut self, id: &str, seq: u64) {
        let worker = self.worker("ann").await;
        self.store.record_candidate(&candidate(id, seq, worker)).await.unwrap();
    }

    async fn owner(&self, id: &str) -> GenerationId {
        self.store.block(id).await.unwrap().generation
    }
}

/// Shares up to a takeover, and blocks placed there, are the predecessor's; blocks that ran
/// ahead of the log are found again by their place.
#[tokio::test]
async fn a_block_belongs_to_the_generation_in_force_at_its_place() {
    let mut scene = Scene::new().await;
    let first = scene.took_over(SchemeKind::Distribute, None).await;
    scene.log("ann 1/2, ann 1/2, ann 1/2").await;
    // Two shares are judged and not yet durable when these are found.
    for (id, seq) in [("at 0", 0), ("at 3", 3), ("at 5", 5)] {
        scene.found_at(id, seq).await;
    }
    let second = scene.took_over(SchemeKind::Distribute, Some(first.id)).await;
    assert_eq!((second.from_seq, second.blocks), (3, 1));
    scene.found_at("later at 3", 3).await;
    scene.found_at("at 4", 4).await;
    for (id, owner) in [
        ("at 0", first.id),
        ("at 3", first.id),
        ("later at 3", first.id),
        ("at 4", second.id),
        ("at 5", second.id),
    ] {
        assert_eq!(scene.owner(id).await, owner, "{id}");
    }
    // The two shares were lost: what was placed behind them is before the takeover now.
    scene.store.begin_run().await.unwrap();
    assert_eq!(scene.owner("at 5").await, first.id);
    let life = scene.store.generation(second.id).await.unwrap().life;
    assert_eq!((life.grants, life.begun_by.as_str()), (vec!["kv".to_owned()], "a test"));
    assert_eq!(scene.store.generation(first.id).await.unwrap().life.ended_at_ms, Some(7));
}

#[tokio::test]
async fn a_block_without_a_scheme_is_refused() {
    let mut scene = Scene::new().await;
    let worker = scene.worker("ann").await;
    let error = scene.store.record_candidate(&candidate("b1", 0, worker)).await.unwrap_err();
    assert!(matches!(error, StoreError::NoGeneration), "{error}");
}

/// Nobody takes over from what is not in force any more, or counts from a state that moved.
#[tokio::test]
async fn a_takeover_that_comes_too_late_changes_nothing() {
    let mut scene = Scene::new().await;
    let first = scene.took_over(SchemeKind::Distribute, None).await;
    scene.log("ann 6/9, bob 4/9").await;
    for previous in [None, Some(GenerationId(99))] {
        let error = scene.store.take_over(&takeover(SchemeKind::Accrue, previous), 7).await;
        assert!(matches!(error, Err(StoreError::GenerationMoved { .. })), "{error:?}");
    }
    let heir = Takeover {
        inherits: Some((first.id, vec![0])),
        ..takeover(SchemeKind::Distribute, Some(first.id))
    };
    scene.found("b1", "ann").await;
    scene.ripen("b1").await;
    let row = settlement("b1", first.id);
    let lines = ["chain:reward -> miner:ann 1000"];
    scene.store.settle(&row, &transfers(&row, &lines)).await.unwrap();
    let error = scene.store.take_over(&heir, 7).await.unwrap_err();
    assert!(matches!(error, StoreError::GenerationMoved { .. }), "its state is [1] now: {error}");
    assert_eq!(scene.store.generations("payout").await.unwrap().len(), 1);
    let heir = Takeover { inherits: Some((first.id, vec![1])), ..heir };
    scene.store.take_over(&heir, 7).await.unwrap();
}

/// Work that a scheme cannot pay is its successor's, with its state, if the operator says so
/// and only then.
#[tokio::test]
async fn held_work_is_paid_by_the_successor_that_may() {
    let (accrue, distribute) = (SchemeKind::Accrue, SchemeKind::Distribute);
    for (held, consent, kind, takes) in [
        (true, true, accrue, true),
        (true, true, distribute, false),
        (true, false, accrue, false),
        (false, true, accrue, false),
    ] {
        let mut scene = Scene::new().await;
        let broken = scene.took_over(SchemeKind::Accrue, None).await;
        scene.log("ann 1/2, ann 1/2, ann 1/2").await;
        let row = interval(0, 1, broken.id);
        let lines = ["pool:reserve -> miner:ann 5"];
        scene.store.settle(&row, &transfers(&row, &lines)).await.unwrap();
        scene.found_at("at 1", 1).await;
        scene.found_at("at 2", 2).await;
        scene.store.hold(broken.id, Some("it traps")).await.unwrap();
        if !held {
            scene.store.hold(broken.id, None).await.unwrap();
        }
        let heir = Takeover {
            pays_held: consent,
            inherits: takes.then_some((broken.id, vec![1])),
            ..takeover(kind, Some(broken.id))
        };
        let taken = scene.store.take_over(&heir, 7).await.unwrap();
        assert_eq!(taken.from_seq, if takes { 1 } else { 3 }, "{held} {consent} {kind:?}");
        assert_eq!(scene.owner("at 1").await, broken.id, "what it paid this one pays for");
        let owner = if takes { taken.id } else { broken.id };
        assert_eq!(scene.owner("at 2").await, owner, "{held} {consent}");
        let unpaid = scene.store.unpaid().await.unwrap();
        let unpaid: Vec<_> = unpaid.iter().map(|one| (one.generation, one.until)).collect();
        assert_eq!(unpaid, [(owner, 3)], "{held} {consent}");
    }
}

/// A scheme that paid all but the fees of a block has not paid the shares before it.
#[tokio::test]
async fn fees_that_were_divided_are_not_the_work() {
    let mut scene = Scene::new().await;
    let good = scene.took_over(SchemeKind::Distribute, None).await;
    let hybrid = scene.took_over(SchemeKind::Hybrid, Some(good.id)).await;
    scene.log("ann 1/2, ann 1/2, ann 1/2").await;
    let row = interval(0, 1, hybrid.id);
    scene.store.settle(&row, &transfers(&row, &["pool:reserve -> miner:ann 5"])).await.unwrap();
    scene.found("at 3", "ann").await;
    scene.ripen("at 3").await;
    let row = settlement("at 3", hybrid.id);
    let lines = ["chain:reward -> miner:ann 10", "chain:reward -> pool:reserve 990"];
    scene.store.settle(&row, &transfers(&row, &lines)).await.unwrap();
    let back = scene.rolled_back(SchemeKind::Accrue, hybrid.id).await;
    assert_eq!(back.from_seq, 1, "shares 2 and 3 were paid fees only");
    let unpaid = scene.store.unpaid().await.unwrap();
    assert_eq!(unpaid.iter().map(|one| one.generation).collect::<Vec<_>>(), [back.id]);
}

/// What an accruing scheme still has to pay it pays by its own state.
#[tokio::test]
async fn the_state_of_a_scheme_that_owes_is_not_inherited() {
    let mut scene = Scene::new().await;
    let pps = scene.took_over(SchemeKind::Accrue, None).await;
    scene.log("ann 6/9").await;
    let heir = Takeover {
        inherits: Some((pps.id, vec![0])),
        ..takeover(SchemeKind::Accrue, Some(pps.id))
    };
    let error = scene.store.take_over(&heir, 7).await.unwrap_err();
    assert!(matches!(error, StoreError::GenerationMoved { .. }), "{error}");
    let row = interval(0, 1, pps.id);
    let lines = ["pool:reserve -> miner:ann 5"];
    scene.store.settle(&row, &transfers(&row, &lines)).await.unwrap();
    let heir = Takeover { inherits: Some((pps.id, vec![1])), ..heir };
    scene.store.take_over(&heir, 7).await.unwrap();
}

/// A scheme that failed leaves every block it did not divide, and may not divide one late.
#[tokio::test]
async fn what_a_failed_scheme_has_not_divided_another_divides_once() {
    let mut scene = Scene::new().await;
    let good = scene.took_over(SchemeKind::Distribute, None).await;
    scene.log("ann 6/9").await;
    scene.found("before", "ann").await;
    let failed = scene.took_over(SchemeKind::Distribute, Some(good.id)).await;
    scene.log("bob 4/9").await;
    scene.found("held", "ann").await;
    scene.ripen("held").await;
    let back = scene.rolled_back(SchemeKind::Distribute, failed.id).await;
    assert_eq!((back.from_seq, back.blocks), (1, 1), "it has settled nothing");
    assert_eq!(scene.owner("before").await, good.id);
    assert_eq!(scene.owner("held").await, back.id);
    let lines = ["chain:reward -> miner:ann 1000"];
    let late = settlement("held", failed.id);
    let error = scene.store.settle(&late, &transfers(&late, &lines)).await.unwrap_err();
    assert!(matches!(error, StoreError::RolledBack(_)), "{error}");
    let row = settlement("held", back.id);
    scene.store.settle(&row, &transfers(&row, &lines)).await.unwrap();
    assert_eq!(scene.store.block("held").await.unwrap().state, BlockState::Settled);
}

/// Work a failed scheme has paid stays paid; the rest is its successor's.
#[tokio::test]
async fn work_a_failed_scheme_has_paid_is_not_paid_again() {
    let mut scene = Scene::new().await;
    let good = scene.took_over(SchemeKind::Accrue, None).await;
    scene.log("ann 1/2").await;
    let failed = scene.took_over(SchemeKind::Accrue, Some(good.id)).await;
    scene.log("ann 1/2, ann 1/2, ann 1/2").await;
    let row = interval(1, 2, failed.id);
    scene.store.settle(&row, &transfers(&row, &["pool:reserve -> miner:ann 5"])).await.unwrap();
    scene.found_at("at 2", 2).await;
    scene.found_at("at 3", 3).await;
    let back = scene.rolled_back(SchemeKind::Accrue, failed.id).await;
    assert_eq!(back.from_seq, 2, "up to there it has paid");
    assert_eq!(scene.owner("at 2").await, failed.id, "its block went to pay what it paid");
    assert_eq!(scene.owner("at 3").await, back.id);
    let row = interval(2, 3, failed.id);
    let error = scene.store.settle(&row, &transfers(&row, &[])).await.unwrap_err();
    assert!(matches!(error, StoreError::IntervalOverlap { .. }), "{error}");
    let unpaid = scene.store.unpaid().await.unwrap();
    let unpaid: Vec<_> = unpaid.iter().map(|one| (one.generation, one.until)).collect();
    assert_eq!(unpaid, [(good.id, 1), (back.id, 4)]);
}

/// A swap is on record step by step, and ends once.
#[tokio::test]
async fn a_swap_ends_once() {
    let scene = Scene::new().await;
    let asked = NewSwap {
        slot: "payout".into(),
        component: "payout-test".into(),
        config: String::new(),
        grants: vec![],
        by: "a test".into(),
        settings: [3; 32],
    };
    let refused = scene.store.begin_swap(&asked, 1).await.unwrap();
    scene.store.end_swap(refused, "refused", "not today", 2).await.unwrap();
    let again = scene.store.end_swap(refused, "withdrawn", "", 3).await.unwrap_err();
    assert!(matches!(again, StoreError::UnknownSwap(_)), "{again}");
    let taken = scene.store.begin_swap(&asked, 4).await.unwrap();
    scene.store.stage_swap(taken, (&DIGEST, b"wasm"), ("{}", None), &[], "found", 5).await.unwrap();
    let takeover = Takeover { swap: Some(taken), ..takeover(SchemeKind::Distribute, None) };
    let generation = scene.store.take_over(&takeover, 6).await.unwrap().id;
    assert_eq!(scene.store.swap_of(generation).await.unwrap(), Some(taken));
    let swaps = scene.store.swaps(Some("payout"), 9, None).await.unwrap();
    let told: Vec<String> = swaps
        .iter()
        .map(|swap| {
            let steps: Vec<&str> = swap.steps.iter().map(|step| step.step.as_str()).collect();
            format!("{} {}", swap.outcome.as_deref().unwrap_or("open"), steps.join(" "))
        })
        .collect();
    assert_eq!(told, ["active requested staged active", "refused requested refused"]);
    assert!(scene.store.open_swaps().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_quarantine_holds_until_it_is_lifted() {
    let scene = Scene::new().await;
    let good = scene.took_over(SchemeKind::Distribute, None).await;
    let failed = scene.took_over(SchemeKind::Distribute, Some(good.id)).await;
    assert!(scene.store.quarantined().await.unwrap().is_empty());
    let back = scene.rolled_back(SchemeKind::Distribute, failed.id).await;
    let scene = scene.crash().await;
    assert_eq!(scene.store.quarantined().await.unwrap(), [quarantined()]);
    let back = scene.store.generation(back.id).await.unwrap();
    assert_eq!(back.life.proven_at_ms, Some(8), "what comes back is not watched again");
    for lifted in [true, false] {
        assert_eq!(scene.store.lift_quarantine(&DIGEST, "me", 6).await.unwrap(), lifted);
    }
    assert!(scene.store.quarantined().await.unwrap().is_empty());
}

/// Defect: components that were refused stayed in the ledger for ever.
#[tokio::test]
async fn components_nothing_names_are_let_go_of() {
    let scene = Scene::new().await;
    let store = &scene.store;
    let first = scene.took_over(SchemeKind::Distribute, None).await;
    let new = NewSwap {
        slot: "payout".into(),
        component: "payout-x".into(),
        config: "{}".into(),
        grants: vec![],
        by: "a test".into(),
        settings: [3; 32],
    };
    let (refused, open, failed) = ([1; 32], [2; 32], [4; 32]);
    for (digest, ends) in [(refused, true), (open, false), (failed, true)] {
        let swap = store.begin_swap(&new, 1).await.unwrap();
        store
            .stage_swap(swap, (&digest, b"wasm"), ("{}", None), &["kv".into()], "", 2)
            .await
            .unwrap();
        if ends {
            store.end_swap(swap, "refused", "it does not add up", 3).await.unwrap();
        }
    }
    let quarantined = Quarantined {
        digest: failed,
        config: None,
        name: "payout-x".into(),
        why: "it failed".into(),
        since_ms: 4,
    };
    let rollback =
        Rollback { why: "it failed".into(), undone: false, quarantine: Some(quarantined) };
    let back =
        Takeover { rollback: Some(rollback), ..takeover(SchemeKind::Distribute, Some(first.id)) };
    store.take_over(&back, 4).await.unwrap();
    for kept in [vec![open, failed, DIGEST], vec![open, DIGEST]] {
        assert_eq!(store.forget_components().await.unwrap(), kept);
        assert_eq!(store.component_bytes(&refused).await.unwrap(), None);
        store.lift_quarantine(&failed, "a test", 5).await.unwrap();
    }
    // The history still says which it was.
    let swaps = store.swaps(None, 9, None).await.unwrap();
    assert_eq!(swaps.last().unwrap().digest, Some(refused));
    assert_eq!(swaps.last().unwrap().asked.grants, ["kv"], "what it was staged with");
}
