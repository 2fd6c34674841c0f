//! The door miners come through: who gets in, how soon there is work, what is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Miner, TestPool};

/// PM3: the connection beyond `max_miners` is told so and closed; a place that is given up
/// is free again.
#[tokio::test(flavor = "multi_thread")]
async fn the_miner_beyond_the_limit_is_told_that_the_pool_is_full() {
    let pool = TestPool::start(&[("POOL__MAX_MINERS", "2")]).await;
    let first = Miner::start(pool.stratum, "alice.a").await;
    let _second = Miner::start(pool.stratum, "alice.b").await;
    let mut third = Miner::connect(pool.stratum, "alice.c").await;
    let refusal = third.line().await.expect("a line");
    assert!(
        refusal["error"][1].as_str().is_some_and(|text| text.contains("pool full")),
        "{refusal}"
    );
    assert!(third.line().await.is_none(), "and closed");
    drop(first);
    pool.wait_for("status", |status| status["sessions"]["connected"] == 1).await;
    Miner::start(pool.stratum, "alice.c").await.mine(1).await;
    pool.stop().await;
}

/// T9: the first job follows subscribe and authorize at once, in either order, also when
/// both come in one packet.
#[tokio::test(flavor = "multi_thread")]
async fn t9_the_first_job_follows_in_either_order() {
    let pool = TestPool::start(&[]).await;
    let subscribe = json!({ "id": 1, "method": "mining.subscribe", "params": [] }).to_string();
    let authorize =
        json!({ "id": 2, "method": "mining.authorize", "params": ["alice", "x"] }).to_string();
    for lines in [[&subscribe, &authorize], [&authorize, &subscribe]] {
        let mut miner = Miner::connect(pool.stratum, "alice").await;
        miner.send(&format!("{}\n{}", lines[0], lines[1])).await;
        let mut seen = Vec::new();
        while !seen.iter().any(|line: &Value| line["method"] == "mining.notify") {
            // Jobs cannot be read here: the subscription was not taken apart.
            let line = miner.raw_line().await.expect("the pool goes on");
            seen.push(line);
        }
        let place = |met: fn(&Value) -> bool| seen.iter().position(met).expect("it came");
        let greeting = place(|line| line["id"] == 1 && line["result"].is_array());
        let difficulty = place(|line| line["method"] == "mining.set_difficulty");
        let job = place(|line| line["method"] == "mining.notify");
        assert!(greeting < difficulty && difficulty < job, "{seen:#?}");
        assert_eq!(seen[job]["params"][8], true, "the first job is clean");
    }
    pool.stop().await;
}

/// T1: whatever a miner sends without having worked is refused with 23.
#[tokio::test(flavor = "multi_thread")]
async fn t1_random_nonces_at_high_difficulty_are_refused() {
    // A block takes 2^32 hashes and more, and so may a share.
    let pool = TestPool::start(&[
        ("DIFFICULTY__CONFIG", "{ difficulty = \"4000000\" }"),
        ("STRATUM__DIFFICULTY_MIN", "4000000.0"),
    ])
    .await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let mut refused = 0;
    for nonce in 0..50_u32 {
        let job = miner.job.as_ref().expect("there is work").id().to_owned();
        let time = miner.time.clone();
        let params = json!(["alice.rig", job, "00000000000000ff", time, format!("{nonce:08x}")]);
        let answer = miner.call(10 + u64::from(nonce), "mining.submit", params).await;
        refused += u64::from(answer["error"][0] == 23);
    }
    // The embedded chain's blocks are easy, and no share is harder than a block.
    assert!(refused >= 45, "{refused} of 50 were refused");
    pool.stop().await;
}

