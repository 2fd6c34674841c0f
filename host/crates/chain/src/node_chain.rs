//! The adapter for nodes that speak getblocktemplate: what the host sees of a chain.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use chimera_work::{NonceLayout, Solution, Template};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::block::{self, AssembleError, Block, BlockRef};
use crate::board::{Board, NodeTip, NodeView};
use crate::clock::Clock;
use crate::empty_block::Precedent;
use crate::follow;
use crate::gbt::{BadTemplate, Gbt};
use crate::health::{ChainHealth, HealthProbe};
use crate::payout_script::{self, ConnectError};
use crate::profile::Profile;
use crate::reward::{self, RewardState};
use crate::rpc::{Rpc, RpcError};
use crate::submit::{self, SubmitOutcome};
use crate::template::Plan;
use crate::templates::{Templates, TemplatesState};

/// 5 bytes of height, 21 of nonce space and 65 of tag leave 9 for what a node wants to say
/// in the 100 bytes of a coinbase script.
const TAG_BYTES_MAX: usize = 64;

/// Heights of which the pool's first block is remembered; older blocks win nothing any more.
const HEIGHTS_KEPT_MAX: usize = 64;

/// Between two tries while every node is still starting.
const WARM_UP_PAUSE: Duration = Duration::from_secs(1);

/// A node and where it announces new blocks.
#[derive(Debug, Clone)]
pub struct NodeEndpoint {
    /// How it is asked.
    pub rpc: Rpc,
    /// Where it publishes `hashblock`, e.g. `tcp://127.0.0.1:28332`.
    pub zmq: Option<String>,
}

impl From<Rpc> for NodeEndpoint {
    fn from(rpc: Rpc) -> Self {
        Self { rpc, zmq: None }
    }
}

/// What the adapter has to know.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Nodes of one network, in order of preference. Blocks go to all.
    pub nodes: Vec<NodeEndpoint>,
    /// What the chain is like.
    pub profile: Profile,
    /// Whom blocks pay; may be absent for the embedded chain only.
    pub payout_address: Option<String>,
    /// What the coinbase says about the pool; at most 64 bytes, may be empty.
    pub tag: String,
    /// Sizes of the nonce space.
    pub layout: NonceLayout,
    /// Confirmations after which a reward is the pool's; the block itself is the first.
    pub confirmations: u32,
    /// How often the tip is asked for: how soon a dead node is noticed, and a new block when
    /// nothing else tells of it.
    pub poll_interval: Duration,
    /// How often a template is renewed within a round, for its time and fees.
    pub refresh_interval: Duration,
    /// Whether an announced block is mined on before its template is there (see
    /// [`Profile::schedule`]).
    pub empty_block_first: bool,
}

impl NodeConfig {
    /// The usual settings; the payout address and the tag are empty.
    pub fn new(nodes: impl IntoIterator<Item = impl Into<NodeEndpoint>>, profile: Profile) -> Self {
        Self {
            nodes: nodes.into_iter().map(Into::into).collect(),
            confirmations: profile.maturity,
            profile,
            payout_address: None,
            tag: String::new(),
            layout: NonceLayout::DEFAULT,
            poll_interval: Duration::from_secs(2),
            refresh_interval: Duration::from_secs(30),
            empty_block_first: false,
        }
    }

    /// The nodes without their announcements.
    pub(crate) fn rpcs(&self) -> Vec<Rpc> {
        self.nodes.iter().map(|node| node.rpc.clone()).collect()
    }
}

/// Whether there is work to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// As far as the chain is concerned.
    Open,
    /// The nodes answer, and no block could win now.
    Paused {
        /// Why, for people.
        why: String,
    },
}

/// A connection to a chain. It ends, with its task, when dropped.
#[derive(Debug)]
pub struct NodeChain {
    shared: Arc<Shared>,
    followers: Vec<JoinHandle<()>>,
}

