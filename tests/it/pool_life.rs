//! The whole life of a pool, through its sockets and its API.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Miner, TestPool};

fn units(amount: &Value) -> i128 {
    amount["units"].as_str().expect("amounts are text").parse().expect("of digits")
}

/// Mines in turns until the route's answer is as it must become.
async fn mine_until(
    pool: &TestPool,
    miners: &mut [Miner],
    route: &str,
    met: impl Fn(&Value) -> bool,
) -> Value {
    for _ in 0..2_000 {
        for miner in miners.iter_mut() {
            miner.mine(2).await;
        }
        let answer = pool.get(route).await;
        if met(&answer) {
            return answer;
        }
    }
    panic!("{route} never came to what was waited for: {:#}", pool.get(route).await);
}

fn settled(blocks: &Value) -> Vec<&Value> {
    let blocks = blocks["items"].as_array().expect("a list");
    blocks.iter().filter(|block| block["state"] == "settled").collect()
}

/// Balances of the miners of a pool, by account.
async fn balances(pool: &TestPool) -> BTreeMap<String, i128> {
    let miners = pool.get("miners").await;
    let miners = miners["items"].as_array().expect("a list").clone();
    miners
        .iter()
        .map(|line| (line["account"].as_str().expect("a name").to_owned(), units(&line["balance"])))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_miner_connects_mines_wins_and_is_paid() {
    let pool = TestPool::start(&[]).await;
    let mut miners = Vec::new();
    for user in ["alice.rig1", "bob.rig1"] {
        miners.push(Miner::start(pool.stratum, user).await);
    }
    let blocks =
        mine_until(&pool, &mut miners, "blocks", |blocks| settled(blocks).len() >= 3).await;
    let rewards: i128 = settled(&blocks).iter().map(|block| units(&block["reward"])).sum();
    assert!(rewards > 0);
    let balances = balances(&pool).await;
    assert!(balances["alice"] > 0 && balances["bob"] > 0, "{balances:?}");
    let alice = pool.get("miners/alice").await;
    assert!(!alice["credits"].as_array().expect("a list").is_empty(), "{alice:#}");
    drop(miners);
    let dir = pool.stop().await;

    // T15: the books balance to the last unit, recomputed from every transfer.
    let store = chimera_store::Store::open(&dir.path().join("pool.sqlite")).await.expect("opens");
    let books = store.verify_books().await.expect("the books balance");
    assert!(books.transfers > 0);
    let sum: i128 = store.balances().await.expect("readable").iter().map(|line| line.units()).sum();
    assert_eq!(sum, 0, "double entry");
}

/// One line of settings replaces the scheme; what was earned under the old one stays.
#[tokio::test(flavor = "multi_thread")]
async fn pplns_is_replaced_by_pps_with_one_line_and_a_restart() {
    let pool = TestPool::start(&[]).await;
    let mut miners = [Miner::start(pool.stratum, "alice.rig1").await];
    mine_until(&pool, &mut miners, "blocks", |blocks| !settled(blocks).is_empty()).await;
    let dir = pool.stop().await;

    let pool = TestPool::start_in(dir, &[("PAYOUT__SCHEME", "payout-pps")]).await;
    let plugins = pool.get("plugins").await;
    assert!(plugins.to_string().contains("payout-pps"), "{plugins:#}");
    let before = balances(&pool).await["alice"];
    assert!(before > 0, "earned under PPLNS");
    let mut miners = [Miner::start(pool.stratum, "carol.rig1").await];
    let is_paid =
        |carol: &Value| carol["balance"]["units"].as_str().is_some_and(|text| text != "0");
    // Carol is paid for work alone, whether or not a block comes.
    mine_until(&pool, &mut miners, "miners/carol", is_paid).await;
    pool.stop().await;
}

/// A bonus waives the fee of the one who has it, and ends when it is no longer configured.
#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_bonus_is_applied_at_the_start_and_taken_back_at_the_next() {
    let bonus = [("PAYOUT__ACCOUNT_FEE_PPM", "{ alice = -10000 }")];
    let pool = TestPool::start(&bonus).await;
    let mut miners = [Miner::start(pool.stratum, "alice.rig1").await];
    assert_eq!(pool.get("miners/alice").await["fee_ppm"], -10_000);
    let settled = |payouts: &Value| payouts["items"].as_array().is_some_and(|all| !all.is_empty());
    mine_until(&pool, &mut miners, "payouts", settled).await;
    let dir = pool.stop().await;
    let store = chimera_store::Store::open(&dir.path().join("pool.sqlite")).await.expect("opens");
    let kept = store.balance(&chimera_ledger::Account::PoolFee).await.expect("readable");
    assert_eq!(kept.units(), 0, "the fee of 1 % is waived");
    store.close().await;

    let pool = TestPool::start_in(dir, &[]).await;
    assert_eq!(pool.get("miners/alice").await["fee_ppm"], 0);
    pool.stop().await;
}

