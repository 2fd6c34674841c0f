//! Random lives of a pool against a model that fits on a page: whatever the order of
//! batches, repetitions, crashes, blocks and settlements, the store holds what was
//! acknowledged, once.

use std::collections::BTreeMap;

use chimera_ledger::{BlockState, SchemeKind};
use chimera_pow::Work;
use chimera_store::{Booking, GenerationId, StoreError};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::scene::{Scene, account, settlement, share, transfers};

const NAMES: [&str; 3] = ["ann", "bob", "cyd"];

#[derive(Debug, Clone)]
enum Op {
    /// Shares by (account, work), as one batch.
    Append(Vec<(usize, u8)>),
    /// The last batch again.
    AppendAgain,
    /// A batch behind a gap.
    AppendLater,
    /// Totals catch up.
    Count,
    Crash,
    Find(usize),
    /// Moves a block, if its life allows it.
    Move(usize, BlockState),
    /// Divides a block, if it is mature.
    Settle(usize),
    Reverse(usize),
    Reinstate(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let state = prop::sample::select(BlockState::ALL.to_vec());
    prop_oneof![
        4 => prop::collection::vec((0..NAMES.len(), any::<u8>()), 1..6).prop_map(Op::Append),
        2 => Just(Op::AppendAgain),
        1 => Just(Op::AppendLater),
        2 => Just(Op::Count),
        1 => Just(Op::Crash),
        2 => (0..NAMES.len()).prop_map(Op::Find),
        6 => (0..8_usize, state).prop_map(|(block, to)| Op::Move(block, to)),
        4 => (0..8_usize).prop_map(Op::Settle),
        1 => (0..8_usize).prop_map(Op::Reverse),
        1 => (0..8_usize).prop_map(Op::Reinstate),
    ]
}

#[derive(Default)]
struct Model {
    /// Account and work of every acknowledged share, in order.
    log: Vec<(usize, u8)>,
    last_batch: (u64, Vec<(usize, u8)>),
    /// How many of the log the totals have counted.
    counted: usize,
    blocks: Vec<BlockState>,
    /// Their places in the log.
    seqs: Vec<u64>,
    /// How many of them there were at the last count.
    placed: usize,
    balances: BTreeMap<String, i128>,
}

impl Model {
    /// What a legal or illegal move should come to.
    fn try_move(&mut self, block: usize, to: BlockState) -> Option<Booking> {
        match self.blocks[block].check_move(to) {
            Ok(true) => {
                self.blocks[block] = to;
                Some(Booking::Booked)
            }
            Ok(false) => Some(Booking::AlreadyBooked),
            Err(_) => None,
        }
    }

    async fn count(&mut self, scene: &Scene) {
        let counted = scene.store.count_shares().await.unwrap();
        assert_eq!(counted as usize, self.log.len() - self.counted);
        self.counted = self.log.len();
        self.placed = self.blocks.len();
    }

