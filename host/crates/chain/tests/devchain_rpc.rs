//! The embedded chain as a node: Bitcoin Core's calls, answers and errors.

mod common;

use std::sync::Arc;

use chimera_chain::{DevChain, DevNode};
use serde_json::{Value, json};

use common::{START, VirtualTime, easy, easy_node, somebody_mines, soon};

fn chain_of(blocks: u64) -> (DevNode, Vec<String>) {
    let node = easy_node(&VirtualTime::starting());
    let found = somebody_mines(&node, blocks, START);
    (node, found)
}

fn call(node: &DevNode, method: &str, params: Value) -> Value {
    node.chain().rpc(method, &params, START).unwrap_or_else(|fault| panic!("{method}: {fault}"))
}

#[test]
fn errors_have_bitcoin_cores_codes() {
    let (node, found) = chain_of(1);
    let hash = found[0].as_str();
    let rows = [
        ("nonsense", json!([]), -32601, "Method not found"),
        ("getblock", json!({ "blockhash": hash }), -32602, "array"),
        ("getblock", json!([]), -32602, "Missing argument 1 (blockhash)"),
        ("getblock", json!([7]), -3, "number is not of expected type string"),
        ("getblock", json!(["00"]), -8, "blockhash must be of length 64 (not 2, for '00')"),
        ("getblock", json!(["z".repeat(64)]), -8, "must be hexadecimal string"),
        ("getblock", json!(["00".repeat(32)]), -5, "Block not found"),
        ("getblock", json!([hash, "1"]), -3, "string is not of expected type integer"),
        ("getblockheader", json!(["00".repeat(32)]), -5, "Block not found"),
        ("getblockhash", json!([2]), -8, "Block height out of range"),
        ("getblockhash", json!([-1]), -8, "Block height out of range"),
        ("getblocktemplate", json!([]), -8, "segwit rule set"),
        ("getblocktemplate", json!([{ "rules": [] }]), -8, "segwit rule set"),
        ("getblocktemplate", json!([{ "rules": ["segwit"], "mode": "proposal" }]), -8, "mode"),
        ("submitblock", json!([]), -32602, "Missing argument"),
        ("submitblock", json!(["xyz"]), -22, "Block decode failed"),
        ("submitblock", json!(["00"]), -22, "Block decode failed"),
        ("generatetoaddress", json!([1, "nobody"]), -5, "Invalid address"),
        ("generatetoaddress", json!([1_000_000, "nobody"]), -8, "nblocks"),
        ("invalidateblock", json!(["00".repeat(32)]), -5, "Block not found"),
    ];
    for (method, params, code, message) in rows {
        let fault = node.chain().rpc(method, &params, START).expect_err(method);
        assert_eq!(fault.code, code, "{method} {params}: {fault}");
        assert!(fault.message.contains(message), "{method} {params}: {fault}");
    }
}

#[test]
fn a_block_is_told_in_three_depths() {
    let (node, found) = chain_of(3);
    let described = call(&node, "getblock", json!([found[1], 2]));
    assert_eq!(described["hash"], *found[1]);
    assert_eq!(described["height"], 2);
    assert_eq!(described["confirmations"], 2);
    assert_eq!(described["previousblockhash"], *found[0]);
    assert_eq!(described["nextblockhash"], *found[2]);
    assert_eq!(described["nTx"], 1);
    let coinbase = &described["tx"][0];
    assert_eq!(coinbase["vout"][0]["value"], 50.0);
    let address = call(&node, "getnewaddress", json!(["somebody"]));
    assert_eq!(coinbase["vout"][0]["scriptPubKey"]["address"], address);
    assert_eq!(coinbase["txid"], described["merkleroot"], "a lone coinbase is the root");

    assert_eq!(call(&node, "getblock", json!([found[1]]))["tx"], json!([coinbase["txid"]]));
    let bytes = call(&node, "getblock", json!([found[1], 0]));
    let header = call(&node, "getblockheader", json!([found[1], false]));
    assert!(bytes.as_str().expect("hex").starts_with(header.as_str().expect("hex")));
    let again = call(&node, "submitblock", json!([bytes]));
    assert_eq!(again, "duplicate");
}

#[test]
fn the_chain_tells_about_itself() {
    let (node, found) = chain_of(30);
    let info = call(&node, "getblockchaininfo", json!([]));
    assert_eq!(info["chain"], "dev");
    assert_eq!(info["blocks"], 30);
    assert_eq!(info["bestblockhash"], *found[29]);
    assert_eq!(call(&node, "getblockcount", json!([])), 30);
    assert_eq!(call(&node, "getbestblockhash", json!([])), *found[29]);
    assert_eq!(call(&node, "getdifficulty", json!([])), info["difficulty"]);
    let mining = call(&node, "getmininginfo", json!([]));
    assert_eq!(mining["algorithm"], "blake2s");
    assert_eq!(call(&node, "getnetworkinfo", json!([]))["connections"], 0);
}

/// T21 for a chain without a block.
#[test]
fn t21_an_empty_chain_has_finite_numbers() {
    let (node, _) = chain_of(0);
    let mining = call(&node, "getmininginfo", json!([]));
    assert_eq!(mining["networkhashps"], 0.0);
    assert!(mining["difficulty"].as_f64().is_some_and(|it| it.is_finite() && it > 0.0));
    assert_eq!(call(&node, "getblockcount", json!([])), 0);
}

