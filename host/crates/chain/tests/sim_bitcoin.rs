//! The node simulator with Bitcoin Core's rules: templates, transactions, blocks, answers.

mod common;

use std::sync::Arc;

use bitcoin::consensus::{deserialize, encode::serialize_hex};
use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, Block, Transaction, TxMerkleNode, Witness};
use chimera_chain::{Action, DevChain, DevNode, DevParams, DevRules};
use chimera_pow::Algorithm;
use serde_json::{Value, json};

use common::{START, VirtualTime};

fn node(params: DevParams) -> DevNode {
    let chain = DevChain::in_memory(params).expect("good parameters");
    DevNode::new(Arc::new(chain), VirtualTime::starting().clock())
}

fn core() -> DevNode {
    node(DevParams::regtest(DevRules::Bitcoin))
}

fn call(node: &DevNode, method: &str, params: Value) -> Value {
    node.chain().rpc(method, &params, START).unwrap_or_else(|fault| panic!("{method}: {fault}"))
}

fn fault(node: &DevNode, method: &str, params: Value) -> (i32, String) {
    let fault = node.chain().rpc(method, &params, START).expect_err(method);
    (fault.code, fault.message)
}

fn template(node: &DevNode) -> Value {
    call(node, "getblocktemplate", json!([{ "rules": ["segwit"] }]))
}

fn funded(rules: DevRules) -> DevNode {
    let node = node(DevParams::regtest(rules));
    node.simulate(Action::Mine { blocks: 110 }).expect("mined");
    node
}

fn incoming(node: &DevNode, count: u32, bytes: u32) {
    node.simulate(Action::Transactions { count, bytes, fee: 1000 }).expect("funded");
}

/// A block of a node's own, before it is handed in.
fn next_block(node: &DevNode) -> Block {
    let tip = call(node, "getbestblockhash", json!([]));
    node.simulate(Action::Mine { blocks: 1 }).expect("mined");
    let mined = call(node, "getbestblockhash", json!([]));
    let bytes = call(node, "getblock", json!([mined, 0]));
    node.simulate(Action::ClearFaults).expect("nothing to clear");
    call(node, "invalidateblock", json!([mined]));
    assert_eq!(call(node, "getbestblockhash", json!([])), tip);
    deserialize(&hex::decode(bytes.as_str().expect("hex")).expect("hex")).expect("a block")
}

