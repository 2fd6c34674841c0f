//! The embedded chain over its life: retargeting, reorganisations, restarts, torn files.

mod common;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use chimera_chain::{DevChain, DevChainError, DevParams};
use chimera_pow::{CompactBits, PowHash};
use serde_json::{Value, json};

use common::{START, easy};

fn call(chain: &DevChain, method: &str, params: Value) -> Value {
    chain.rpc(method, &params, START).expect(method)
}

fn mine(chain: &DevChain, label: &str, blocks: u64) -> Vec<Value> {
    mine_at(chain, label, blocks, START)
}

fn mine_at(chain: &DevChain, label: &str, blocks: u64, now: u64) -> Vec<Value> {
    let address = call(chain, "getnewaddress", json!([label]));
    let found = chain.rpc("generatetoaddress", &json!([blocks, address]), now).expect("mined");
    found.as_array().expect("hashes").clone()
}

fn raw(chain: &DevChain, hash: &Value) -> Value {
    call(chain, "getblock", json!([hash, 0]))
}

fn confirmations(chain: &DevChain, hash: &Value) -> Value {
    call(chain, "getblock", json!([hash]))["confirmations"].clone()
}

fn parse(hash: &Value) -> PowHash {
    let mut bytes: [u8; 32] =
        hex::decode(hash.as_str().expect("a hash")).expect("hex").try_into().expect("32 bytes");
    bytes.reverse();
    PowHash(bytes)
}

/// Every hash is real; only the clock is not: it goes by the hashes done.
#[test]
fn the_spacing_converges_with_real_hashes_in_virtual_time() {
    const HASHES_PER_S: u64 = 100;
    let params = DevParams { easiest: CompactBits(0x207f_ffff), ..DevParams::default() };
    let chain = DevChain::in_memory(params).expect("good parameters");
    let address = call(&chain, "getnewaddress", json!([]));
    let (mut hashes, mut times) = (0, Vec::new());
    while times.len() < 150 {
        let now = START + hashes / HASHES_PER_S;
        let found = chain.rpc("generatetoaddress", &json!([1, address, 20]), now).expect("mined");
        // A call does at most 20 hashes; how many it did is in the nonce of its block.
        let Some(hash) = found.get(0) else {
            hashes += 20;
            continue;
        };
        let header = call(&chain, "getblockheader", json!([hash]));
        hashes += header["nonce"].as_u64().expect("a nonce") + 1;
        times.push(now);
    }
    let steady = &times[50..];
    let mean = (steady[99] - steady[0]) as f64 / 99.0;
    assert!((8.0..13.0).contains(&mean), "{mean} s per block");
}

#[test]
fn t16_the_branch_with_more_work_becomes_the_chain() {
    let (ours, theirs) = (
        DevChain::in_memory(easy()).expect("good parameters"),
        DevChain::in_memory(easy()).expect("good parameters"),
    );
    let old = mine(&ours, "ours", 2);
    let new = mine(&theirs, "theirs", 3);
    let mut tips = ours.tip();
    let submit = |hash: &Value| call(&ours, "submitblock", json!([raw(&theirs, hash)]));
    assert_eq!(submit(&new[0]), "inconclusive");
    assert_eq!(submit(&new[1]), "inconclusive");
    assert!(!tips.has_changed().expect("the chain lives"), "equal work: the first seen stays");
    assert_eq!(submit(&new[2]), Value::Null);
    assert!(tips.has_changed().expect("the chain lives"));
    assert_eq!(tips.borrow_and_update().height, 3);
    for (height, hash) in new.iter().enumerate() {
        assert_eq!(call(&ours, "getblockhash", json!([height + 1])), *hash);
        assert_eq!(confirmations(&ours, hash), 3 - height);
    }
    for hash in &old {
        assert_eq!(confirmations(&ours, hash), -1, "orphaned");
    }
}

#[test]
fn an_orphaned_block_takes_its_children_along_and_mining_goes_on() {
    let chain = DevChain::in_memory(easy()).expect("good parameters");
    let blocks = mine(&chain, "pool", 5);
    let tip = chain.orphan(parse(&blocks[2])).expect("above genesis");
    assert_eq!(tip.height, 2);
    assert_eq!(call(&chain, "getbestblockhash", json!([])), blocks[1]);
    for orphan in &blocks[2..] {
        assert_eq!(confirmations(&chain, orphan), -1);
    }
    let after = mine(&chain, "pool", 4);
    assert!(after.iter().all(|hash| !blocks.contains(hash)), "no orphan is mined again");
    assert_eq!(call(&chain, "getblockcount", json!([])), 6);

    let genesis = call(&chain, "getblockhash", json!([0]));
    let refused = chain.orphan(parse(&genesis)).expect_err("genesis stays");
    assert!(matches!(refused, DevChainError::NotOrphanable { .. }), "{refused}");
}

