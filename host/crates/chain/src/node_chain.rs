//! The adapter for nodes that speak getblocktemplate: what the host sees of a chain.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chimera_pow::Algorithm;
use chimera_work::{NonceLayout, Solution, Template};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::block::{self, AssembleError, Block, BlockRef};
use crate::clock::Clock;
use crate::devchain::MATURITY_BLOCKS;
use crate::dialect::Dialect;
use crate::health::{ChainHealth, HealthProbe};
use crate::payout_script::{self, ConnectError};
use crate::reward::{self, RewardState};
use crate::rounds;
use crate::rpc::{Rpc, RpcError};
use crate::submit::{self, SubmitOutcome};
use crate::template::Plan;
use crate::templates::{Templates, TemplatesState};

/// 5 bytes of height, 21 of nonce space and 65 of tag leave 9 for what a node wants to say
/// in the 100 bytes of a coinbase script.
const TAG_BYTES_MAX: usize = 64;

/// Core's wallet counts a reward as spendable at COINBASE_MATURITY + 1 confirmations.
const CONFIRMATIONS_BITCOIN: u32 = 101;

/// What the adapter has to know.
#[derive(Debug, Clone)]
pub struct NodeConfig {
    /// Nodes of one network. Work comes from the first that gives it; blocks go to all.
    pub nodes: Vec<Rpc>,
    /// How this chain differs from others of the family.
    pub dialect: Dialect,
    /// Proof of work of the blocks to mine.
    pub algorithm: Algorithm,
    /// The algorithm as the node calls it, for nodes that take it as second argument of
    /// getblocktemplate (Verge: "blake2s").
    pub template_algorithm: Option<String>,
    /// Whom blocks pay; may be absent for the embedded chain only.
    pub payout_address: Option<String>,
    /// What the coinbase says about the pool; at most 64 bytes, may be empty.
    pub tag: String,
    /// Sizes of the nonce space.
    pub layout: NonceLayout,
    /// Confirmations after which a reward is the pool's; the block itself is the first.
    pub confirmations: u32,
    /// How often the tip is asked for: how soon a dead node is noticed, and a new block when
    /// the node has no long poll.
    pub poll_interval: Duration,
    /// How often a template is renewed within a round, for its time and fees.
    pub refresh_interval: Duration,
}

impl NodeConfig {
    /// The usual settings of a dialect; the payout address and the tag are empty.
    pub fn new(nodes: Vec<Rpc>, dialect: Dialect) -> Self {
        let (algorithm, confirmations) = if dialect == Dialect::BITCOIN {
            (Algorithm::Sha256d, CONFIRMATIONS_BITCOIN)
        } else if dialect == Dialect::DEVCHAIN {
            (Algorithm::Blake2s, MATURITY_BLOCKS)
        } else {
            (Algorithm::Blake2s, CONFIRMATIONS_BITCOIN)
        };
        Self {
            nodes,
            dialect,
            algorithm,
            template_algorithm: (dialect == Dialect::VERGE).then(|| "blake2s".to_owned()),
            payout_address: None,
            tag: String::new(),
            layout: NonceLayout::DEFAULT,
            confirmations,
            poll_interval: Duration::from_secs(2),
            refresh_interval: Duration::from_secs(30),
        }
    }
}

/// A connection to a chain. It ends, with its task, when dropped.
#[derive(Debug)]
pub struct NodeChain {
    shared: Arc<Shared>,
    follower: JoinHandle<()>,
}

/// What the adapter's parts and its task have in common.
pub(crate) struct Shared {
    pub(crate) config: NodeConfig,
    pub(crate) plan: Plan,
    pub(crate) payout_address: String,
    pub(crate) clock: Clock,
    pub(crate) templates: Mutex<Templates>,
    pub(crate) rounds: watch::Sender<Option<Arc<Template>>>,
    pub(crate) health: HealthProbe,
    /// Index of the node that answered last.
    pub(crate) preferred: AtomicUsize,
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
        payout_script::check_one_chain(&config.nodes).await?;
        let payout = payout_script::learn(&config).await?;
        let plan = Plan {
            dialect: config.dialect,
            algorithm: config.algorithm,
            payout_script: payout.script,
            tag: config.tag.clone().into_bytes(),
            hole_bytes: config.layout.hole_bytes(),
        };
        let shared = Arc::new(Shared {
            health: HealthProbe::new(clock()),
            config,
            plan,
            payout_address: payout.address,
            clock,
            templates: Mutex::new(
                handed.and_then(Templates::restore).unwrap_or_else(Templates::new),
            ),
            rounds: watch::Sender::new(None),
            preferred: AtomicUsize::new(0),
        });
        let follower = tokio::spawn(rounds::follow(Arc::clone(&shared)));
        Ok(Self { shared, follower })
    }

    /// What can be won now. `None` until the first template came; the last one stays while
    /// the node is away (see [`NodeChain::health`]).
    pub fn rounds(&self) -> watch::Receiver<Option<Arc<Template>>> {
        self.shared.rounds.subscribe()
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
        let templates = self.shared.templates.lock().expect("nothing panics while it holds these");
        let transactions = templates
            .transactions(template)
            .ok_or(AssembleError::UnknownTemplate { template, height })?;
        drop(templates);
        block::assemble(&self.shared.config.dialect, solution, &transactions)
    }

    /// What a process that takes this one's place needs to make blocks of the work that is out.
    pub fn templates(&self) -> TemplatesState {
        self.shared.templates.lock().expect("nothing panics while it holds these").state()
    }

    /// Hands a block to every node at once, with retries, and returns at the first that
    /// accepts it; the others go on by themselves, even if the caller stops waiting.
    /// Handing in twice is harmless.
    pub async fn submit(&self, block: &Block) -> SubmitOutcome {
        submit::to_all(&self.shared.config.nodes, block).await
    }

    /// What became of a block's reward. Asked on each new tip: the adapter keeps no state
    /// about blocks, so a restart loses none.
    ///
    /// # Errors
    /// When no node could be asked.
    pub async fn reward(&self, block: &BlockRef) -> Result<RewardState, RpcError> {
        let Shared { config, .. } = &*self.shared;
        reward::ask_all(&self.nodes(), &config.dialect, config.confirmations, block).await
    }

    /// Height of the last block.
    ///
    /// # Errors
    /// When no node could be asked.
    pub async fn best_height(&self) -> Result<u64, RpcError> {
        let mut failure = None;
        for node in self.nodes() {
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
        self.follower.abort();
        // Its end is all there is to know of it.
        let _ = (&mut self.follower).await;
    }

    fn nodes(&self) -> Vec<Rpc> {
        self.shared.nodes().map(|(_, node)| node.clone()).collect()
    }
}

impl Drop for NodeChain {
    fn drop(&mut self) {
        self.follower.abort();
    }
}
