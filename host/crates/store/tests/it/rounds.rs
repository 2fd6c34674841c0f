//! How much work blocks took, and what luck that was: numbers computed by hand.

use chimera_ledger::BlockState;
use chimera_pow::Work;
use chimera_store::{Round, Rounds};

use crate::scene::{Scene, candidate, target_of_work};

/// Blocks found after a share of the log (network work, state) and what their rounds took.
/// The log: ten shares of 1, 2, ... 10, in batches of three.
type Found = (&'static str, u64, u32, Option<BlockState>, u128);

const BLOCKS: [Found; 6] = [
    // 1 + 2 + 3
    ("first", 3, 8, None, 6),
    // 4 + 5, and in the middle of a batch
    ("second", 5, 8, Some(BlockState::Orphaned), 9),
    // Found within the same batch: all that work is the other's.
    ("twin", 5, 8, Some(BlockState::Pending), 0),
    // 6, behind an orphan, which was found all the same
    ("rejected", 6, 16, Some(BlockState::Rejected), 6),
    // 6 + 7 + 8, behind a block that never was one
    ("behind", 8, 16, Some(BlockState::Pending), 21),
    // 9
    ("last", 9, 16, None, 9),
];

async fn log(scene: &mut Scene) {
    scene.log("ann 1/8, bob 2/8, ann 3/8 | bob 4/8, ann 5/8, bob 6/8").await;
    scene.log("ann 7/8, bob 8/8, ann 9/8 | bob 10/8").await;
}

async fn find(scene: &mut Scene, (id, seq, work, state, _): Found) {
    let worker = scene.worker("ann").await;
    let row =
        chimera_store::BlockRow { target: target_of_work(work), ..candidate(id, seq, worker) };
    scene.store.record_candidate(&row).await.unwrap();
    if let Some(state) = state {
        scene.moved(id, state).await.unwrap();
    }
}

async fn check(scene: &Scene) {
    for (id, seq, network_work, _, round_work) in BLOCKS {
        let block = scene.store.block(id).await.unwrap();
        assert_eq!(block.seq, seq);
        assert_eq!(block.target.map(|target| target.work().hashes()), Some(network_work.into()));
        assert_eq!(block.round_work, Some(Work::from_hashes(round_work)), "{id}");
    }
    let round = |work, network_work| Round {
        work: Work::from_hashes(work),
        network_work: Work::from_hashes(network_work),
    };
    let ended = vec![round(9, 16), round(21, 16), round(0, 8), round(9, 8), round(6, 8)];
    let current = Some(Work::from_hashes(10));
    assert_eq!(scene.store.rounds(100).await.unwrap(), Rounds { current, ended: ended.clone() });
    let latest = Rounds { current, ended: ended[..2].to_vec() };
    assert_eq!(scene.store.rounds(2).await.unwrap(), latest, "and not a block more");
}

/// Whether a block is on record before or after the totals have come to its place, and in
/// whatever order they are recorded, its work is the same.
#[tokio::test]
async fn the_work_of_a_block_is_that_between_its_place_and_the_one_before() {
    let mut before = Scene::new().await;
    before.generation(chimera_ledger::SchemeKind::Distribute).await;
    log(&mut before).await;
    for block in BLOCKS {
        find(&mut before, block).await;
    }
    assert_eq!(before.store.block("first").await.unwrap().round_work, None, "not counted yet");
    assert_eq!(before.store.rounds(9).await.unwrap(), Rounds::default());
    before.store.count_shares().await.unwrap();
    check(&before).await;
    let before = before.crash().await;
    before.store.count_shares().await.unwrap();
    check(&before).await;

    let mut after = Scene::new().await;
    after.generation(chimera_ledger::SchemeKind::Distribute).await;
    log(&mut after).await;
    after.store.count_shares().await.unwrap();
    // The twins keep their order, which is that of their numbers.
    for at in [5, 3, 1, 2, 0, 4] {
        find(&mut after, BLOCKS[at]).await;
        after.store.count_shares().await.unwrap();
    }
    check(&after).await;
}

#[tokio::test]
async fn without_a_block_the_round_is_the_whole_log() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.store.rounds(9).await.unwrap().current, Some(Work::ZERO));
    scene.log("ann 1/8, bob 2/8").await;
    scene.store.count_shares().await.unwrap();
    let rounds = scene.store.rounds(9).await.unwrap();
    assert_eq!((rounds.current, rounds.ended.len()), (Some(Work::from_hashes(3)), 0));
}

/// What the chain said stays when the block moves on, and is replaced by what it says next.
#[tokio::test]
async fn the_chains_answer_outlives_the_words_of_later_moves() {
    let mut scene = Scene::new().await;
    scene.generation(chimera_ledger::SchemeKind::Distribute).await;
    scene.found("b1", "ann").await;
    assert_eq!(scene.store.block("b1").await.unwrap().answer, "");
    scene.store.note_answer("b1", "rejected: bad-cb-amount").await.unwrap();
    scene.moved("b1", BlockState::Rejected).await.unwrap();
    scene.moved("b1", BlockState::Pending).await.unwrap();
    let block = scene.crash().await.store.block("b1").await.unwrap();
    assert_eq!(
        (block.answer, block.detail),
        ("rejected: bad-cb-amount".into(), "now pending".into())
    );
}
