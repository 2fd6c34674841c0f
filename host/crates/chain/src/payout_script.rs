//! Whom the blocks pay: read from the address by the pool itself where the profile says how,
//! and asked of the node, which must come to the same (T8).

use std::time::Duration;

use bitcoin::hashes::Hash as _;
use chimera_pow::Algorithm;
use serde_json::{Value, json};

use crate::address::BadAddress;
use crate::coinbase::put_push;
use crate::node_chain::{NodeConfig, NodeEndpoint};
use crate::profile::{PayTo, Profile};
use crate::rpc::{Rpc, RpcError};

const OP_CHECKSIG: u8 = 0xac;

/// A node that is there knows its first block by heart.
const GENESIS_WAIT: Duration = Duration::from_secs(2);

/// The label of the pool's address on the embedded chain.
const LABEL: &str = "pool";

/// Why a pool does not start on this chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// There is nobody to ask.
    #[error("no node is configured for the chain")]
    NoNodes,
    /// A guess would pay a stranger.
    #[error("no payout address is configured; a real node needs one of your own wallet")]
    NoAddress,
    /// The profile's network has no such address.
    #[error("payout address \"{address}\" is none of chain \"{profile}\": {cause}")]
    ForeignAddress {
        /// What is configured.
        address: String,
        /// Which chain.
        profile: String,
        /// What is wrong with it.
        cause: BadAddress,
    },
    /// The node pays something else than the pool reads from the address.
    #[error(
        "payout address \"{address}\" means {node} to the node and {pool} to the pool; is \
         the profile right?"
    )]
    AddressDisagrees {
        /// What is configured.
        address: String,
        /// The node's script, hex.
        node: String,
        /// The pool's.
        pool: String,
    },
    /// The node does not know such an address.
    #[error("payout address \"{address}\" is not valid on network \"{network}\": {cause}")]
    BadAddress {
        /// What is configured.
        address: String,
        /// What the node calls its network.
        network: String,
        /// What the node said.
        cause: String,
    },
    /// Two nodes do not have the same first block.
    #[error("nodes {other} and {node} are of different chains; all nodes must be of one")]
    OtherChain {
        /// One of them.
        node: String,
        /// The other.
        other: String,
    },
    /// A node is of another network than the profile.
    #[error(
        "node {node} is of another network than chain \"{profile}\": its first block is {found}"
    )]
    OtherNetwork {
        /// The node.
        node: String,
        /// The profile.
        profile: String,
        /// The node's first block.
        found: String,
    },
    /// The chain pays public keys, and the node's wallet has none for this address.
    #[error(
        "payout address \"{address}\" has no public key in the node's wallet; this chain pays \
         public keys: use an address made by this node"
    )]
    NoPublicKey {
        /// What is configured.
        address: String,
    },
    /// Every block would be refused: the node checks another proof of work.
    #[error("the node's proof of work is {found}, configured is {configured}")]
    OtherAlgorithm {
        /// What is configured.
        configured: Algorithm,
        /// What the node says.
        found: String,
    },
    /// There is not that much room in a coinbase.
    #[error("the coinbase tag has {found} bytes; at most {max} fit")]
    TagTooLong {
        /// Its length.
        found: usize,
        /// The most.
        max: usize,
    },
    /// No node could be asked.
    #[error(transparent)]
    Node(#[from] RpcError),
}

/// An address and the script that pays it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payout {
    pub(crate) address: String,
    pub(crate) script: Vec<u8>,
}

/// Nodes that are to stand in for each other must be of one chain: templates of another would
/// price shares by another difficulty. Those that cannot be reached now are asked when they
/// come. Returns the first block of those that answered.
pub(crate) async fn check_one_chain(
    nodes: &[Rpc],
    profile: &Profile,
) -> Result<Option<String>, ConnectError> {
    let mut first: Option<(String, String)> = None;
    for node in nodes {
        let Ok(genesis) = genesis_of(node).await else { continue };
        check_network(node, profile, &genesis)?;
        match &first {
            None => first = Some((node.name().to_owned(), genesis)),
            Some((other, expected)) if *expected != genesis => {
                let (node, other) = (node.name().to_owned(), other.clone());
                return Err(ConnectError::OtherChain { node, other });
            }
            Some(_) => {}
        }
    }
    Ok(first.map(|(_, genesis)| genesis))
}

/// The node's first block.
pub(crate) async fn genesis_of(node: &Rpc) -> Result<String, RpcError> {
    let answer = node.call_within(GENESIS_WAIT, "getblockhash", json!([0])).await?;
    let genesis = answer.as_str().map(str::to_owned);
    genesis.ok_or_else(|| node.unexpected("getblockhash", "a hash"))
}