/// What the adapter's parts and its task have in common.
pub(crate) struct Shared {
    pub(crate) config: NodeConfig,
    pub(crate) plan: Plan,
    pub(crate) payout_address: String,
    pub(crate) clock: Clock,
    /// The first block of the chain all nodes must be of.
    pub(crate) genesis: OnceLock<String>,
    /// Which node work comes from, for those that wait for their turn.
    pub(crate) source: watch::Sender<usize>,
    began: Instant,
    board: Mutex<Board>,
    templates: Mutex<Templates>,
    precedent: Mutex<Option<Precedent>>,
    rounds: watch::Sender<Option<Arc<Template>>>,
    flow: watch::Sender<Flow>,
    health: HealthProbe,
    /// The pool's first block of each of the last heights.
    firsts: Mutex<BTreeMap<u64, String>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

impl NodeChain {
    /// Learns the payout script from the first node that can be reached, then follows the
    /// chain in a task of its own, for ever.
    ///
    /// # Errors
    /// When no node can be reached, the payout address is absent or not valid on the node's
    /// network, the node has another proof of work, or the tag is too long.
    pub async fn connect(config: NodeConfig, clock: Clock) -> Result<Self, ConnectError> {
        Self::go_on(config, clock, None).await
    }

    /// As [`connect`](Self::connect), in the place of another process whose work is still out:
    /// a solution of it becomes a block here.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn go_on(
        config: NodeConfig,
        clock: Clock,
        handed: Option<TemplatesState>,
    ) -> Result<Self, ConnectError> {
        if config.tag.len() > TAG_BYTES_MAX {
            let found = config.tag.len();
            return Err(ConnectError::TagTooLong { found, max: TAG_BYTES_MAX });
        }
        if let Some(address) = &config.payout_address {
            payout_script::read_address(&config.profile, address)?;
        }
        let nodes = config.rpcs();
        let genesis = payout_script::check_one_chain(&nodes, &config.profile).await?;
        let payout = learn_when_warm(&config).await?;
        let plan = Plan {
            profile: Arc::new(config.profile.clone()),
            payout_script: payout.script,
            tag: config.tag.clone().into_bytes(),
            hole_bytes: config.layout.hole_bytes(),
        };
        let names = nodes.iter().map(|node| node.name().to_owned());
        let shared = Arc::new(Shared {
            health: HealthProbe::new(clock()),
            board: Mutex::new(Board::new(names, clock())),
            config,
            plan,
            payout_address: payout.address,
            clock,
            genesis: genesis.map_or_else(OnceLock::new, OnceLock::from),
            source: watch::Sender::new(0),
            began: Instant::now(),
            templates: Mutex::new(
                handed.and_then(Templates::restore).unwrap_or_else(Templates::new),
            ),
            precedent: Mutex::new(None),
            rounds: watch::Sender::new(None),
            flow: watch::Sender::new(Flow::Open),
            firsts: Mutex::default(),
        });
        let follow = |at| tokio::spawn(follow::follow(Arc::clone(&shared), at));
        let followers = (0..nodes.len()).map(follow).collect();
        Ok(Self { shared, followers })
    }

    /// What can be won now. `None` until the first template came; the last one stays while
    /// the node is away (see [`NodeChain::health`]).
    pub fn rounds(&self) -> watch::Receiver<Option<Arc<Template>>> {
        self.shared.rounds.subscribe()
    }

    /// Whether a block could win now.
    pub fn flow(&self) -> watch::Receiver<Flow> {
        self.shared.flow.subscribe()
    }

    /// Every node, in the operator's order.
    pub fn nodes(&self) -> Vec<NodeView> {
        self.shared.board().views()
    }

    /// Whether the chain can be reached.
    pub fn health(&self) -> watch::Receiver<ChainHealth> {
        self.shared.health.subscribe()
    }

    /// Confirmations after which a reward is the pool's.
    pub fn confirmations(&self) -> u32 {
        self.shared.config.confirmations
    }

    /// Whom blocks pay.
    pub fn payout_address(&self) -> &str {
        &self.shared.payout_address
    }

