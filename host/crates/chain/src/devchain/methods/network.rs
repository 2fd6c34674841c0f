//! Calls about addresses and the (absent) network.

use serde_json::{Value, json};

use super::{Arguments, DevChain};
use crate::rpc::RpcFault;

impl DevChain {
    pub(super) fn validate_address(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let address = arguments.text(0, "address")?;
        let known = match self.wallet.look_up(self.params(), address) {
            Ok(known) => known,
            Err(error) => {
                return Ok(json!({ "isvalid": false, "error_locations": [], "error": error }));
            }
        };
        let mut answer = json!({
            "isvalid": true,
            "address": address,
            "scriptPubKey": hex::encode(&known.script),
        });
        if let Some((version, program)) = &known.witness {
            answer["isscript"] = (program.len() == 32).into();
            answer["iswitness"] = true.into();
            answer["witness_version"] = (*version).into();
            answer["witness_program"] = hex::encode(program).into();
        } else {
            answer["ismine"] = known.pubkey.is_some().into();
            answer["isscript"] = false.into();
        }
        if let Some(key) = known.pubkey {
            answer["pubkey"] = hex::encode(key).into();
            answer["iscompressed"] = true.into();
        }
        Ok(answer)
    }

    /// One address per label, not a new one per call: a pool that restarts finds its own.
    pub(super) fn get_new_address(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let label = match arguments.get(0) {
            None => "",
            Some(_) => arguments.text(0, "label")?,
        };
        Ok(self.wallet.address(self.params(), label).into())
    }

    /// Nothing but `hashblock` is ever published.
    pub(super) fn get_zmq_notifications(&self) -> Value {
        let row = |address| json!({ "type": "pubhashblock", "address": address, "hwm": 1000 });
        self.state().zmq_address.iter().map(row).collect::<Vec<Value>>().into()
    }
}

/// Peers there are not, as `getconnectioncount` tells.
pub(super) const CONNECTIONS: u32 = 0;

/// There is no network: no peers, and none can be added.
pub(super) fn get_network_info() -> Value {
    json!({
        "version": 10_000,
        "subversion": concat!("/chimera-devchain:", env!("CARGO_PKG_VERSION"), "/"),
        "protocolversion": 70_016,
        "networkactive": false,
        "connections": CONNECTIONS,
        "networks": [],
        "warnings": [],
    })
}
