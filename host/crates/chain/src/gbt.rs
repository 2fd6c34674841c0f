//! What getblocktemplate answers (BIP 22, 23, 145), parsed once.

use std::collections::BTreeMap;

use chimera_pow::{BadBits, CompactBits, sha256d};
use serde::Deserialize;
use serde_json::Value;

use crate::wire::parse_display_hash;

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
}

/// A transaction the block must contain, in this order.
#[derive(Debug, Clone)]
pub(crate) struct GbtTransaction {
    pub(crate) data: Vec<u8>,
    /// Without witness: what the merkle tree is made of (T7).
    pub(crate) txid: [u8; 32],
    /// Base units, when the node tells.
    pub(crate) fee: u64,
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
    /// The coinbase would break consensus.
    #[error(transparent)]
    Coinbase(#[from] crate::coinbase::ScriptTooLong),
}

#[derive(Deserialize)]
struct Raw {
    version: i64,
    previousblockhash: String,
    bits: String,
    height: u64,
    curtime: u32,
    #[serde(default)]
    mintime: u32,
    coinbasevalue: u64,
    #[serde(default)]
    coinbaseaux: BTreeMap<String, String>,
    default_witness_commitment: Option<String>,
    #[serde(default)]
    transactions: Vec<RawTransaction>,
    longpollid: Option<String>,
}

#[derive(Deserialize)]
struct RawTransaction {
    data: String,
    txid: Option<String>,
    #[serde(default)]
    fee: i64,
}

impl Gbt {
    pub(crate) fn parse(answer: &Value) -> Result<Self, BadTemplate> {
        let raw = Raw::deserialize(answer).map_err(|error| BadTemplate::Form(error.to_string()))?;
        let previous = hash("previousblockhash", &raw.previousblockhash)?;
        let bits = u32::from_str_radix(&raw.bits, 16).map_err(|_| bad("bits", &raw.bits))?;
        let mut coinbase_aux = Vec::new();
        for value in raw.coinbaseaux.values() {
            coinbase_aux.extend(bytes("coinbaseaux", value)?);
        }
        let witness_commitment =
            raw.default_witness_commitment.map(|text| bytes("default_witness_commitment", &text));
        let transactions = raw.transactions.iter().map(RawTransaction::parse);
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
        })
    }
}

impl RawTransaction {
    fn parse(&self) -> Result<GbtTransaction, BadTemplate> {
        let data = bytes("transaction", &self.data)?;
        // Nodes older than segwit give no txid: there the bytes are all there is to hash.
        let txid = match &self.txid {
            Some(text) => hash("txid", text)?,
            None => sha256d(&data),
        };
        Ok(GbtTransaction { data, txid, fee: u64::try_from(self.fee).unwrap_or(0) })
    }
}

fn hash(field: &'static str, text: &str) -> Result<[u8; 32], BadTemplate> {
    parse_display_hash(text).ok_or_else(|| bad(field, text))
}

fn bytes(field: &'static str, text: &str) -> Result<Vec<u8>, BadTemplate> {
    hex::decode(text).map_err(|_| bad(field, text))
}

fn bad(field: &'static str, text: &str) -> BadTemplate {
    BadTemplate::Hex { field, found: text.chars().take(64).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        json!({
            "version": 536_870_912, "previousblockhash": "00".repeat(32), "bits": "207fffff",
            "height": 7, "curtime": 1_800_000_000, "coinbasevalue": 50,
            "coinbaseaux": { "flags": "062f503253482f" },
            "transactions": [{ "data": "0011", "fee": 3 }, { "data": "0022", "fee": -1 }],
        })
    }

    /// BIP 22 before segwit: no txid, no mintime, and bytes the coinbase should carry.
    #[test]
    fn an_old_nodes_answer_is_a_template_too() {
        let gbt = Gbt::parse(&answer()).expect("a template");
        assert_eq!(gbt.transactions[0].txid, sha256d(&[0x00, 0x11]));
        assert_eq!(gbt.transactions[1].fee, 0, "an unknown fee is none");
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
            let error = Gbt::parse(&answer).expect_err(pointer).to_string();
            assert!(error.contains(expected), "{pointer}: {error}");
        }
        for answer in [Value::Null, json!([]), json!({})] {
            assert!(Gbt::parse(&answer).is_err(), "{answer}");
        }
    }
}