    /// Makes the block of a solution, also of a stale one.
    ///
    /// # Errors
    /// When its template is not among the last 64, or header and coinbase do not belong
    /// together.
    pub fn assemble(&self, solution: &Solution) -> Result<Block, AssembleError> {
        let (template, height) = (solution.template.id, solution.template.height);
        let transactions = self.shared.templates().transactions(template);
        let unknown = AssembleError::UnknownTemplate { template, height };
        let transactions = transactions.ok_or(unknown)?;
        block::assemble(&self.shared.plan.profile, solution, &transactions)
    }

    /// What a process that takes this one's place needs to make blocks of the work that is out.
    pub fn templates(&self) -> TemplatesState {
        self.shared.templates().state()
    }

    /// Hands a block to every node at once, with retries, and returns at the first that
    /// accepts it; the others go on by themselves, even if the caller stops waiting.
    /// Handing in twice is harmless.
    pub async fn submit(&self, block: &Block) -> SubmitOutcome {
        let is_first = self.shared.is_first_of_height(block);
        submit::to_all(&self.shared.config.rpcs(), block, is_first).await
    }

    /// What became of a block's reward. Asked on each new tip: the adapter keeps no state
    /// about blocks, so a restart loses none.
    ///
    /// # Errors
    /// When no node could be asked.
    pub async fn reward(&self, block: &BlockRef) -> Result<RewardState, RpcError> {
        let Shared { config, .. } = &*self.shared;
        let timed = config.profile.coinbase.time;
        reward::ask_all(&self.in_order(), timed, config.confirmations, block).await
    }

