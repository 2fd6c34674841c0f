//! What is answered from the ledger: statistics, miners, blocks, payouts.

use serde_json::{Value, json};

use crate::scene::{NOW_MS, Scene};

/// Every number is one, and every rate is there.
fn assert_finite(path: &str, body: &Value) {
    match body {
        Value::Object(fields) => {
            for (name, value) in fields {
                let rate = name.ends_with("_per_s") || name == "seconds" || name == "difficulty";
                assert!(!rate || value.is_number(), "{path}: {name} is {value}");
                assert_finite(path, value);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| assert_finite(path, item)),
        Value::Number(number) => {
            assert!(number.as_f64().is_some_and(f64::is_finite), "{path}: {number}");
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn t21_an_empty_pool_gives_finite_numbers() {
    let scene = Scene::new().await;
    // What a host could publish by mistake is no number in the answer either.
    scene.publish(|snapshot| {
        snapshot.share_log.seconds = f64::INFINITY;
        if let Some(chain) = &mut snapshot.chain {
            chain.difficulty = f64::NAN;
        }
    });
    for path in ["status", "stats", "miners", "blocks", "payouts", "plugins"] {
        assert_finite(path, &scene.good(&format!("/api/v1/{path}")).await);
    }
    let stats = scene.good("/api/v1/stats").await;
    assert_eq!(stats["hashrate"]["five_minutes"]["hashes_per_s"], 0.0);
    assert_eq!(stats["books"]["pool_fee"], json!({"units": "0", "coins": "0.00000000 DEV"}));
    assert_eq!(stats["blocks"]["settled"], 0);
    for list in ["miners", "blocks", "payouts"] {
        let page = scene.good(&format!("/api/v1/{list}")).await;
        assert_eq!(page, json!({ "items": [], "next": null }));
    }
}

#[tokio::test]
async fn statistics_are_sums_and_rates_over_exact_times() {
    let scene = Scene::filled().await;
    let stats = scene.good("/api/v1/stats").await;
    assert_finite("stats", &stats);
    assert_eq!(stats["shares"], json!({ "accepted": 3, "work": "900000" }));
    assert_eq!((&stats["accounts"], &stats["workers"]), (&json!(2), &json!(2)));
    let five = &stats["hashrate"]["five_minutes"];
    let seconds = (NOW_MS - five["since_ms"].as_u64().expect("a time")) as f64 / 1000.0;
    assert!((300.0..=360.0).contains(&seconds), "{seconds}");
    assert_eq!(five["hashes_per_s"].as_f64(), Some(900_000.0 / seconds));
    assert_eq!(stats["blocks"]["settled"], 1);
    assert_eq!(stats["blocks"]["orphaned"], 1);
    assert_eq!(stats["books"]["chain"]["units"], "-5000000000");
    assert_eq!(stats["books"]["pool_fee"]["coins"], "0.49999999 DEV");
    assert_eq!(stats["since_start"]["verdicts"], json!({ "accepted": 40, "stale": 2 }));
}

#[tokio::test]
async fn a_miner_sees_work_workers_balance_and_credits() {
    let scene = Scene::filled().await;
    let ann = scene.good("/api/v1/miners/ann").await;
    assert_finite("miners/ann", &ann);
    assert_eq!(ann["account"], "ann");
    assert_eq!(ann["balance"], json!({ "units": "3300000000", "coins": "33.00000000 DEV" }));
    assert_eq!((&ann["shares"], &ann["work"]), (&json!(2), &json!("600000")));
    assert_eq!(ann["worker_list"][0]["name"], "rig");
    assert_eq!(ann["last_share_ms"], NOW_MS - 60_000);
    let credit = &ann["credits"][0];
    assert_eq!((&credit["block"], &credit["reason"]), (&json!("b1"), &json!("reward")));
    assert_eq!(credit["amount"]["units"], "3300000000");
    for stranger in ["eve", "a%20b", "%0a", "%ff", &"x".repeat(2_000)] {
        let (code, body) = scene.json(&format!("/api/v1/miners/{stranger}")).await;
        assert!(code == 404 || code == 400, "{stranger}: {code}");
        assert!(body["error"]["message"].as_str().is_some_and(|text| text.len() < 600));
    }
}

#[tokio::test]
async fn blocks_are_listed_newest_first_with_their_state() {
    let scene = Scene::filled().await;
    let page = scene.good("/api/v1/blocks").await;
    let states: Vec<_> = page["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|block| (block["id"].as_str(), block["state"].as_str(), block["reward"].is_null()))
        .collect();
    assert_eq!(
        states,
        [
            (Some("b3"), Some("pending"), true),
            (Some("b2"), Some("orphaned"), true),
            (Some("b1"), Some("settled"), false),
        ]
    );
    assert_eq!(page["items"][2]["reward"]["coins"], "50.00000000 DEV");
    assert_eq!(page["items"][0]["tx_fees"]["coins"], "0.00000001 DEV");
    assert_eq!(page["items"][0]["account"], "ann");
}

#[tokio::test]
async fn a_payout_says_who_got_what_from_which_component() {
    let scene = Scene::filled().await;
    let page = scene.good("/api/v1/payouts").await;
    let payout = &page["items"][0];
    assert_finite("payouts", payout);
    assert_eq!((&payout["key"], &payout["block"]), (&json!("block:b1"), &json!("b1")));
    assert_eq!(payout["component"], "07".repeat(32));
    assert_eq!((&payout["from_seq"], &payout["to_seq"]), (&json!(0), &json!(3)));
    assert_eq!(payout["notes"], json!(["window half full"]));
    assert_eq!(payout["accounts"], 2);
    let credits: Vec<_> = payout["credits"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|credit| (credit["account"].as_str(), credit["amount"]["units"].as_str()))
        .collect();
    assert_eq!(credits, [(Some("ann"), Some("3300000000")), (Some("bob"), Some("1650000000"))]);
    // Credits, fee and carry are the reward, to the last unit.
    let units = |name: &str| payout[name]["units"].as_str()?.parse::<i128>().ok();
    let parts: Option<i128> = ["credited", "pool_fee", "carry_out"].into_iter().map(units).sum();
    assert_eq!(parts, Some(5_000_000_000));
}

#[tokio::test]
async fn a_reversed_payout_shows_what_was_paid_and_when_it_was_undone() {
    let scene = Scene::filled().await;
    scene.store.reverse("b1", "reorganised away", NOW_MS).await.expect("reversed");
    let payout = scene.good("/api/v1/payouts").await["items"][0].clone();
    assert_eq!(payout["reversed_at_ms"], NOW_MS);
    assert_eq!(payout["credited"]["units"], "4950000000");
    assert_eq!(scene.good("/api/v1/miners/ann").await["balance"]["units"], "0");

    scene.store.reinstate("b1", "on the chain again", NOW_MS + 1).await.expect("reinstated");
    let payout = scene.good("/api/v1/payouts").await["items"][0].clone();
    assert_eq!(payout["reversed_at_ms"], Value::Null);
    assert_eq!(
        (&payout["credited"]["units"], &payout["accounts"]),
        (&json!("4950000000"), &json!(2))
    );
    let legs = json!([
        { "kind": "reversal", "why": "reorganised away", "booked_at_ms": NOW_MS },
        { "kind": "reinstatement", "why": "on the chain again", "booked_at_ms": NOW_MS + 1 },
    ]);
    assert_eq!(payout["legs"], legs);
    let ann = scene.good("/api/v1/miners/ann").await;
    assert_eq!(ann["balance"]["units"], "3300000000");
    assert_eq!(ann["credits"][0]["reason"], "reinstatement");
}

/// 900,000 hashes for the first block, where 4,295,032,833 were expected; two more within the
/// same batch, one of them an orphan.
#[tokio::test]
async fn a_block_shows_its_effort_and_the_pool_its_luck() {
    let scene = Scene::filled().await;
    let before = scene.good("/api/v1/blocks").await["items"][2].clone();
    assert_eq!((&before["effort"], &before["round_work"]), (&Value::Null, &Value::Null));
    assert_eq!(scene.good("/api/v1/stats").await["current_effort"], Value::Null);
    scene.store.count_shares().await.expect("counted");
    scene.store.note_answer("b2", "stale: inconclusive").await.expect("noted");
    let expected = 4_295_032_833.0;
    let blocks = scene.good("/api/v1/blocks").await;
    for (at, work, effort) in [(0, "0", 0.0), (1, "0", 0.0), (2, "900000", 900_000.0 / expected)] {
        let block = &blocks["items"][at];
        assert_eq!((&block["round_work"], block["effort"].as_f64()), (&json!(work), Some(effort)));
        assert_eq!(block["network_difficulty"], 1.0);
    }
    assert_eq!(blocks["items"][1]["answer"], "stale: inconclusive");
    let stats = scene.good("/api/v1/stats").await;
    assert_eq!(stats["current_effort"], 0.0, "nothing since the last block");
    for window in ["last_10", "last_100"] {
        let luck = &stats["luck"][window];
        assert_eq!(luck["blocks"], 3);
        assert_eq!(luck["ratio"].as_f64(), Some(3.0 * expected / 900_000.0));
    }
    scene.mine(2_000_000).await;
    assert_eq!(scene.good("/api/v1/stats").await["current_effort"], 0.5, "of 4,000,000");
    let (_, page) = scene.text("/metrics").await;
    for line in ["chimera_round_effort 0.5", "chimera_luck{window=\"last_10\"} "] {
        assert!(page.lines().any(|found| found.starts_with(line)), "{line}\n{page}");
    }
}

#[tokio::test]
async fn pages_follow_each_other_to_the_end_without_gap_or_repetition() {
    let scene = Scene::filled().await;
    for (list, key, expected) in [
        ("blocks", "id", &["b3", "b2", "b1"][..]),
        ("miners", "account", &["ann", "bob"]),
        ("payouts", "key", &["block:b1"]),
    ] {
        let mut seen = vec![];
        let mut path = Some(format!("/api/v1/{list}?limit=1"));
        while let Some(at) = path {
            let page = scene.good(&at).await;
            let items = page["items"].as_array().expect("a list");
            assert_eq!(items.len(), 1, "{at}");
            seen.push(items[0][key].as_str().expect("a name").to_owned());
            path = page["next"].as_str().map(str::to_owned);
        }
        assert_eq!(seen, expected);
    }
    for list in ["blocks", "payouts"] {
        let past = scene.good(&format!("/api/v1/{list}?before=1")).await;
        assert_eq!(past["items"], json!([]), "{list}");
        let all = scene.good(&format!("/api/v1/{list}?before={}", u64::MAX)).await;
        assert_ne!(all["items"], json!([]), "{list}");
    }
}

/// Defect: a page of payouts read all their transfers. It shows a hundred credits of each,
/// largest first, and says how many there are.
#[tokio::test]
async fn payouts_of_many_accounts_are_paged_and_show_the_largest_credits() {
    let scene = Scene::filled().await;
    for end in 1..=3 {
        scene.pay_many(end, 150).await;
    }
    let mut seen = vec![];
    let mut path = Some("/api/v1/payouts?limit=2".to_owned());
    while let Some(at) = path {
        let page = scene.good(&at).await;
        for item in page["items"].as_array().expect("a list") {
            seen.push(item["key"].as_str().expect("a key").to_owned());
            if item["block"].is_string() {
                continue;
            }
            assert_eq!(item["accounts"], 150);
            assert_eq!(item["credited"]["units"], (150 * 151 / 2).to_string());
            let credits = item["credits"].as_array().expect("a list");
            let units = |credit: &Value| credit["amount"]["units"].as_str()?.parse::<u64>().ok();
            let shown: Vec<_> = credits.iter().filter_map(units).collect();
            assert_eq!(shown, (51..=150).rev().collect::<Vec<_>>());
        }
        path = page["next"].as_str().map(str::to_owned);
    }
    let intervals = ["2-3", "1-2", "0-1"].map(|range| format!("interval:1:{range}"));
    assert_eq!(seen, [&intervals[..], &["block:b1".to_owned()]].concat());
}