#[test]
fn a_restart_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let (before, orphan, address);
    {
        let chain = DevChain::open(directory.path(), easy()).expect("a new chain");
        let blocks = mine(&chain, "pool", 6);
        orphan = blocks[5].clone();
        chain.orphan(parse(&orphan)).expect("above genesis");
        mine(&chain, "pool", 2);
        address = call(&chain, "getnewaddress", json!(["pool"]));
        before = call(&chain, "getblockchaininfo", json!([]));
        assert_eq!(before["blocks"], 7);
    }
    let chain = DevChain::open(directory.path(), easy()).expect("the same chain");
    assert_eq!(call(&chain, "getblockchaininfo", json!([])), before);
    assert_eq!(call(&chain, "getnewaddress", json!(["pool"])), address);
    assert_eq!(confirmations(&chain, &orphan), -1, "an orphan stays one");
    mine(&chain, "pool", 1);
}

#[test]
fn equal_parameters_make_equal_chains_and_others_make_others() {
    let genesis = |params| {
        let chain = DevChain::in_memory(params).expect("good parameters");
        call(&chain, "getblockhash", json!([0]))
    };
    assert_eq!(genesis(easy()), genesis(easy()));
    let rows: [fn(&mut DevParams); 6] = [
        |params| params.network = "other".to_owned(),
        |params| params.algorithm = chimera_pow::Algorithm::Sha256d,
        |params| params.spacing_s = 11,
        |params| params.subsidy = 1,
        |params| params.halving_blocks = 1,
        |params| params.easiest = CompactBits(0x2000_ffff),
    ];
    for (row, change) in rows.into_iter().enumerate() {
        let mut params = easy();
        change(&mut params);
        assert_ne!(genesis(params), genesis(easy()), "row {row}");
    }
}

fn file(directory: &Path) -> std::path::PathBuf {
    directory.join("chain.dat")
}

fn grown(directory: &Path, blocks: u64) -> Vec<u8> {
    let chain = DevChain::open(directory, easy()).expect("a chain");
    mine(&chain, "pool", blocks);
    fs::read(file(directory)).expect("the chain's file")
}

/// A crash in the middle of a write: the block was never accepted, so it is cut.
#[test]
fn a_torn_tail_is_cut_wherever_it_tore() {
    let directory = tempfile::tempdir().expect("a directory");
    let whole = grown(directory.path(), 2);
    let longer = grown(directory.path(), 1);
    let record = longer.len() - whole.len();
    for kept in [1, 4, 7, 8, 9, 100, record - 1] {
        fs::write(file(directory.path()), &longer[..whole.len() + kept]).expect("written");
        let chain = DevChain::open(directory.path(), easy()).expect("the chain without its tail");
        assert_eq!(call(&chain, "getblockcount", json!([])), 2, "{kept} bytes of the record");
        drop(chain);
        assert_eq!(fs::read(file(directory.path())).expect("the file"), whole);
    }
    // Space was allotted, but the bytes never came.
    let mut appending = OpenOptions::new().append(true).open(file(directory.path())).expect("file");
    appending.write_all(&vec![0; record]).expect("written");
    drop(appending);
    let chain = DevChain::open(directory.path(), easy()).expect("the chain without its tail");
    mine(&chain, "pool", 1);
    assert_eq!(call(&chain, "getblockcount", json!([])), 3);
}

#[test]
fn a_file_cut_before_its_first_block_is_begun_anew() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(file(directory.path()), b"CHIMDEV1 torn").expect("written");
    let chain = DevChain::open(directory.path(), easy()).expect("a new chain");
    assert_eq!(call(&chain, "getblockcount", json!([])), 0);
}

#[test]
fn damage_no_crash_explains_is_refused_and_nothing_is_cut() {
    let directory = tempfile::tempdir().expect("a directory");
    let good = grown(directory.path(), 3);
    let mut bad = good.clone();
    bad[72 + 20] ^= 1;
    fs::write(file(directory.path()), &bad).expect("written");
    let error = DevChain::open(directory.path(), easy()).expect_err("damaged");
    assert!(matches!(error, DevChainError::Corrupt { offset: 72, .. }), "{error}");
    assert_eq!(fs::read(file(directory.path())).expect("the file"), bad);

    fs::write(file(directory.path()), b"x".repeat(100)).expect("written");
    let error = DevChain::open(directory.path(), easy()).expect_err("no chain file");
    assert!(matches!(error, DevChainError::Corrupt { offset: 0, .. }), "{error}");
}

#[test]
fn a_file_of_another_chain_or_in_use_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let chain = DevChain::open(directory.path(), easy()).expect("a new chain");
    let error = DevChain::open(directory.path(), easy()).expect_err("one process at a time");
    assert!(matches!(error, DevChainError::InUse { .. }), "{error}");
    drop(chain);
    let other = DevParams { network: "other".to_owned(), ..easy() };
    let error = DevChain::open(directory.path(), other).expect_err("another chain");
    assert!(matches!(error, DevChainError::OtherChain { .. }), "{error}");
}
