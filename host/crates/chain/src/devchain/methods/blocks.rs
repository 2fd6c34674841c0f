//! Calls about blocks and the chain they form.

use chimera_pow::{PowHash, Work};
use serde_json::{Value, json};

use super::{Arguments, DevChain, code, fault};
use crate::devchain::address::address_of;
use crate::devchain::params::DevChainError;
use crate::devchain::tree::{BlockTree, Entry};
use crate::rpc::RpcFault;
use crate::transaction::{Output, Transaction};

/// Base units in a coin.
const COIN: f64 = 100_000_000.0;

impl DevChain {
    /// Verbosity 0: the bytes; 1: with transaction ids; 2: with transactions.
    pub(super) fn get_block(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let hash = arguments.hash(0, "blockhash")?;
        let verbosity = arguments.verbosity(1, 1)?;
        let state = self.state();
        let entry = state.tree.get(hash).ok_or_else(unknown_block)?;
        if verbosity <= 0 {
            return Ok(hex::encode(&entry.block.bytes).into());
        }
        let mut answer = self.describe(&state.tree, entry);
        let size = entry.block.bytes.len();
        let transactions = entry.block.transactions.iter();
        let described: Vec<Value> = if verbosity == 1 {
            transactions.map(|tx| PowHash(tx.txid()).to_string().into()).collect()
        } else {
            transactions.map(|tx| self.describe_transaction(tx)).collect()
        };
        answer["tx"] = described.into();
        answer["size"] = size.into();
        answer["strippedsize"] = size.into();
        answer["weight"] = (4 * size).into();
        Ok(answer)
    }

    pub(super) fn get_block_header(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let hash = arguments.hash(0, "blockhash")?;
        let verbosity = arguments.verbosity(1, 1)?;
        let state = self.state();
        let entry = state.tree.get(hash).ok_or_else(unknown_block)?;
        Ok(match verbosity {
            ..=0 => hex::encode(entry.block.header).into(),
            _ => self.describe(&state.tree, entry),
        })
    }

    pub(super) fn get_block_hash(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let height = arguments.integer(0, "height")?;
        let found = u64::try_from(height).ok().and_then(|height| self.state().tree.at(height));
        let hash = found.ok_or_else(|| fault(code::PARAMETER, "Block height out of range"))?;
        Ok(PowHash(hash).to_string().into())
    }

    pub(super) fn get_blockchain_info(&self) -> Value {
        let state = self.state();
        let tip = state.tree.tip();
        let mut answer = json!({
            "chain": self.params().network,
            "blocks": tip.height,
            "headers": tip.height,
            "bestblockhash": tip.hash.to_string(),
            "verificationprogress": 1.0,
            "initialblockdownload": false,
            "pruned": false,
            "warnings": [],
        });
        if let Some(entry) = state.tree.get(tip.hash.0) {
            let described = self.describe(&state.tree, entry);
            for field in ["bits", "target", "difficulty", "time", "mediantime", "chainwork"] {
                answer[field] = described[field].clone();
            }
        }
        answer
    }

    pub(super) fn get_difficulty(&self) -> Value {
        let state = self.state();
        let tip = state.tree.tip();
        state.tree.get(tip.hash.0).map_or(Value::Null, difficulty)
    }

    pub(super) fn invalidate_block(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let hash = arguments.hash(0, "blockhash")?;
        match self.orphan(PowHash(hash)) {
            Ok(_) => Ok(Value::Null),
            Err(DevChainError::NotOrphanable { .. }) => Err(unknown_block()),
            Err(error) => Err(fault(code::DATABASE, error.to_string())),
        }
    }

    /// What `getblock` and `getblockheader` have in common.
    fn describe(&self, tree: &BlockTree, entry: &Entry) -> Value {
        let block = &entry.block;
        let hash = block.hash(self.params()).0;
        let on_chain = tree.is_on_chain(hash);
        // Core's number for a block that is not on the chain.
        let confirmations =
            if on_chain { (tree.tip().height - entry.height + 1).cast_signed() } else { -1 };
        let mut answer = json!({
            "hash": PowHash(hash).to_string(),
            "pow_hash": PowHash(hash).to_string(),
            "confirmations": confirmations,
            "height": entry.height,
            "version": block.version(),
            "versionHex": format!("{:08x}", block.version()),
            "merkleroot": PowHash(block.merkle_root()).to_string(),
            "time": block.time(),
            "mediantime": tree.median_time(hash),
            "nonce": block.nonce(),
            "bits": block.bits().to_string(),
            "target": block.bits().target().map_or(Value::Null, |it| it.to_string().into()),
            "difficulty": difficulty(entry),
            "chainwork": work_hex(entry.chain_work),
            "nTx": block.transactions.len(),
        });
        if entry.height > 0 {
            answer["previousblockhash"] = PowHash(block.previous()).to_string().into();
        }
        if let Some(next) = tree.at(entry.height + 1).filter(|_| on_chain) {
            answer["nextblockhash"] = PowHash(next).to_string().into();
        }
        answer
    }

    fn describe_transaction(&self, transaction: &Transaction) -> Value {
        let output = |(n, output): (usize, &Output)| {
            json!({
                // For people; programs read the bytes, where the value is a whole number.
                "value": output.value as f64 / COIN,
                "n": n,
                "scriptPubKey": {
                    "hex": hex::encode(&output.script),
                    "address": address_of(&self.params().network, &output.script),
                },
            })
        };
        let inputs = transaction.inputs.iter();
        let vin: Vec<Value> = inputs
            .map(|input| json!({ "coinbase": hex::encode(&input.script), "sequence": input.sequence }))
            .collect();
        let vout: Vec<Value> = transaction.outputs.iter().enumerate().map(output).collect();
        json!({ "txid": PowHash(transaction.txid()).to_string(), "vin": vin, "vout": vout })
    }
}

fn difficulty(entry: &Entry) -> Value {
    let target = entry.block.bits().target();
    target.map_or(Value::Null, |target| target.difficulty().get().into())
}

fn work_hex(work: Work) -> String {
    format!("{:064x}", work.hashes())
}

fn unknown_block() -> RpcFault {
    fault(code::NOT_FOUND, "Block not found")
}
