//! Found blocks: recorded once, moved only along the ledger's table.

use chimera_ledger::{BlockState, SchemeKind};
use chimera_store::{Booking, StoreError};

use crate::scene::{Scene, candidate, scheme};

#[tokio::test]
async fn t16_recording_a_block_again_changes_nothing() {
    let mut scene = Scene::new().await;
    let ann = scene.worker("ann").await;
    scene.generation(SchemeKind::Distribute).await;
    let row = candidate("b1", 0, ann);
    assert_eq!(scene.store.record_candidate(&row).await.unwrap(), Booking::Booked);
    scene.moved("b1", BlockState::Pending).await.unwrap();
    assert_eq!(scene.store.record_candidate(&row).await.unwrap(), Booking::AlreadyBooked);

    let scene = scene.crash().await;
    let block = scene.store.block("b1").await.unwrap();
    assert_eq!((block.number, block.state, block.height), (1, BlockState::Pending, 9));
    assert_eq!((block.account.as_str(), block.worker_name.as_str()), ("ann", "rig"));
    assert_eq!((block.detail.as_str(), block.changed_at_ms), ("now pending", 5));
    assert_eq!(scene.store.block_bytes("b1").await.unwrap(), row.bytes);

    let mut other = row;
    other.height += 1;
    let error = scene.store.record_candidate(&other).await.unwrap_err();
    assert!(matches!(error, StoreError::BlockConflict(_)), "{error}");
    assert!(matches!(scene.store.block("b2").await, Err(StoreError::UnknownBlock(_))));
}

#[tokio::test]
async fn t16_every_move_outside_the_table_is_refused() {
    // How a block gets to each state without money moving.
    let lives: [&[BlockState]; 5] = {
        use BlockState::{Candidate, Mature, Orphaned, Pending, Rejected};
        [&[Candidate], &[Pending], &[Pending, Mature], &[Orphaned], &[Rejected]]
    };
    let mut scene = Scene::new().await;
    let ann = scene.worker("ann").await;
    scene.generation(SchemeKind::Distribute).await;
    for life in lives {
        for to in BlockState::ALL {
            let from = life[life.len() - 1];
            let id = format!("{from}-{to}");
            scene.store.record_candidate(&candidate(&id, 0, ann)).await.unwrap();
            for &state in life {
                scene.moved(&id, state).await.unwrap();
            }
            let moved = scene.moved(&id, to).await;
            match from.check_move(to) {
                Ok(false) => assert_eq!(moved.unwrap(), Booking::AlreadyBooked, "{id}"),
                Ok(true) if to == BlockState::Settled => {
                    assert!(matches!(moved, Err(StoreError::MoneyMove(_))), "{id}");
                }
                Ok(true) => assert_eq!(moved.unwrap(), Booking::Booked, "{id}"),
                Err(_) => {
                    assert!(matches!(moved, Err(StoreError::IllegalMove { .. })), "{id}");
                    assert_eq!(scene.store.block(&id).await.unwrap().state, from, "{id}");
                }
            }
        }
    }
}

#[tokio::test]
async fn t17_the_reward_is_what_the_chain_said_when_the_block_matured() {
    let mut scene = Scene::new().await;
    scene.generation(SchemeKind::Distribute).await;
    scene.found("b1", "ann").await;
    scene.moved("b1", BlockState::Pending).await.unwrap();
    let change =
        chimera_store::BlockChange { to: BlockState::Mature, reward: None, detail: String::new() };
    let error = scene.store.set_block_state("b1", &change, 5).await.unwrap_err();
    assert!(matches!(error, StoreError::RewardMissing(_)), "{error}");
    scene.moved("b1", BlockState::Mature).await.unwrap();
    let block = scene.store.block("b1").await.unwrap();
    assert_eq!(block.reward.map(|reward| reward.units()), Some(1_000));
    assert_eq!(block.tx_fees.units(), 10);
    scene.moved("b1", BlockState::Orphaned).await.unwrap();
    assert_eq!(scene.store.block("b1").await.unwrap().reward, None);
}

#[tokio::test]
async fn lists_are_in_the_order_of_finding() {
    let mut scene = Scene::new().await;
    scene.generation(SchemeKind::Distribute).await;
    for id in ["a", "b", "c", "d"] {
        scene.found(id, "ann").await;
    }
    scene.moved("b", BlockState::Rejected).await.unwrap();
    scene.moved("c", BlockState::Pending).await.unwrap();
    let ids = |blocks: Vec<chimera_store::Block>| -> String {
        blocks.into_iter().map(|block| block.id).collect()
    };
    assert_eq!(ids(scene.store.open_blocks().await.unwrap()), "acd");
    assert_eq!(ids(scene.store.blocks(2, None).await.unwrap()), "dc");
    assert_eq!(ids(scene.store.blocks(9, Some(3)).await.unwrap()), "ba");
    let counts = scene.store.stats(0).await.unwrap().blocks;
    assert_eq!(counts[&BlockState::Candidate], 2);
    assert_eq!(counts[&BlockState::Mature], 0);
}

#[tokio::test]
async fn generations_follow_each_other_along_the_log() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.store.generation_current("payout").await.unwrap(), None);
    scene.log("ann 1/2, ann 1/2").await;
    let first = scene.store.begin_generation(&scheme(SchemeKind::Accrue, 1), 3).await.unwrap();
    let second = scene.generation(SchemeKind::Distribute).await;
    let current = scene.store.generation_current("payout").await.unwrap().unwrap();
    assert_eq!((current.id, current.facts.from_seq), (second, 2));
    let old = scene.store.generation(first).await.unwrap();
    assert_eq!((old.facts, old.begun_at_ms), (scheme(SchemeKind::Accrue, 1), 3));
    assert_eq!(scene.store.generations("payout").await.unwrap().len(), 2);
    assert_eq!(scene.store.generation_current("auth").await.unwrap(), None);
    for from_seq in [1, 3] {
        let late = scheme(SchemeKind::Accrue, from_seq);
        let error = scene.store.begin_generation(&late, 0).await.unwrap_err();
        assert!(matches!(error, StoreError::GenerationOrder { .. }), "{error}");
    }
    let mut unknown = scheme(SchemeKind::Accrue, 2);
    unknown.digest = [9; 32];
    assert!(scene.store.begin_generation(&unknown, 0).await.is_err(), "its component is missing");
    let bytes = scene.store.component_bytes(&crate::scene::DIGEST).await.unwrap();
    assert_eq!(bytes.as_deref(), Some(&b"wasm"[..]));
    assert_eq!(scene.store.component_bytes(&[9; 32]).await.unwrap(), None);
}

/// The host places a block behind shares that are judged but not yet durable; a crash may
/// lose those, and later shares take their numbers.
#[tokio::test]
async fn a_block_behind_the_end_of_the_log_is_put_back_at_the_next_start() {
    let mut scene = Scene::new().await;
    scene.generation(SchemeKind::Distribute).await;
    let worker = scene.worker("ann").await;
    let row = candidate("b1", 1_000, worker);
    scene.store.record_candidate(&row).await.unwrap();
    scene.store.begin_run().await.unwrap();
    let end = scene.store.last_seq().await.unwrap();
    assert_eq!(scene.store.block("b1").await.unwrap().seq, end);
}