/// T3: the same share again is a duplicate, in other spellings and across a reconnect.
#[tokio::test(flavor = "multi_thread")]
async fn t3_duplicates_are_caught_across_a_reconnect() {
    let pool = TestPool::start(&[("CHAIN__SPACING_S", "3600")]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let (job, found) = miner.find_share();
    let line = miner.submit_line(4, &job, &found);
    let params: Value = serde_json::from_str::<Value>(&line).expect("JSON")["params"].take();
    let first = miner.call(4, "mining.submit", params.clone()).await;
    if first["result"] != true {
        // The share was a block, and the round is over: nothing to repeat.
        assert_eq!(first["error"][0], 21, "{first}");
    }
    let expected = [21, 22];
    let mut upper = params.clone();
    for field in [1, 2, 3, 4] {
        upper[field] = params[field].as_str().expect("hex").to_uppercase().into();
    }
    let again = miner.call(5, "mining.submit", upper).await;
    assert!(expected.contains(&again["error"][0].as_u64().expect("a code")), "{again}");

    let (extranonce, session) = (miner.subscription.clone(), miner.session_id.clone());
    drop(miner);
    pool.wait_for("status", |status| status["sessions"]["connected"] == 0).await;
    let mut back = Miner::connect(pool.stratum, "alice.rig").await;
    back.subscribe(Some(&session)).await;
    assert_eq!(format!("{:?}", back.subscription), format!("{extranonce:?}"), "the same space");
    assert_eq!(back.authorize().await["result"], true);
    let again = back.call(6, "mining.submit", params).await;
    assert!(expected.contains(&again["error"][0].as_u64().expect("a code")), "{again}");
    pool.stop().await;
}

/// T5: simultaneous sessions have distinct parts of the nonce space.
#[tokio::test(flavor = "multi_thread")]
async fn t5_sessions_never_share_nonce_space() {
    let pool = TestPool::start(&[]).await;
    let mut miners = Vec::new();
    let mut spaces = BTreeSet::new();
    for _ in 0..200 {
        let mut miner = Miner::connect(pool.stratum, "alice").await;
        let answer = miner.subscribe(None).await;
        assert!(spaces.insert(answer["result"][1].to_string()), "{answer}");
        miners.push(miner);
    }
    drop(miners);
    pool.stop().await;
}

/// T14: pipelined submits get as many well-formed replies, in the order of the requests.
#[tokio::test(flavor = "multi_thread")]
async fn t14_ten_thousand_pipelined_submits_are_answered_in_order() {
    const SUBMITS: u64 = 10_000;
    let pool = TestPool::start(&[]).await;
    let mut miner = Miner::start(pool.stratum, "alice.rig").await;
    let shares: Vec<_> = (0..100)
        .map(|_| miner.find_share())
        .map(|(job, found)| job.submit_params("alice.rig", &found))
        .collect();
    let (mut reader, mut writer) = miner.split();
    let sending = tokio::spawn(async move {
        for id in 0..SUBMITS {
            // Among work for jobs that are over, shares whose replies wait for the disk.
            let late = json!(["alice.rig", "fffffff0", "00", "00000000", "00000000"]);
            let params = if id % 100 == 0 { &shares[id as usize / 100] } else { &late };
            let submit = json!({ "id": 1_000 + id, "method": "mining.submit", "params": params });
            writer.send(&submit.to_string()).await;
        }
        writer
    });
    for id in 0..SUBMITS {
        let answer = loop {
            let line = reader.raw_line().await.expect("the pool goes on");
            if !line["id"].is_null() {
                break line;
            }
        };
        assert_eq!(answer["id"], 1_000 + id);
        for key in ["result", "error"] {
            assert!(answer.get(key).is_some(), "{answer}");
        }
    }
    drop(sending.await.expect("everything was sent"));
    pool.stop().await;
}

/// T2: a miner cannot make itself worth more than it works.
#[tokio::test(flavor = "multi_thread")]
async fn t2_a_suggested_difficulty_is_clamped_by_policy() {
    let pool = TestPool::start(&[("STRATUM__DIFFICULTY_MAX", "0.001")]).await;
    let mut miner = Miner::connect(pool.stratum, "alice.rig").await;
    miner.subscribe(None).await;
    miner.call(3, "mining.suggest_difficulty", json!([1_000_000])).await;
    miner.authorize().await;
    miner.wait_for_job().await;
    assert!(miner.difficulty.get() <= 0.001, "{}", miner.difficulty);
    pool.stop().await;
}

/// T10: a miner that says nothing is kept for as long as settings say; a connection that
/// never authorises is not.
#[tokio::test(flavor = "multi_thread")]
async fn t10_silent_miners_stay_and_strangers_go() {
    let pool = TestPool::start(&[("STRATUM__HANDSHAKE_S", "1"), ("STRATUM__IDLE_S", "600")]).await;
    let mut silent = Miner::start(pool.stratum, "alice.rig").await;
    let mut stranger = Miner::connect(pool.stratum, "nobody").await;
    assert!(stranger.line().await.is_none(), "a stranger is let go");
    silent.mine(1).await;
    pool.wait_for("status", |status| status["sessions"]["connected"] == 1).await;
    pool.stop().await;

    let pool = TestPool::start(&[("STRATUM__IDLE_S", "1")]).await;
    let mut gone = Miner::start(pool.stratum, "alice.rig").await;
    while gone.line().await.is_some() {}
    pool.wait_for("status", |status| status["sessions"]["connected"] == 0).await;
    pool.stop().await;
}

/// A client that closes its side after its last request still gets the answers under way.
#[tokio::test(flavor = "multi_thread")]
async fn a_half_closed_connection_gets_its_last_answers() {
    let pool = TestPool::start(&[]).await;
    let miner = Miner::connect(pool.stratum, "alice.rig").await;
    let (mut reader, mut writer) = miner.split();
    let authorize = json!({ "id": 2, "method": "mining.authorize", "params": ["alice", "x"] });
    writer.send(&authorize.to_string()).await;
    drop(writer);
    let answer = reader.raw_line().await.expect("an answer");
    assert_eq!((&answer["id"], &answer["result"]), (&json!(2), &json!(true)));
    pool.stop().await;
}

/// A small miner says nothing until it finds something: it is asked for a sign of life, and who
/// answers stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_miner_that_answers_a_ping_stays() {
    let pool = TestPool::start(&[("STRATUM__IDLE_S", "2")]).await;
    let mut quiet = Miner::start(pool.stratum, "alice.rig").await;
    let until = tokio::time::Instant::now() + Duration::from_secs(5);
    let mut pings = 0;
    while tokio::time::Instant::now() < until {
        let line = tokio::time::timeout_at(until, quiet.line()).await;
        let Ok(line) = line else { break };
        let line = line.expect("it is not given up");
        if line["method"] == "mining.ping" {
            pings += 1;
            quiet
                .send(&json!({ "id": line["id"], "result": "pong", "error": null }).to_string())
                .await;
        }
    }
    assert!(pings >= 2, "{pings}");
    quiet.mine(1).await;
    pool.stop().await;
}