/// Whether a first block is that of the profile's network.
pub(crate) fn check_network(
    node: &Rpc,
    profile: &Profile,
    genesis: &str,
) -> Result<(), ConnectError> {
    match &profile.genesis {
        Some(expected) if expected != genesis => Err(ConnectError::OtherNetwork {
            node: node.name().to_owned(),
            profile: profile.name.clone(),
            found: genesis.to_owned(),
        }),
        _ => Ok(()),
    }
}

/// What the pool itself reads from an address; `None` where the profile does not say how.
pub(crate) fn read_address(
    profile: &Profile,
    address: &str,
) -> Result<Option<Vec<u8>>, ConnectError> {
    let Some(prefixes) = &profile.addresses else { return Ok(None) };
    prefixes.script(address).map(Some).map_err(|cause| ConnectError::ForeignAddress {
        address: address.to_owned(),
        profile: profile.name.clone(),
        cause,
    })
}

/// Asks the first node that can be reached.
pub(crate) async fn learn(config: &NodeConfig) -> Result<Payout, ConnectError> {
    let mut failure = ConnectError::NoNodes;
    for NodeEndpoint { rpc, .. } in &config.nodes {
        match ask(rpc, config).await {
            // Of several failures, the one that will pass.
            Err(ConnectError::Node(error)) if !is_warm_up(&failure) => failure = error.into(),
            Err(ConnectError::Node(_)) => {}
            answer => return answer,
        }
    }
    Err(failure)
}

fn is_warm_up(failure: &ConnectError) -> bool {
    matches!(failure, ConnectError::Node(error) if error.is_warm_up())
}

pub(crate) async fn ask(node: &Rpc, config: &NodeConfig) -> Result<Payout, ConnectError> {
    check_algorithm(node, config.profile.algorithm).await?;
    let address = match (&config.payout_address, node) {
        (Some(address), _) => address.clone(),
        (None, Rpc::Http(_)) => return Err(ConnectError::NoAddress),
        (None, Rpc::Embedded(_)) => {
            let answer = node.call("getnewaddress", json!([LABEL])).await?;
            let text = answer.as_str();
            text.ok_or_else(|| node.unexpected("getnewaddress", "an address"))?.to_owned()
        }
    };
    let read = read_address(&config.profile, &address)?;
    let answer = node.call("validateaddress", json!([address])).await?;
    if answer["isvalid"] != true {
        let cause = answer["error"].as_str().unwrap_or("the node does not know it").to_owned();
        let network = network_of(node).await;
        return Err(ConnectError::BadAddress { address, network, cause });
    }
    let bytes = |field: &str| answer[field].as_str().and_then(|text| hex::decode(text).ok());
    let told = bytes("scriptPubKey").filter(|script| !script.is_empty());
    if let (Some(pool), Some(node)) = (&read, &told)
        && pool != node
    {
        let (pool, node) = (hex::encode(pool), hex::encode(node));
        return Err(ConnectError::AddressDisagrees { address, node, pool });
    }
    let script = if config.profile.coinbase.pay_to == PayTo::PublicKey {
        let Some(key) = bytes("pubkey").filter(|key| matches!(key.len(), 33 | 65)) else {
            return Err(ConnectError::NoPublicKey { address });
        };
        // The address the pool reads is a hash of this very key.
        let hash = bitcoin::hashes::hash160::Hash::hash(&key);
        if let Some(pool) = &read
            && !pool.windows(20).any(|part| part == hash.as_byte_array())
        {
            let (pool, node) = (hex::encode(pool), hex::encode(&key));
            return Err(ConnectError::AddressDisagrees { address, node, pool });
        }
        let mut script = Vec::new();
        put_push(&mut script, &key);
        script.push(OP_CHECKSIG);
        script
    } else {
        told.ok_or_else(|| node.unexpected("validateaddress", "a scriptPubKey"))?
    };
    Ok(Payout { address, script })
}

/// The embedded chain tells its algorithm; nodes that do not are believed to be as configured.
async fn check_algorithm(node: &Rpc, configured: Algorithm) -> Result<(), ConnectError> {
    let info = node.call("getmininginfo", json!([])).await?;
    match info["algorithm"].as_str() {
        Some(found) if found != configured.name() => {
            Err(ConnectError::OtherAlgorithm { configured, found: found.to_owned() })
        }
        _ => Ok(()),
    }
}

/// For the error only, so whatever goes wrong here is not one.
async fn network_of(node: &Rpc) -> String {
    let info = node.call("getblockchaininfo", json!([])).await.unwrap_or(Value::Null);
    info["chain"].as_str().unwrap_or("unknown").to_owned()
}
