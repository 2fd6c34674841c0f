//! How the pool hears of new blocks: each source of news alone brings every one of them.

mod common;
mod stand;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chimera_chain::{
    Action, Announcements, DevNode, Fault, FaultRule, NodeChain, NodeConfig, NodeEndpoint,
    SubmitOutcome, ZmqPublisher,
};
use chimera_work::Template;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use common::{HttpNode, VirtualTime, solve};
use stand::{
    Kind, NEVER, OFTEN, Sim, fail, healthy, height, http, mine, relay, simulate, tip, until, work,
    work_on_tip,
};

/// A node whose templates have no `longpollid`, as nodes before BIP 22's long polling.
async fn without_long_poll(node: &DevNode) -> HttpNode {
    let node = node.clone();
    let address = "127.0.0.1:0".parse().expect("an address");
    HttpNode::serve(address, move |_head, body| {
        let node = node.clone();
        async move {
            let request = serde_json::from_slice(&body).expect("the adapter sends JSON");
            let mut answer = node.serve(request).await;
            if let Some(template) = answer["result"].as_object_mut() {
                template.remove("longpollid");
            }
            (200, answer.to_string())
        }
    })
    .await
}

struct News {
    node: DevNode,
    publisher: Option<ZmqPublisher>,
    server: HttpNode,
}

impl News {
    /// A node that tells of its blocks over ZMQ and when asked.
    async fn zmq() -> Self {
        let mut news = Self::asked().await;
        let publisher = ZmqPublisher::bind(&news.node, "127.0.0.1:0").await.expect("a port");
        news.publisher = Some(publisher);
        news
    }

    /// A node that tells of its blocks when asked.
    async fn asked() -> Self {
        let node = Kind::bitcoin().node(&VirtualTime::starting());
        mine(&node, 110);
        let server = without_long_poll(&node).await;
        Self { node, publisher: None, server }
    }

    async fn pool(&self, poll_interval: Duration) -> NodeChain {
        self.pool_with(|config| config.poll_interval = poll_interval).await
    }

    async fn pool_with(&self, change: impl Fn(&mut NodeConfig)) -> NodeChain {
        let zmq = self.publisher.as_ref().map(|it| it.address().to_owned());
        let endpoint = NodeEndpoint { rpc: http(&self.server.url()), zmq };
        let mut config = Kind::bitcoin().config(vec![endpoint], &self.node);
        change(&mut config);
        connected(config).await
    }
}

async fn connected(config: NodeConfig) -> NodeChain {
    NodeChain::connect(config, VirtualTime::starting().clock()).await.expect("a good node")
}

fn announcements(chain: &NodeChain) -> Announcements {
    chain.nodes()[0].announcements
}

/// A subscription is on its way for a moment: until then blocks are announced to nobody.
async fn listening(chain: &NodeChain, node: &DevNode) {
    until("a connection", || announcements(chain) == Announcements::Connected).await;
    loop {
        mine(node, 1);
        for _ in 0..20 {
            sleep(OFTEN).await;
            let rounds = chain.rounds();
            let previous = rounds.borrow().as_ref().map(|template| template.previous);
            if previous == Some(tip(node)) {
                return;
            }
        }
    }
}

async fn every_block_is_news(chain: &NodeChain, node: &DevNode) {
    for _ in 0..4 {
        mine(node, 1);
        work_on_tip(chain, node).await;
    }
    simulate(node, Action::Reorg { depth: 2 });
    work_on_tip(chain, node).await;
    let template = work_on_tip(chain, node).await;
    let block = chain.assemble(&solve(&template)).expect("a fresh template");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted);
    work_on_tip(chain, node).await;
    healthy(chain).await;
}

#[tokio::test]
async fn zmq_alone_brings_every_round() {
    let news = News::zmq().await;
    let chain = news.pool(NEVER).await;
    listening(&chain, &news.node).await;
    every_block_is_news(&chain, &news.node).await;
    assert_eq!(announcements(&chain), Announcements::Connected);
}

#[tokio::test]
async fn the_long_poll_alone_brings_every_round() {
    let node = Kind::bitcoin().node(&VirtualTime::starting());
    let sim = Sim::start(node).await;
    let config = Kind::bitcoin().config(vec![sim.endpoint()], &sim.node);
    let chain = connected(NodeConfig { poll_interval: NEVER, ..config }).await;
    work_on_tip(&chain, &sim.node).await;
    every_block_is_news(&chain, &sim.node).await;
    assert_eq!(announcements(&chain), Announcements::Off);
}

