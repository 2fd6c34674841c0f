//! Calls about transactions that wait for a block.

use bitcoin::{Transaction, consensus};
use serde_json::{Map, Value, json};

use super::{Arguments, DevChain, code, fault};
use crate::devchain::refusal::Refusal;
use crate::rpc::RpcFault;

impl DevChain {
    pub(super) fn send_raw_transaction(
        &self,
        arguments: &Arguments<'_>,
    ) -> Result<Value, RpcFault> {
        let undecodable = || {
            let message = "TX decode failed. Make sure the tx has at least one input.";
            fault(code::DESERIALIZATION, message)
        };
        let bytes = hex::decode(arguments.text(0, "hexstring")?).map_err(|_| undecodable())?;
        let transaction: Transaction = consensus::deserialize(&bytes).map_err(|_| undecodable())?;
        self.accept_transaction(transaction)
    }

    fn accept_transaction(&self, transaction: Transaction) -> Result<Value, RpcFault> {
        if !self.params().rules.is_bitcoin() {
            let message = format!("chains with {} rules have coinbases only", self.params().rules);
            return Err(fault(code::VERIFY_REJECTED, message));
        }
        let mut state = self.state();
        let state = &mut *state;
        let txid = transaction.compute_txid();
        if state.mempool.holds(&txid) {
            return Ok(txid.to_string().into());
        }
        if state.ledger.coins().keys().any(|point| point.txid == txid) {
            let message = "Transaction outputs already in utxo set";
            return Err(fault(code::ALREADY_IN_CHAIN, message));
        }
        if transaction.input.iter().any(|input| state.mempool.spends(&input.previous_output)) {
            return Err(fault(code::VERIFY_REJECTED, "txn-mempool-conflict"));
        }
        let next = state.next();
        match state.mempool.add(&state.ledger, next, transaction) {
            Ok(txid) => Ok(txid.to_string().into()),
            Err(Refusal::MissingOrSpent) => {
                Err(fault(code::VERIFY, Refusal::MissingOrSpent.reason()))
            }
            Err(refusal) => Err(fault(code::VERIFY_REJECTED, refusal.reason())),
        }
    }

    pub(super) fn get_raw_mempool(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let verbose = arguments.verbosity(0, 0)? > 0;
        let state = self.state();
        let pooled = state.mempool.pooled();
        if !verbose {
            return Ok(pooled.iter().map(|one| Value::from(one.txid.to_string())).collect());
        }
        let row = |one: &crate::devchain::mempool::Pooled| {
            let base = one.fee as f64 / 100_000_000.0;
            json!({ "vsize": one.weight.div_ceil(4), "weight": one.weight, "fees": { "base": base } })
        };
        let rows: Map<String, Value> =
            pooled.iter().map(|one| (one.txid.to_string(), row(one))).collect();
        Ok(rows.into())
    }

    pub(super) fn get_mempool_info(&self) -> Value {
        let state = self.state();
        let pooled = state.mempool.pooled();
        let bytes: u64 = pooled.iter().map(|one| one.weight.div_ceil(4)).sum();
        let fees: u64 = pooled.iter().map(|one| one.fee).sum();
        json!({
            "loaded": true,
            "size": pooled.len(),
            "bytes": bytes,
            "usage": bytes,
            "total_fee": fees as f64 / 100_000_000.0,
            "maxmempool": 300_000_000,
            "mempoolminfee": 0.000_001,
            "minrelaytxfee": 0.000_001,
            "unbroadcastcount": 0,
        })
    }
}
