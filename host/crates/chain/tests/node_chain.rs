//! The adapter over its life: connect, work, hand in, ripen; embedded and over HTTP.

mod common;

use std::sync::Arc;
use std::time::Duration;

use chimera_chain::{
    AssembleError, BlockRef, CoinbaseRules, ConnectError, DevChain, DevNode, DevParams, HttpRpc,
    MATURITY_BLOCKS, NodeAuth, NodeChain, NodeConfig, PayTo, Profile, RewardState, Rpc, RpcError,
    SubmitOutcome,
};
use chimera_pow::Algorithm;
use chimera_work::{Solution, Template};
use serde_json::json;
use tokio::sync::watch;

use common::{HttpNode, START, VirtualTime, devchain, easy_node, solve, somebody_mines, soon};

type Rounds = watch::Receiver<Option<Arc<Template>>>;

/// Long enough that only what a test is about gives news.
const NEVER: Duration = Duration::from_secs(3600);

fn http(node: &HttpNode) -> Rpc {
    Rpc::Http(HttpRpc::new(&node.url(), NodeAuth::None, None).expect("a good address"))
}

fn config(nodes: Vec<Rpc>) -> NodeConfig {
    NodeConfig {
        tag: "/test/".to_owned(),
        poll_interval: NEVER,
        refresh_interval: NEVER,
        ..NodeConfig::new(nodes, devchain())
    }
}

/// A pool over HTTP has to be told whom to pay.
fn with_address(config: NodeConfig, node: &DevNode) -> NodeConfig {
    let address = node.chain().rpc("getnewaddress", &json!(["pool"]), START).expect("an address");
    NodeConfig { payout_address: address.as_str().map(str::to_owned), ..config }
}

async fn next_round(rounds: &mut Rounds, height: u64) -> Arc<Template> {
    let at_height =
        |it: &Option<Arc<Template>>| it.as_ref().is_some_and(|template| template.height == height);
    let template = soon("the next round", rounds.wait_for(at_height)).await;
    template.expect("the adapter lives").clone().expect("matched above")
}

async fn a_whole_life(chain: &NodeChain, node: &DevNode) {
    let mut rounds = chain.rounds();
    let template = next_round(&mut rounds, 1).await;
    assert_eq!(template.reward, 5_000_000_000);
    assert!(chain.health().borrow().is_healthy());

    let block = chain.assemble(&solve(&template)).expect("a fresh template");
    assert_eq!(chain.reward(&block.block_ref()).await, Ok(RewardState::Unknown));
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted);
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Duplicate, "handing in is idempotent");
    assert_eq!(chain.best_height().await, Ok(1));
    next_round(&mut rounds, 2).await;

    let ripening =
        |confirmations| Ok(RewardState::Ripening { confirmations, needed: MATURITY_BLOCKS });
    assert_eq!(chain.reward(&block.block_ref()).await, ripening(1));
    somebody_mines(node, u64::from(MATURITY_BLOCKS) - 2, START);
    assert_eq!(chain.reward(&block.block_ref()).await, ripening(MATURITY_BLOCKS - 1));
    somebody_mines(node, 1, START);
    // T17: the amount is what the block pays.
    let ripe = Ok(RewardState::Ripe { amount: 5_000_000_000 });
    assert_eq!(chain.reward(&block.block_ref()).await, ripe);
    next_round(&mut rounds, u64::from(MATURITY_BLOCKS) + 1).await;
}

#[tokio::test]
async fn t17_a_block_lives_from_template_to_ripe_in_process() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let config = config(vec![Rpc::Embedded(node.clone())]);
    let chain = NodeChain::connect(config, time.clock()).await.expect("a good node");
    assert!(chain.payout_address().starts_with("dev1"));
    a_whole_life(&chain, &node).await;
}

#[tokio::test]
async fn t17_a_block_lives_from_template_to_ripe_over_http() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let server = HttpNode::start(node.clone()).await;
    let config = with_address(config(vec![http(&server)]), &node);
    let chain = NodeChain::connect(config, time.clock()).await.expect("a good node");
    a_whole_life(&chain, &node).await;
}