/// Another block than any seen, with its root, commitment and work right.
fn repaired(mut block: Block) -> String {
    let root = block.witness_root().expect("a coinbase");
    let commitment = Block::compute_witness_commitment(&root, &[0; 32]);
    if let Some(output) = block.txdata[0].output.get_mut(1) {
        let script = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed], &commitment.to_byte_array()[..]];
        output.script_pubkey = script.concat().into();
    }
    let root = block.compute_merkle_root().expect("a coinbase");
    block.header.merkle_root = TxMerkleNode::from_byte_array(root.to_byte_array());
    block.header.nonce = block.header.nonce.wrapping_add(1);
    while block.header.validate_pow(block.header.target()).is_err() {
        block.header.nonce = block.header.nonce.wrapping_add(1);
    }
    serialize_hex(&block)
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The recorded templates of Bitcoin Core and Verge Core have these fields and no others.
#[test]
fn templates_have_the_fields_real_ones_have() {
    let bitcoin = funded(DevRules::Bitcoin);
    incoming(&bitcoin, 3, 200);
    let verge = node(DevParams::regtest(DevRules::Verge));
    let ask = json!([{ "rules": ["segwit"] }, "blake2s"]);
    let rows = [
        ("bitcoin-regtest-7-segwit.json", template(&bitcoin)),
        ("verge-regtest-blake2s.json", call(&verge, "getblocktemplate", ask)),
    ];
    for (name, found) in rows {
        let path = format!("{}/../../../tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("part of the repository");
        let golden: Value = serde_json::from_str(&text).expect("JSON");
        let golden = &golden["template"];
        assert_eq!(keys(&found), keys(golden), "{name}");
        for fixed in [
            "capabilities",
            "version",
            "rules",
            "vbavailable",
            "vbrequired",
            "coinbaseaux",
            "mutable",
            "noncerange",
            "sigoplimit",
            "sizelimit",
            "bits",
            "target",
        ] {
            assert_eq!(found[fixed], golden[fixed], "{name}: {fixed}");
        }
        if let Some(transaction) = golden["transactions"].get(0) {
            assert_eq!(keys(&found["transactions"][0]), keys(transaction), "{name}");
        }
    }
}

#[test]
fn transactions_wait_are_mined_and_come_back_when_their_block_goes() {
    for rules in [DevRules::Bitcoin, DevRules::BitcoinNoSegwit] {
        let node = funded(rules);
        incoming(&node, 25, 300);
        let told = template(&node);
        let waiting = told["transactions"].as_array().expect("a list");
        assert_eq!(waiting.len(), 25, "{rules}");
        assert_eq!(told["coinbasevalue"], 5_000_000_000_u64 + 25 * 1000);
        assert_eq!(told.get("default_witness_commitment").is_some(), rules.name() == "bitcoin");
        for (nth, row) in waiting.iter().enumerate() {
            let bytes = hex::decode(row["data"].as_str().expect("hex")).expect("hex");
            assert_eq!(bytes.len(), 300);
            let transaction: Transaction = deserialize(&bytes).expect("a transaction");
            assert_eq!(row["txid"], transaction.compute_txid().to_string());
            assert_eq!(row["hash"], transaction.compute_wtxid().to_string());
            assert_eq!(row["weight"], transaction.weight().to_wu());
            let depends = row["depends"].as_array().expect("a list");
            assert!(depends.iter().all(|one| one.as_u64() <= Some(nth as u64)), "earlier ones");
        }
        assert!(waiting.iter().any(|row| row["depends"] != json!([])), "some depend on others");

        node.simulate(Action::Mine { blocks: 1 }).expect("mined");
        assert_eq!(call(&node, "getrawmempool", json!([])), json!([]));
        let mined = call(&node, "getbestblockhash", json!([]));
        assert_eq!(call(&node, "getblock", json!([mined]))["nTx"], 26);
        node.simulate(Action::Reorg { depth: 1 }).expect("turned");
        assert_eq!(
            call(&node, "getmempoolinfo", json!([]))["size"],
            25,
            "{rules}: they wait again"
        );
    }
}

#[test]
fn a_template_of_4000_transactions_is_made_fast() {
    let node = funded(DevRules::Bitcoin);
    incoming(&node, 4000, 250);
    template(&node);
    let begin = std::time::Instant::now();
    for _ in 0..10 {
        assert_eq!(template(&node)["transactions"].as_array().map(Vec::len), Some(4000));
    }
    let each = begin.elapsed() / 10;
    assert!(each < std::time::Duration::from_millis(200), "{each:?}");
    node.simulate(Action::Mine { blocks: 1 }).expect("such a block is good");
    assert_eq!(call(&node, "getmempoolinfo", json!([]))["size"], 0);
}

#[test]
fn blocks_that_spend_wrongly_are_refused_with_cores_word() {
    type Spoil = fn(&mut Block);
    let rows: [(&str, Spoil, &str); 9] = [
        (
            "one unit too much",
            |it| it.txdata[0].output[0].value += Amount::ONE_SAT,
            "bad-cb-amount",
        ),
        ("order", |it| it.txdata[1..].reverse(), "bad-txns-inputs-missingorspent"),
        ("spent before", |it| it.txdata.push(again(it)), "bad-txns-inputs-missingorspent"),
        (
            "more out than in",
            |it| it.txdata.last_mut().expect("some").output[0].value = Amount::MAX_MONEY / 2,
            "bad-txns-in-belowout",
        ),
        (
            "no proof",
            |it| it.txdata.last_mut().expect("some").input[0].witness = Witness::from_slice(&[[0]]),
            "mandatory-script-verify-flag-failed",
        ),
        (
            "old version",
            |it| it.header.version = bitcoin::block::Version::from_consensus(3),
            "bad-version(0x00000003)",
        ),
        ("too early", |it| it.header.time -= 1000, "time-too-old"),
        ("too late", |it| it.header.time += 7300, "time-too-new"),
        (
            "harder bits",
            |it| it.header.bits = bitcoin::CompactTarget::from_consensus(0x207f_fffe),
            "bad-diffbits",
        ),
    ];
    let node = funded(DevRules::Bitcoin);
    // Two of a chain, so that their order matters.
    node.simulate(Action::Transactions { count: 30, bytes: 200, fee: 1000 }).expect("funded");
    let good = next_block(&node);
    for (name, spoil, word) in rows {
        let mut block = good.clone();
        spoil(&mut block);
        let bytes = repaired(block);
        assert_eq!(call(&node, "submitblock", json!([bytes])), word, "{name}");
        let again = call(&node, "submitblock", json!([bytes]));
        let expected = if word == "time-too-new" { word } else { "duplicate-invalid" };
        assert_eq!(again, expected, "{name}, again");
    }
    let bytes = repaired(good);
    let proposal = json!([{ "rules": ["segwit"], "mode": "proposal", "data": bytes }]);
    assert_eq!(call(&node, "getblocktemplate", proposal), Value::Null);
    assert_eq!(call(&node, "submitblock", json!([bytes])), Value::Null, "the block was good");
    assert_eq!(call(&node, "submitblock", json!([bytes])), "duplicate");
}

fn again(block: &Block) -> Transaction {
    let mut last = block.txdata.last().expect("some").clone();
    last.version.0 = 1;
    last
}

#[test]
fn a_coinbase_can_be_spent_a_hundred_blocks_later() {
    let node = core();
    node.simulate(Action::Mine { blocks: 99 }).expect("mined");
    let ask = Action::Transactions { count: 1, bytes: 200, fee: 1000 };
    let error = node.simulate(ask.clone()).expect_err("nothing is mature");
    assert!(error.message.contains("{\"action\":\"mine\",\"n\":101}"), "{error}");
    node.simulate(Action::Mine { blocks: 1 }).expect("mined");
    node.simulate(ask).expect("the first coinbase is mature at height 101");
}

#[test]
fn transactions_handed_in_are_judged_as_core_judges_them() {
    let node = funded(DevRules::Bitcoin);
    incoming(&node, 1, 200);
    let good = template(&node)["transactions"][0]["data"].clone();
    let hex = good.as_str().expect("hex");
    let transaction: Transaction =
        deserialize(&hex::decode(hex).expect("hex")).expect("a transaction");
    let changed = |change: fn(&mut Transaction)| {
        let mut transaction = transaction.clone();
        change(&mut transaction);
        json!([serialize_hex(&transaction)])
    };
    let txid = transaction.compute_txid().to_string();
    assert_eq!(call(&node, "sendrawtransaction", json!([good])), txid, "known already");
    let unknown = changed(|it| it.input[0].previous_output.vout = 9);
    let rows = [
        (json!(["00"]), -22, "TX decode failed"),
        (unknown, -25, "bad-txns-inputs-missingorspent"),
        (changed(|it| it.version.0 = 1), -26, "txn-mempool-conflict"),
        (changed(|it| it.output.clear()), -26, "txn-mempool-conflict"),
    ];
    for (params, code, words) in rows {
        let (found, message) = fault(&node, "sendrawtransaction", params.clone());
        assert!(found == code && message.contains(words), "{params}: {found} {message}");
    }
    node.simulate(Action::Mine { blocks: 1 }).expect("mined");
    let (code, _) = fault(&node, "sendrawtransaction", json!([good]));
    assert_eq!(code, -27, "in the chain");
}

#[test]
fn blocks_are_named_by_sha256d_whatever_the_work() {
    for algorithm in Algorithm::ALL {
        let params = DevParams { algorithm, ..DevParams::regtest(DevRules::Bitcoin) };
        let node = node(params);
        node.simulate(Action::Mine { blocks: 3 }).expect("mined");
        let hash = call(&node, "getbestblockhash", json!([]));
        let header = call(&node, "getblockheader", json!([hash, false]));
        let bytes = hex::decode(header.as_str().expect("hex")).expect("hex");
        let mut id = chimera_pow::sha256d(&bytes);
        id.reverse();
        assert_eq!(hash, hex::encode(id), "{algorithm}");
    }
}

#[test]
fn an_invalidated_branch_can_be_reconsidered_and_tips_are_told() {
    let node = core();
    node.simulate(Action::Mine { blocks: 4 }).expect("mined");
    let tip = call(&node, "getbestblockhash", json!([]));
    let third = call(&node, "getblockhash", json!([3]));
    call(&node, "invalidateblock", json!([third]));
    assert_eq!(call(&node, "getblockcount", json!([])), 2);
    let tips = call(&node, "getchaintips", json!([]));
    assert_eq!(tips[0]["status"], "invalid");
    assert_eq!((&tips[0]["branchlen"], &tips[1]["status"]), (&json!(2), &json!("active")));
    assert_eq!(call(&node, "reconsiderblock", json!([third])), Value::Null);
    assert_eq!(call(&node, "getbestblockhash", json!([])), tip);
    for method in ["reconsiderblock", "preciousblock"] {
        assert_eq!(fault(&node, method, json!(["00".repeat(32)])).0, -5, "{method}");
    }
}

#[test]
fn a_restart_keeps_branches_transactions_and_verdicts() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || {
        let params = DevParams::regtest(DevRules::Bitcoin);
        let chain = DevChain::open(directory.path(), params).expect("a chain");
        DevNode::new(Arc::new(chain), VirtualTime::starting().clock())
    };
    let node = open();
    node.simulate(Action::Mine { blocks: 105 }).expect("mined");
    incoming(&node, 5, 200);
    node.simulate(Action::Mine { blocks: 1 }).expect("mined");
    let block = call(&node, "getbestblockhash", json!([]));
    call(&node, "invalidateblock", json!([block]));
    call(&node, "reconsiderblock", json!([block]));
    let before = call(&node, "getblockchaininfo", json!([]));
    assert_eq!(before["bestblockhash"], block);
    drop(node);
    assert_eq!(call(&open(), "getblockchaininfo", json!([])), before);
}