    fn pay(&mut self, sign: i128) {
        for (account, amount) in [("chain:reward", -1_000), ("miner:ann", 990), ("pool:fee", 10)] {
            *self.balances.entry(account.into()).or_default() += sign * amount;
        }
    }
}

async fn run(ops: Vec<Op>) {
    let mut scene = Scene::new().await;
    let generation = scene.generation(SchemeKind::Distribute).await;
    for name in NAMES {
        scene.worker(name).await;
    }
    let mut model = Model::default();
    for op in ops {
        scene = step(scene, &mut model, generation, op).await;
        compare(&scene, &model).await;
    }
    let scene = scene.crash().await;
    compare(&scene, &model).await;
    model.count(&scene).await;
    compare(&scene, &model).await;
}

async fn step(mut scene: Scene, model: &mut Model, generation: GenerationId, op: Op) -> Scene {
    let records = |scene: &Scene, shares: &[(usize, u8)]| -> Vec<_> {
        shares
            .iter()
            .map(|&(name, work)| share(scene.workers[NAMES[name]], work.into(), 256, 0))
            .collect()
    };
    let next = model.log.len() as u64 + 1;
    match op {
        Op::Append(shares) => {
            let batch = records(&scene, &shares);
            let booking = scene.store.append_shares(next, &batch, 0).await.unwrap();
            assert_eq!(booking, Booking::Booked);
            model.log.extend(&shares);
            model.last_batch = (next, shares);
        }
        Op::AppendAgain => {
            let (first, shares) = &model.last_batch;
            let batch = records(&scene, shares);
            let booking = scene.store.append_shares(*first, &batch, 0).await.unwrap();
            assert_eq!(booking, Booking::AlreadyBooked);
        }
        Op::AppendLater => {
            let batch = records(&scene, &[(0, 1)]);
            let error = scene.store.append_shares(next + 1, &batch, 0).await.unwrap_err();
            assert!(matches!(error, StoreError::SequenceGap { .. }), "{error}");
        }
        Op::Count => model.count(&scene).await,
        Op::Crash => scene = scene.crash().await,
        Op::Find(name) => {
            scene.found(&format!("b{}", model.blocks.len()), NAMES[name]).await;
            model.blocks.push(BlockState::Candidate);
            model.seqs.push(next - 1);
        }
        Op::Move(block, to) if block < model.blocks.len() => {
            let id = format!("b{block}");
            let from = model.blocks[block];
            let money = matches!(to, BlockState::Settled | BlockState::Reversed) && from != to;
            let expected = if money { None } else { model.try_move(block, to) };
            assert_eq!(scene.moved(&id, to).await.ok(), expected, "{id}: {from} to {to}");
        }
        Op::Settle(block) if block < model.blocks.len() => {
            let row = settlement(&format!("b{block}"), generation);
            let lines = ["chain:reward -> miner:ann 990", "chain:reward -> pool:fee 10"];
            let booking = scene.store.settle(&row, &transfers(&row, &lines)).await.ok();
            // A reversed block's settlement is on record too.
            let reversed = model.blocks[block] == BlockState::Reversed;
            let expected = if reversed {
                Some(Booking::AlreadyBooked)
            } else {
                model.try_move(block, BlockState::Settled)
            };
            assert_eq!(booking, expected);
            if booking == Some(Booking::Booked) {
                model.pay(1);
            }
        }
        Op::Reverse(block) if block < model.blocks.len() => {
            let booking = scene.store.reverse(&format!("b{block}"), "reorg", 0).await.ok();
            assert_eq!(booking, model.try_move(block, BlockState::Reversed));
            if booking == Some(Booking::Booked) {
                model.pay(-1);
            }
        }
        Op::Reinstate(block) if block < model.blocks.len() => {
            let booking = scene.store.reinstate(&format!("b{block}"), "back", 0).await.ok();
            // One that is ripe was never settled: nothing is to be booked again.
            let mature = model.blocks[block] == BlockState::Mature;
            let expected = if mature { None } else { model.try_move(block, BlockState::Settled) };
            assert_eq!(booking, expected);
            if booking == Some(Booking::Booked) {
                model.pay(1);
            }
        }
        Op::Move(..) | Op::Settle(_) | Op::Reverse(_) | Op::Reinstate(_) => {}
    }
    scene
}

async fn compare(scene: &Scene, model: &Model) {
    let store = &scene.store;
    let count = model.log.len() as u64;
    assert_eq!(store.last_seq().await.unwrap(), count);
    let stats = store.stats(0).await.unwrap();
    let (counted, log) = (&model.log[..model.counted], &model.log[..]);
    let shares = counted.len() as u64;
    assert_eq!((stats.shares, stats.day.shares), (shares, shares));
    let work = |log: &[(usize, u8)], name: usize| -> u128 {
        log.iter().filter(|share| share.0 == name).map(|share| u128::from(share.1)).sum()
    };
    let window = store.work_between(0, count).await.unwrap();
    for (row, name) in NAMES.iter().enumerate() {
        let miners = store.miners(0, 1000, None).await.unwrap();
        let line = miners.iter().find(|line| line.account.as_str() == *name).unwrap();
        assert_eq!(line.work.hashes(), work(counted, row), "the totals of {name}");
        assert_eq!(line.recent.work.hashes(), work(counted, row), "the slices of {name}");
        let logged = window.names.iter().position(|logged| logged.as_str() == *name);
        let logged = logged.map_or(0, |row| window.accounts.work[row]);
        assert_eq!(u128::from(logged >> 44), work(log, row), "the log of {name}");
        let balance = store.balance(&account(name)).await.unwrap().units();
        let expected = model.balances.get(&format!("miner:{name}")).copied().unwrap_or(0);
        assert_eq!(balance, expected, "the balance of {name}");
    }
    for (number, &state) in model.blocks.iter().enumerate() {
        let block = store.block(&format!("b{number}")).await.unwrap();
        assert_eq!(block.state, state);
        let work = |seq: u64| log[..seq as usize].iter().map(|share| u128::from(share.1)).sum();
        let is_found = |earlier: &usize| model.blocks[*earlier] != BlockState::Rejected;
        let before = (0..number).rev().find(is_found).map_or(0, |at| model.seqs[at]);
        let round: u128 = work(block.seq);
        let known = (block.seq as usize <= model.counted).then_some(round - work(before));
        // What is counted, but was found after the count, is known with the next one.
        if model.placed > number {
            assert_eq!(block.round_work.map(Work::hashes), known, "the round of b{number}");
        }
    }
    store.verify_books().await.unwrap();
    let sum: i128 = store.balances().await.unwrap().iter().map(|line| line.units()).sum();
    assert_eq!(sum, 0);
}

#[test]
fn t16_t23_any_order_of_events_and_crashes_leaves_the_same_books() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let lives = prop::collection::vec(op(), 1..40);
    TestRunner::new(config)
        .run(&lives, |ops| {
            runtime.block_on(run(ops));
            Ok(())
        })
        .unwrap();
}
