//! Nodes that are away, come back, or lag behind others.

mod common;

use std::sync::Arc;
use std::time::Duration;

use chimera_chain::{
    ChainHealth, DevNode, HttpRpc, NodeAuth, NodeChain, NodeConfig, RewardState, Rpc, SubmitOutcome,
};
use chimera_work::Template;
use serde_json::json;

use common::{HttpNode, START, VirtualTime, devchain, easy_node, solve, somebody_mines, soon};

fn http(url: &str) -> Rpc {
    Rpc::Http(HttpRpc::new(url, NodeAuth::None, None).expect("a good address"))
}

fn config(nodes: Vec<Rpc>, node: &DevNode) -> NodeConfig {
    let address = node.chain().rpc("getnewaddress", &json!(["pool"]), START).expect("an address");
    NodeConfig {
        payout_address: address.as_str().map(str::to_owned),
        poll_interval: Duration::from_millis(20),
        ..NodeConfig::new(nodes, devchain())
    }
}

async fn round(chain: &NodeChain, height: u64) -> Arc<Template> {
    let mut rounds = chain.rounds();
    let at_height =
        |it: &Option<Arc<Template>>| it.as_ref().is_some_and(|template| template.height == height);
    let template = soon("the round", rounds.wait_for(at_height)).await;
    template.expect("the adapter lives").clone().expect("matched above")
}

async fn health(chain: &NodeChain, healthy: bool) -> ChainHealth {
    let mut health = chain.health();
    let found = soon("the health", health.wait_for(|it| it.is_healthy() == healthy)).await;
    found.expect("the adapter lives").clone()
}

#[tokio::test]
async fn t20_t27_a_node_away_is_seen_and_work_resumes_by_itself() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let server = HttpNode::start(node.clone()).await;
    let address = server.address;
    let config = config(vec![http(&server.url())], &node);
    let chain = NodeChain::connect(config, time.clock()).await.expect("a good node");
    round(&chain, 1).await;
    assert_eq!(health(&chain, true).await, ChainHealth::Healthy { since: START });

    server.stop().await;
    time.advance(100);
    let away = health(&chain, false).await;
    let ChainHealth::Unhealthy { cause, since, .. } = &away else { unreachable!("asked for it") };
    assert_eq!(*since, START + 100, "since when");
    assert!(cause.contains(&address.to_string()), "which node: {cause}");
    assert!(away.recommendation().is_some());
    let best = chain.best_height().await.expect_err("nobody answers");
    assert!(best.is_transient(), "{best}");
    let last = chain.rounds().borrow().clone().expect("the last work stays");
    assert_eq!(last.height, 1);

    // Meanwhile the network goes on.
    somebody_mines(&node, 3, START);
    time.advance(100);
    let server = HttpNode::start_at(address, node.clone()).await;
    assert_eq!(health(&chain, true).await, ChainHealth::Healthy { since: START + 200 });
    round(&chain, 4).await;
    drop(server);
}

#[tokio::test]
async fn t27_a_block_found_while_the_node_is_away_is_handed_in_when_it_is_back() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let server = HttpNode::start(node.clone()).await;
    let address = server.address;
    let config = config(vec![http(&server.url())], &node);
    let chain = NodeChain::connect(config, time.clock()).await.expect("a good node");
    let template = round(&chain, 1).await;
    let block = chain.assemble(&solve(&template)).expect("a fresh template");

    server.stop().await;
    let back = async {
        health(&chain, false).await;
        HttpNode::start_at(address, node.clone()).await
    };
    let (outcome, _server) = tokio::join!(chain.submit(&block), back);
    assert_eq!(outcome, SubmitOutcome::Accepted);
    assert_eq!(node.chain().tip().borrow().hash, block.pow_hash);
}

#[tokio::test]
async fn one_node_is_enough_for_a_block() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let warming_up = HttpNode::serve("127.0.0.1:0".parse().expect("an address"), |_, _| async {
        let fault = json!({ "code": -28, "message": "Loading block index..." });
        (500, json!({ "result": null, "error": fault, "id": 1 }).to_string())
    })
    .await;
    let nodes = vec![http(&warming_up.url()), Rpc::Embedded(node.clone())];
    let chain = NodeChain::connect(config(nodes, &node), time.clock()).await.expect("one node");
    let template = round(&chain, 1).await;
    let block = chain.assemble(&solve(&template)).expect("a fresh template");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted);
}

#[tokio::test]
async fn t27_work_comes_from_whichever_node_answers_and_blocks_go_to_all() {
    let time = VirtualTime::starting();
    let (first, second) = (easy_node(&time), easy_node(&time));
    let (one, two) = (HttpNode::start(first.clone()).await, HttpNode::start(second.clone()).await);
    let config = config(vec![http(&one.url()), http(&two.url())], &second);
    let chain = NodeChain::connect(config, time.clock()).await.expect("two good nodes");
    let template = round(&chain, 1).await;
    let block = chain.assemble(&solve(&template)).expect("a fresh template");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted);
    for node in [&first, &second] {
        let mut tip = node.chain().tip();
        let arrived = soon("the block", tip.wait_for(|tip| tip.hash == block.pow_hash)).await;
        drop(arrived.expect("the chain lives"));
    }

    one.stop().await;
    somebody_mines(&second, 7, START);
    round(&chain, 9).await;
    health(&chain, true).await;
    let ripe = RewardState::Ripe { amount: 5_000_000_000 };
    assert_eq!(chain.reward(&block.block_ref()).await, Ok(ripe));
    assert_eq!(chain.best_height().await, Ok(8));
}