#[test]
fn t08_only_addresses_of_this_network_are_valid() {
    let (node, _) = chain_of(0);
    let address = call(&node, "getnewaddress", json!([]));
    let valid = call(&node, "validateaddress", json!([address]));
    assert_eq!(valid["isvalid"], true);
    assert_eq!(valid["scriptPubKey"].as_str().expect("hex").len(), 44);
    for stranger in ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "dev1qqq", ""] {
        let answer = call(&node, "validateaddress", json!([stranger]));
        assert_eq!(answer["isvalid"], false, "{stranger}");
        assert!(answer["error"].is_string(), "{stranger}");
    }
}

#[test]
fn a_template_starts_after_the_median_time_and_not_before_now() {
    let (node, _) = chain_of(11);
    let template = |now| {
        let params = json!([{ "rules": ["segwit"] }]);
        node.chain().rpc("getblocktemplate", &params, now).expect("a template")
    };
    assert_eq!(template(START + 100)["curtime"], START + 100);
    let slow_clock = template(START - 1000);
    assert_eq!(slow_clock["curtime"], slow_clock["mintime"]);
    assert!(slow_clock["mintime"].as_u64() > Some(START - 1000));
}

#[test]
fn generating_stops_when_the_tries_are_used_up() {
    let hard =
        chimera_chain::DevParams { easiest: chimera_pow::CompactBits(0x1f00_ffff), ..easy() };
    let chain = DevChain::in_memory(hard).expect("good parameters");
    let address = chain.rpc("getnewaddress", &json!([]), START).expect("an address");
    let found = chain.rpc("generatetoaddress", &json!([1, address, 10]), START);
    assert_eq!(found, Ok(json!([])));
}

#[tokio::test]
async fn a_long_poll_is_answered_at_the_next_tip() {
    let (node, _) = chain_of(1);
    let fresh = json!([{ "rules": ["segwit"] }]);
    let first = node.call("getblocktemplate", fresh).await.expect("a template");
    let waiting = json!([{ "rules": ["segwit"], "longpollid": first["longpollid"] }]);

    let poll = tokio::spawn({
        let (node, waiting) = (node.clone(), waiting.clone());
        async move { node.call("getblocktemplate", waiting).await }
    });
    tokio::task::yield_now().await;
    assert!(!poll.is_finished(), "nothing new yet");
    let mined = somebody_mines(&node, 1, START);
    let second = soon("the long poll", poll).await.expect("no panic").expect("a template");
    assert_eq!(second["previousblockhash"], *mined[0]);

    let old = node.call("getblocktemplate", waiting).await.expect("at once: the id is old");
    assert_eq!(old["longpollid"], second["longpollid"]);
}

#[tokio::test]
async fn json_rpc_bodies_single_batch_and_wrong() {
    let (node, found) = chain_of(1);
    let ask = |id: Value| json!({ "jsonrpc": "1.0", "id": id, "method": "getblockcount" });
    for id in [json!(1), json!("a"), Value::Null] {
        let answer = node.serve(ask(id.clone())).await;
        assert_eq!(answer, json!({ "result": 1, "error": null, "id": id }));
    }
    let batch = json!([ask(json!(1)), { "id": 2, "method": "nonsense", "params": [] }]);
    let answers = node.serve(batch).await;
    assert_eq!(answers[0]["result"], 1);
    assert_eq!(answers[1]["error"]["code"], -32601);
    assert_eq!(answers[1]["id"], 2);
    for wrong in [json!([]), json!(7), json!("x"), json!({}), json!({ "method": 7 })] {
        let answer = node.serve(wrong.clone()).await;
        assert_eq!(answer["error"]["code"], -32600, "{wrong}");
    }
    let flood = Value::from(vec![ask(json!(1)); 101]);
    assert_eq!(node.serve(flood).await["error"]["code"], -32600);
    let params = json!([found[0]]);
    let undo = json!({ "id": 1, "method": "invalidateblock", "params": params });
    assert_eq!(node.serve(undo).await, json!({ "result": null, "error": null, "id": 1 }));
    assert_eq!(node.chain().tip().borrow().height, 0);
}

#[test]
fn a_node_can_be_used_from_many_threads() {
    let (node, _) = chain_of(0);
    let node = Arc::new(node);
    std::thread::scope(|scope| {
        for label in ["a", "b", "c", "d"] {
            let node = Arc::clone(&node);
            scope.spawn(move || {
                let address = call(&node, "getnewaddress", json!([label]));
                for nth in 0..10 {
                    let params = json!([1, address]);
                    let mined = node.chain().rpc("generatetoaddress", &params, START + 10 * nth);
                    mined.expect("mined");
                }
            });
        }
    });
    let height = call(&node, "getblockcount", json!([])).as_u64().expect("a number");
    assert!((10..=40).contains(&height), "lost races find nothing, won ones one block: {height}");
    assert_eq!(
        call(&node, "getbestblockhash", json!([])),
        call(&node, "getblockhash", json!([height]))
    );
}
