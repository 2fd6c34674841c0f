//! Calls about addresses and the (absent) network.

use serde_json::{Value, json};

use super::{Arguments, DevChain};
use crate::devchain::address::{Payee, address_for};
use crate::rpc::RpcFault;

impl DevChain {
    pub(super) fn validate_address(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let address = arguments.text(0, "address")?;
        Ok(match Payee::parse(&self.params().network, address) {
            Err(error) => json!({ "isvalid": false, "error_locations": [], "error": error }),
            Ok(payee) => json!({
                "isvalid": true,
                "address": address,
                "scriptPubKey": hex::encode(payee.script()),
                "isscript": payee.program.len() == 32,
                "iswitness": true,
                "witness_version": payee.version,
                "witness_program": hex::encode(&payee.program),
            }),
        })
    }

    /// One address per label, not a new one per call: a pool that restarts finds its own.
    pub(super) fn get_new_address(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let label = match arguments.get(0) {
            None => "",
            Some(_) => arguments.text(0, "label")?,
        };
        Ok(address_for(&self.params().network, &self.seed, label).into())
    }
}

/// There is no network: no peers, and none can be added.
pub(super) fn get_network_info() -> Value {
    json!({
        "version": 10_000,
        "subversion": concat!("/chimera-devchain:", env!("CARGO_PKG_VERSION"), "/"),
        "protocolversion": 70_016,
        "networkactive": false,
        "connections": 0,
        "networks": [],
        "warnings": [],
    })
}
