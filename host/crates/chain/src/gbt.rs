//! What getblocktemplate answers (BIP 22, 23, 145), parsed once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chimera_pow::{BadBits, CompactBits};
use serde::Deserialize;

use crate::transaction::hashes;
use crate::wire::{from_hex, parse_display_hash};

/// A block a node would accept if its coinbase and proof of work were there. Hashes are in
/// header order.
#[derive(Debug, Clone)]
pub(crate) struct Gbt {
    pub(crate) version: u32,
    pub(crate) previous: [u8; 32],
    pub(crate) bits: CompactBits,
    pub(crate) height: u64,
    pub(crate) time: u32,
    pub(crate) time_min: u32,
    /// In base units, fees included.
    pub(crate) coinbase_value: u64,
    pub(crate) coinbase_aux: Vec<u8>,
    pub(crate) witness_commitment: Option<Vec<u8>>,
    pub(crate) transactions: Vec<GbtTransaction>,
    pub(crate) long_poll_id: Option<String>,
    /// The target in display order, where the node tells.
    pub(crate) target: Option<String>,
    /// Most bytes and weight units a block may have, where the node tells.
    pub(crate) size_max: Option<u64>,
    pub(crate) weight_max: Option<u64>,
    /// Verge: this kind of block has had its share of the last ones.
    pub(crate) mining_disabled: bool,
}

/// A transaction the block must contain, in this order.
#[derive(Debug, Clone)]
pub(crate) struct GbtTransaction {
    pub(crate) data: Vec<u8>,
    /// Without witness: what the merkle tree is made of (T7). Computed from the bytes.
    pub(crate) txid: [u8; 32],
    /// With witness: what the witness commitment is made of.
    pub(crate) wtxid: [u8; 32],
    /// Without witness, in bytes.
    pub(crate) stripped_bytes: usize,
    /// Places (from 1) of those that must stand before it.
    pub(crate) depends: Vec<usize>,
    /// Base units, when the node tells.
    pub(crate) fee: Option<u64>,
}

/// An answer that is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTemplate {
    /// It has not the form of BIP 22.
    #[error("the node's block template is malformed: {0}")]
    Form(String),
    /// A field is not the hexadecimal it should be.
    #[error("the node's block template has a bad {field}: \"{found}\"")]
    Hex {
        /// The field.
        field: &'static str,
        /// Its beginning.
        found: String,
    },
    /// No hash could ever meet it.
    #[error("the node's block template: {0}")]
    Bits(#[from] BadBits),
    /// It says one thing here and another there, or what no block may be.
    #[error("the node's block template makes no valid block: {0}")]
    Invalid(String),
    /// The coinbase would break consensus.
    #[error(transparent)]
    Coinbase(#[from] crate::coinbase::ScriptTooLong),
}

#[derive(Deserialize)]
struct Raw<'a> {
    version: i64,
    #[serde(borrow)]
    previousblockhash: Cow<'a, str>,
    #[serde(borrow)]
    bits: Cow<'a, str>,
    height: u64,
    curtime: u32,
    #[serde(default)]
    mintime: u32,
    coinbasevalue: u64,
    #[serde(default)]
    coinbaseaux: BTreeMap<String, String>,
    default_witness_commitment: Option<String>,
    #[serde(default, borrow)]
    transactions: Vec<RawTransaction<'a>>,
    longpollid: Option<String>,
    target: Option<String>,
    sizelimit: Option<u64>,
    weightlimit: Option<u64>,
    #[serde(default)]
    mining_disabled: bool,
}

#[derive(Deserialize)]
struct RawTransaction<'a> {
    #[serde(borrow)]
    data: Cow<'a, str>,
    #[serde(borrow)]
    txid: Option<Cow<'a, str>>,
    fee: Option<i64>,
    #[serde(default)]
    depends: Vec<usize>,
}

