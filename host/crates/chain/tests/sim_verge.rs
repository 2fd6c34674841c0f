//! The node simulator with Verge Core's rules.

mod common;

use std::sync::Arc;

use chimera_chain::{Action, DevChain, DevNode, DevParams, DevRules};
use serde_json::{Value, json};

use common::{START, VirtualTime};

fn verge() -> DevNode {
    let chain = DevChain::in_memory(DevParams::regtest(DevRules::Verge)).expect("good parameters");
    DevNode::new(Arc::new(chain), VirtualTime::starting().clock())
}

fn call(node: &DevNode, method: &str, params: Value) -> Value {
    node.chain().rpc(method, &params, START).unwrap_or_else(|fault| panic!("{method}: {fault}"))
}

#[test]
fn a_template_is_for_the_algorithm_asked_for() {
    let node = verge();
    let rows = [
        (json!([{}, "blake2s"]), 0x2002),
        (json!([{ "rules": ["segwit"] }, "blake"]), 0x2002),
        (json!([{}]), 2),
        (json!([]), 2),
    ];
    for (params, version) in rows {
        let found = call(&node, "getblocktemplate", params.clone());
        assert_eq!(found["version"], version, "{params}");
    }
    assert!(node.chain().rpc("getblocktemplate", &json!([{}, "x17"]), START).is_err());
}

#[test]
fn wallet_addresses_have_a_key_and_others_do_not() {
    let node = verge();
    let own = call(&node, "getnewaddress", json!(["pool"]));
    assert_eq!(own, call(&node, "getnewaddress", json!(["pool"])));
    let known = call(&node, "validateaddress", json!([own]));
    assert_eq!(known["isvalid"], true);
    assert_eq!(known["pubkey"].as_str().map(str::len), Some(66));
    // A regtest address of nobody's.
    let stranger = "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn";
    let stranger = call(&node, "validateaddress", json!([stranger]));
    assert_eq!((&stranger["isvalid"], stranger.get("pubkey")), (&json!(true), None));
    let invalid = call(&node, "validateaddress", json!(["1BoatSLRHtKNngkdXEeobR76b53LETtpyT"]));
    assert_eq!(invalid["isvalid"], false);
}

#[test]
fn blocks_are_named_by_scrypt_and_told_with_their_work() {
    let node = verge();
    node.simulate(Action::Mine { blocks: 3 }).expect("mined");
    let hash = call(&node, "getbestblockhash", json!([]));
    let block = call(&node, "getblock", json!([hash]));
    assert_eq!(block["algo"], "blake");
    assert_ne!(block["pow_hash"], hash);
    assert_eq!(block["height"], 3);
    assert_eq!(block["confirmations"], 1);
    let bytes = call(&node, "getblock", json!([hash, 0]));
    assert!(bytes.as_str().is_some_and(|hex| hex.ends_with("0000000000")), "an empty signature");
    assert_eq!(call(&node, "submitblock", json!([bytes])), "duplicate");
}

#[test]
fn a_block_that_pays_no_key_of_the_wallet_cannot_be_signed() {
    let (node, other) = (verge(), {
        let network = "other".to_owned();
        let params = DevParams { network, ..DevParams::regtest(DevRules::Verge) };
        let chain = DevChain::in_memory(params).expect("good parameters");
        DevNode::new(Arc::new(chain), VirtualTime::starting().clock())
    });
    other.simulate(Action::Mine { blocks: 1 }).expect("mined");
    let hash = call(&other, "getbestblockhash", json!([]));
    let bytes = call(&other, "getblock", json!([hash, 0]));
    let fault = node.chain().rpc("submitblock", &json!([bytes]), START).expect_err("unsigned");
    assert_eq!((fault.code, &*fault.message), (-1, "Block signatures couldn't be created"));
}

#[test]
fn too_many_blocks_of_one_algorithm_disable_mining() {
    let node = verge();
    assert_eq!(call(&node, "getblocktemplate", json!([{}, "blake"]))["mining_disabled"], false);
    node.simulate(Action::MiningDisabled(true)).expect("set");
    assert_eq!(call(&node, "getblocktemplate", json!([{}, "blake"]))["mining_disabled"], true);
    node.simulate(Action::Mine { blocks: 1 }).expect_err("refused as bad-blk-algorithm");
    node.simulate(Action::MiningDisabled(false)).expect("set");
    node.simulate(Action::Mine { blocks: 1 }).expect("mined");
}

#[test]
fn a_wallet_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let open = || DevChain::open(directory.path(), DevParams::regtest(DevRules::Verge));
    let chain = open().expect("a chain");
    let address = chain.rpc("getnewaddress", &json!(["pool"]), START).expect("an address");
    chain.rpc("generatetoaddress", &json!([2, address]), START).expect("mined");
    drop(chain);
    let chain = open().expect("the same chain");
    assert_eq!(chain.rpc("getblockcount", &json!([]), START), Ok(json!(2)));
    let found = chain.rpc("validateaddress", &json!([address]), START).expect("an answer");
    assert_eq!(found["ismine"], true);
}
