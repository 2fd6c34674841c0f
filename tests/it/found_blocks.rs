//! What becomes of found blocks, whatever happens to the pool, its node and its chain; and what
//! they took.

use std::time::Duration;

use chimera_chain::Fault;
use chimera_ledger::{Account, BlockState};
use chimera_pow::PowHash;
use chimera_store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Miner, TestPool};
use crate::node::{Node, pool_on};
use crate::process::{Process, chimera};

fn items(answer: &Value) -> Vec<Value> {
    answer["items"].as_array().expect("a list").clone()
}

/// Mines until a block is as it must become; that block.
async fn mine_until(pool: &TestPool, miner: &mut Miner, met: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..2_000 {
        miner.mine(2).await;
        if let Some(block) = items(&pool.get("blocks").await).into_iter().rev().find(&met) {
            return block;
        }
    }
    panic!("no block came to what was waited for: {:#}", pool.get("blocks").await);
}

/// The books balance, follow from the records, and have paid each settled block once.
async fn assert_paid_once(dir: TempDir) {
    let store = Store::open(&dir.path().join("pool.sqlite")).await.expect("opens");
    store.verify_books().await.expect("the books balance");
    store.verify_records().await.expect("the transfers are those of the records");
    let blocks = store.blocks(1_000, None).await.expect("readable");
    let settled = blocks.iter().filter(|block| block.state == BlockState::Settled);
    let rewards: i128 =
        settled.map(|block| i128::from(block.reward.expect("it is known").units())).sum();
    let chain = store.balance(&Account::Chain).await.expect("readable").units();
    assert_eq!(-chain, rewards);
}

/// T16: killed after a block was found and before a node had answered, a pool hands it in when
/// it is started again, and pays it once.
#[tokio::test(flavor = "multi_thread")]
async fn t16_a_block_found_just_before_sigkill_is_handed_in_at_the_next_start() {
    let node = Node::start().await;
    node.treat_blocks(Fault::Hang);
    let settings = node.settings().await;
    let settings = settings.each_ref().map(|(key, value)| (*key, value.as_str()));
    let dir = TempDir::new().expect("a temporary directory");
    let pool = Process::start(dir.path(), &settings);
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let found = loop {
        let (job, share) = miner.find_share();
        let line = miner.submit_line(9, &job, &share);
        miner.send(&line).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        if let Some(found) = items(&pool.get("blocks").await).pop() {
            break found;
        }
    };
    assert_eq!((&found["state"], &found["answer"]), (&json!("candidate"), &json!("")));
    pool.signal("-KILL");
    drop(pool);
    assert_eq!(node.chain.chain().tip().borrow().height, 0, "no node ever had it");

    node.chain.faults().clear();
    let pool = TestPool::start_in(dir, &settings).await;
    let is_first = |block: &Value| block["height"] == 1 && block["state"] != "orphaned";
    let taken = |blocks: &Value| {
        items(blocks).iter().any(|block| is_first(block) && block["answer"] == "accepted")
    };
    pool.wait_for("blocks", taken).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let paid = |block: &Value| is_first(block) && block["state"] == "settled";
    mine_until(&pool, &mut miner, paid).await;
    assert_paid_once(pool.stop().await).await;
}

/// What the nodes said to a block that they refused is on record, and told by the API and by
/// the command an operator looks with.
#[tokio::test(flavor = "multi_thread")]
async fn the_reason_a_block_was_rejected_for_is_shown() {
    let node = Node::start().await;
    let message = "Block decode failed".to_owned();
    node.treat_blocks(Fault::Error { code: -22, message });
    let pool = pool_on(&node).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let block = mine_until(&pool, &mut miner, |block| block["state"] == "rejected").await;
    for field in ["answer", "detail"] {
        assert_eq!(block[field], "rejected: Block decode failed (code -22)", "{block:#}");
    }
    let api = pool.api.clone();
    let asked = tokio::task::spawn_blocking(move || chimera(&["status", "--api", &api], &[])).await;
    let (_, screen) = asked.expect("it ends");
    let line =
        screen.lines().find(|line| line.contains("handed in: rejected: Block decode failed"));
    assert!(line.is_some_and(|line| line.contains("rejected")), "{screen}");
    pool.stop().await;
}