    /// Height of the last block.
    ///
    /// # Errors
    /// When no node could be asked.
    pub async fn best_height(&self) -> Result<u64, RpcError> {
        let mut failure = None;
        for node in self.in_order() {
            match node.call("getblockcount", json!([])).await {
                Ok(answer) => match answer.as_u64() {
                    Some(height) => return Ok(height),
                    None => failure = Some(node.unexpected("getblockcount", "a number")),
                },
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.expect("connect() found at least one node"))
    }

    /// Ends the connection and waits until nothing of it is left, so that an embedded chain
    /// can be opened again at once.
    pub async fn close(mut self) {
        for follower in &mut self.followers {
            follower.abort();
            // Its end is all there is to know of it.
            let _ = follower.await;
        }
    }

    /// All nodes, the one work comes from first.
    fn in_order(&self) -> Vec<Rpc> {
        let order = self.shared.board().order();
        order.into_iter().map(|at| self.shared.config.nodes[at].rpc.clone()).collect()
    }
}

impl Drop for NodeChain {
    fn drop(&mut self) {
        for follower in &self.followers {
            follower.abort();
        }
    }
}

/// A node that is starting will be there: a machine that comes up with both need not be
/// looked after. Anything else is told at once.
async fn learn_when_warm(config: &NodeConfig) -> Result<payout_script::Payout, ConnectError> {
    loop {
        match payout_script::learn(config).await {
            Err(ConnectError::Node(error)) if error.is_warm_up() => {
                tracing::warn!(%error, "waiting for the node to start");
                tokio::time::sleep(WARM_UP_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

impl Shared {
    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().expect("nothing panics while it holds the board")
    }

    pub(crate) fn precedent(&self) -> Option<Precedent> {
        self.precedent.lock().expect("nothing panics while it holds this").clone()
    }

    /// Whether the pool has handed in no other block of this height: a second one must not
    /// take the place of the first.
    fn is_first_of_height(&self, block: &Block) -> bool {
        let mut firsts = self.firsts.lock().expect("nothing panics while it holds these");
        if firsts.len() >= HEIGHTS_KEPT_MAX && !firsts.contains_key(&block.height) {
            firsts.pop_first();
        }
        *firsts.entry(block.height).or_insert_with(|| block.id.clone()) == block.id
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn asks(&self, at: usize) {
        self.board().asks(at, self.ms());
    }

    /// Whether there is work on that block already.
    pub(crate) fn works_on(&self, block: [u8; 32]) -> bool {
        self.board().round().is_some_and(|round| round.hash == block)
    }

    /// Whether a node with another tip than the round's should be asked for work.
    pub(crate) fn wants(&self, at: usize, tip: NodeTip) -> bool {
        let board = self.board();
        board.source() == at || board.round().is_none_or(|round| tip.height > round.height)
    }

    /// A good answer came.
    pub(crate) fn answered(&self, at: usize, tip: NodeTip) {
        let mut board = self.board();
        if board.answered(at, tip, (self.clock)()) {
            tracing::info!(node = self.config.nodes[at].rpc.name(), "node answers");
        }
        self.choose(&mut board);
    }

    /// A bad answer came, or none. Returns the failures in a row.
    pub(crate) fn failed(&self, at: usize, cause: String) -> u32 {
        let mut board = self.board();
        if board.answers(at) {
            tracing::warn!(node = self.config.nodes[at].rpc.name(), cause, "node fails");
        }
        let failures = board.failed(at, cause, (self.clock)());
        self.choose(&mut board);
        if !board.any_answers() {
            self.health.failed(board.causes(), (self.clock)());
        }
        failures
    }

    fn choose(&self, board: &mut Board) {
        let moved = board.choose(self.ms());
        if moved.is_other {
            let node = self.config.nodes[moved.source].rpc.name();
            tracing::warn!(node, "work now comes from another node");
        }
        self.tell_source(moved.source);
    }

    fn tell_source(&self, source: usize) {
        self.source.send_if_modified(|told| std::mem::replace(told, source) != source);
    }

    pub(crate) fn healthy(&self) {
        self.health.succeeded((self.clock)());
    }

    /// Makes work of a node's template, if it is the one there should be work on.
    ///
    /// # Errors
    /// When its coinbase would break consensus.
    pub(crate) fn publish(&self, at: usize, gbt: Gbt) -> Result<(), BadTemplate> {
        let tip = NodeTip { hash: gbt.previous, height: gbt.height - 1 };
        let mut board = self.board();
        if !board.takes(at, tip, self.ms()) {
            return Ok(());
        }
        let paused_from = self.plan.profile.template.pause_from_height;
        if gbt.mining_disabled && paused_from.is_some_and(|from| gbt.height >= from) {
            self.pause("the node says that this kind of block has had its share of the last ones");
        } else {
            let precedent = Precedent::of(&gbt);
            // Under the board's lock, so that work is published in the order it is taken.
            let template = self.templates().add(&self.plan, gbt)?;
            *self.precedent.lock().expect("nothing panics while it holds this") = precedent;
            // The work first: who hears that it flows again must not find that of before.
            self.rounds.send_replace(Some(template));
            self.flow.send_if_modified(|flow| std::mem::replace(flow, Flow::Open) != Flow::Open);
        }
        board.take(at, tip);
        self.tell_source(at);
        self.healthy();
        Ok(())
    }

    fn pause(&self, why: &str) {
        self.flow.send_if_modified(|flow| {
            let pauses = matches!(flow, Flow::Open);
            if pauses {
                tracing::warn!(why, "mining pauses");
                *flow = Flow::Paused { why: why.to_owned() };
            }
            pauses
        });
    }

    fn templates(&self) -> MutexGuard<'_, Templates> {
        self.templates.lock().expect("nothing panics while it holds these")
    }

    pub(crate) fn template_params(&self, long_poll_id: Option<&str>) -> Value {
        let rules = &self.plan.profile.template;
        let mut request = json!({ "rules": rules.rules, "capabilities": ["longpoll"] });
        if let Some(id) = long_poll_id {
            request["longpollid"] = id.into();
        }
        match &rules.algorithm {
            None => json!([request]),
            Some(algorithm) => json!([request, algorithm]),
        }
    }
}
