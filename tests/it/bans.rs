//! Who an operator bans is refused at the door, also after a restart, until that is lifted.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Miner, TestPool, connect_from};

const BANNED: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 3];

/// What the pool says to somebody from there who only listens.
async fn told(pool: &TestPool, from: [u8; 4]) -> String {
    Miner::over(connect_from(from, pool.stratum).await, "nobody").last_words().await
}

async fn bans(pool: &TestPool) -> Vec<Value> {
    let (code, answer) = pool.request(Method::GET, "bans", Value::Null).await;
    assert_eq!(code, 200, "{answer}");
    answer["bans"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_outlives_a_restart_and_ends_when_it_is_lifted() {
    let rules = [("STRATUM__CONDUCT", "{ warn = 0, drop = 3, ban_after = 1, ban_s = 3600 }")];
    let pool = TestPool::start(&rules).await;
    let mut before = Miner::over(connect_from(BANNED, pool.stratum).await, "alice.before");
    before.begin().await;

    let mut neighbour = Miner::over(connect_from(OTHER, pool.stratum).await, "bob.before");
    neighbour.begin().await;

    let ban = json!({ "address": "::ffff:127.0.0.2", "reason": "talk to us first" });
    let (code, answer) = pool.post("bans", ban).await;
    assert_eq!((code, &answer["address"]), (200, &json!("127.0.0.2")), "{answer}");
    assert_eq!(told(&pool, BANNED).await, "your address is banned: talk to us first");
    // Who is there must go as well, and is told why; others are let in.
    assert_eq!(before.last_words().await, "your address is banned: talk to us first");
    let mut other = Miner::over(connect_from(OTHER, pool.stratum).await, "bob");
    other.begin().await;
    // What the pool bans by itself stands in the same list, and is only about who comes: behind
    // one address there may be many.
    other.send("junk\njunk\njunk").await;
    while other.line().await.is_some() {}
    let banned = told(&pool, OTHER).await;
    assert!(banned.ends_with(" s: closed 1 times for refused requests"), "{banned}");
    neighbour.mine(1).await;
    for count in ["warned\"} 0", "dropped\"} 1", "banned\"} 1", "refused\"} 2"] {
        pool.wait_for_metric(&format!("chimera_conduct_total{{step=\"{count}")).await;
    }
    let listed = bans(&pool).await;
    let sources: Vec<_> = listed.iter().map(|ban| &ban["source"]).collect();
    assert_eq!(sources, ["operator", "conduct"], "{listed:?}");

    let pool = TestPool::start_in(pool.stop().await, &rules).await;
    assert_eq!(bans(&pool).await, listed);
    assert_eq!(told(&pool, BANNED).await, "your address is banned: talk to us first");
    assert!(told(&pool, OTHER).await.starts_with("your address is banned for another "));

    for lifted in [true, false] {
        let (code, answer) = pool.request(Method::DELETE, "bans/127.0.0.2", Value::Null).await;
        assert_eq!((code, answer), (200, json!({ "lifted": lifted })));
    }
    let mut admitted = Miner::over(connect_from(BANNED, pool.stratum).await, "alice.again");
    admitted.begin().await;
    admitted.mine(1).await;
    assert_eq!(bans(&pool).await, listed[1..]);

    let pool = TestPool::start_in(pool.stop().await, &rules).await;
    assert_eq!(bans(&pool).await, listed[1..], "a lift is kept as well");
    pool.stop().await;
}