#[tokio::test]
async fn the_poll_alone_brings_every_round() {
    let news = News::asked().await;
    let chain = news.pool(OFTEN).await;
    work_on_tip(&chain, &news.node).await;
    every_block_is_news(&chain, &news.node).await;
}

/// The second unannounced block is proof: the first may have been on its way.
async fn silence_is_noticed(chain: &NodeChain, node: &DevNode) {
    fail(node, FaultRule::always(Fault::ZmqSilent));
    mine(node, 1);
    work_on_tip(chain, node).await;
    assert_eq!(announcements(chain), Announcements::Connected, "one block proves nothing");
    mine(node, 1);
    work_on_tip(chain, node).await;
    until("silence", || announcements(chain) == Announcements::Silent).await;
    simulate(node, Action::ClearFaults);
    mine(node, 1);
    work_on_tip(chain, node).await;
    until("news again", || announcements(chain) == Announcements::Connected).await;
}

#[tokio::test]
async fn a_silent_publisher_is_noticed_and_polling_brings_the_rounds() {
    let news = News::zmq().await;
    let chain = news.pool(OFTEN).await;
    listening(&chain, &news.node).await;
    silence_is_noticed(&chain, &news.node).await;
}

/// Found by reading: the long poll brought the blocks before the poll could notice that ZMQ
/// had not, so a dead publisher was shown as a good one.
#[tokio::test]
async fn a_silent_publisher_is_noticed_behind_a_working_long_poll() {
    let sim = Sim::start(Kind::bitcoin().node(&VirtualTime::starting())).await;
    let publisher = ZmqPublisher::bind(&sim.node, "127.0.0.1:0").await.expect("a port");
    let endpoint = NodeEndpoint { zmq: Some(publisher.address().to_owned()), ..sim.endpoint() };
    let config = Kind::bitcoin().config(vec![endpoint], &sim.node);
    let slowly = Duration::from_millis(200);
    let chain = connected(NodeConfig { poll_interval: slowly, ..config }).await;
    until("a connection", || announcements(&chain) == Announcements::Connected).await;
    fail(&sim.node, FaultRule::always(Fault::ZmqSilent));
    for _ in 0..3 {
        mine(&sim.node, 1);
        work_on_tip(&chain, &sim.node).await;
        sleep(2 * slowly).await;
    }
    until("silence", || announcements(&chain) == Announcements::Silent).await;
}

/// Found by a benchmark: the long poll whose news came over ZMQ first was not asked again before
/// the next refresh, so that one lost announcement had to wait for the poll.
#[tokio::test]
async fn the_long_poll_goes_on_behind_announcements() {
    let sim = Sim::start(Kind::bitcoin().node(&VirtualTime::starting())).await;
    let publisher = ZmqPublisher::bind(&sim.node, "127.0.0.1:0").await.expect("a port");
    let endpoint = NodeEndpoint { zmq: Some(publisher.address().to_owned()), ..sim.endpoint() };
    let config = Kind::bitcoin().config(vec![endpoint], &sim.node);
    let config = NodeConfig { poll_interval: NEVER, refresh_interval: NEVER, ..config };
    let chain = connected(config).await;
    until("a connection", || announcements(&chain) == Announcements::Connected).await;
    for _ in 0..5 {
        mine(&sim.node, 1);
        work_on_tip(&chain, &sim.node).await;
        // Both have told of it by now.
        sleep(Duration::from_millis(50)).await;
    }
    fail(&sim.node, FaultRule::always(Fault::ZmqSilent));
    mine(&sim.node, 1);
    work_on_tip(&chain, &sim.node).await;
}

#[tokio::test]
async fn a_publisher_that_comes_back_is_heard_again() {
    let mut news = News::zmq().await;
    let chain = news.pool(NEVER).await;
    listening(&chain, &news.node).await;
    let publisher = news.publisher.take().expect("it was bound");
    let address = publisher.address().trim_start_matches("tcp://").to_owned();
    drop(publisher);
    until("its absence", || announcements(&chain) == Announcements::Away).await;
    let back = ZmqPublisher::bind(&news.node, &address).await.expect("the same port");
    listening(&chain, &news.node).await;
    every_block_is_news(&chain, &news.node).await;
    drop(back);
}

