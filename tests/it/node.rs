//! A pool on a real node: the embedded chain behind JSON-RPC, over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chimera_chain::{
    Action, DevChain, DevNode, DevParams, Fault, FaultRule, SimServer, system_clock,
};
use chimera_pow::PowHash;
use serde_json::{Value, json};

use crate::harness::{Miner, TestPool};

/// A node that can be taken away and brought back at the same address.
pub(crate) struct Node {
    pub(crate) chain: DevNode,
    address: SocketAddr,
    /// `None` while it is away.
    server: Option<SimServer>,
}

impl Node {
    pub(crate) async fn start() -> Self {
        let params = DevParams { spacing_s: 1, ..DevParams::default() };
        let chain = Arc::new(DevChain::in_memory(params).expect("the default rules are a chain"));
        let chain = DevNode::new(chain, system_clock());
        let server = serve(&chain, ([127, 0, 0, 1], 0).into()).await;
        Self { chain, address: server.address(), server: Some(server) }
    }

    /// Nobody listens any more, and connections that were kept open are closed.
    pub(crate) async fn goes_away(&mut self) {
        self.server.take().expect("it was there").stop().await;
    }

    pub(crate) async fn comes_back(&mut self) {
        self.server = Some(serve(&self.chain, self.address).await);
    }

    /// Blocks that are handed in meet this until it is cleared.
    pub(crate) fn treat_blocks(&self, fault: Fault) {
        let rule = FaultRule::always(fault).of(&["submitblock"]);
        self.chain.simulate(Action::Fault(rule)).expect("a good rule");
    }

    /// What makes a pool mine on it.
    pub(crate) async fn settings(&self) -> [(&'static str, String); 5] {
        let nodes = format!(
            "[{{ url = \"http://{}\", user = \"pool\", password = \"secret\" }}]",
            self.address
        );
        [
            ("CHAIN__KIND", "node".to_owned()),
            ("CHAIN__PROFILE", "devchain".to_owned()),
            ("CHAIN__NODES", nodes),
            ("CHAIN__PAYOUT_ADDRESS", self.new_address().await),
            ("CHAIN__POLL_MS", "100".to_owned()),
        ]
    }

    async fn new_address(&self) -> String {
        let address = self.chain.call("getnewaddress", json!([])).await.expect("it has a wallet");
        address.as_str().expect("text").to_owned()
    }
}

async fn serve(chain: &DevNode, address: SocketAddr) -> SimServer {
    let login = ("pool".to_owned(), "secret".to_owned());
    SimServer::start(chain.clone(), address, Some(login)).await.expect("its own port")
}

pub(crate) async fn pool_on(node: &Node) -> TestPool {
    let settings = node.settings().await;
    TestPool::start(&settings.each_ref().map(|(key, value)| (*key, value.as_str()))).await
}

fn chain_state(health: &Value) -> &Value {
    let parts = health["components"].as_array().expect("a list");
    let chain = parts.iter().find(|part| part["name"] == "chain");
    &chain.expect("the chain is a part")["state"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_is_paid_by_a_node_over_http() {
    let node = Node::start().await;
    let pool = pool_on(&node).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    loop {
        miner.mine(2).await;
        let alice = pool.get("miners/alice").await;
        if alice["balance"]["units"].as_str().is_some_and(|units| units != "0") {
            break;
        }
    }
    pool.stop().await;
}

/// T20, T27: a node that goes away is told as unhealthy, shares go on, and when it is back
/// everything goes on by itself; a block found meanwhile is not lost.
#[tokio::test(flavor = "multi_thread")]
async fn t20_a_node_away_and_back() {
    let mut node = Node::start().await;
    let pool = pool_on(&node).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    pool.wait_for("health", |health| chain_state(health) == "healthy").await;
    let before = node.chain.chain().tip().borrow().height;

    node.goes_away().await;
    pool.wait_for("health", |health| chain_state(health) == "unhealthy").await;
    // Shares are judged and recorded as ever, and in the end one of them is a block.
    loop {
        let answer = miner.mine_share().await;
        assert_eq!(answer["result"], true, "{answer}");
        let blocks = pool.get("blocks").await;
        if !blocks["items"].as_array().expect("a list").is_empty() {
            break;
        }
    }

    node.comes_back().await;
    pool.wait_for("health", |health| chain_state(health) == "healthy").await;
    let mut tip = node.chain.chain().tip();
    let grown = tip.wait_for(|tip| tip.height > before);
    tokio::time::timeout(Duration::from_secs(60), grown).await.expect("in time").expect("lives");
    pool.stop().await;
}

/// T16: a settled block that leaves the chain for good is reversed by other transfers, and
/// the books still balance. (Found by review: nobody ever asked about settled blocks again.)
#[tokio::test(flavor = "multi_thread")]
async fn t16_a_settled_block_that_leaves_the_chain_is_reversed() {
    let node = Node::start().await;
    let pool = pool_on(&node).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let in_state = |blocks: &Value, state: &str| {
        let items = blocks["items"].as_array().expect("a list").clone();
        items.into_iter().rev().find(|block| block["state"] == state)
    };
    let settled = loop {
        miner.mine(2).await;
        if let Some(block) = in_state(&pool.get("blocks").await, "settled") {
            break block;
        }
    };
    let mut hash = hex::decode(settled["id"].as_str().expect("an id")).expect("hex");
    hash.reverse();
    let hash = PowHash(hash.try_into().expect("32 bytes"));
    node.chain.chain().orphan(hash).expect("it is on the chain");
    loop {
        miner.mine(2).await;
        if let Some(block) = in_state(&pool.get("blocks").await, "reversed") {
            assert_eq!(block["id"], settled["id"]);
            break;
        }
    }
    let dir = pool.stop().await;
    let store = chimera_store::Store::open(&dir.path().join("pool.sqlite")).await.expect("opens");
    store.verify_books().await.expect("the books balance");
    let key = format!("block:{}", settled["id"].as_str().expect("an id"));
    let (settlement, _) = store.settlement(&key).await.expect("readable").expect("on record");
    assert!(settlement.reversed_at_ms.is_some(), "nothing is deleted");
}
