//! Nodes in trouble: the pool works on with those that are well, says what is wrong with the
//! others, and goes back to them by itself.

mod common;
mod stand;

use std::sync::Arc;
use std::time::Duration;

use chimera_chain::{DevNode, Fault, FaultRule, NodeChain, NodeConfig, SubmitOutcome};
use chimera_work::Template;
use futures_util::future::join_all;

use common::{VirtualTime, solve};
use stand::{
    Kind, Sim, WORK_CALLS, cause_of, fail, fail_at_work, healthy, height, mine, relay, simulate,
    source, tip, unhealthy, until, work, work_on_tip,
};

/// What is done to a node, and what its operator reads.
struct Trouble {
    name: &'static str,
    begin: fn(&DevNode),
    /// Words of the cause, besides the node's name.
    cause: &'static str,
}

/// A pool that waits 5 s for an answer takes this for none.
const TOO_SLOW: Fault = Fault::Slow { ms: 8_000 };

const RENEWED: Duration = Duration::from_millis(200);

const TROUBLES: [Trouble; 14] = [
    Trouble {
        name: "slow",
        begin: |node| fail_at_work(node, TOO_SLOW),
        cause: "did not answer getblock",
    },
    Trouble {
        name: "hang",
        begin: |node| fail_at_work(node, Fault::Hang),
        cause: "did not answer getblock",
    },
    Trouble {
        name: "401",
        begin: |node| fail_at_work(node, Fault::Status(401)),
        cause: "refused the credentials",
    },
    Trouble {
        name: "403",
        begin: |node| fail_at_work(node, Fault::Status(403)),
        cause: "does not let the pool's user call",
    },
    Trouble {
        name: "500",
        begin: |node| fail_at_work(node, Fault::Status(500)),
        cause: "with HTTP 500 and no JSON-RPC",
    },
    Trouble {
        name: "503",
        begin: |node| fail_at_work(node, Fault::Status(503)),
        cause: "Work queue depth exceeded",
    },
    Trouble {
        name: "warm-up",
        begin: |node| fail_at_work(node, Fault::WarmUp),
        cause: "Loading block index",
    },
    Trouble {
        name: "half a reply",
        begin: |node| fail_at_work(node, Fault::HalfReply),
        cause: "cannot be reached",
    },
    Trouble {
        name: "half a document",
        begin: |node| fail_at_work(node, Fault::HalfJson),
        cause: "and no JSON-RPC",
    },
    Trouble {
        name: "closed connections",
        begin: |node| fail_at_work(node, Fault::Closed),
        cause: "cannot be reached",
    },
    Trouble {
        name: "an error",
        begin: |node| fail_at_work(node, Fault::Error { code: -7, message: "no memory".into() }),
        cause: "no memory (code -7)",
    },
    Trouble {
        name: "no templates",
        begin: |node| {
            let error = Fault::Error { code: -9, message: "is not connected!".into() };
            fail(node, FaultRule::always(error).of(&["getblocktemplate"]));
        },
        cause: "is not connected! (code -9)",
    },
    Trouble {
        name: "stale templates",
        begin: |node| fail(node, FaultRule::always(Fault::Stale)),
        cause: "gives work for a chain it has left",
    },
    Trouble {
        name: "initial download",
        begin: |node| simulate(node, chimera_chain::Action::InitialDownload(true)),
        cause: "is in initial sync",
    },
];

fn heal(node: &DevNode) {
    simulate(node, chimera_chain::Action::ClearFaults);
    simulate(node, chimera_chain::Action::InitialDownload(false));
}

async fn pool(kind: &Kind, sims: &[&Sim]) -> NodeChain {
    // Else a node that only makes no templates is not found out before its next block.
    pool_with(kind, sims, |config| config.refresh_interval = RENEWED).await
}

async fn pool_with(kind: &Kind, sims: &[&Sim], change: impl Fn(&mut NodeConfig)) -> NodeChain {
    let nodes = sims.iter().map(|sim| sim.endpoint()).collect();
    let mut config = kind.config(nodes, &sims[0].node);
    change(&mut config);
    NodeChain::connect(config, VirtualTime::starting().clock()).await.expect("good nodes")
}

