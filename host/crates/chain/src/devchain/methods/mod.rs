//! The calls the embedded chain answers, by Bitcoin Core's names, arguments and error codes.

mod arguments;
mod blocks;
mod mining;
mod network;

use serde_json::Value;

use super::DevChain;
use crate::rpc::RpcFault;
use arguments::Arguments;

/// Core's `rpc/protocol.h` and JSON-RPC 2.0.
mod code {
    pub(super) const TYPE: i32 = -3;
    pub(super) const NOT_FOUND: i32 = -5;
    pub(super) const PARAMETER: i32 = -8;
    pub(super) const DATABASE: i32 = -20;
    pub(super) const DESERIALIZATION: i32 = -22;
    pub(super) const METHOD_NOT_FOUND: i32 = -32601;
    pub(super) const INVALID_PARAMS: i32 = -32602;
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
            "getblocktemplate" => self.get_block_template(arguments, now),
            "submitblock" => self.submit_block(arguments, now),
            "getmininginfo" => Ok(self.get_mining_info()),
            "generatetoaddress" => self.generate_to_address(arguments, now),
            "getnetworkinfo" => Ok(network::get_network_info()),
            "validateaddress" => self.validate_address(arguments),
            "getnewaddress" => self.get_new_address(arguments),
            _ => Err(fault(code::METHOD_NOT_FOUND, "Method not found")),
        }
    }
}

fn fault(code: i32, message: impl Into<String>) -> RpcFault {
    RpcFault { code, message: message.into() }
}
