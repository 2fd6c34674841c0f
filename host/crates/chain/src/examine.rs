//! Whether a pool could mine, found out before anybody does: node, address, template, ZMQ and
//! clock, each with what to do about it.

use std::sync::Arc;
use std::time::Instant;

use chimera_pow::{HEADER_BYTES, sha256d};
use chimera_work::{Solution, WorkerId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::announcements;
use crate::block;
use crate::clock::Clock;
use crate::gbt::Gbt;
use crate::merkle;
use crate::node_chain::{NodeConfig, NodeEndpoint};
use crate::payout_script::{ask, check_network, genesis_of, read_address};
use crate::profile::{PayTo, Profile};
use crate::rpc::{Rpc, RpcError};
use crate::template::Plan;
use crate::templates::Templates;
use crate::validate;

/// Miners' headers bear the node's time; a block too far ahead of others' clocks is refused.
const CLOCK_OFF_S: u64 = 60;
/// Work that takes longer to come is late for every block.
const SLOW_TEMPLATE_MS: u128 = 500;

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Right,
    /// The pool would work, and could do better or be safer.
    Warning,
    /// The pool would not start, or its blocks would be lost.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What, and at which node.
    pub subject: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to do about it; empty where nothing is to be done.
    pub advice: String,
}

/// Looks at everything the pool needs of its chain. Asks only; nothing is changed anywhere.
pub async fn examine(config: &NodeConfig, clock: &Clock) -> Vec<Finding> {
    let mut report = Report::default();
    report.address(config);
    if config.nodes.is_empty() {
        report.wrong("nodes", "none is configured", "list at least one in chain.nodes");
    }
    for node in &config.nodes {
        report.node(config, node, clock).await;
    }
    report.0
}