/// A restart keeps no adapter state about blocks, and may change whom new blocks pay.
#[tokio::test]
async fn t17_a_reward_is_read_from_its_block_even_after_the_address_changed() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let nodes = || vec![Rpc::Embedded(node.clone())];
    let chain = NodeChain::connect(config(nodes()), time.clock()).await.expect("a good node");
    let template = next_round(&mut chain.rounds(), 1).await;
    let block = chain.assemble(&solve(&template)).expect("a fresh template").block_ref();
    let solved = chain.assemble(&solve(&template)).expect("a fresh template");
    assert_eq!(chain.submit(&solved).await, SubmitOutcome::Accepted);
    drop(chain);

    let other = node.chain().rpc("getnewaddress", &json!(["other"]), START).expect("an address");
    let changed = NodeConfig {
        payout_address: other.as_str().map(str::to_owned),
        confirmations: 1,
        ..config(nodes())
    };
    let chain = NodeChain::connect(changed, time.clock()).await.expect("a good node");
    let ripe = Ok(RewardState::Ripe { amount: 5_000_000_000 });
    assert_eq!(chain.reward(&block).await, ripe);
}

#[tokio::test]
async fn t16_an_orphaned_block_is_told_as_one_and_a_late_one_is_stale() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let config = config(vec![Rpc::Embedded(node.clone())]);
    let chain = NodeChain::connect(config, time.clock()).await.expect("a good node");
    let mut rounds = chain.rounds();
    let template = next_round(&mut rounds, 1).await;
    let block = chain.assemble(&solve(&template)).expect("a fresh template");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted);

    node.chain().orphan(block.pow_hash).expect("above genesis");
    assert_eq!(chain.reward(&block.block_ref()).await, Ok(RewardState::Orphaned));
    let refused = SubmitOutcome::Rejected("duplicate-invalid".to_owned());
    assert_eq!(chain.submit(&block).await, refused);

    somebody_mines(&node, 1, START);
    next_round(&mut rounds, 2).await;
    // The first solution of this template was orphaned; this one has another time.
    let later = Template { time: template.time + 1, ..(*template).clone() };
    let late = Solution { stale: true, ..solve(&Arc::new(later)) };
    let block = chain.assemble(&late).expect("stale templates are kept");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Stale("inconclusive".to_owned()));
    assert_eq!(chain.reward(&block.block_ref()).await, Ok(RewardState::Orphaned));
}

#[tokio::test]
async fn a_solution_that_fits_no_template_makes_no_block() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let config = config(vec![Rpc::Embedded(node)]);
    let chain = NodeChain::connect(config, time.clock()).await.expect("a good node");
    let template = next_round(&mut chain.rounds(), 1).await;
    let mut solution = solve(&template);
    solution.commitment.push(0);
    let foreign = AssembleError::ForeignCommitment { template: template.id };
    assert_eq!(chain.assemble(&solution), Err(foreign));
    let unknown = Template { id: 999, ..(*template).clone() };
    let error = AssembleError::UnknownTemplate { template: 999, height: 1 };
    assert_eq!(chain.assemble(&solve(&Arc::new(unknown))), Err(error));
}

#[tokio::test]
async fn a_long_poll_alone_brings_every_new_round() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let server = HttpNode::start(node.clone()).await;
    let config = with_address(config(vec![http(&server)]), &node);
    let chain = NodeChain::connect(config, time.clock()).await.expect("a good node");
    let mut rounds = chain.rounds();
    for height in 1..5 {
        next_round(&mut rounds, height).await;
        somebody_mines(&node, 1, START);
    }
    next_round(&mut rounds, 5).await;
}

#[tokio::test]
async fn a_poll_brings_new_rounds_where_long_polls_are_not_offered() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let silent = {
        let node = node.clone();
        move |_head: String, body: Vec<u8>| {
            let node = node.clone();
            async move {
                let request = serde_json::from_slice(&body).expect("JSON");
                let mut answer = node.serve(request).await;
                if let Some(template) = answer["result"].as_object_mut() {
                    template.remove("longpollid");
                }
                (200, answer.to_string())
            }
        }
    };
    let server = HttpNode::serve("127.0.0.1:0".parse().expect("an address"), silent).await;
    let poll_interval = Duration::from_millis(10);
    let config = NodeConfig { poll_interval, ..config(vec![http(&server)]) };
    let config = with_address(config, &node);
    let chain = NodeChain::connect(config, time.clock()).await.expect("a good node");
    let mut rounds = chain.rounds();
    for height in 1..4 {
        next_round(&mut rounds, height).await;
        somebody_mines(&node, 1, START);
    }
}

