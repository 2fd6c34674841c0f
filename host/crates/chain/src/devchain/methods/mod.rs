//! The calls the embedded chain answers, by Bitcoin Core's names, arguments and error codes.

mod arguments;
mod blocks;
mod mining;
mod network;
mod transactions;

use serde_json::Value;

use super::DevChain;
use crate::rpc::RpcFault;
use arguments::Arguments;
pub(super) use mining::not_stored;

/// Core's `rpc/protocol.h` and JSON-RPC 2.0.
pub(super) mod code {
    pub(in crate::devchain) const TYPE: i32 = -3;
    pub(in crate::devchain) const NOT_FOUND: i32 = -5;
    pub(in crate::devchain) const PARAMETER: i32 = -8;
    pub(in crate::devchain) const MISC: i32 = -1;
    pub(in crate::devchain) const INITIAL_DOWNLOAD: i32 = -10;
    pub(in crate::devchain) const DATABASE: i32 = -20;
    pub(in crate::devchain) const VERIFY: i32 = -25;
    pub(in crate::devchain) const VERIFY_REJECTED: i32 = -26;
    pub(in crate::devchain) const ALREADY_IN_CHAIN: i32 = -27;
    pub(in crate::devchain) const DESERIALIZATION: i32 = -22;
    pub(in crate::devchain) const METHOD_NOT_FOUND: i32 = -32601;
    pub(in crate::devchain) const INVALID_PARAMS: i32 = -32602;
}

impl DevChain {
    /// Answers one call at a given time (seconds since the Unix epoch). `params` is an array
    /// or absent. It never waits for a tip; [`DevNode::call`](super::DevNode::call) does.
    ///
    /// # Errors
    /// With Core's code and words: unknown method, wrong arguments, unknown block, a block
    /// that cannot be decoded or made durable.
    pub fn rpc(&self, method: &str, params: &Value, now: u64) -> Result<Value, RpcFault> {
        let arguments = Arguments::of(params)?;
        let arguments = &arguments;
        match method {
            "getbestblockhash" => Ok(self.state().tree.tip().hash.to_string().into()),
            "getblockcount" => Ok(self.state().tree.tip().height.into()),
            "getblock" => self.get_block(arguments),
            "getblockhash" => self.get_block_hash(arguments),
            "getblockheader" => self.get_block_header(arguments),
            "getblockchaininfo" => Ok(self.get_blockchain_info()),
            "getdifficulty" => Ok(self.get_difficulty()),
            "invalidateblock" => self.invalidate_block(arguments),
            "reconsiderblock" => self.reconsider_block(arguments),
            "preciousblock" => self.precious_block(arguments),
            "getchaintips" => Ok(self.get_chain_tips()),
            "getblocktemplate" => self.get_block_template(arguments, now),
            "submitblock" => self.submit_block(arguments, now),
            "getmininginfo" => Ok(self.get_mining_info()),
            "generatetoaddress" => self.generate_to_address(arguments, now),
            "sendrawtransaction" => self.send_raw_transaction(arguments),
            "getrawmempool" => self.get_raw_mempool(arguments),
            "getmempoolinfo" => Ok(self.get_mempool_info()),
            "getzmqnotifications" => Ok(self.get_zmq_notifications()),
            "getconnectioncount" => Ok(network::CONNECTIONS.into()),
            "getnetworkinfo" => Ok(network::get_network_info()),
            "validateaddress" => self.validate_address(arguments),
            "getnewaddress" => self.get_new_address(arguments),
            _ => Err(fault(code::METHOD_NOT_FOUND, "Method not found")),
        }
    }
}

pub(super) fn fault(code: i32, message: impl Into<String>) -> RpcFault {
    RpcFault { code, message: message.into() }
}