/// A template takes this node a while; until then miners have an empty block to work on.
#[tokio::test]
async fn an_announced_block_is_mined_on_before_its_template_is_there() {
    let news = News::zmq().await;
    let quickly = |config: &mut NodeConfig| {
        (config.poll_interval, config.empty_block_first) = (NEVER, true);
    };
    let chain = news.pool_with(quickly).await;
    listening(&chain, &news.node).await;
    let before = work_on_tip(&chain, &news.node).await;
    let slow = FaultRule::always(Fault::Slow { ms: 1_500 }).of(&["getblocktemplate"]);
    fail(&news.node, slow);
    mine(&news.node, 1);
    // What comes in meanwhile is in the full template.
    simulate(&news.node, Action::Transactions { count: 50, bytes: 250, fee: 1_000 });

    let empty = work_on_tip(&chain, &news.node).await;
    assert_eq!(empty.commitment.branch, [[0; 32]; 0], "no transactions");
    assert_eq!((empty.bits, empty.version), (before.bits, before.version));
    assert_eq!((empty.reward, empty.tx_fees), (before.reward, 0), "the subsidy, no fees");
    let is_full = |it: &Template| it.previous == empty.previous && it.tx_fees == 50_000;
    let full = work(&chain, "the full template", is_full).await;
    assert_eq!((full.height, full.reward), (empty.height, empty.reward + 50_000));
    assert!(full.id > empty.id && full.time_min == empty.time_min);

    let block = chain.assemble(&solve(&empty)).expect("the last but one template");
    assert_eq!(chain.submit(&block).await, SubmitOutcome::Accepted, "the empty one counts");
    assert_eq!(tip(&news.node), block.pow_hash.0);
}

/// A long poll's answer that was overtaken: held back until told.
async fn with_late_long_polls(node: &DevNode, late: &Arc<Semaphore>) -> HttpNode {
    let (node, late) = (node.clone(), Arc::clone(late));
    let address = "127.0.0.1:0".parse().expect("an address");
    HttpNode::serve(address, move |_head, body| {
        let (node, late) = (node.clone(), Arc::clone(&late));
        async move {
            let request: Value = serde_json::from_slice(&body).expect("the adapter sends JSON");
            let is_long_poll = request.pointer("/params/0/longpollid").is_some();
            let answer = node.serve(request).await.to_string();
            if is_long_poll {
                late.acquire().await.expect("never closed").forget();
            }
            (200, answer)
        }
    })
    .await
}

/// Found by reading: the answer of a long poll that other news had overtaken took the pool
/// back to the block before, until the next poll.
#[tokio::test]
async fn a_late_answer_does_not_bring_old_work_back() {
    let node = Kind::bitcoin().node(&VirtualTime::starting());
    let late = Arc::new(Semaphore::new(0));
    let server = with_late_long_polls(&node, &late).await;
    let config = Kind::bitcoin().config(vec![http(&server.url()).into()], &node);
    let chain = connected(config).await;
    work_on_tip(&chain, &node).await;
    let heights = Arc::new(Mutex::new(Vec::new()));
    let (list, mut rounds) = (Arc::clone(&heights), chain.rounds());
    let recorder = tokio::spawn(async move {
        while rounds.changed().await.is_ok() {
            let height = rounds.borrow_and_update().as_ref().map(|template| template.height);
            list.lock().expect("nobody panics").extend(height);
        }
    });
    for _ in 0..10 {
        // The long poll answers with the first, and is overtaken by the poll with the second.
        mine(&node, 1);
        sleep(OFTEN).await;
        mine(&node, 1);
        work_on_tip(&chain, &node).await;
        late.add_permits(1);
        sleep(2 * OFTEN).await;
        work_on_tip(&chain, &node).await;
    }
    recorder.abort();
    let heights = heights.lock().expect("nobody panics").clone();
    assert!(heights.is_sorted(), "{heights:?}");
}

/// Whichever node tells first of a block is followed at once.
#[tokio::test]
async fn the_first_node_to_announce_a_block_is_the_source() {
    let kind = Kind::bitcoin();
    let (one, two) = (News::zmq().await, News::zmq().await);
    relay(&one.node, &two.node);
    let endpoint = |news: &News| NodeEndpoint {
        rpc: http(&news.server.url()),
        zmq: news.publisher.as_ref().map(|it| it.address().to_owned()),
    };
    let nodes = vec![endpoint(&one), endpoint(&two)];
    let config = NodeConfig { poll_interval: NEVER, ..kind.config(nodes, &one.node) };
    let chain = connected(config).await;
    let listens = || chain.nodes().iter().all(|it| it.announcements == Announcements::Connected);
    until("two connections", listens).await;
    sleep(Duration::from_millis(300)).await;
    for (first, second, source) in [(&two, &one, 1), (&one, &two, 0), (&two, &one, 1)] {
        mine(&first.node, 1);
        let template = work_on_tip(&chain, &first.node).await;
        assert_eq!(stand::source(&chain), Some(source));
        relay(&first.node, &second.node);
        assert_eq!(template.height, height(&second.node) + 1);
    }
}