fn hash_of(id: &Value) -> PowHash {
    let mut hash = hex::decode(id.as_str().expect("an id")).expect("hex");
    hash.reverse();
    PowHash(hash.try_into().expect("32 bytes"))
}

/// A settled block that left the chain and came back: reversed, then booked again, and in the
/// end paid once.
#[tokio::test(flavor = "multi_thread")]
async fn t16_a_reversed_block_that_comes_back_is_reinstated() {
    let node = Node::start().await;
    let pool = pool_on(&node).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let settled = mine_until(&pool, &mut miner, |block| block["state"] == "settled").await;
    let hash = hash_of(&settled["id"]);
    node.chain.chain().orphan(hash).expect("it is on the chain");
    let is = |state: &'static str| {
        let id = settled["id"].clone();
        move |block: &Value| block["id"] == id && block["state"] == state
    };
    mine_until(&pool, &mut miner, is("reversed")).await;

    // The branch that has it becomes the chain again.
    let (chain, height) = (node.chain.chain(), json!([settled["height"]]));
    let rival = node.chain.call("getblockhash", height).await.expect("there");
    chain.reconsider(hash).expect("it was orphaned");
    chain.orphan(hash_of(&rival)).expect("it is on the chain");
    mine_until(&pool, &mut miner, is("settled")).await;
    let payouts = items(&pool.get("payouts").await);
    let payout = payouts.iter().find(|payout| payout["block"] == settled["id"]).expect("listed");
    assert_eq!(payout["reversed_at_ms"], Value::Null);
    let legs = payout["legs"].as_array().expect("a list");
    let kinds: Vec<&str> = legs.iter().filter_map(|leg| leg["kind"].as_str()).collect();
    assert_eq!(kinds, ["reversal", "reinstatement"]);
    assert_paid_once(pool.stop().await).await;
}

/// Every share of this pool is credited the same work, so by hand a round's is the number of
/// shares between two blocks' places times that.
#[tokio::test(flavor = "multi_thread")]
async fn a_block_shows_the_effort_it_took() {
    let pool = TestPool::start(&[]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    mine_until(&pool, &mut miner, |block| block["number"] == 4).await;
    drop(miner);
    let all_known = |blocks: &Value| {
        items(blocks).iter().all(|block| block["effort"].is_number() && block["answer"] != "")
    };
    let blocks = items(&pool.wait_for("blocks", all_known).await);
    let all_counted = |stats: &Value| stats["current_effort"].is_number();
    let stats = pool.wait_for("stats", all_counted).await;
    let number = |value: &Value| -> u128 { value.as_str().expect("text").parse().expect("digits") };
    let shares = u128::from(stats["shares"]["accepted"].as_u64().expect("a count"));
    let per_share = number(&stats["shares"]["work"]) / shares;
    let mut before = 0;
    for block in blocks.iter().rev().filter(|block| block["state"] != "rejected") {
        let seq = block["share_seq"].as_u64().expect("a place");
        assert_eq!(number(&block["round_work"]), u128::from(seq - before) * per_share, "{block:#}");
        let difficulty = block["network_difficulty"].as_f64().expect("a number");
        let expected = number(&block["round_work"]) as f64 / (difficulty * 4_295_032_833.0);
        let effort = block["effort"].as_f64().expect("a number");
        assert!((effort - expected).abs() <= 1e-3 * expected, "{effort}, by hand {expected}");
        before = seq;
    }
    let luck = &stats["luck"]["last_10"];
    assert!(luck["blocks"].as_u64() >= Some(4) && luck["ratio"].is_number(), "{luck}");
    let metrics = reqwest::get(format!("{}/metrics", pool.api)).await.expect("it answers");
    let metrics = metrics.text().await.expect("text");
    assert!(metrics.contains("\nchimera_round_effort "), "{metrics}");
    assert!(metrics.contains("\nchimera_luck{window=\"last_10\"} "), "{metrics}");
    pool.stop().await;
}
