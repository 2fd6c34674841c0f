//! Those who send what is refused, and that others do not notice them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::harness::{Miner, TestPool, connect_from};

const ATTACKER: [u8; 4] = [127, 0, 0, 2];
const OTHER: [u8; 4] = [127, 0, 0, 3];

/// What the pool says to somebody who only listens.
async fn told(socket: TcpStream) -> String {
    Miner::over(socket, "nobody").last_words().await
}

/// A flood goes up the ladder: a message, the end of the connection, a ban of the address; who
/// mines beside it goes on, and the ban ends by itself.
#[tokio::test(flavor = "multi_thread")]
async fn junk_is_warned_dropped_and_banned_and_others_mine_on() {
    let rules = "{ warn = 20, drop = 50, ban_after = 2, ban_s = 10, forgiven_per_minute = 0 }";
    let pool = TestPool::start(&[("STRATUM__CONDUCT", rules)]).await;
    let mut honest = Miner::start(pool.stratum, "alice.rig").await;
    let mut beside = Miner::over(connect_from(ATTACKER, pool.stratum).await, "alice.beside");
    beside.begin().await;

    let mut first = Miner::over(connect_from(ATTACKER, pool.stratum).await, "mallory");
    first.subscribe(None).await;
    let submit = json!({
        "id": 7, "method": "mining.submit", "params": ["mallory", "1", "00", "00", "00"],
    });
    for _ in 0..50 {
        first.send(&submit.to_string()).await;
    }
    let mut lines = Vec::new();
    while let Some(line) = first.raw_line().await {
        lines.push(line);
    }
    let messages: Vec<&Value> =
        lines.iter().filter(|line| line["method"] == "client.show_message").collect();
    let text = |nth: usize| messages[nth]["params"][0].as_str().expect("a text");
    assert!(text(messages.len() - 1).starts_with("closed: too much of what you send"), "{lines:?}");
    assert!(messages.len() == 1 || text(0).contains("the connection is closed at 50 points"));
    assert!(lines.iter().filter(|line| line["id"] == 7).count() <= 50);
    honest.mine(1).await;

    // Without a word of Stratum, and faster than anybody reads it.
    let flood = connect_from(ATTACKER, pool.stratum).await;
    let (mut reader, mut writer) = Miner::over(flood, "mallory").split();
    let sending = tokio::spawn(async move {
        for _ in 0..1_000 {
            if writer.try_send_bytes(&b"junk\n".repeat(2_000)).await.is_err() {
                return;
            }
        }
    });
    while reader.raw_line().await.is_some() {}

    let refused = told(connect_from(ATTACKER, pool.stratum).await).await;
    assert!(refused.starts_with("your address is banned for another "), "{refused}");
    assert!(refused.ends_with(" s: closed 2 times for refused requests"), "{refused}");
    sending.await.expect("it ends, one way or the other");
    honest.mine(1).await;
    // A ban is about who comes: behind one address there may be many.
    beside.mine(1).await;
    let mut other = Miner::over(connect_from(OTHER, pool.stratum).await, "bob");
    other.begin().await;
    other.mine(1).await;

    loop {
        let mut again = Miner::over(connect_from(ATTACKER, pool.stratum).await, "mallory");
        again.send(r#"{"id":1,"method":"mining.ping","params":[]}"#).await;
        let line = again.raw_line().await;
        if line.is_some_and(|line| line["result"] == "pong") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    pool.stop().await;
}

/// A miner that is warned is told so while it goes on, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_warning_is_a_message_and_nothing_more() {
    let rules = "{ warn = 3, drop = 50, forgiven_per_minute = 0 }";
    let pool = TestPool::start(&[("STRATUM__CONDUCT", rules)]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let mut warnings = 0;
    for id in 100..120 {
        miner.send(&json!({ "id": id, "method": "mining.dance", "params": [] }).to_string()).await;
        loop {
            let line = miner.line().await.expect("the pool goes on");
            warnings += u32::from(line["method"] == "client.show_message");
            if line["id"] == id {
                break;
            }
        }
    }
    miner.mine(1).await;
    assert_eq!(warnings, 1);
    pool.stop().await;
}

/// Late shares are nobody's fault, however many there are; and what is accepted makes good for
/// what is not.
#[tokio::test(flavor = "multi_thread")]
async fn late_shares_lead_nowhere_and_accepted_ones_lead_back() {
    let rules = "{ warn = 0, drop = 2, ban_after = 0, forgiven_per_minute = 0 }";
    let pool = TestPool::start(&[("STRATUM__CONDUCT", rules)]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let late = json!(["alice.rig", "fffffff0", "0000000000000000", "00000000", "00000000"]);
    for _ in 0..50 {
        assert_eq!(miner.call(4, "mining.submit", late.clone()).await["error"][0], 21);
    }
    for _ in 0..4 {
        let answer = miner.call(5, "mining.dance", json!([])).await;
        assert_eq!(answer["error"][1], "unknown method");
        miner.mine(1).await;
    }
    for _ in 0..2 {
        miner.send(r#"{"id":6,"method":"mining.dance","params":[]}"#).await;
    }
    let words = miner.last_words().await;
    let kinds =
        "0 shares sent twice, 0 below their difficulty, 0 that fit no job, 6 other requests";
    assert!(words.contains(kinds), "{words}");
    // Nobody is banned where nobody is to be.
    Miner::start(pool.stratum, "alice.rig").await.mine(1).await;
    pool.stop().await;
}
