//! Random lives of settled blocks against the least model there is: a block's settlement is
//! booked once, or not at all.

use std::collections::BTreeMap;

use chimera_ledger::{BlockState, SchemeKind};
use chimera_store::{Booking, GenerationId, StoreError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::scene::{Scene, settlement, transfers};

const BLOCKS: usize = 3;
/// What the settlement of each block pays, to a base unit different ones.
const LINES: [[&str; 2]; BLOCKS] = [
    ["chain:reward -> miner:ann 990", "chain:reward -> pool:fee 10"],
    ["chain:reward -> miner:bob 999", "chain:reward -> pool:carry 1"],
    ["chain:reward -> miner:ann 400", "chain:reward -> miner:bob 600"],
];
const PAID: [&[(&str, i128)]; BLOCKS] = [
    &[("chain:reward", -1_000), ("miner:ann", 990), ("pool:fee", 10)],
    &[("chain:reward", -1_000), ("miner:bob", 999), ("pool:carry", 1)],
    &[("chain:reward", -1_000), ("miner:ann", 400), ("miner:bob", 600)],
];

#[derive(Debug, Clone, Copy)]
enum Op {
    Settle,
    Reverse,
    Reinstate,
}

/// What is done with which block, and how often it is done again after a crash, as by a caller
/// who never heard of the outcome.
type Step = (Op, usize, usize);

fn step() -> impl Strategy<Value = Step> {
    let op = prop::sample::select(vec![Op::Settle, Op::Reverse, Op::Reinstate, Op::Reinstate]);
    (op, 0..BLOCKS, 0..3_usize)
}

/// What an operation makes of a block; `None` if it must be refused.
fn expected(op: Op, state: BlockState) -> Option<(BlockState, Booking)> {
    use BlockState::{Mature, Reversed, Settled};
    use Booking::{AlreadyBooked, Booked};
    match (op, state) {
        (Op::Settle, Mature) | (Op::Reinstate, Reversed) => Some((Settled, Booked)),
        (Op::Reverse, Settled) => Some((Reversed, Booked)),
        // Its settlement is on record, whatever became of it.
        (Op::Settle, state) => Some((state, AlreadyBooked)),
        (Op::Reverse, Reversed) | (Op::Reinstate, Settled) => Some((state, AlreadyBooked)),
        (Op::Reverse | Op::Reinstate, _) => None,
    }
}

async fn call(
    scene: &Scene,
    generation: GenerationId,
    op: Op,
    block: usize,
) -> Result<Booking, StoreError> {
    let id = format!("b{block}");
    match op {
        Op::Settle => {
            let row = settlement(&id, generation);
            scene.store.settle(&row, &transfers(&row, &LINES[block])).await
        }
        Op::Reverse => scene.store.reverse(&id, "gone", 5).await,
        Op::Reinstate => scene.store.reinstate(&id, "back", 6).await,
    }
}

async fn compare(scene: &Scene, states: &[BlockState; BLOCKS]) {
    let mut balances: BTreeMap<&str, i128> = BTreeMap::new();
    for (block, state) in states.iter().enumerate() {
        assert_eq!(scene.store.block(&format!("b{block}")).await.unwrap().state, *state);
        for (account, amount) in PAID[block] {
            let paid = if *state == BlockState::Settled { *amount } else { 0 };
            *balances.entry(account).or_default() += paid;
        }
    }
    for (account, expected) in balances {
        assert_eq!(scene.balance(account).await, expected, "{account}: {states:?}");
    }
    scene.store.verify_books().await.unwrap();
}

async fn run(steps: Vec<Step>) {
    let mut scene = Scene::new().await;
    let generation = scene.generation(SchemeKind::Distribute).await;
    for block in 0..BLOCKS {
        let id = format!("b{block}");
        scene.found(&id, "ann").await;
        scene.ripen(&id).await;
    }
    let mut states = [BlockState::Mature; BLOCKS];
    for (op, block, repetitions) in steps {
        for repetition in 0..=repetitions {
            if repetition > 0 {
                scene = scene.crash().await;
            }
            let booking = call(&scene, generation, op, block).await;
            let due = expected(op, states[block]);
            assert_eq!(booking.ok(), due.map(|(_, booking)| booking), "{op:?} of {block}");
            states[block] = due.map_or(states[block], |(state, _)| state);
            compare(&scene, &states).await;
        }
    }
}

#[test]
fn t16_a_settlement_is_booked_once_or_not_at_all_whatever_is_repeated() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&prop::collection::vec(step(), 1..24), |steps| {
            runtime.block_on(run(steps));
            Ok(())
        })
        .unwrap();
}
