//! Blocks real nodes accepted pass the checks that need no chain; each spoiled in one way is
//! refused with the node's word.

use std::fs;
use std::path::Path;

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, Block, CompactTarget, ScriptBuf, Sequence, TxMerkleNode, TxOut, Witness};
use serde_json::Value;

use super::check::{check_alone, check_work};
use super::dev_block::{Body, Candidate};
use super::refusal::Refusal;
use super::{DevParams, DevRules, bitcoin_check, mempool, merkle_check, verge};

pub(super) struct Golden {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) height: u64,
    hash: String,
}

pub(super) fn goldens(chain: &str) -> Vec<Golden> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden");
    let entries = fs::read_dir(directory).expect("tests/golden is part of the repository");
    let mut found: Vec<Golden> = entries
        .map(|entry| entry.expect("a readable directory").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.file_stem().expect("a file").to_string_lossy().into_owned(), path))
        .filter(|(name, _)| name.starts_with(chain))
        .map(|(name, path)| {
            let text = fs::read_to_string(path).expect("a readable file");
            let json: Value = serde_json::from_str(&text).expect("JSON");
            let bytes = hex::decode(json["block"].as_str().expect("hex")).expect("hex");
            let height = json["getblock"]["height"].as_u64().expect("a height");
            let hash = json["getblock"]["hash"].as_str().expect("a hash").to_owned();
            Golden { name, bytes, height, hash }
        })
        .collect();
    found.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(found.len(), 3, "recorded blocks of {chain}");
    found
}

/// The key the recorded Verge blocks pay.
const GOLDEN_KEY: &str = "0347a85d384e62753a072441e2e5bc6056df148e7d06e90c94f62cc1cfd7c7d515";

/// What a node says without looking at its chain; nothing if it is fine.
pub(super) fn verdict(rules: DevRules, bytes: &[u8], height: u64) -> String {
    let params = DevParams::regtest(rules);
    let Some(candidate) = Candidate::parse(bytes, &params) else {
        return "Block decode failed".to_owned();
    };
    let checked = check_work(&params, &candidate.block, true)
        .and_then(|()| check_alone(&params, &candidate))
        .and_then(|()| in_place(rules, &candidate, height));
    match (checked, &candidate.body) {
        (Err(refusal), _) => refusal.reason().into_owned(),
        (Ok(()), Body::Verge(all)) => {
            let has_key = |key: &[u8]| hex::encode(key) == GOLDEN_KEY;
            let signable = verge::is_signable(&all[0].transaction, has_key);
            if signable { String::new() } else { verge::UNSIGNABLE.to_owned() }
        }
        (Ok(()), Body::Bitcoin(_)) => String::new(),
    }
}

fn in_place(rules: DevRules, candidate: &Candidate, height: u64) -> Result<(), Refusal> {
    let time = candidate.block.time();
    match &candidate.body {
        Body::Bitcoin(block) => bitcoin_check::check_in_place(rules, block, height, time - 1),
        Body::Verge(all) => verge::check_times(time, all),
    }
}

#[test]
fn recorded_blocks_are_accepted_and_named_as_the_node_named_them() {
    for (chain, rules) in [("bitcoin", DevRules::Bitcoin), ("verge", DevRules::Verge)] {
        for golden in goldens(chain) {
            assert_eq!(verdict(rules, &golden.bytes, golden.height), "", "{}", golden.name);
            let params = DevParams::regtest(rules);
            let candidate = Candidate::parse(&golden.bytes, &params).expect("a block");
            assert_eq!(candidate.block.id.to_string(), golden.hash, "{}", golden.name);
        }
    }
}

/// Makes the root and the work right again.
fn repair(block: &mut Block) {
    let ids: Vec<[u8; 32]> =
        block.txdata.iter().map(|tx| tx.compute_txid().to_byte_array()).collect();
    let root = merkle_check::root(&ids).0.unwrap_or_default();
    block.header.merkle_root = TxMerkleNode::from_byte_array(root);
    solve(block);
}

fn solve(block: &mut Block) {
    while block.header.validate_pow(block.header.target()).is_err() {
        block.header.nonce = block.header.nonce.wrapping_add(1);
    }
}

fn unsolve(block: &mut Block) {
    while block.header.validate_pow(block.header.target()).is_ok() {
        block.header.nonce = block.header.nonce.wrapping_add(1);
    }
}

/// The commitment to what the block has now.
fn commit_again(block: &mut Block) {
    let script = ScriptBuf::from_bytes(mempool::commitment(&block.txdata[1..]));
    block.txdata[0].output.last_mut().expect("the commitment").script_pubkey = script;
    repair(block);
}

fn script_of(block: &mut Block, bytes: usize) {
    block.txdata[0].input[0].script_sig = ScriptBuf::from_bytes(vec![0; bytes]);
    repair(block);
}

