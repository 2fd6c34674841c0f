//! What the chain itself can do to a pool: reorganise, flap, be another one, refuse a kind of
//! block for a while.

mod common;
mod stand;

use std::time::Duration;

use chimera_chain::{
    Action, DevParams, Flow, NodeChain, NodeConfig, Profile, RewardState, SimServer, SubmitOutcome,
    TemplateRules,
};
use serde_json::json;

use common::{VirtualTime, solve};
use stand::{
    Kind, NEVER, OFTEN, Sim, call, cause_of, healthy, height, mine, simulate, tip, unhealthy,
    until, work, work_on_tip,
};

async fn pool(kind: &Kind, sims: &[&Sim], change: impl Fn(&mut NodeConfig)) -> NodeChain {
    let nodes = sims.iter().map(|sim| sim.endpoint()).collect();
    let mut config = NodeConfig { confirmations: 3, ..kind.config(nodes, &sims[0].node) };
    change(&mut config);
    NodeChain::connect(config, VirtualTime::starting().clock()).await.expect("good nodes")
}

async fn started(kind: &Kind, blocks: u32) -> Sim {
    let node = kind.node(&VirtualTime::starting());
    mine(&node, blocks);
    Sim::start(node).await
}

/// A chain like it with another first block.
fn other(kind: &Kind) -> Kind {
    let params = DevParams { subsidy: kind.params.subsidy + 1, ..kind.params.clone() };
    Kind { params, ..kind.clone() }
}

#[tokio::test]
async fn a_reorganisation_of_any_depth_is_followed_and_orphans_are_known() {
    for kind in [Kind::bitcoin(), Kind::verge()] {
        let sim = started(&kind, 10).await;
        let chain = pool(&kind, &[&sim], |_| {}).await;
        for depth in 1..=5 {
            let template = work_on_tip(&chain, &sim.node).await;
            let block = chain.assemble(&solve(&template)).expect("a fresh template");
            assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted);
            mine(&sim.node, depth - 1);
            simulate(&sim.node, Action::Reorg { depth });
            assert_eq!(work_on_tip(&chain, &sim.node).await.height, height(&sim.node) + 1);
            let reward = chain.reward(&block.block_ref()).await;
            assert_eq!(reward, Ok(RewardState::Orphaned), "{}, depth {depth}", kind.name);
        }
        healthy(&chain).await;
    }
}

/// Two blocks of one height that take turns: work is always for that height, and in the end
/// on the block that stayed; one of the pool's on the other block is no loss of the pool's doing.
#[tokio::test]
async fn two_tips_that_take_turns_are_followed_to_the_end() {
    let kind = Kind::bitcoin();
    let sim = started(&kind, 5).await;
    let chain = pool(&kind, &[&sim], |_| {}).await;
    let mut last = work_on_tip(&chain, &sim.node).await;
    for times in [1, 2, 7, 100] {
        simulate(&sim.node, Action::Flap { times });
        let template = work_on_tip(&chain, &sim.node).await;
        assert_eq!(template.height, 6, "{times} turns");
        assert!(template.id >= last.id, "{times} turns");
        last = template;
    }
    let block = chain.assemble(&solve(&last)).expect("a fresh template");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted);
    healthy(&chain).await;
}

/// The node was replaced: slowly, so that its absence is noticed.
#[tokio::test]
async fn a_node_of_another_chain_at_a_known_address_is_refused() {
    let kind = Kind::bitcoin();
    let sim = started(&kind, 5).await;
    let chain = pool(&kind, &[&sim], |_| {}).await;
    let last = work_on_tip(&chain, &sim.node).await;
    let (address, node) = (sim.server.address(), sim.node);
    sim.server.stop().await;
    unhealthy(&chain).await;

    let stranger = other(&kind).node(&VirtualTime::starting());
    mine(&stranger, 9);
    let server = SimServer::start(stranger, address, None).await.expect("the same port");
    let cause = || cause_of(&chain, 0).unwrap_or_default();
    until("the cause", || cause().contains("is of another chain")).await;
    assert!(cause().contains(&address.to_string()), "{}", cause());
    assert_eq!(chain.rounds().borrow().as_ref().map(|it| it.id), Some(last.id));
    server.stop().await;

    let _server = SimServer::start(node.clone(), address, None).await.expect("the same port");
    healthy(&chain).await;
    mine(&node, 1);
    work_on_tip(&chain, &node).await;
}

