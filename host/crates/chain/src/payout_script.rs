//! Whom the blocks pay: asked of the node, because only it knows what an address of its
//! network is (T8).

use chimera_pow::Algorithm;
use serde_json::{Value, json};

use crate::coinbase::put_push;
use crate::node_chain::NodeConfig;
use crate::rpc::{Rpc, RpcError};

const OP_CHECKSIG: u8 = 0xac;

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

/// Nodes that are to stand in for each other must be of one chain: templates of another
/// would price shares by another difficulty. Those that cannot be reached now are not asked.
pub(crate) async fn check_one_chain(nodes: &[Rpc]) -> Result<(), ConnectError> {
    let mut first: Option<(String, String)> = None;
    for node in nodes {
        let Ok(genesis) = node.call("getblockhash", json!([0])).await else { continue };
        let genesis = genesis.as_str().unwrap_or_default().to_owned();
        match &first {
            None => first = Some((node.name().to_owned(), genesis)),
            Some((other, expected)) if *expected != genesis => {
                let (node, other) = (node.name().to_owned(), other.clone());
                return Err(ConnectError::OtherChain { node, other });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Asks the first node that can be reached.
pub(crate) async fn learn(config: &NodeConfig) -> Result<Payout, ConnectError> {
    let mut failure = ConnectError::NoNodes;
    for node in &config.nodes {
        match ask(node, config).await {
            Err(ConnectError::Node(error)) => failure = error.into(),
            answer => return answer,
        }
    }
    Err(failure)
}

async fn ask(node: &Rpc, config: &NodeConfig) -> Result<Payout, ConnectError> {
    check_algorithm(node, config.algorithm).await?;
    let address = match (&config.payout_address, node) {
        (Some(address), _) => address.clone(),
        (None, Rpc::Http(_)) => return Err(ConnectError::NoAddress),
        (None, Rpc::Embedded(_)) => {
            let answer = node.call("getnewaddress", json!([LABEL])).await?;
            let text = answer.as_str();
            text.ok_or_else(|| node.unexpected("getnewaddress", "an address"))?.to_owned()
        }
    };
    let answer = node.call("validateaddress", json!([address])).await?;
    if answer["isvalid"] != true {
        let cause = answer["error"].as_str().unwrap_or("the node does not know it").to_owned();
        let network = network_of(node).await;
        return Err(ConnectError::BadAddress { address, network, cause });
    }
    let bytes = |field: &str| answer[field].as_str().and_then(|text| hex::decode(text).ok());
    let script = if config.dialect.pay_to_pubkey {
        let Some(key) = bytes("pubkey").filter(|key| matches!(key.len(), 33 | 65)) else {
            return Err(ConnectError::NoPublicKey { address });
        };
        let mut script = Vec::new();
        put_push(&mut script, &key);
        script.push(OP_CHECKSIG);
        script
    } else {
        let script = bytes("scriptPubKey").filter(|script| !script.is_empty());
        script.ok_or_else(|| node.unexpected("validateaddress", "a scriptPubKey"))?
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