async fn started(kind: &Kind, blocks: u32) -> Sim {
    let node = kind.node(&VirtualTime::starting());
    mine(&node, blocks);
    Sim::start(node).await
}

/// Two nodes with the same chain.
async fn twins(kind: &Kind, blocks: u32) -> (Sim, Sim) {
    let (one, two) = (started(kind, blocks).await, started(kind, 0).await);
    relay(&one.node, &two.node);
    (one, two)
}

/// The only node: nothing can be done but to say what is wrong, and to wait.
#[tokio::test]
async fn t20_t27_trouble_of_the_only_node_is_told_and_over_when_it_is() {
    join_all(TROUBLES.iter().map(trouble_of_the_only_node)).await;
}

async fn trouble_of_the_only_node(trouble: &Trouble) {
    let Trouble { name, begin, cause } = trouble;
    let sim = started(&Kind::bitcoin(), 5).await;
    let chain = pool(&Kind::bitcoin(), &[&sim]).await;
    let last = work_on_tip(&chain, &sim.node).await;
    healthy(&chain).await;

    begin(&sim.node);
    // A node in trouble goes on with its chain; some troubles show only then.
    mine(&sim.node, 1);
    let told = unhealthy(&chain).await;
    assert!(told.contains(cause), "{name}: {told}");
    assert!(told.contains(&sim.name()), "{name}, which node: {told}");
    assert_eq!(source(&chain), None, "{name}");
    let kept = chain.rounds().borrow().clone().expect("the last work stays");
    // An answer that was already on its way may still bring the new block, never an older one.
    assert!([0, 1].contains(&(kept.height - last.height)), "{name}: {}", kept.height);

    heal(&sim.node);
    healthy(&chain).await;
    work_on_tip(&chain, &sim.node).await;
    mine(&sim.node, 1);
    work_on_tip(&chain, &sim.node).await;
}

#[tokio::test]
async fn t27_trouble_of_one_node_costs_no_work_and_no_block() {
    join_all(TROUBLES.iter().map(trouble_of_one_of_two)).await;
}

async fn trouble_of_one_of_two(trouble: &Trouble) {
    let Trouble { name, begin, cause } = trouble;
    let kind = Kind::bitcoin();
    let (one, two) = twins(&kind, 5).await;
    let chain = pool(&kind, &[&one, &two]).await;
    work_on_tip(&chain, &one.node).await;
    until("the preferred node as source", || source(&chain) == Some(0)).await;

    begin(&one.node);
    mine(&two.node, 1);
    relay(&two.node, &one.node);
    until(&format!("{name}: work from the other"), || source(&chain) == Some(1)).await;
    let told = || cause_of(&chain, 0).unwrap_or_default();
    until(&format!("{name}: the cause"), || told().contains(cause)).await;
    assert!(told().contains(&one.name()), "{name}: {}", told());
    let template = work_on_tip(&chain, &two.node).await;
    let block = chain.assemble(&solve(&template)).expect("a fresh template");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted, "{name}");
    for sim in [&one, &two] {
        until(&format!("{name}: the block"), || tip(&sim.node) == block.pow_hash.0).await;
    }
    assert!(chain.health().borrow().is_healthy(), "{name}: one node is enough");

    heal(&one.node);
    until(&format!("{name}: back at the preferred"), || source(&chain) == Some(0)).await;
    mine(&one.node, 1);
    work_on_tip(&chain, &one.node).await;
}

/// Beyond the patience of 2 s, within the 5 s after which an answer is none.
#[tokio::test]
async fn t27_a_node_that_is_slow_to_answer_holds_up_no_new_block() {
    let kind = Kind::bitcoin();
    let (one, two) = twins(&kind, 5).await;
    let chain = pool(&kind, &[&one, &two]).await;
    work_on_tip(&chain, &one.node).await;
    fail_at_work(&one.node, Fault::Slow { ms: 3_500 });
    until("work from the other", || source(&chain) == Some(1)).await;
    for _ in 0..3 {
        mine(&two.node, 1);
        relay(&two.node, &one.node);
        work_on_tip(&chain, &two.node).await;
    }
    heal(&one.node);
    until("work from the preferred again", || source(&chain) == Some(0)).await;
    assert!(cause_of(&chain, 0).is_none(), "it always answered");
}