/// T15: what PPS owes below one base unit is kept in its state, also when a block goes to
/// the reserve meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn t15_a_block_under_pps_leaves_its_fractions_alone() {
    let pool = TestPool::start(&[("PAYOUT__SCHEME", "payout-pps")]).await;
    let mut miners = [Miner::start(pool.stratum, "alice.rig1").await];
    let block_after_interval = |payouts: &Value| {
        let items = payouts["items"].as_array().expect("a list");
        let newest_is_block = items.first().is_some_and(|newest| !newest["block"].is_null());
        newest_is_block && items.iter().any(|settlement| settlement["block"].is_null())
    };
    mine_until(&pool, &mut miners, "payouts", block_after_interval).await;
    let dir = pool.stop().await;
    let store = chimera_store::Store::open(&dir.path().join("pool.sqlite")).await.expect("opens");
    let settlements = store.settlements(1_000, None).await.expect("readable");
    let blocks = settlements.iter().filter(|settlement| settlement.row.block.is_some());
    let mut paid_before = 0;
    for block in blocks {
        // A block's settlement carries the state of the interval before it on.
        let state = |key: String| {
            let store = &store;
            async move { store.settlement(&key).await.expect("readable").expect("there").0.row.state }
        };
        let earlier = settlements
            .iter()
            .find(|other| other.number < block.number && other.row.block.is_none());
        if let Some(interval) = earlier {
            paid_before += 1;
            let kept = state(block.row.key.clone()).await;
            assert_eq!(kept, state(interval.row.key.clone()).await);
            assert!(!kept.is_empty());
        }
    }
    assert!(paid_before > 0, "some interval was paid before some block");
}

/// T16, T23: a restart in the middle of everything pays nothing twice and forgets nothing.
#[tokio::test(flavor = "multi_thread")]
async fn t16_restarts_pay_nothing_twice() {
    let mut dir = tempfile::TempDir::new().expect("a temporary directory");
    let mut found = 0;
    for _ in 0..3 {
        let pool = TestPool::start_in(dir, &[]).await;
        let mut miners = [Miner::start(pool.stratum, "alice.rig1").await];
        let more =
            |blocks: &Value| blocks["items"].as_array().is_some_and(|list| list.len() > found);
        let blocks = mine_until(&pool, &mut miners, "blocks", more).await;
        found = blocks["items"].as_array().expect("a list").len();
        dir = pool.stop().await;
    }
    let store = chimera_store::Store::open(&dir.path().join("pool.sqlite")).await.expect("opens");
    store.verify_books().await.expect("the books balance");
    let rewarded: u64 = store
        .blocks(1_000, None)
        .await
        .expect("readable")
        .iter()
        .filter(|block| block.state == chimera_ledger::BlockState::Settled)
        .map(|block| block.reward.expect("settled blocks have one").units())
        .sum();
    let chain = chimera_ledger::Account::Chain;
    let paid_out = -store.balance(&chain).await.expect("readable").units();
    assert_eq!(paid_out, i128::from(rewarded), "the chain paid what the blocks say, once");
}

/// T19: stopped and started again, a hundred times, it still serves miners.
#[tokio::test(flavor = "multi_thread")]
async fn t19_a_hundred_restarts() {
    let mut dir = tempfile::TempDir::new().expect("a temporary directory");
    for round in 0..100 {
        let pool = TestPool::start_in(dir, &[]).await;
        if round % 20 == 0 {
            Miner::start(pool.stratum, "alice.rig1").await.mine(1).await;
        }
        dir = pool.stop().await;
    }
}

/// T21: an empty pool gives finite numbers everywhere.
#[tokio::test(flavor = "multi_thread")]
async fn t21_an_empty_pool_gives_finite_numbers() {
    let pool = TestPool::start(&[]).await;
    for route in ["status", "health", "stats", "miners", "blocks", "payouts", "plugins"] {
        let answer = pool.get(route).await;
        assert!(answer.is_object(), "{route}: {answer}");
        assert!(!answer.to_string().contains("NaN"), "{route}: {answer}");
    }
    let metrics = reqwest::get(format!("{}/metrics", pool.api)).await.expect("answers");
    for line in metrics.text().await.expect("text").lines().filter(|line| !line.starts_with('#')) {
        let number = line.rsplit(' ').next().expect("a value");
        assert!(number.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
    }
    pool.stop().await;
}

/// T29: which scheme settles a block follows from its place in the share log, however the
/// settings have changed meanwhile: what PPLNS mined PPLNS divides.
#[tokio::test(flavor = "multi_thread")]
async fn t29_a_block_is_settled_by_the_scheme_of_its_shares() {
    let ripening = [("CHAIN__MATURITY", "6")];
    let pool = TestPool::start(&ripening).await;
    let mut miners = [Miner::start(pool.stratum, "alice.rig1").await];
    let found = |blocks: &Value| blocks["items"].as_array().is_some_and(|list| list.len() >= 2);
    mine_until(&pool, &mut miners, "blocks", found).await;
    let dir = pool.stop().await;

    let pps = [ripening[0], ("PAYOUT__SCHEME", "payout-pps")];
    let pool = TestPool::start_in(dir, &pps).await;
    let mut miners = [Miner::start(pool.stratum, "bob.rig1").await];
    mine_until(&pool, &mut miners, "blocks", |blocks| settled(blocks).len() >= 3).await;
    let dir = pool.stop().await;

    let store = chimera_store::Store::open(&dir.path().join("pool.sqlite")).await.expect("opens");
    let mut seen = BTreeMap::new();
    for block in store.blocks(1_000, None).await.expect("readable") {
        if block.state != chimera_ledger::BlockState::Settled {
            continue;
        }
        let key = format!("block:{}", block.id);
        let (settlement, transfers) =
            store.settlement(&key).await.expect("readable").expect("it was settled");
        assert_eq!(settlement.row.generation, block.generation);
        let generation = store.generation(block.generation).await.expect("on record");
        assert!(block.seq >= generation.facts.from_seq, "its shares are of its generation");
        let reserve = transfers.iter().any(|t| t.credit == chimera_ledger::Account::Reserve);
        assert_eq!(reserve, generation.facts.name == "payout-pps", "{transfers:?}");
        *seen.entry(generation.facts.name).or_insert(0) += 1;
    }
    assert!(seen["payout-pplns"] >= 2 && seen["payout-pps"] >= 1, "{seen:?}");
    store.verify_books().await.expect("the books balance");
}