#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, verdict: Verdict, subject: &str, found: impl ToString, advice: &str) {
        let (subject, found) = (subject.to_owned(), found.to_string());
        self.0.push(Finding { subject, verdict, found, advice: advice.to_owned() });
    }

    fn right(&mut self, subject: &str, found: impl ToString) {
        self.add(Verdict::Right, subject, found, "");
    }

    fn warn(&mut self, subject: &str, found: impl ToString, advice: &str) {
        self.add(Verdict::Warning, subject, found, advice);
    }

    fn wrong(&mut self, subject: &str, found: impl ToString, advice: &str) {
        self.add(Verdict::Wrong, subject, found, advice);
    }

    fn address(&mut self, config: &NodeConfig) {
        let (subject, profile) = ("payout address", &config.profile);
        let Some(address) = &config.payout_address else {
            let advice = "set chain.payout_address to an address of your own wallet";
            return self.wrong(subject, "none is configured", advice);
        };
        match read_address(profile, address) {
            Err(error) => {
                self.wrong(subject, error, "use an address of this network, or another profile");
            }
            Ok(None) => {
                let found = format!("profile \"{}\" has no [addresses]", profile.name);
                self.warn(subject, found, "only the nodes say whether it is valid; add them");
            }
            Ok(Some(script)) => {
                self.right(subject, format!("{address}, script {}", hex::encode(script)));
            }
        }
    }

    async fn node(&mut self, config: &NodeConfig, node: &NodeEndpoint, clock: &Clock) {
        let NodeEndpoint { rpc, zmq } = node;
        if !self.reachable(rpc, &config.profile).await {
            return;
        }
        let script = self.address_at(config, rpc).await;
        if let Some(script) = script {
            self.template(config, rpc, script, clock).await;
        }
        self.submission(rpc).await;
        if config.profile.block_signature {
            self.wallet(rpc).await;
        }
        self.announcements(rpc, zmq.as_deref()).await;
    }

    async fn reachable(&mut self, rpc: &Rpc, profile: &Profile) -> bool {
        let subject = &format!("node {}", rpc.name());
        let info = match rpc.call("getblockchaininfo", json!([])).await {
            Ok(info) => info,
            Err(error) => {
                self.wrong(subject, &error, advice_for(&error));
                return false;
            }
        };
        let genesis = genesis_of(rpc).await.map_err(|error| error.to_string()).and_then(|first| {
            check_network(rpc, profile, &first).map_err(|error| error.to_string())
        });
        if let Err(cause) = genesis {
            let advice = "point chain.nodes at a node of this network, or choose another profile";
            self.wrong(subject, cause, advice);
            return false;
        }
        let (chain, blocks) = (&info["chain"], &info["blocks"]);
        let chain = chain.as_str().unwrap_or("unknown");
        self.right(subject, format!("answers; chain \"{chain}\", height {blocks}"));
        if info["initialblockdownload"] == true && chain != "regtest" {
            let progress = info["verificationprogress"].as_f64().unwrap_or(0.0) * 100.0;
            let found = format!("is still downloading the chain ({progress:.1} %)");
            self.wrong(subject, found, "wait until it is through: it gives no work before");
        }
        if let Ok(peers) = rpc.call("getconnectioncount", json!([])).await
            && peers == 0
            && !["regtest", "dev"].contains(&chain)
        {
            let advice = "check its network: a block it is given would reach nobody";
            self.wrong(subject, "has no peers", advice);
        }
        true
    }

    async fn address_at(&mut self, config: &NodeConfig, rpc: &Rpc) -> Option<Vec<u8>> {
        let subject = &format!("payout address at {}", rpc.name());
        match ask(rpc, config).await {
            Ok(payout) => {
                let what = match config.profile.coinbase.pay_to {
                    PayTo::Script => "valid",
                    PayTo::PublicKey => "valid, and its key is in the node's wallet",
                };
                self.right(subject, what);
                Some(payout.script)
            }
            Err(error) => {
                let advice = match config.profile.coinbase.pay_to {
                    PayTo::Script => "use an address of this network",
                    PayTo::PublicKey => "take the address from this node's getnewaddress",
                };
                self.wrong(subject, error, advice);
                None
            }
        }
    }

    async fn template(&mut self, config: &NodeConfig, rpc: &Rpc, script: Vec<u8>, clock: &Clock) {
        let subject = &format!("template of {}", rpc.name());
        let profile = &config.profile;
        let asked = Instant::now();
        let mut request = vec![json!({ "rules": profile.template.rules })];
        request.extend(profile.template.algorithm.iter().map(|name| json!(name)));
        let answer = match rpc.call("getblocktemplate", Value::Array(request)).await {
            Ok(answer) => answer,
            Err(error) => return self.wrong(subject, &error, advice_for(&error)),
        };
        let took_ms = asked.elapsed().as_millis();
        let gbt = Gbt::parse(&answer.to_string(), profile.coinbase.time)
            .and_then(|gbt| validate::check(&gbt, profile).map(|()| gbt));
        let gbt = match gbt {
            Ok(gbt) => gbt,
            Err(error) => {
                return self.wrong(subject, error, "is the profile that of this chain?");
            }
        };
        let found =
            format!("height {}, {} transactions, {took_ms} ms", gbt.height, gbt.transactions.len());
        if took_ms > SLOW_TEMPLATE_MS {
            let advice = "a faster disk or more memory for the node; chain.empty_block_first helps";
            self.warn(subject, found, advice);
        } else {
            self.right(subject, found);
        }
        if gbt.long_poll_id.is_none() {
            self.warn(subject, "has no long poll", "announce blocks over ZMQ (chain.nodes.zmq)");
        }
        if gbt.mining_disabled {
            self.mining_disabled(subject, profile, gbt.height);
        }
        self.clock(rpc, &gbt, clock);
        let plan = Plan {
            profile: Arc::new(profile.clone()),
            payout_script: script,
            tag: config.tag.clone().into_bytes(),
            hole_bytes: config.layout.hole_bytes(),
        };
        match proposal(&plan, gbt) {
            Ok(block) => self.proposal(rpc, &answer, profile, &block).await,
            Err(error) => self.wrong(subject, error, "shorten pool.name"),
        }
    }

    fn mining_disabled(&mut self, subject: &str, profile: &Profile, height: u64) {
        let found = "mining_disabled: this kind of block has had its share of the last ones";
        match profile.template.pause_from_height {
            Some(from) if height >= from => self.warn(
                subject,
                found,
                "nothing: the pool pauses until other kinds of blocks were found",
            ),
            _ => self.right(subject, format!("{found}; not enforced at this height")),
        }
    }

    fn clock(&mut self, rpc: &Rpc, gbt: &Gbt, clock: &Clock) {
        let subject = &format!("clock of {}", rpc.name());
        let (node, here) = (u64::from(gbt.time), clock());
        // A time the chain forces on the node says nothing about its clock.
        if gbt.time <= gbt.time_min && node > here {
            return;
        }
        let off = node.abs_diff(here);
        if off > CLOCK_OFF_S {
            let found = format!(
                "is {off} s {} this machine's",
                if node > here { "ahead of" } else { "behind" }
            );
            self.warn(subject, found, "set both clocks by NTP: blocks dated wrongly are refused");
        } else {
            self.right(subject, format!("within {off} s of this machine's"));
        }
    }

    /// BIP 23: the node checks a block of the pool's, all but its proof of work.
    async fn proposal(&mut self, rpc: &Rpc, answer: &Value, profile: &Profile, block: &[u8]) {
        let subject = &format!("a block of the pool's at {}", rpc.name());
        let offers = answer["capabilities"].as_array();
        if !offers.is_some_and(|all| all.iter().any(|one| one == "proposal")) {
            return self.warn(
                subject,
                "the node checks no proposals",
                "nothing can be done; the first block will tell",
            );
        }
        let data = hex::encode(block);
        let mut request = vec![json!({
            "mode": "proposal", "data": data, "rules": profile.template.rules,
        })];
        request.extend(profile.template.algorithm.iter().map(|name| json!(name)));
        match rpc.call("getblocktemplate", Value::Array(request)).await {
            Ok(Value::Null) => self.right(subject, "would be accepted, but for its proof of work"),
            // The tip moved on between the two questions.
            Ok(word) if word == "inconclusive-not-best-prevblk" => {
                self.warn(subject, "not checked: a new block came just now", "ask again");
            }
            // Such a node signs blocks as they are handed in, not when they are proposed.
            Ok(word) if profile.block_signature => {
                self.warn(
                    subject,
                    format!("a proposal is answered {word}"),
                    "the first block will tell",
                );
            }
            Ok(word) => {
                self.wrong(subject, format!("would be refused: {word}"), "is the profile right?");
            }
            Err(error) => self.warn(subject, error, "the first block will tell"),
        }
    }

    /// Whoever may ask for work may not be allowed to hand in blocks (Core's rpcwhitelist).
    async fn submission(&mut self, rpc: &Rpc) {
        const UNDECODABLE: i32 = -22;
        let subject = &format!("submitblock at {}", rpc.name());
        match rpc.call("submitblock", json!(["00"])).await {
            Err(RpcError::Node(fault)) if fault.code == UNDECODABLE => {
                self.right(subject, "may be called");
            }
            Ok(answer) => self.right(subject, format!("may be called ({answer})")),
            Err(error) => {
                let advice = "allow submitblock to this user (rpcwhitelist): blocks would be lost";
                self.wrong(subject, error, advice);
            }
        }
        // What became of a block is asked so; without it none ever ripens.
        let subject = &format!("getblock at {}", rpc.name());
        let first = match genesis_of(rpc).await {
            Ok(first) => rpc.call("getblock", json!([first, 1])).await,
            Err(error) => Err(error),
        };
        match first {
            Ok(_) => self.right(subject, "may be called"),
            Err(error) => self.wrong(subject, &error, advice_for(&error)),
        }
    }

    /// A locked wallet cannot sign the blocks it is handed.
    async fn wallet(&mut self, rpc: &Rpc) {
        let subject = &format!("wallet of {}", rpc.name());
        if let Ok(info) = rpc.call("getwalletinfo", json!([])).await
            && info["unlocked_until"] == 0
        {
            let advice = "unlock it (walletpassphrase) for as long as the pool runs";
            self.wrong(subject, "is locked: submitblock signs with it", advice);
        }
    }

    async fn announcements(&mut self, rpc: &Rpc, zmq: Option<&str>) {
        let subject = &format!("ZMQ of {}", rpc.name());
        let offered = rpc.call("getzmqnotifications", json!([])).await.unwrap_or(Value::Null);
        let hashblock = offered.as_array().into_iter().flatten();
        let hashblock = hashblock.filter(|one| one["type"] == "pubhashblock");
        let offered: Vec<&str> = hashblock.filter_map(|one| one["address"].as_str()).collect();
        let Some(endpoint) = zmq else {
            return match offered.first() {
                Some(address) => self.warn(
                    subject,
                    format!("blocks are announced at {address}, and nobody listens"),
                    "set zmq of this node in chain.nodes",
                ),
                None => self.warn(
                    subject,
                    "blocks are not announced",
                    "start the node with -zmqpubhashblock=tcp://ADDRESS:28332 and set zmq",
                ),
            };
        };
        match announcements::can_connect(endpoint).await {
            Err(cause) => self.warn(
                subject,
                format!("nobody answers at {endpoint}: {cause}"),
                "check the node's -zmqpubhashblock and the firewall; polling finds blocks later",
            ),
            Ok(()) if offered.is_empty() => self.warn(
                subject,
                format!(
                    "something answers at {endpoint}; the node does not say that it is its own"
                ),
                "check that the node was started with -zmqpubhashblock",
            ),
            Ok(()) => self.right(subject, format!("connected at {endpoint}")),
        }
    }
}

