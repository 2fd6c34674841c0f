//! Calls about blocks and the chain they form.

use bitcoin::consensus;
use chimera_pow::{HEADER_BYTES, PowHash, Work};
use serde_json::{Value, json};

use super::{Arguments, DevChain, code, fault};
use crate::devchain::address::address_of;
use crate::devchain::dev_block::DevBlock;
use crate::devchain::params::DevChainError;
use crate::devchain::rules::DevRules;
use crate::devchain::tree::{BlockTree, Entry};
use crate::rpc::RpcFault;
use crate::transaction::{Input, Output, Transaction};
use crate::wire::Reader;

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
        let transactions = entry.block.transactions(self.params().rules);
        let described: Vec<Value> = if verbosity == 1 {
            transactions.iter().map(|tx| PowHash(tx.txid()).to_string().into()).collect()
        } else {
            transactions.iter().map(|tx| self.describe_transaction(tx)).collect()
        };
        answer["nTx"] = described.len().into();
        answer["tx"] = described.into();
        let size = entry.block.bytes.len();
        let weight = weight_of(self.params().rules, &entry.block.bytes);
        answer["size"] = size.into();
        answer["strippedsize"] = ((weight - size) / 3).into();
        answer["weight"] = weight.into();
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
            "initialblockdownload": state.initial_download,
            "size_on_disk": state.tree.get(tip.hash.0).map_or(0, |entry| entry.block.bytes.len()),
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

    pub(super) fn reconsider_block(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let hash = arguments.hash(0, "blockhash")?;
        match self.reconsider(PowHash(hash)) {
            Ok(_) => Ok(Value::Null),
            Err(DevChainError::NotOrphanable { .. }) => Err(unknown_block()),
            Err(error) => Err(fault(code::DATABASE, error.to_string())),
        }
    }

    pub(super) fn precious_block(&self, arguments: &Arguments<'_>) -> Result<Value, RpcFault> {
        let hash = arguments.hash(0, "blockhash")?;
        self.prefer(hash).map(|_| Value::Null).ok_or_else(unknown_block)
    }

    pub(super) fn get_chain_tips(&self) -> Value {
        let state = self.state();
        let tree = &state.tree;
        let mut ends = tree.ends();
        if !ends.iter().any(|end| end.block.id == tree.tip().hash) {
            ends.extend(tree.get(tree.tip().hash.0));
        }
        ends.sort_by_key(|end| (std::cmp::Reverse(end.height), end.block.id.0));
        let row = |end: &&Entry| {
            let id = end.block.id;
            let fork = tree.path_to(id.0).0;
            let status = match (end.block.id == tree.tip().hash, tree.is_invalid(id.0)) {
                (true, _) => "active",
                (_, true) => "invalid",
                (false, false) => "valid-fork",
            };
            let length = end.height - fork;
            json!({ "height": end.height, "hash": id.to_string(), "branchlen": length, "status": status })
        };
        ends.iter().map(row).collect::<Vec<Value>>().into()
    }

    /// What `getblock` and `getblockheader` have in common.
    fn describe(&self, tree: &BlockTree, entry: &Entry) -> Value {
        let block = &entry.block;
        let hash = block.id.0;
        let on_chain = tree.is_on_chain(hash);
        // Core's number for a block that is not on the chain.
        let confirmations =
            if on_chain { (tree.tip().height - entry.height + 1).cast_signed() } else { -1 };
        let mut answer = json!({
            "hash": block.id.to_string(),
            "confirmations": confirmations,
            "height": entry.height,
            "version": block.version().cast_signed(),
            "versionHex": format!("{:08x}", block.version()),
            "merkleroot": PowHash(block.merkle_root()).to_string(),
            "time": block.time(),
            "mediantime": tree.median_time(hash),
            "nonce": block.nonce(),
            "bits": block.bits().to_string(),
            "target": block.bits().target().map_or(Value::Null, |it| it.to_string().into()),
            "difficulty": difficulty(entry),
            "chainwork": work_hex(entry.chain_work),
            "nTx": transaction_count(block),
        });
        if !self.params().rules.is_bitcoin() {
            answer["pow_hash"] = self.params().algorithm.hash(&block.header).to_string().into();
        }
        if self.params().rules.is_verge() {
            answer["algo"] = "blake".into();
        }
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
                    "address": address_of(self.params().address_prefix(), &output.script),
                },
            })
        };
        let inputs = transaction.inputs.iter();
        let vin: Vec<Value> =
            inputs.map(|input| describe_input(input, transaction.is_coinbase())).collect();
        let vout: Vec<Value> = transaction.outputs.iter().enumerate().map(output).collect();
        json!({ "txid": PowHash(transaction.txid()).to_string(), "vin": vin, "vout": vout })
    }
}

fn describe_input(input: &Input, coinbase: bool) -> Value {
    if coinbase {
        return json!({ "coinbase": hex::encode(&input.script), "sequence": input.sequence });
    }
    json!({
        "txid": PowHash(input.previous).to_string(),
        "vout": input.index,
        "scriptSig": { "hex": hex::encode(&input.script) },
        "sequence": input.sequence,
    })
}

fn transaction_count(block: &DevBlock) -> u64 {
    Reader::new(&block.bytes[HEADER_BYTES..]).compact_size().unwrap_or(0)
}

/// Of BIP 141: bytes without witness thrice, and all bytes.
fn weight_of(rules: DevRules, bytes: &[u8]) -> usize {
    let block = (!rules.is_verge()).then(|| consensus::deserialize::<bitcoin::Block>(bytes).ok());
    let weight = block.flatten().and_then(|block| usize::try_from(block.weight().to_wu()).ok());
    weight.unwrap_or(4 * bytes.len())
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