/// A stale node next to a fresh one: nothing of the old chain is worked on at any time.
#[tokio::test]
async fn no_work_for_an_old_block_is_given_out() {
    let kind = Kind::bitcoin();
    let (one, two) = twins(&kind, 5).await;
    let often = |config: &mut NodeConfig| config.refresh_interval = stand::OFTEN;
    let chain = pool_with(&kind, &[&one, &two], often).await;
    work_on_tip(&chain, &one.node).await;
    let heights = recorded(&chain);
    for _ in 0..3 {
        fail(&one.node, FaultRule::always(Fault::Stale));
        mine(&two.node, 2);
        relay(&two.node, &one.node);
        work_on_tip(&chain, &two.node).await;
        until("work from the fresh node", || source(&chain) == Some(1)).await;
        heal(&one.node);
        until("work from the preferred again", || source(&chain) == Some(0)).await;
    }
    let heights = heights.take();
    assert!(heights.is_sorted(), "{heights:?}");
}

/// Heights of all rounds, as they come.
struct Recorded(Arc<std::sync::Mutex<Vec<u64>>>, tokio::task::JoinHandle<()>);

impl Recorded {
    fn take(self) -> Vec<u64> {
        self.1.abort();
        self.0.lock().expect("nobody panics").clone()
    }
}

fn recorded(chain: &NodeChain) -> Recorded {
    let (heights, mut rounds) = (Arc::default(), chain.rounds());
    let list: Arc<std::sync::Mutex<Vec<u64>>> = Arc::clone(&heights);
    // The one there is now is the first.
    rounds.mark_changed();
    let task = tokio::spawn(async move {
        while rounds.changed().await.is_ok() {
            let height = rounds.borrow_and_update().as_ref().map(|it: &Arc<Template>| it.height);
            list.lock().expect("nobody panics").extend(height);
        }
    });
    Recorded(heights, task)
}

#[tokio::test]
async fn a_node_that_lags_behind_is_no_source_until_it_has_caught_up() {
    let kind = Kind::bitcoin();
    let (one, two) = twins(&kind, 5).await;
    mine(&two.node, 3);
    let chain = pool(&kind, &[&one, &two]).await;
    work_on_tip(&chain, &two.node).await;
    until("work from the longer chain", || source(&chain) == Some(1)).await;
    let heights = recorded(&chain);
    // It finds blocks of its own; its chain is still the shorter one.
    mine(&one.node, 2);
    let behind = height(&one.node);
    until("its new height", || chain.nodes()[0].height == Some(behind)).await;
    assert_eq!(source(&chain), Some(1));
    work(&chain, "the longer chain's work", |it| it.previous == tip(&two.node)).await;

    relay(&two.node, &one.node);
    until("work from the preferred again", || source(&chain) == Some(0)).await;
    mine(&one.node, 1);
    work_on_tip(&chain, &one.node).await;
    let heights = heights.take();
    assert!(heights.is_sorted(), "{heights:?}");
}

/// Found by reading: with the source lost all went back to the block before the last
/// because the other node had not got that one yet.
#[tokio::test]
async fn work_on_the_last_block_stays_while_the_next_node_has_not_got_it() {
    let kind = Kind::bitcoin();
    let (one, two) = twins(&kind, 5).await;
    let chain = pool(&kind, &[&one, &two]).await;
    mine(&one.node, 1);
    let last = work_on_tip(&chain, &one.node).await;
    let heights = recorded(&chain);
    fail(&one.node, FaultRule::always(Fault::Status(500)).of(&WORK_CALLS));
    until("the other node as source", || source(&chain) == Some(1)).await;
    // Time enough for its work on the block before to come in, and to be left alone.
    tokio::time::sleep(RENEWED).await;
    mine(&two.node, 2);
    let next = work_on_tip(&chain, &two.node).await;
    assert_eq!(next.height, last.height + 1);
    let heights = heights.take();
    assert!(heights.is_sorted(), "{heights:?}");
}