/// A block with nonces of zeros, made as a solution's is.
fn proposal(plan: &Plan, gbt: Gbt) -> Result<Vec<u8>, String> {
    let mut templates = Templates::new();
    let template = templates.add(plan, gbt).map_err(|error| error.to_string())?;
    let hole = vec![0; plan.hole_bytes];
    let commitment = [&template.commitment.head[..], &hole, &template.commitment.tail].concat();
    let root = merkle::root(sha256d(&commitment), &template.commitment.branch);
    let mut header = [0; HEADER_BYTES];
    header[0..4].copy_from_slice(&template.version.to_le_bytes());
    header[4..36].copy_from_slice(&template.previous);
    header[36..68].copy_from_slice(&root);
    header[68..72].copy_from_slice(&template.time.to_le_bytes());
    header[72..76].copy_from_slice(&template.bits.0.to_le_bytes());
    let hash = template.algorithm.hash(&header);
    let transactions = templates.transactions(template.id).expect("just made");
    let solution =
        Solution { template, header, commitment, hash, worker: WorkerId(0), stale: false };
    let block = block::assemble(&plan.profile, &solution, &transactions);
    block.map(|block| block.bytes).map_err(|error| error.to_string())
}

fn advice_for(error: &RpcError) -> &'static str {
    const NO_PEERS: i32 = -9;
    const DOWNLOADING: i32 = -10;
    match error {
        RpcError::Unauthorized { .. } => {
            "set user and password, or cookie_file, as the node has them"
        }
        RpcError::Cookie { .. } => "start the node, and let the pool's user read the file",
        RpcError::Forbidden { .. } => "allow it to this user (rpcwhitelist)",
        RpcError::Transport { cause, .. } if cause.to_lowercase().contains("certificate") => {
            "set ca_file to the certificate of the authority that signed the node's"
        }
        RpcError::Transport { .. } => {
            "start the node with -server, and allow this machine (-rpcbind, -rpcallowip)"
        }
        RpcError::Timeout { .. } => "the node hangs: look at its log and its disk",
        RpcError::Garbled { .. } | RpcError::Unexpected { .. } => "is this the address of a node?",
        RpcError::Node(fault) if fault.code == NO_PEERS => "connect the node to its network",
        RpcError::Node(fault) if fault.code == DOWNLOADING => "wait until it has the whole chain",
        RpcError::Node(_) if error.is_warm_up() => "wait a moment: the node is starting",
        RpcError::Node(_) => "see the node's log",
    }
}