impl Gbt {
    /// Reads the JSON text of an answer. `timed` chains have a time in their transactions.
    pub(crate) fn parse(answer: &str, timed: bool) -> Result<Self, BadTemplate> {
        let raw: Raw<'_> =
            serde_json::from_str(answer).map_err(|error| BadTemplate::Form(error.to_string()))?;
        let previous = hash("previousblockhash", &raw.previousblockhash)?;
        let bits = u32::from_str_radix(&raw.bits, 16).map_err(|_| bad("bits", &raw.bits))?;
        let mut coinbase_aux = Vec::new();
        for value in raw.coinbaseaux.values() {
            coinbase_aux.extend(bytes("coinbaseaux", value)?);
        }
        let witness_commitment =
            raw.default_witness_commitment.map(|text| bytes("default_witness_commitment", &text));
        let transactions = raw.transactions.iter().map(|transaction| transaction.parse(timed));
        Ok(Self {
            // Core prints a signed number; the header has its low 32 bits.
            version: raw.version as u32,
            previous,
            bits: CompactBits(bits),
            height: raw.height,
            time: raw.curtime,
            time_min: raw.mintime,
            coinbase_value: raw.coinbasevalue,
            coinbase_aux,
            witness_commitment: witness_commitment.transpose()?,
            transactions: transactions.collect::<Result<_, _>>()?,
            long_poll_id: raw.longpollid,
            target: raw.target,
            size_max: raw.sizelimit,
            weight_max: raw.weightlimit,
            mining_disabled: raw.mining_disabled,
        })
    }
}

impl RawTransaction<'_> {
    fn parse(&self, timed: bool) -> Result<GbtTransaction, BadTemplate> {
        let data = bytes("transaction", &self.data)?;
        let hashes = hashes(&data, timed).ok_or_else(|| bad("transaction", &self.data))?;
        // Nodes older than segwit give no txid: there the bytes are all there is to hash.
        if let Some(text) = &self.txid
            && hash("txid", text)? != hashes.txid
        {
            let told = format!("a transaction's bytes are not those of its txid {text}");
            return Err(BadTemplate::Invalid(told));
        }
        Ok(GbtTransaction {
            data,
            txid: hashes.txid,
            wtxid: hashes.wtxid,
            stripped_bytes: hashes.stripped_bytes,
            fee: self.fee.and_then(|fee| u64::try_from(fee).ok()),
            depends: self.depends.clone(),
        })
    }
}

fn hash(field: &'static str, text: &str) -> Result<[u8; 32], BadTemplate> {
    parse_display_hash(text).ok_or_else(|| bad(field, text))
}

fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, BadTemplate> {
    from_hex(text).ok_or_else(|| bad(field, text))
}

fn bad(field: &'static str, text: &str) -> BadTemplate {
    BadTemplate::Hex { field, found: text.chars().take(64).collect() }
}

#[cfg(test)]
mod tests {
    use chimera_pow::sha256d;
    use serde_json::{Value, json};

    use super::*;

    fn parse(answer: &Value) -> Result<Gbt, BadTemplate> {
        Gbt::parse(&answer.to_string(), false)
    }

    fn answer() -> Value {
        json!({
            "version": 536_870_912, "previousblockhash": "00".repeat(32), "bits": "207fffff",
            "height": 7, "curtime": 1_800_000_000, "coinbasevalue": 50,
            "coinbaseaux": { "flags": "062f503253482f" },
            "transactions": [{ "data": "000000001111", "fee": 3 }, { "data": "000000002222", "fee": -1 }],
        })
    }

    /// BIP 22 before segwit: no txid, no mintime, and bytes the coinbase should carry.
    #[test]
    fn an_old_nodes_answer_is_a_template_too() {
        let gbt = parse(&answer()).expect("a template");
        assert_eq!(gbt.transactions[0].txid, sha256d(&[0, 0, 0, 0, 0x11, 0x11]));
        assert_eq!(gbt.transactions[1].fee, None, "an unknown fee is none");
        assert_eq!(gbt.coinbase_aux, b"\x06/P2SH/");
        assert_eq!((gbt.time_min, gbt.long_poll_id, gbt.witness_commitment), (0, None, None));
    }

    #[test]
    fn an_answer_that_is_no_template_is_refused_with_the_field() {
        let rows = [
            ("/height", json!(-1), "invalid value"),
            ("/previousblockhash", json!("00"), "previousblockhash: \"00\""),
            ("/bits", json!("zz"), "bits: \"zz\""),
            ("/transactions/0/data", json!("0"), "transaction: \"0\""),
            ("/coinbasevalue", json!("50"), "invalid type"),
            ("/coinbaseaux/flags", json!("x"), "coinbaseaux: \"x\""),
        ];
        for (pointer, value, expected) in rows {
            let mut answer = answer();
            *answer.pointer_mut(pointer).expect("a field of the answer") = value;
            let error = parse(&answer).expect_err(pointer).to_string();
            assert!(error.contains(expected), "{pointer}: {error}");
        }
        for answer in [Value::Null, json!([]), json!({})] {
            assert!(parse(&answer).is_err(), "{answer}");
        }
    }
}