#[tokio::test]
async fn a_round_is_refreshed_for_its_time() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let refresh_interval = Duration::from_millis(10);
    let config = NodeConfig { refresh_interval, ..config(vec![Rpc::Embedded(node)]) };
    let chain = NodeChain::connect(config, time.clock()).await.expect("a good node");
    let mut rounds = chain.rounds();
    let first = next_round(&mut rounds, 1).await;
    time.advance(30);
    let later = |it: &Option<Arc<Template>>| it.as_ref().is_some_and(|it| it.time > first.time);
    let second = soon("the refresh", rounds.wait_for(later)).await.expect("the adapter lives");
    let second = second.clone().expect("a template");
    assert_eq!(second.previous, first.previous, "the same round");
    assert_ne!(second.id, first.id);
    assert_eq!(second.time, first.time + 30);
    chain.assemble(&solve(&first)).expect("the first one is still good");
}

#[tokio::test]
async fn t08_a_pool_does_not_start_without_an_address_of_the_network() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let server = HttpNode::start(node.clone()).await;
    let connect = |config| NodeChain::connect(config, time.clock());

    let stranger = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let wrong =
        NodeConfig { payout_address: Some(stranger.to_owned()), ..config(vec![http(&server)]) };
    let error = connect(wrong).await.expect_err("an address of bitcoin");
    let text = error.to_string();
    assert!(matches!(error, ConnectError::ForeignAddress { .. }), "{text}");
    assert!(text.contains(stranger) && text.contains("\"devchain\""), "{text}");

    // Where the profile does not know addresses, the node does.
    let unread = Profile { addresses: None, ..devchain() };
    let wrong = NodeConfig {
        payout_address: Some(stranger.to_owned()),
        profile: unread,
        ..config(vec![http(&server)])
    };
    let error = connect(wrong).await.expect_err("an address of bitcoin");
    let text = error.to_string();
    assert!(matches!(error, ConnectError::BadAddress { .. }), "{text}");
    assert!(text.contains(stranger) && text.contains("network \"dev\""), "{text}");

    let genesis = Some("00".repeat(32));
    let other = Profile { genesis, ..devchain() };
    let elsewhere =
        NodeConfig { profile: other, ..with_address(config(vec![http(&server)]), &node) };
    let elsewhere = connect(elsewhere).await.expect_err("a node of another network");
    assert!(matches!(elsewhere, ConnectError::OtherNetwork { .. }), "{elsewhere}");

    let none = connect(config(vec![http(&server)])).await.expect_err("no address");
    assert_eq!(none, ConnectError::NoAddress);
    let nobody = connect(config(vec![])).await.expect_err("no node");
    assert_eq!(nobody, ConnectError::NoNodes);
    let long = NodeConfig { tag: "x".repeat(65), ..config(vec![http(&server)]) };
    let long = connect(long).await.expect_err("a long tag");
    assert_eq!(long, ConnectError::TagTooLong { found: 65, max: 64 });
    let other = NodeConfig {
        profile: Profile { algorithm: Algorithm::Sha256d, ..devchain() },
        ..with_address(config(vec![http(&server)]), &node)
    };
    let other = connect(other).await.expect_err("another proof of work");
    assert!(matches!(other, ConnectError::OtherAlgorithm { .. }), "{other}");
    let to_a_key = CoinbaseRules { version: 1, time: false, pay_to: PayTo::PublicKey };
    let keyless = NodeConfig {
        profile: Profile { coinbase: to_a_key, ..devchain() },
        ..with_address(config(vec![http(&server)]), &node)
    };
    let keyless = connect(keyless).await.expect_err("a chain that pays keys");
    assert!(matches!(keyless, ConnectError::NoPublicKey { .. }), "{keyless}");
}