/// The node was replaced between two questions, as a container manager does it. Found by
/// reading: the first block was compared only after a failure, and there was none.
#[tokio::test]
async fn a_node_that_is_replaced_unnoticed_is_refused_all_the_same() {
    let kind = Kind::bitcoin();
    let sim = started(&kind, 5).await;
    let slowly = |config: &mut NodeConfig| config.poll_interval = Duration::from_millis(400);
    let chain = pool(&kind, &[&sim], slowly).await;
    let last = work_on_tip(&chain, &sim.node).await;
    let address = sim.server.address();
    let stranger = other(&kind).node(&VirtualTime::starting());
    mine(&stranger, 9);
    sim.server.stop().await;
    let _server = SimServer::start(stranger, address, None).await.expect("the same port");
    let cause = || cause_of(&chain, 0).unwrap_or_default();
    until("the cause", || cause().contains("is of another chain")).await;
    assert_eq!(chain.rounds().borrow().as_ref().map(|it| it.id), Some(last.id));
}

#[tokio::test]
async fn nodes_of_two_chains_are_no_pool_also_if_the_second_comes_later() {
    let kind = Kind::bitcoin();
    let (one, two) = (started(&kind, 5).await, started(&other(&kind), 9).await);
    let nodes = || vec![one.endpoint(), two.endpoint()];
    let config = kind.config(nodes(), &one.node);
    let refused = NodeChain::connect(config, VirtualTime::starting().clock()).await;
    let error = refused.expect_err("two chains").to_string();
    assert!(error.contains("different chains") && error.contains(&two.name()), "{error}");

    // Away at the start, of the wrong chain when it comes: longer, and of no interest.
    stand::fail(&two.node, chimera_chain::FaultRule::always(chimera_chain::Fault::WarmUp));
    let chain = pool(&kind, &[&one, &two], |_| {}).await;
    work_on_tip(&chain, &one.node).await;
    simulate(&two.node, Action::ClearFaults);
    let cause = || cause_of(&chain, 1).unwrap_or_default();
    until("the cause", || cause().contains("is of another chain")).await;
    mine(&one.node, 1);
    work_on_tip(&chain, &one.node).await;
    healthy(&chain).await;
}

/// Verge: of the last blocks too many are of this kind, so none would be accepted now.
#[tokio::test]
async fn work_pauses_while_the_chain_refuses_this_kind_of_block() {
    let kind = Kind::verge();
    let template = TemplateRules { pause_from_height: Some(5), ..kind.profile.template.clone() };
    let kind = Kind { profile: Profile { template, ..kind.profile }, ..kind };
    let sim = started(&kind, 2).await;
    let often = |config: &mut NodeConfig| config.refresh_interval = OFTEN;
    let chain = pool(&kind, &[&sim], often).await;
    simulate(&sim.node, Action::MiningDisabled(true));
    let flow = chain.flow();
    // Not yet enforced: block 3 is worked on and would be accepted by a real node.
    let template = work_on_tip(&chain, &sim.node).await;
    let renewed = work(&chain, "renewed work", |it| it.id > template.id + 1).await;
    assert_eq!((renewed.height, &*flow.borrow()), (3, &Flow::Open));

    simulate(&sim.node, Action::MiningDisabled(false));
    mine(&sim.node, 2);
    work_on_tip(&chain, &sim.node).await;
    for _ in 0..2 {
        simulate(&sim.node, Action::MiningDisabled(true));
        until("a pause", || matches!(&*flow.borrow(), Flow::Paused { .. })).await;
        let Flow::Paused { why } = flow.borrow().clone() else { continue };
        assert!(why.contains("has had its share"), "{why}");
        assert!(chain.health().borrow().is_healthy(), "the node is well");
        simulate(&sim.node, Action::MiningDisabled(false));
        until("work again", || *flow.borrow() == Flow::Open).await;
    }
    let template = work_on_tip(&chain, &sim.node).await;
    let block = chain.assemble(&solve(&template)).expect("a fresh template");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted);
}

/// An operator takes a block back by hand: the chain is shorter, and that is where work is.
#[tokio::test]
async fn a_source_is_believed_when_its_chain_gets_shorter() {
    let kind = Kind::bitcoin();
    let sim = started(&kind, 8).await;
    let quiet = |config: &mut NodeConfig| config.refresh_interval = NEVER;
    let chain = pool(&kind, &[&sim], quiet).await;
    work_on_tip(&chain, &sim.node).await;
    let fifth = call(&sim.node, "getblockhash", json!([5]));
    call(&sim.node, "invalidateblock", json!([fifth]));
    assert_eq!(work_on_tip(&chain, &sim.node).await.height, 5);
    assert_eq!(tip(&sim.node), work_on_tip(&chain, &sim.node).await.previous);
}