#[test]
fn spoiled_bitcoin_blocks_are_refused_with_cores_word() {
    type Spoil = fn(&mut Block);
    let rows: [(&str, Spoil, &str); 20] = [
        ("no work", unsolve, "high-hash"),
        ("too easy", |it| it.header.bits = CompactTarget::from_consensus(0x2100_ffff), "high-hash"),
        (
            "root",
            |it| (it.header.merkle_root = TxMerkleNode::all_zeros(), solve(it)).1,
            "bad-txnmrklroot",
        ),
        ("output", |it| it.txdata[0].output[0].value += Amount::ONE_SAT, "bad-txnmrklroot"),
        ("no transaction", |it| (it.txdata.clear(), repair(it)).1, "bad-blk-length"),
        ("too long", huge_output, "bad-blk-length"),
        (
            "no coinbase",
            |it| (it.txdata[0].input[0].previous_output.vout = 0, repair(it)).1,
            "bad-cb-missing",
        ),
        ("two coinbases", two_coinbases, "bad-cb-multiple"),
        ("no outputs", |it| (it.txdata[0].output.clear(), repair(it)).1, "bad-txns-vout-empty"),
        ("too much money", too_much, "bad-txns-vout-toolarge"),
        ("script of 1", |it| script_of(it, 1), "bad-cb-length"),
        ("script of 101", |it| script_of(it, 101), "bad-cb-length"),
        ("script of 100 without height", |it| script_of(it, 100), "bad-cb-height"),
        ("locked", locked, "bad-txns-nonfinal"),
        ("no reserved value", |it| it.txdata[0].input[0].witness.clear(), "bad-witness-nonce-size"),
        ("short reserved value", |it| reserve(it, &[&[0; 31]]), "bad-witness-nonce-size"),
        ("two reserved values", |it| reserve(it, &[&[0; 32], &[0; 32]]), "bad-witness-nonce-size"),
        ("other reserved value", |it| reserve(it, &[&[1; 32]]), "bad-witness-merkle-match"),
        ("other commitment", other_commitment, "bad-witness-merkle-match"),
        (
            "no commitment",
            |it| (it.txdata[0].output.truncate(1), repair(it)).1,
            "unexpected-witness",
        ),
    ];
    for golden in goldens("bitcoin") {
        for (name, spoil, word) in &rows {
            let mut block: Block = deserialize(&golden.bytes).expect("a block");
            spoil(&mut block);
            if !["no work", "too easy"].contains(name) {
                solve(&mut block);
            }
            let found = verdict(DevRules::Bitcoin, &serialize(&block), golden.height);
            assert_eq!(found, *word, "{}: {name}", golden.name);
        }
        let wrong_height = verdict(DevRules::Bitcoin, &golden.bytes, golden.height + 1);
        assert_eq!(wrong_height, "bad-cb-height", "{}", golden.name);
        let no_segwit = verdict(DevRules::BitcoinNoSegwit, &golden.bytes, golden.height);
        assert_eq!(no_segwit, "unexpected-witness", "{}", golden.name);
        let cut = &golden.bytes[..golden.bytes.len() - 1];
        let long = [&golden.bytes[..], &[0]].concat();
        for bytes in [cut, &long] {
            assert_eq!(verdict(DevRules::Bitcoin, bytes, golden.height), "Block decode failed");
        }
    }
}

#[test]
fn spoiled_transactions_are_refused_with_cores_word() {
    type Spoil = fn(&mut Block);
    let rows: [(&str, Spoil, &str); 5] = [
        (
            "witness taken off",
            |it| it.txdata[1].input[0].witness.clear(),
            "bad-witness-merkle-match",
        ),
        ("spent twice", spent_twice, "bad-txns-inputs-duplicate"),
        ("4 MB of witness", heavy, "bad-blk-weight"),
        ("order", |it| it.txdata.swap(1, 2), "bad-txnmrklroot"),
        ("one left out", |it| drop(it.txdata.pop()), "bad-txnmrklroot"),
    ];
    for golden in &goldens("bitcoin")[..2] {
        for (name, spoil, word) in &rows {
            let mut block: Block = deserialize(&golden.bytes).expect("a block");
            spoil(&mut block);
            let found = verdict(DevRules::Bitcoin, &serialize(&block), golden.height);
            assert_eq!(found, *word, "{}: {name}", golden.name);
        }
    }
    // CVE-2012-2459: the root of an odd list is that of the list with its last one twice.
    let odd = &goldens("bitcoin")[0];
    let mut block: Block = deserialize(&odd.bytes).expect("a block");
    assert_eq!(block.txdata.len() % 2, 1, "{}", odd.name);
    block.txdata.push(block.txdata.last().expect("some").clone());
    let found = verdict(DevRules::Bitcoin, &serialize(&block), odd.height);
    assert_eq!(found, "bad-txns-duplicate");
}

fn reserve(block: &mut Block, items: &[&[u8]]) {
    block.txdata[0].input[0].witness = Witness::from_slice(items);
}

fn huge_output(block: &mut Block) {
    let script_pubkey = ScriptBuf::from_bytes(vec![0x6a; 1_000_000]);
    block.txdata[0].output.push(TxOut { value: Amount::ZERO, script_pubkey });
    repair(block);
}

fn two_coinbases(block: &mut Block) {
    let mut second = block.txdata[0].clone();
    second.version.0 = 1;
    block.txdata.push(second);
    repair(block);
}

fn too_much(block: &mut Block) {
    block.txdata[0].output[0].value = Amount::MAX_MONEY + Amount::ONE_SAT;
    repair(block);
}

fn locked(block: &mut Block) {
    block.txdata[0].input[0].sequence = Sequence::ZERO;
    block.txdata[0].lock_time = bitcoin::absolute::LockTime::from_consensus(499_999_999);
    repair(block);
}

fn other_commitment(block: &mut Block) {
    let commitment = block.txdata[0].output.last_mut().expect("the commitment");
    let mut script = commitment.script_pubkey.to_bytes();
    script[10] ^= 1;
    commitment.script_pubkey = ScriptBuf::from_bytes(script);
    repair(block);
}

fn spent_twice(block: &mut Block) {
    let again = block.txdata[1].input[0].clone();
    block.txdata[1].input.push(again);
    commit_again(block);
}

fn heavy(block: &mut Block) {
    // The library reads no witness of 4 MB.
    for nth in [1, 2] {
        block.txdata[nth].input[0].witness.push(vec![0; 2_100_000]);
    }
    commit_again(block);
}