#[tokio::test]
async fn a_node_that_wants_a_password_gets_it_and_none_is_told_apart() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let guarded = {
        let node = node.clone();
        move |head: String, body: Vec<u8>| {
            let node = node.clone();
            async move {
                // "pool:secret"
                if !head.contains("authorization: basic cg9vbdpzzwnyzxq=") {
                    return (401, String::new());
                }
                let request = serde_json::from_slice(&body).expect("JSON");
                (200, node.serve(request).await.to_string())
            }
        }
    };
    let server = HttpNode::serve("127.0.0.1:0".parse().expect("an address"), guarded).await;
    let directory = tempfile::tempdir().expect("a directory");
    let cookie = directory.path().join(".cookie");
    let password = |password: &str| NodeAuth::Password {
        user: "pool".to_owned(),
        password: password.to_owned(),
    };
    let ask = async |auth: NodeAuth| {
        let rpc = Rpc::Http(HttpRpc::new(&server.url(), auth, None).expect("a good address"));
        rpc.call("getblockcount", json!([])).await
    };
    assert_eq!(ask(password("secret")).await, Ok(json!(0)));
    for wrong in [NodeAuth::None, password("wrong")] {
        let error = ask(wrong).await.expect_err("refused");
        assert!(matches!(error, RpcError::Unauthorized { .. }), "{error}");
    }
    let absent = ask(NodeAuth::Cookie(cookie.clone())).await.expect_err("no cookie yet");
    assert!(matches!(absent, RpcError::Cookie { .. }), "{absent}");
    // The node starts and writes its cookie: no restart of the pool is needed.
    std::fs::write(&cookie, "pool:secret\n").expect("written");
    assert_eq!(ask(NodeAuth::Cookie(cookie)).await, Ok(json!(0)));
    let shown = format!("{:?}", password("secret"));
    assert!(!shown.contains("secret"), "t26: no secret in logs: {shown}");
}

#[tokio::test]
async fn what_is_no_node_is_said_to_be_none() {
    for (status, body) in [(200, "<html>"), (200, "{}"), (503, "Work queue depth exceeded")] {
        let web = move |_head, _body| async move { (status, body.to_owned()) };
        let server = HttpNode::serve("127.0.0.1:0".parse().expect("an address"), web).await;
        let error = http(&server).call("submitblock", json!([])).await.expect_err("no node");
        let garbled = matches!(&error, RpcError::Garbled { status: found, .. } if *found == status);
        assert!(garbled, "{error}");
        assert!(error.is_transient());
    }
    for url in ["", "127.0.0.1:8332", "ftp://127.0.0.1", "http://pool:secret@127.0.0.1"] {
        let error = HttpRpc::new(url, NodeAuth::None, None).expect_err(url).to_string();
        assert!(error.contains("http://127.0.0.1:8332"), "it says what is right: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
}

/// STRATUM.md 7, 18: a node of another network is refused at the start, not at a failover.
#[tokio::test]
async fn nodes_of_two_chains_are_refused() {
    let time = VirtualTime::starting();
    let ours = easy_node(&time);
    let params = DevParams { network: "other".to_owned(), ..DevParams::default() };
    let other = DevChain::in_memory(params).expect("good rules");
    let other = DevNode::new(Arc::new(other), time.clock());
    let config = config(vec![Rpc::Embedded(ours), Rpc::Embedded(other)]);
    let refused = NodeChain::connect(config, time.clock()).await.expect_err("they are refused");
    assert!(matches!(refused, ConnectError::OtherChain { .. }), "{refused}");
}

/// Found by review: one dead node silenced the others, and a block none of them knew was
/// never handed in again.
#[tokio::test]
async fn a_dead_node_does_not_speak_for_the_others() {
    let time = VirtualTime::starting();
    let node = easy_node(&time);
    let nobody = HttpRpc::new("http://127.0.0.1:1", NodeAuth::None, None).expect("an address");
    let config = with_address(config(vec![Rpc::Embedded(node.clone()), Rpc::Http(nobody)]), &node);
    let chain = NodeChain::connect(config, time.clock()).await.expect("one good node");
    let lost = BlockRef { id: "00".repeat(32), height: 1 };
    assert_eq!(chain.reward(&lost).await, Ok(RewardState::Unknown));
}
