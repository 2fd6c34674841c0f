//! A pool's adapter in front of simulated nodes: what stories about them have in common.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;
use std::time::Duration;

use chimera_chain::{
    Action, ChainHealth, DevChain, DevNode, DevParams, DevRules, Fault, FaultRule, HttpRpc,
    NodeAuth, NodeChain, NodeConfig, NodeEndpoint, NodeState, Profile, Rpc, SimServer,
    TemplateRules,
};
use chimera_pow::Algorithm;
use chimera_work::Template;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::common::{START, VirtualTime};

/// Long enough that only what a test is about gives news.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);
/// Short enough that a test need not wait for it.
pub(crate) const OFTEN: Duration = Duration::from_millis(20);
/// What takes longer never comes.
const DEADLINE: Duration = Duration::from_secs(30);

/// What is asked to have work; handing in blocks is another matter.
pub(crate) const WORK_CALLS: [&str; 3] = ["getblockchaininfo", "getblocktemplate", "getblockhash"];

/// A kind of chain: what the simulator does, and what the pool is told of it.
#[derive(Clone)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) params: DevParams,
    pub(crate) profile: Profile,
}

impl Kind {
    /// The simulator's first block is its own, so no profile may ask for the real one; its
    /// addresses are those of regtest, on all chains, so the rest of a profile stays.
    fn new(name: &'static str, rules: DevRules, algorithm: Algorithm, profile: &str) -> Self {
        let profile = Profile::named(profile).expect("it is shipped");
        let template = match rules {
            // Such nodes know of no rule a pool would have to know.
            DevRules::BitcoinNoSegwit => TemplateRules::default(),
            _ => profile.template.clone(),
        };
        let params = DevParams { algorithm, ..DevParams::regtest(rules) };
        Self { name, params, profile: Profile { genesis: None, template, ..profile } }
    }

    pub(crate) fn bitcoin() -> Self {
        Self::new("bitcoin", DevRules::Bitcoin, Algorithm::Sha256d, "bitcoin-regtest")
    }

    pub(crate) fn verge() -> Self {
        Self::new("verge", DevRules::Verge, Algorithm::Blake2s, "verge-regtest")
    }

    pub(crate) fn all() -> [Self; 5] {
        let plain = DevRules::BitcoinNoSegwit;
        [
            Self::bitcoin(),
            Self::new("bitcoin before segwit", plain, Algorithm::Sha256d, "bitcoin-regtest"),
            Self::new("a Blake2s coin", DevRules::Bitcoin, Algorithm::Blake2s, "blake2s"),
            Self::new("a Blake2s coin before segwit", plain, Algorithm::Blake2s, "blake2s"),
            Self::verge(),
        ]
    }

    pub(crate) fn node(&self, time: &VirtualTime) -> DevNode {
        let chain = DevChain::in_memory(self.params.clone()).expect("good parameters");
        DevNode::new(Arc::new(chain), time.clock())
    }

    /// The usual settings, with news by polling and a payout address the node knows.
    pub(crate) fn config(&self, nodes: Vec<NodeEndpoint>, wallet: &DevNode) -> NodeConfig {
        let address = call(wallet, "getnewaddress", json!(["pool"]));
        NodeConfig {
            payout_address: address.as_str().map(str::to_owned),
            poll_interval: OFTEN,
            refresh_interval: NEVER,
            tag: "/test/".to_owned(),
            ..NodeConfig::new(nodes, self.profile.clone())
        }
    }
}

/// A simulated node behind a port.
pub(crate) struct Sim {
    pub(crate) node: DevNode,
    pub(crate) server: SimServer,
}

impl Sim {
    pub(crate) async fn start(node: DevNode) -> Self {
        let server = SimServer::start(node.clone(), "127.0.0.1:0", None).await.expect("a port");
        Self { node, server }
    }

    pub(crate) fn endpoint(&self) -> NodeEndpoint {
        http(&self.server.url()).into()
    }

    pub(crate) fn name(&self) -> String {
        self.server.address().to_string()
    }
}

pub(crate) fn http(url: &str) -> Rpc {
    Rpc::Http(HttpRpc::new(url, NodeAuth::None, None).expect("a good address"))
}

/// Asks the chain itself, past all faults.
pub(crate) fn call(node: &DevNode, method: &str, params: Value) -> Value {
    node.chain().rpc(method, &params, START).unwrap_or_else(|fault| panic!("{method}: {fault}"))
}

pub(crate) fn simulate(node: &DevNode, action: Action) {
    node.simulate(action.clone()).unwrap_or_else(|fault| panic!("{action:?}: {fault}"));
}

pub(crate) fn mine(node: &DevNode, blocks: u32) {
    simulate(node, Action::Mine { blocks });
}

pub(crate) fn fail(node: &DevNode, rule: FaultRule) {
    simulate(node, Action::Fault(rule));
}

pub(crate) fn fail_at_work(node: &DevNode, fault: Fault) {
    fail(node, FaultRule::always(fault).of(&WORK_CALLS));
}

pub(crate) fn height(node: &DevNode) -> u64 {
    node.chain().tip().borrow().height
}

pub(crate) fn tip(node: &DevNode) -> [u8; 32] {
    node.chain().tip().borrow().hash.0
}

/// What the network does: blocks of one node's chain the other has not get there, faults or no.
pub(crate) fn relay(from: &DevNode, to: &DevNode) {
    let id = |node: &DevNode, height: u64| call(node, "getblockhash", json!([height]));
    let mut missing = Vec::new();
    for at in (1..=height(from)).rev() {
        let hash = id(from, at);
        if at <= height(to) && id(to, at) == hash {
            break;
        }
        missing.push(hash);
    }
    for hash in missing.into_iter().rev() {
        let bytes = call(from, "getblock", json!([hash, 0]));
        call(to, "submitblock", json!([bytes]));
    }
}

/// Waits for what must come about; fails with the name of what did not.
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is() {
        assert!(Instant::now() < deadline, "{what} never came about");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for work that is as wanted.
pub(crate) async fn work(
    chain: &NodeChain,
    what: &str,
    wanted: impl Fn(&Template) -> bool,
) -> Arc<Template> {
    let rounds = chain.rounds();
    let now = || rounds.borrow().clone().filter(|template| wanted(template));
    until(what, || now().is_some()).await;
    now().unwrap_or_else(|| panic!("{what} was there a moment ago"))
}

/// Waits for work on top of what the node has last.
pub(crate) async fn work_on_tip(chain: &NodeChain, node: &DevNode) -> Arc<Template> {
    let (hash, next) = (tip(node), height(node) + 1);
    let what = format!("work for block {next}");
    work(chain, &what, |it| it.height == next && it.previous == hash).await
}

pub(crate) async fn healthy(chain: &NodeChain) {
    let health = chain.health();
    until("good health", || health.borrow().is_healthy()).await;
}

/// Waits for bad health; tells the cause.
pub(crate) async fn unhealthy(chain: &NodeChain) -> String {
    let health = chain.health();
    let cause = || match &*health.borrow() {
        ChainHealth::Unhealthy { cause, failures: 1.., .. } => Some(cause.clone()),
        _ => None,
    };
    until("bad health", || cause().is_some()).await;
    cause().unwrap_or_default()
}

/// Which node work comes from, if any.
pub(crate) fn source(chain: &NodeChain) -> Option<usize> {
    chain.nodes().iter().position(|node| node.source)
}

pub(crate) fn cause_of(chain: &NodeChain, node: usize) -> Option<String> {
    match &chain.nodes()[node].state {
        NodeState::Failing { cause, .. } => Some(cause.clone()),
        _ => None,
    }
}
