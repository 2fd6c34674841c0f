//! Random sequences of what happens to three nodes of one network, and what must hold
//! whatever it was.

mod common;
mod stand;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chimera_chain::{Action, DevNode, Fault, FaultRule, NodeChain, NodeConfig, SubmitOutcome};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use common::{VirtualTime, solve};
use stand::{
    Kind, Sim, WORK_CALLS, fail, fail_at_work, healthy, height, mine, relay, simulate, source, tip,
    until, work_on_tip,
};

const SEEDS: u64 = 6;
const STEPS: usize = 40;

/// Reproducible from the seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }
}

/// Three nodes and a pool; `said` is the story so far, for a failure to be told.
struct Network {
    sims: Vec<Sim>,
    chain: NodeChain,
    heights: Arc<Mutex<Vec<u64>>>,
    recorder: JoinHandle<()>,
    said: Vec<String>,
}

impl Network {
    async fn start() -> Self {
        let kind = Kind::bitcoin();
        let mut sims = Vec::new();
        for _ in 0..3 {
            let node = kind.node(&VirtualTime::starting());
            if let Some(Sim { node: first, .. }) = sims.first() {
                relay(first, &node);
            } else {
                mine(&node, 5);
            }
            sims.push(Sim::start(node).await);
        }
        let config = NodeConfig {
            refresh_interval: Duration::from_millis(150),
            ..kind.config(sims.iter().map(Sim::endpoint).collect(), &sims[0].node)
        };
        let clock = VirtualTime::starting().clock();
        let chain = NodeChain::connect(config, clock).await.expect("good nodes");
        let heights = Arc::new(Mutex::new(Vec::new()));
        let (list, mut rounds) = (Arc::clone(&heights), chain.rounds());
        let recorder = tokio::spawn(async move {
            while rounds.changed().await.is_ok() {
                let height = rounds.borrow_and_update().as_ref().map(|template| template.height);
                list.lock().expect("nobody panics").extend(height);
            }
        });
        Self { sims, chain, heights, recorder, said: Vec::new() }
    }

    fn node(&self, at: usize) -> &DevNode {
        &self.sims[at].node
    }

    async fn step(&mut self, dice: &mut Dice) {
        let at = dice.roll(3);
        let node = self.node(at).clone();
        let said = match dice.roll(8) {
            0 | 1 => {
                mine(&node, 1);
                "mines"
            }
            2 => {
                simulate(&node, Action::Reorg { depth: 1 + dice.roll(3) as u32 });
                "reorganises"
            }
            3 | 4 => {
                self.relay_from(at);
                "tells the others"
            }
            5 => {
                trouble(&node, dice);
                "is in trouble"
            }
            6 => {
                simulate(&node, Action::ClearFaults);
                "is well"
            }
            _ => {
                self.pool_finds_a_block().await;
                "watches the pool find a block"
            }
        };
        self.said.push(format!("{at} {said}, height {}", height(&node)));
        sleep(Duration::from_millis(dice.roll(60) as u64)).await;
    }

    fn relay_from(&self, at: usize) {
        for to in (0..3).filter(|to| *to != at) {
            relay(self.node(at), self.node(to));
        }
    }

    /// It may be too late, or no node may have the block before; it must never break a rule.
    async fn pool_finds_a_block(&self) {
        let Some(template) = self.chain.rounds().borrow().clone() else { return };
        let block = self.chain.assemble(&solve(&template)).expect("one of the last templates");
        let nodes = tokio::time::timeout(Duration::from_millis(200), self.chain.submit(&block));
        if let Ok(SubmitOutcome::Rejected(word)) = nodes.await {
            // A node that has not got the block before.
            assert!(word.contains("prev-blk-not-found"), "{word}: {:#?}", self.said);
        }
    }

    /// All faults over, all blocks everywhere, and one more so that one chain is the longest.
    async fn quiet(&self) {
        for sim in &self.sims {
            simulate(&sim.node, Action::ClearFaults);
        }
        let longest = (0..3).max_by_key(|at| height(self.node(*at))).unwrap_or(0);
        mine(self.node(longest), 1);
        self.relay_from(longest);
        until("one tip", || (0..3).all(|at| tip(self.node(at)) == tip(self.node(longest)))).await;
    }
}

fn trouble(node: &DevNode, dice: &mut Dice) {
    match dice.roll(8) {
        0 => fail_at_work(node, Fault::Status(500)),
        1 => fail_at_work(node, Fault::Closed),
        2 => fail_at_work(node, Fault::HalfJson),
        3 => fail_at_work(node, Fault::HalfReply),
        4 => fail_at_work(node, Fault::WarmUp),
        5 => fail_at_work(node, Fault::Slow { ms: 300 }),
        6 => fail(node, FaultRule::always(Fault::Hang).of(&WORK_CALLS).times(1)),
        _ => fail(node, FaultRule::always(Fault::Stale)),
    }
}

#[expect(clippy::print_stdout, reason = "the story, shown if the test fails")]
async fn a_random_story(seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut network = Network::start().await;
    work_on_tip(&network.chain, network.node(0)).await;
    for _ in 0..STEPS {
        network.step(&mut dice).await;
    }
    network.quiet().await;
    let Network { chain, said, heights, recorder, .. } = &network;
    println!("seed {seed}: {said:#?}");
    until("the preferred node as source", || source(chain) == Some(0)).await;
    healthy(chain).await;
    let template = work_on_tip(chain, network.node(0)).await;
    let block = chain.assemble(&solve(&template)).expect("a fresh template");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted, "seed {seed}");
    recorder.abort();
    // No node's chain got shorter here, so no round may.
    let heights = heights.lock().expect("nobody panics").clone();
    assert!(heights.is_sorted(), "seed {seed}: {heights:?}");
}

/// The seeds one after the other would be minutes; each has a network of its own.
#[tokio::test]
async fn t27_whatever_happens_to_three_nodes_work_goes_forward_and_all_is_well_after() {
    futures_util::future::join_all((1..=SEEDS).map(a_random_story)).await;
}
